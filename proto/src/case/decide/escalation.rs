//! A case that is asked up, put off, or the same as an older one.

use super::{Situation, optional_text, text};
use crate::{
    case::{Case, EscalationReason, Holder, Refusal},
    command::Step,
    event::{CaseEvent, Escalated, Extended, Merged},
    id::CaseId,
    limit::Limit,
    time::Timestamp,
};

impl Situation<'_> {
    /// The case one level up; none at the top.
    pub(super) fn escalated(
        &self,
        case: &Case,
        reason: EscalationReason,
        note: &str,
    ) -> Result<Option<CaseEvent>, Refusal> {
        let from = case.holder.level;
        let (Some(level), Some(stage)) = (from.above(), case.stage) else {
            return Ok(None);
        };
        let holder = Holder::of_level(level, case.holder.area.at(level).unwrap_or(self.grid));
        let due_at = self.due(case, stage, level)?;
        let note = note.to_owned();
        Ok(Some(CaseEvent::Escalated(Escalated {
            from,
            reason,
            note,
            holder,
            due_at,
            due_since: None,
            rule: None,
        })))
    }

    pub(super) fn merge(
        &self,
        case: &Case,
        step: &Step,
        into: CaseId,
        note: &str,
    ) -> Result<Vec<CaseEvent>, Refusal> {
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
        Ok(vec![CaseEvent::Merged(Merged {
            into,
            note: note.to_owned(),
        })])
    }

    /// The escalator's word that a moment passed. What happened at it was recorded before.
    pub(super) fn pass_moment(&self, at: Timestamp) -> Result<Vec<CaseEvent>, Refusal> {
        match at > self.now {
            true => Err(Refusal::NotPassed { at }),
            false => Ok(Vec::new()),
        }
    }

    /// The due time put off, by a limit of its own.
    pub(super) fn extend(
        &self,
        case: &Case,
        step: &Step,
        by: Limit,
        reason: &str,
    ) -> Result<Vec<CaseEvent>, Refusal> {
        Self::require_running(case, step)?;
        text("reason", reason)?;
        let Some(concerned) = case.concerned() else {
            return Err(Refusal::WrongState {
                step: step.name(),
                state: case.state,
            });
        };
        let extensions = self.policy.oversight(concerned).extensions;
        if case.extensions >= extensions.times {
            let times = extensions.times;
            return Err(Refusal::ExtendedBefore { times });
        }
        let granted_by = extensions.granting(case.holder.level);
        let role = self.claims.role;
        if role.reach().is_none_or(|reach| reach < granted_by) {
            return Err(Refusal::GrantedAbove { granted_by, role });
        }
        let limit = self.policy.limit(concerned);
        if !by.is_sensible() || !by.runs_as(limit) {
            return Err(Refusal::WrongExtension { limit });
        }
        let at_most = extensions.at_most;
        let due_at = match self.policy.due_by(by, case.due_at) {
            // Longer than the limit, beyond the calendar or not.
            Err(_) if by.exceeds(limit) => {
                return Err(Refusal::ExtensionTooLong { at_most, limit });
            }
            due_at => due_at?,
        };
        let (_, whole) = case.used((self.policy, concerned), case.due_at)?;
        let more = self.policy.elapsed(concerned, case.due_at, due_at)?;
        let most = i128::from(whole) * i128::from(at_most) / 100;
        if due_at <= case.due_at || i128::from(more) > most {
            return Err(Refusal::ExtensionTooLong { at_most, limit });
        }
        if due_at <= self.now {
            return Err(Refusal::ExtensionOver { due_at });
        }
        let (used, _) = case.used((self.policy, concerned), self.now)?;
        let share = i128::from(used.max(0)) * 100 / i128::from(whole + more).max(1);
        Ok(vec![CaseEvent::Extended(Extended {
            reason: reason.to_owned(),
            by,
            due_at,
            share: u32::try_from(share).unwrap_or(u32::MAX),
            granted_by,
        })])
    }
}
