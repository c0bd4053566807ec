//! What happens to a case by itself, and when: reminders, the end of a suspension, a due time that passes.
//!
//! All of it follows from the case, its policy and the time. So it does not matter when somebody looks: what has
//! happened up to a moment is recorded before anything else is decided at that moment, and after a week without
//! anybody looking the case stands where it would stand if somebody had looked every second. Only reminders that
//! something later has overtaken are left out then (decision 0007).

use serde::{Deserialize, Serialize};

use super::{Case, EscalationReason, Holder};
use crate::{
    area::AreaCode,
    clock::ClockError,
    event::{CaseEvent, DeadlineMissed, Escalated, Reminded, Resumed, Supervised},
    id::CommandId,
    policy::{Card, Concerned, Timetable},
    time::Timestamp,
};

/// Who is overdue is reminded of it at most once in this time, in milliseconds.
const A_DAY: i64 = 24 * 3_600_000;

/// What happens next to a case by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Moment {
    /// Its suspension ends.
    Resume,
    /// Its holder is reminded, when so much of the limit is gone, in per cent.
    Remind(u32),
    /// Its due time passes.
    MissDeadline,
}

impl Moment {
    /// What its command id is derived for: two moments of a case may come in the same millisecond.
    fn purpose(self) -> &'static str {
        match self {
            Self::Resume => "resume",
            Self::Remind(_) => "remind",
            Self::MissDeadline => "miss_deadline",
        }
    }
}

/// When that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextMoment {
    /// When.
    pub at: Timestamp,
    /// What.
    pub moment: Moment,
}

/// What has happened to a case by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    /// When.
    pub at: Timestamp,
    /// The command that its events answer: the same however often somebody looks.
    pub command_id: CommandId,
    /// The events, in order.
    pub events: Vec<CaseEvent>,
}

/// A due time that passed.
pub(super) struct Late<'a> {
    /// What its limit was for.
    pub(super) concerned: Concerned<'a>,
    /// Who missed it.
    pub(super) holder: &'a Holder,
    /// The case's grid.
    pub(super) grid: AreaCode,
    /// The due time.
    pub(super) due_at: Timestamp,
    /// Whether it came from the policy.
    pub(super) by_rule: bool,
    /// Whether somebody above supervises the case.
    pub(super) supervised: bool,
}

impl Late<'_> {
    /// What follows: the case goes up, and the level above supervises it. The time of that level runs from
    /// `since`.
    pub(super) fn events(
        &self,
        timetable: &Timetable,
        since: Timestamp,
    ) -> Result<Vec<CaseEvent>, ClockError> {
        let level = self.holder.level;
        let rule = self.by_rule.then(|| timetable.rule(self.concerned));
        let mut events = vec![CaseEvent::DeadlineMissed(DeadlineMissed {
            due_at: self.due_at,
            level,
            rule: rule.clone(),
        })];
        let above = level.above();
        if let Some(above) = above {
            let concerned = Concerned {
                level: above,
                ..self.concerned
            };
            let area = self.holder.area.at(above).unwrap_or(self.grid);
            events.push(CaseEvent::Escalated(Escalated {
                from: level,
                reason: EscalationReason::Deadline,
                note: String::new(),
                holder: Holder::of_level(above, area),
                due_at: timetable.due(concerned, since)?,
                due_since: Some(since),
                rule: rule.clone(),
            }));
        }
        if timetable.oversight(self.concerned).supervise && !self.supervised {
            events.push(CaseEvent::Supervised(Supervised {
                level: above.unwrap_or(level),
                note: String::new(),
                rule,
            }));
        }
        Ok(events)
    }
}

