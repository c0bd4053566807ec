//! Where a case goes that is late, asked up, or the same as an older one.

use super::{Situation, optional_text};
use crate::{
    case::{Case, EscalationReason, Holder, Refusal},
    command::Step,
    event::{DeadlineMissed, Escalated, Event, Merged},
    id::CaseId,
    time::Timestamp,
};

impl Situation<'_> {
    /// The case one level up; none at the top.
    pub(super) fn escalated(
        &self,
        case: &Case,
        reason: EscalationReason,
        note: &str,
    ) -> Result<Option<Event>, Refusal> {
        let from = case.holder.level;
        let (Some(level), Some(stage)) = (from.above(), case.state.stage()) else {
            return Ok(None);
        };
        let holder = Holder::of_level(level, case.holder.area.at(level).unwrap_or(self.grid));
        let due_at = self.due(case, stage, level)?;
        let note = note.to_owned();
        Ok(Some(Event::Escalated(Escalated {
            from,
            reason,
            note,
            holder,
            due_at,
        })))
    }

    pub(super) fn merge(
        &self,
        case: &Case,
        step: &Step,
        into: CaseId,
        note: &str,
    ) -> Result<Vec<Event>, Refusal> {
        Self::require_open(case, step)?;
        optional_text("note", note)?;
        let wrong = |why| Err(Refusal::WrongMerge { into, why });
        let Some(other) = self.other else {
            return wrong("there is no such case");
        };
        if self.claims.within(other.grid).is_err() {
            return wrong("it lies outside your area");
        }
        // Merging only into an older case keeps merges from running in a circle, whichever order two
        // of them are decided in.
        if (other.reported_at, other.id) >= (case.reported_at, case.id) {
            return wrong("it is not older: merge the newer case into the older");
        }
        if !other.state.is_open() {
            return wrong("it is over: reopen it first");
        }
        Ok(vec![Event::Merged(Merged {
            into,
            note: note.to_owned(),
        })])
    }

    /// The escalator's word that a due time passed: the case is overdue and goes up one level.
    pub(super) fn miss_deadline(
        &self,
        case: &Case,
        step: &Step,
        due_at: Timestamp,
    ) -> Result<Vec<Event>, Refusal> {
        Self::require_running(case, step)?;
        if case.due_at != due_at || self.now < due_at || case.overdue {
            return Err(Refusal::NotMissed {
                due_at: case.due_at,
            });
        }
        let level = case.holder.level;
        let mut events = vec![Event::DeadlineMissed(DeadlineMissed { due_at, level })];
        events.extend(self.escalated(case, EscalationReason::Deadline, "")?);
        Ok(events)
    }
}
