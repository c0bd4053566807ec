//! Who has the case next: accepted, assigned, given back, suspended, handed over.

use super::{DAY, Situation, optional_text, text};
use crate::{
    area::Level,
    case::{Case, CaseState, Holder, Refusal, Stage},
    command::{Assignee, Step},
    event::{Accepted, Assigned, CaseEvent, Resumed, Returned, Suspended, Transferred},
    text::{names_person, names_post},
    time::Timestamp,
};

impl Situation<'_> {
    pub(super) fn accept(&self, case: &Case, note: &str) -> Result<Vec<CaseEvent>, Refusal> {
        let step = "accept";
        if case.state != CaseState::Reported {
            return Err(Refusal::WrongState {
                step,
                state: case.state,
            });
        }
        optional_text("note", note)?;
        let holder = case.holder.clone();
        let due_at = self.due(case, Stage::Assign, holder.level)?;
        Ok(vec![CaseEvent::Accepted(Accepted {
            holder,
            due_at,
            note: note.to_owned(),
        })])
    }

    pub(super) fn assign(
        &self,
        case: &Case,
        to: &Assignee,
        note: &str,
    ) -> Result<Vec<CaseEvent>, Refusal> {
        let states = [
            CaseState::Accepted,
            CaseState::Assigned,
            CaseState::Handling,
        ];
        if !states.contains(&case.state) {
            return Err(Refusal::WrongState {
                step: "assign",
                state: case.state,
            });
        }
        optional_text("note", note)?;
        self.check_assignee(to)?;
        if to.level() > case.holder.level {
            let why = "it lies above the level that holds the case: escalate instead";
            return Err(Refusal::WrongAssignee { area: to.area, why });
        }
        let (holder, due_at) = (to.holder(), self.due_once_assigned(case)?);
        Ok(vec![CaseEvent::Assigned(Assigned {
            holder,
            due_at,
            note: note.to_owned(),
        })])
    }

    /// Where assigning has a limit of its own, whoever begins with a case has assigned it to itself.
    pub(super) fn begin_with(&self, case: &Case) -> Result<Vec<CaseEvent>, Refusal> {
        let due_at = self.due_once_assigned(case)?;
        if due_at == case.due_at {
            return Ok(Vec::new());
        }
        Ok(vec![CaseEvent::Assigned(Assigned {
            holder: case.holder.clone(),
            due_at,
            note: String::new(),
        })])
    }

    /// What is assigned has to be settled in the time since it was accepted, or went up.
    fn due_once_assigned(&self, case: &Case) -> Result<Timestamp, Refusal> {
        let settle = case.concerned_at(Stage::Settle, case.holder.level);
        if case.stage != Some(Stage::Assign) || !self.policy.limits_assigning(settle) {
            return Ok(case.due_at);
        }
        let mut due_at = self.policy.due(settle, case.due_since)?;
        for stood in &case.stood {
            due_at = self.policy.moved(settle, due_at, *stood)?;
        }
        Ok(due_at)
    }

    /// The assignee's names fit, and its area lies in this district.
    pub(super) fn check_assignee(&self, to: &Assignee) -> Result<(), Refusal> {
        if to.area.district() != self.grid.district() {
            let why = "it lies in another district";
            return Err(Refusal::WrongAssignee { area: to.area, why });
        }
        let unit = to.unit.as_deref().is_none_or(names_post);
        let person = to.person.as_deref().is_none_or(names_person);
        for (field, fine, allowed) in [
            ("to.unit", unit, "1 to 100"),
            ("to.person", person, "1 to 64"),
        ] {
            if !fine {
                return Err(Refusal::TextLength { field, allowed });
            }
        }
        Ok(())
    }

    /// A grid's own work is verified by its community; work further up by the level that holds it,
    /// through somebody other than the handler.
    pub(super) fn checker(&self, case: &Case) -> Holder {
        let level = case.holder.level.max(Level::Community);
        Holder::of_level(level, self.grid)
    }

    /// A case whose way begins anew at a stage stays with its holder.
    pub(super) fn again(&self, case: &Case, stage: Stage) -> Result<(Holder, Timestamp), Refusal> {
        let holder = case.holder.clone();
        let due_at = self.due(case, stage, holder.level)?;
        Ok((holder, due_at))
    }

    pub(super) fn give_back(
        &self,
        case: &Case,
        step: &Step,
        reason: &str,
    ) -> Result<Vec<CaseEvent>, Refusal> {
        Self::require(case, step, &[CaseState::Assigned])?;
        text("reason", reason)?;
        let settle = case.concerned_at(Stage::Settle, case.holder.level);
        let times = self.policy.oversight(settle).returns;
        if case.returns >= times {
            return Err(Refusal::ReturnedBefore { times });
        }
        let holder = case.assigned_by.clone();
        let holder = holder.unwrap_or_else(|| Holder::of_level(case.holder.level, self.grid));
        let (reason, due_at) = (reason.to_owned(), case.due_at);
        Ok(vec![CaseEvent::Returned(Returned {
            reason,
            holder,
            due_at,
        })])
    }

    pub(super) fn suspend(
        &self,
        case: &Case,
        step: &Step,
        reason: &str,
        until: Timestamp,
    ) -> Result<Vec<CaseEvent>, Refusal> {
        Self::require(
            case,
            step,
            &[
                CaseState::Accepted,
                CaseState::Assigned,
                CaseState::Handling,
            ],
        )?;
        text("reason", reason)?;
        let ahead = until.since(self.now);
        if ahead <= 0 {
            return Err(Refusal::AbsurdTime {
                field: "until",
                why: "does not lie in the future",
            });
        }
        if ahead > 366 * DAY {
            let why = "lies more than 366 days ahead";
            return Err(Refusal::AbsurdTime {
                field: "until",
                why,
            });
        }
        Ok(vec![CaseEvent::Suspended(Suspended {
            reason: reason.to_owned(),
            until,
        })])
    }

    pub(super) fn resume(
        &self,
        case: &Case,
        step: &Step,
        note: &str,
    ) -> Result<Vec<CaseEvent>, Refusal> {
        optional_text("note", note)?;
        let Some(suspension) = &case.suspension else {
            return Err(Refusal::WrongState {
                step: step.name(),
                state: case.state,
            });
        };
        // Only what is being settled is ever suspended.
        let stage = case.stage.unwrap_or(Stage::Settle);
        let concerned = case.concerned_at(stage, case.holder.level);
        let stood = (suspension.since, self.now.max(suspension.since));
        let due_at = self.policy.moved(concerned, case.due_at, stood)?;
        Ok(vec![CaseEvent::Resumed(Resumed {
            due_at,
            note: note.to_owned(),
        })])
    }

    pub(super) fn transfer(
        &self,
        case: &Case,
        step: &Step,
        to: &Assignee,
        reason: &str,
    ) -> Result<Vec<CaseEvent>, Refusal> {
        Self::require_running(case, step)?;
        text("reason", reason)?;
        self.check_assignee(to)?;
        if to.level() != case.holder.level.min(Level::District) {
            let why = "a transfer stays on its level: assign or escalate instead";
            return Err(Refusal::WrongAssignee { area: to.area, why });
        }
        let holder = Holder {
            level: case.holder.level,
            ..to.holder()
        };
        let (reason, due_at) = (reason.to_owned(), case.due_at);
        Ok(vec![CaseEvent::Transferred(Transferred {
            reason,
            holder,
            due_at,
        })])
    }
}