impl Case {
    /// What happens next by itself; none for a case at its end.
    ///
    /// # Errors
    /// [`ClockError`] when the calendar does not know the moment.
    pub fn next_moment(&self, timetable: &Timetable) -> Result<Option<NextMoment>, ClockError> {
        let next = |at, moment| Some(NextMoment { at, moment });
        if let Some(suspension) = &self.suspension {
            return Ok(next(suspension.until, Moment::Resume));
        }
        let Some(concerned) = self.concerned() else {
            return Ok(None);
        };
        let oversight = timetable.oversight(concerned);
        if self.overdue {
            let every = self.overdue_every((timetable, concerned))?;
            let share = self.reminded.max(100).saturating_add(every);
            let at = self.moment_of(share, (timetable, concerned))?;
            return Ok(at.and_then(|at| next(at, Moment::Remind(share))));
        }
        let mut reminders = oversight.reminders.iter();
        if let Some(reminder) = reminders.find(|reminder| u32::from(reminder.at) > self.reminded)
            && let share = u32::from(reminder.at)
            && let Some(at) = self.moment_of(share, (timetable, concerned))?
            && at < self.due_at
        {
            return Ok(next(at, Moment::Remind(share)));
        }
        Ok(next(self.due_at, Moment::MissDeadline))
    }

    /// The earliest that has happened by itself up to now and is not recorded yet. Reminders that something
    /// later has overtaken are left out.
    ///
    /// # Errors
    /// [`ClockError`] when the calendar does not know a moment.
    pub fn happened(
        &self,
        timetable: &Timetable,
        now: Timestamp,
    ) -> Result<Option<Happened>, ClockError> {
        let Some(concerned) = self.concerned() else {
            return Ok(None);
        };
        let next = match self.next_moment(timetable) {
            Ok(next) => next.filter(|next| next.at <= now),
            // A moment beyond the calendar lies after every moment that the calendar knows.
            Err(_) => timetable.runs(concerned, now).map(|_| None)?,
        };
        let Some(next) = next else {
            return Ok(None);
        };
        let (at, events) = match next.moment {
            Moment::Resume => (next.at, self.resumed(next.at, (timetable, concerned))?),
            Moment::Remind(_) if self.overdue || now < self.due_at => {
                self.reminded((timetable, concerned), now)?
            }
            Moment::Remind(_) | Moment::MissDeadline => {
                let late = Late {
                    concerned,
                    holder: &self.holder,
                    grid: self.grid,
                    due_at: self.due_at,
                    by_rule: true,
                    supervised: self.supervised,
                };
                (self.due_at, late.events(timetable, self.due_at)?)
            }
        };
        let command_id = CommandId::derived(self.id, next.moment.purpose(), at.millis());
        Ok(Some(Happened {
            at,
            command_id,
            events,
        }))
    }

    /// What follows from a due time of an imported record that had passed when it was taken over: the time of
    /// the level above runs from then on.
    ///
    /// # Errors
    /// [`ClockError`] when the calendar does not know the new due time.
    pub fn missed_before_import(
        &self,
        timetable: &Timetable,
        taken_at: Timestamp,
    ) -> Result<Vec<CaseEvent>, ClockError> {
        let Some(concerned) = self.concerned() else {
            return Ok(Vec::new());
        };
        let late = Late {
            concerned,
            holder: &self.holder,
            grid: self.grid,
            due_at: self.due_at,
            by_rule: false,
            supervised: self.supervised,
        };
        late.events(timetable, taken_at)
    }

