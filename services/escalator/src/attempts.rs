//! What came of the steps that were sent, for as long as their timers stand. Kept in memory only: after a
//! restart every step that is still due is sent again, and intake answers as the first time.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use gridkeeper_proto::{envelope::Position, id::CaseId};
use tokio::time::Instant;

use crate::{Options, intake::Outcome, timers::Due};

/// A step that was sent, and what it was sent upon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) step: Due,
    /// When.
    pub(crate) at: Instant,
    /// The position of the timers then.
    pub(crate) position: Position,
}

/// What came of the steps.
pub(crate) struct Attempts {
    retry: Duration,
    retry_limit: Duration,
    late_after: Duration,
    under_way: HashSet<CaseId>,
    answered: BTreeMap<Due, Answered>,
    pause: Option<Pause>,
    next_pause: Duration,
    /// Since when steps are due and intake answers none.
    silent_since: Option<Instant>,
    last_failure: String,
}

/// Nothing is sent at all.
struct Pause {
    since: Instant,
    until: Instant,
}

/// A step that intake answered and whose timer stands.
struct Answered {
    next: Next,
    trouble: Option<Trouble>,
}

/// The log may not take the timer away by itself.
struct Trouble {
    since: Instant,
    detail: String,
}

/// When a step is sent again.
enum Next {
    /// Not before the timers have reached the position that it is recorded at: by then it is gone.
    Recorded(Position),
    /// When the timers are past this position, but not before `from`; and at the latest at `until`.
    MovedOn {
        position: Position,
        from: Instant,
        until: Instant,
    },
    /// At a moment.
    At(Instant),
}

impl Attempts {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            retry: options.retry(),
            retry_limit: options.retry_limit(),
            late_after: options.late_after(),
            under_way: HashSet::new(),
            answered: BTreeMap::new(),
            pause: None,
            next_pause: options.retry(),
            silent_since: None,
            last_failure: "no answer yet".to_owned(),
        }
    }

    /// How many steps are not to be sent now, at most. Whoever looks for so many more finds those that are.
    pub(crate) fn held_back(&self) -> usize {
        self.under_way.len() + self.answered.len()
    }

    /// Takes in which steps are due at a position of the timers: the earliest ones, and whether these are
    /// all. Gives those that are recorded at or before this position and have their timers all the same.
    pub(crate) fn look(
        &mut self,
        position: Position,
        (found, all): (&[Due], bool),
        now: Instant,
    ) -> Vec<Due> {
        let beyond = |step: &Due| !all && found.last().is_some_and(|last| step > last);
        self.answered
            .retain(|step, _| beyond(step) || found.binary_search(step).is_ok());
        let mut left_standing = Vec::new();
        for (step, answered) in &mut self.answered {
            if let Next::Recorded(recorded) = answered.next
                && recorded <= position
            {
                let detail = format!(
                    "the step of case {} is recorded at position {recorded} and still due",
                    step.case
                );
                answered.next = Next::At(now + self.retry_limit);
                answered.trouble = trouble(answered.trouble.take(), detail, now);
                left_standing.push(*step);
            }
        }
        let waiting = |step: &Due| match self.answered.get(step) {
            Some(answered) => answered.trouble.is_some(),
            None => true,
        };
        match found.iter().any(waiting) {
            true => _ = self.silent_since.get_or_insert(now),
            false => self.silent_since = None,
        }
        left_standing
    }

    /// Whether a step may be sent. What intake asked for holds for all of them.
    pub(crate) fn may_send(&self, step: &Due, position: Position, now: Instant) -> bool {
        let paused = self.pause.as_ref().is_some_and(|pause| now < pause.until);
        let next = self.answered.get(step).map(|answered| &answered.next);
        !paused
            && !self.under_way.contains(&step.case)
            && match next {
                None => true,
                Some(Next::Recorded(_)) => false,
                Some(Next::At(at)) => now >= *at,
                Some(Next::MovedOn {
                    position: seen,
                    from,
                    until,
                }) => now >= *until || (now >= *from && position > *seen),
            }
    }

    pub(crate) fn begin(&mut self, step: &Due) {
        self.under_way.insert(step.case);
    }

    /// Takes in what came of a step.
    pub(crate) fn end(&mut self, sent: Sent, outcome: &Outcome, now: Instant) {
        self.under_way.remove(&sent.step.case);
        match outcome {
            Outcome::Recorded { position, .. } => {
                self.answer(sent.step, Next::Recorded(*position), None, now);
            }
            Outcome::MovedOn { detail } => {
                let next = Next::MovedOn {
                    position: sent.position,
                    from: now + self.retry,
                    until: now + self.retry_limit,
                };
                self.answer(sent.step, next, Some(detail), now);
            }
            Outcome::Refused { detail } => {
                let next = Next::At(now + self.retry_limit);
                self.answer(sent.step, next, Some(detail), now);
            }
            Outcome::Unavailable { detail, after } => {
                self.last_failure.clone_from(detail);
                self.hold(sent.at, *after, now);
            }
        }
    }

    fn answer(&mut self, step: Due, next: Next, detail: Option<&String>, now: Instant) {
        self.next_pause = self.retry;
        self.silent_since = None;
        let before = self.answered.remove(&step);
        let before = before.and_then(|answered| answered.trouble);
        let trouble = match detail {
            Some(detail) => trouble(before, detail.clone(), now),
            // It ends when the timer goes.
            None => before,
        };
        self.answered.insert(step, Answered { next, trouble });
    }

    /// Leaves intake alone for a while; longer each time, but once for all that failed together.
    fn hold(&mut self, sent_at: Instant, after: Option<Duration>, now: Instant) {
        let asked = after.unwrap_or_default().min(self.late_after);
        match &mut self.pause {
            Some(pause) if sent_at <= pause.since => pause.until = pause.until.max(now + asked),
            _ => {
                let until = now + self.next_pause.max(asked);
                self.pause = Some(Pause { since: now, until });
                self.next_pause = (self.next_pause * 2).min(self.retry_limit);
            }
        }
    }

    /// For how long steps are due that do not get through, and why, if that is too long.
    pub(crate) fn late(&self, now: Instant) -> Option<(Duration, &str)> {
        let silent = self
            .silent_since
            .map(|since| (since, self.last_failure.as_str()));
        let troubles = self.answered.values().filter_map(|answered| {
            let trouble = answered.trouble.as_ref()?;
            Some((trouble.since, trouble.detail.as_str()))
        });
        let (since, detail) = troubles.chain(silent).min_by_key(|(since, _)| *since)?;
        let waited = now.saturating_duration_since(since);
        (waited >= self.late_after).then_some((waited, detail))
    }
}

/// The trouble with a step, since it began.
#[expect(
    clippy::unnecessary_wraps,
    reason = "it is put where there may be none"
)]
fn trouble(before: Option<Trouble>, detail: String, now: Instant) -> Option<Trouble> {
    let since = before.map_or(now, |before| before.since);
    Some(Trouble { since, detail })
}

#[cfg(test)]
mod tests;
