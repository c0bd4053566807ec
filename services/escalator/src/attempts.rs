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
mod tests {
    use gridkeeper_proto::time::Timestamp;

    use super::*;
    use crate::timers::Timer;

    const RETRY: Duration = Duration::from_millis(100);
    const LIMIT: Duration = Duration::from_secs(1);
    const LATE: Duration = Duration::from_secs(10);
    const HERE: Position = Position(7);
    const NEXT: Position = Position(8);

    fn attempts() -> Attempts {
        Attempts::new(&Options {
            retry_ms: 100,
            retry_limit_ms: 1_000,
            late_after_ms: 10_000,
            ..Options::default()
        })
    }

    fn step(case: u8) -> Due {
        Due {
            at: Timestamp::EPOCH.plus_millis(i64::from(case)),
            case: CaseId::from_bytes([case; 16]),
            timer: Timer::MissDeadline,
        }
    }

    fn recorded(position: Position) -> Outcome {
        let repeated = false;
        Outcome::Recorded { position, repeated }
    }

    fn refused() -> Outcome {
        let detail = "refused".to_owned();
        Outcome::Refused { detail }
    }

    fn moved_on() -> Outcome {
        let detail = "moved on".to_owned();
        Outcome::MovedOn { detail }
    }

    fn unavailable(after: Option<u64>) -> Outcome {
        Outcome::Unavailable {
            detail: "away".to_owned(),
            after: after.map(Duration::from_secs),
        }
    }

    fn send(attempts: &mut Attempts, step: Due, outcome: &Outcome, at: Instant) {
        attempts.begin(&step);
        let position = HERE;
        attempts.end(Sent { step, at, position }, outcome, at);
    }

    #[test]
    fn a_case_has_one_step_under_way() {
        let (mut attempts, now) = (attempts(), Instant::now());
        assert!(attempts.may_send(&step(1), HERE, now));
        attempts.begin(&step(1));
        let same_case = Due {
            timer: Timer::Resume { version: 3 },
            ..step(1)
        };
        assert!(!attempts.may_send(&same_case, HERE, now));
        assert!(attempts.may_send(&step(2), HERE, now));
    }

    #[test]
    fn a_recorded_step_is_not_sent_again_while_its_event_is_on_the_way() {
        let (mut attempts, now) = (attempts(), Instant::now());
        send(&mut attempts, step(1), &recorded(NEXT), now);
        let later = now + LATE * 2;
        assert!(attempts.look(HERE, (&[step(1)], true), later).is_empty());
        assert!(!attempts.may_send(&step(1), HERE, later));
        assert_eq!(
            attempts.late(later),
            None,
            "the position tells of a log that stands"
        );
        attempts.look(NEXT, (&[], true), later);
        assert_eq!(attempts.held_back(), 0, "gone with its timer");
    }

    #[test]
    fn a_recorded_step_that_leaves_its_timer_standing_is_told_of_and_turns_late() {
        let (mut attempts, mut now) = (attempts(), Instant::now());
        let began = now;
        let due = [step(1)];
        while now < began + LATE {
            send(&mut attempts, step(1), &recorded(NEXT), now);
            assert_eq!(attempts.look(NEXT, (&due, true), now), due);
            assert!(!attempts.may_send(&step(1), NEXT, now));
            assert_eq!(attempts.late(now), None);
            now += LIMIT;
            assert!(attempts.may_send(&step(1), NEXT, now));
        }
        assert_eq!(attempts.late(now).unwrap().0, LATE);
    }

    #[test]
    fn a_step_of_a_case_that_moved_on_waits_for_the_log_and_not_for_ever() {
        let (mut attempts, now) = (attempts(), Instant::now());
        send(&mut attempts, step(1), &moved_on(), now);
        assert!(!attempts.may_send(&step(1), NEXT, now), "not at once");
        assert!(
            !attempts.may_send(&step(1), HERE, now + RETRY),
            "the log stands"
        );
        assert!(attempts.may_send(&step(1), NEXT, now + RETRY));
        assert!(attempts.may_send(&step(1), HERE, now + LIMIT));
    }

    #[test]
    fn a_refused_step_turns_late_however_many_others_get_through() {
        let (mut attempts, mut now) = (attempts(), Instant::now());
        let began = now;
        let mut others = 2_u8..;
        while now < began + LATE {
            assert_eq!(attempts.late(now), None);
            if attempts.may_send(&step(1), HERE, now) {
                send(&mut attempts, step(1), &refused(), now);
            }
            now += LIMIT / 2;
            let other = step(others.next().unwrap());
            send(&mut attempts, other, &recorded(NEXT), now);
            attempts.look(HERE, (&[step(1), other], true), now);
        }
        let (since, detail) = attempts.late(now).unwrap();
        assert_eq!((since, detail), (LATE, "refused"));
        attempts.look(NEXT, (&[], true), now);
        assert_eq!(attempts.late(now), None, "its timer is gone");
    }

    #[test]
    fn while_intake_is_away_the_waits_grow_up_to_the_limit_and_health_turns_late() {
        let (mut attempts, mut now) = (attempts(), Instant::now());
        let began = now;
        let mut waits = Vec::new();
        attempts.look(HERE, (&[step(1), step(2)], true), now);
        for _ in 0..6 {
            let at = now;
            for number in [1, 2] {
                // Two that fail together make the wait grow once.
                assert!(attempts.may_send(&step(3), HERE, now) || number == 2);
                send(&mut attempts, step(number), &unavailable(None), now);
            }
            while !attempts.may_send(&step(1), HERE, now) {
                now += RETRY / 2;
            }
            waits.push((now - at).as_millis());
        }
        assert_eq!(waits, [100, 200, 400, 800, 1_000, 1_000]);
        attempts.look(HERE, (&[step(1), step(2)], true), began + LATE);
        assert_eq!(attempts.late(began + LATE), Some((LATE, "away")));
        send(&mut attempts, step(1), &recorded(NEXT), began + LATE);
        assert_eq!(attempts.late(began + LATE), None);
    }

    #[test]
    fn a_longer_retry_after_is_kept_to_and_a_shorter_one_does_not_hurry() {
        for (after, wait) in [(5, 5_000), (0, 100), (86_400, 10_000)] {
            let (mut attempts, now) = (attempts(), Instant::now());
            send(&mut attempts, step(1), &unavailable(Some(after)), now);
            let wait = Duration::from_millis(wait);
            let early = now + wait - Duration::from_millis(1);
            assert!(!attempts.may_send(&step(1), HERE, early));
            assert!(attempts.may_send(&step(1), HERE, now + wait));
        }
    }

    #[test]
    fn steps_beyond_those_looked_at_are_not_forgotten() {
        let (mut attempts, now) = (attempts(), Instant::now());
        send(&mut attempts, step(1), &refused(), now);
        send(&mut attempts, step(5), &refused(), now);
        attempts.look(HERE, (&[step(2), step(3)], false), now);
        assert!(!attempts.may_send(&step(5), HERE, now));
        assert!(attempts.may_send(&step(1), HERE, now), "its timer was gone");
    }
}