    /// How much of the limit is gone at a moment and how much there is, in milliseconds of its own time. The
    /// time that the clock stood does not count.
    ///
    /// # Errors
    /// [`ClockError`] when the calendar does not know a moment.
    pub fn used(
        &self,
        (timetable, concerned): (&Timetable, Concerned<'_>),
        now: Timestamp,
    ) -> Result<(i64, i64), ClockError> {
        let until = self.suspension.as_ref().map_or(now, |stop| stop.since);
        let elapsed = |from, to| timetable.elapsed(concerned, from, to);
        let mut used = elapsed(self.due_since, until)?;
        let mut whole = elapsed(self.due_since, self.due_at)?;
        for (since, until) in &self.stood {
            let stood = elapsed(*since, *until)?;
            used -= stood;
            // What stood after the due time had passed did not move it.
            if *since < self.due_at {
                whole -= stood;
            }
        }
        Ok((used, whole))
    }

    /// How much of the limit is gone at a moment, in per cent, rounded down; none of a limit without time.
    ///
    /// # Errors
    /// [`ClockError`] when the calendar does not know a moment.
    pub fn share_used(
        &self,
        measure: (&Timetable, Concerned<'_>),
        now: Timestamp,
    ) -> Result<Option<u32>, ClockError> {
        let (used, whole) = self.used(measure, now)?;
        let share = (whole > 0).then(|| i128::from(used.max(0)) * 100 / i128::from(whole));
        Ok(share.map(|share| u32::try_from(share).unwrap_or(u32::MAX)))
    }

    fn resumed(
        &self,
        until: Timestamp,
        (timetable, concerned): (&Timetable, Concerned<'_>),
    ) -> Result<Vec<CaseEvent>, ClockError> {
        let since = self.suspension.as_ref().map_or(until, |stop| stop.since);
        let due_at = timetable.moved(concerned, self.due_at, (since, until))?;
        let note = String::new();
        Ok(vec![CaseEvent::Resumed(Resumed { due_at, note })])
    }

    /// After which further share of the limit an overdue case is reminded of, in per cent: that of the policy, or
    /// so many of them that a day of the limit's own time lies between.
    fn overdue_every(&self, measure: (&Timetable, Concerned<'_>)) -> Result<u32, ClockError> {
        let (timetable, concerned) = measure;
        let every = u32::from(timetable.oversight(concerned).overdue_every);
        let (_, whole) = self.used(measure, self.due_since)?;
        let between = i128::from(whole.max(1)) * i128::from(every);
        let times = (i128::from(A_DAY) * 100 + between - 1) / between;
        Ok(every.saturating_mul(u32::try_from(times.max(1)).unwrap_or(u32::MAX)))
    }

    /// The latest of the reminders that are due.
    fn reminded(
        &self,
        measure: (&Timetable, Concerned<'_>),
        now: Timestamp,
    ) -> Result<(Timestamp, Vec<CaseEvent>), ClockError> {
        let (timetable, concerned) = measure;
        let oversight = timetable.oversight(concerned);
        let gone = self.share_used(measure, now)?.unwrap_or(0);
        let (share, card) = if self.overdue {
            let every = self.overdue_every(measure)?;
            (100 + (gone.saturating_sub(100) / every) * every, Card::Red)
        } else {
            let due = |at: u16| (self.reminded + 1..=gone).contains(&u32::from(at));
            let last = oversight.reminders.iter().rev().find(|it| due(it.at));
            last.map_or((gone, Card::Note), |last| (u32::from(last.at), last.card))
        };
        let at = self.moment_of(share, measure)?.unwrap_or(now);
        let reminded = Reminded {
            card,
            share,
            at,
            due_at: self.due_at,
            rule: timetable.rule(concerned),
        };
        Ok((at, vec![CaseEvent::Reminded(reminded)]))
    }

    /// The moment at which so much of the limit is gone, in per cent; none for a limit without time.
    fn moment_of(
        &self,
        share: u32,
        (timetable, concerned): (&Timetable, Concerned<'_>),
    ) -> Result<Option<Timestamp>, ClockError> {
        let (_, whole) = self.used((timetable, concerned), self.due_since)?;
        if whole <= 0 {
            return Ok(None);
        }
        // Rounded up, so that the share is gone at the moment.
        let wanted = (i128::from(whole) * i128::from(share) + 99) / 100;
        let mut wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
        let mut at = timetable.after(concerned, self.due_since, wanted)?;
        for (since, until) in &self.stood {
            if *since < at {
                wanted += timetable.elapsed(concerned, *since, *until)?;
                at = timetable.after(concerned, self.due_since, wanted)?;
            }
        }
        Ok(Some(at))
    }
}
