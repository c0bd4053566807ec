//! Steps: who may take which, in which state, and what follows.

use super::{Situation, optional_text, text};
use crate::{
    access::Role,
    area::Level,
    case::{Case, CaseState, EscalationReason, PartiesState, Refusal, Stage},
    command::Step,
    event::{
        Cancelled, CaseEvent, Closed, HandlingRecorded, PartiesForgotten, Rated, Reopened,
        Resolved, ReworkOrdered, Supervised, Verified,
    },
    time::Timestamp,
};

impl Situation<'_> {
    pub(super) fn step(&self, step: &Step) -> Result<Vec<CaseEvent>, Refusal> {
        self.claims.within(self.grid)?;
        let Some(case) = self.case else {
            return Err(Refusal::NoSuchCase { case: self.case_id });
        };
        if let Some(expected) = self.if_version.filter(|expected| *expected != case.version) {
            return Err(Refusal::StaleVersion {
                expected,
                actual: case.version,
            });
        }
        self.check_role(case, step)?;
        match step {
            Step::Accept { note } => self.accept(case, note),
            Step::Assign { to, note } => self.assign(case, to, note),
            Step::RecordHandling { measure, note } => {
                Self::require(
                    case,
                    step,
                    &[
                        CaseState::Accepted,
                        CaseState::Assigned,
                        CaseState::Handling,
                    ],
                )?;
                text("note", note)?;
                let (measure, note) = (*measure, note.clone());
                let mut events = self.begin_with(case)?;
                events.push(CaseEvent::HandlingRecorded(HandlingRecorded {
                    measure,
                    note,
                }));
                Ok(events)
            }
            Step::Resolve { outcome, note } => {
                Self::require(
                    case,
                    step,
                    &[
                        CaseState::Accepted,
                        CaseState::Assigned,
                        CaseState::Handling,
                    ],
                )?;
                text("note", note)?;
                let holder = self.checker(case);
                let due_at = self.due(case, Stage::Verify, holder.level)?;
                let (outcome, note) = (*outcome, note.clone());
                Ok(vec![CaseEvent::Resolved(Resolved {
                    outcome,
                    note,
                    holder,
                    due_at,
                })])
            }
            Step::Verify { note } => {
                Self::require(case, step, &[CaseState::Resolved])?;
                optional_text("note", note)?;
                let holder = case.holder.clone();
                let due_at = self.due(case, Stage::Close, holder.level)?;
                Ok(vec![CaseEvent::Verified(Verified {
                    note: note.clone(),
                    holder,
                    due_at,
                })])
            }
            Step::OrderRework { reason } => {
                Self::require(case, step, &[CaseState::Resolved])?;
                text("reason", reason)?;
                let (holder, due_at) = self.again(case, Stage::Settle)?;
                Ok(vec![CaseEvent::ReworkOrdered(ReworkOrdered {
                    reason: reason.clone(),
                    holder,
                    due_at,
                })])
            }
            Step::Close { note } => {
                Self::require(case, step, &[CaseState::Verified])?;
                optional_text("note", note)?;
                let in_time = case.deadlines_missed == 0 && self.now <= case.due_at;
                Ok(vec![CaseEvent::Closed(Closed {
                    note: note.clone(),
                    moment_known: true,
                    in_time: Some(in_time),
                })])
            }
            Step::Return { reason } => self.give_back(case, step, reason),
            Step::Suspend { reason, until } => self.suspend(case, step, reason, *until),
            Step::Resume { note } => self.resume(case, step, note),
            Step::Transfer { to, reason } => self.transfer(case, step, to, reason),
            Step::Escalate { reason } => {
                Self::require_running(case, step)?;
                text("reason", reason)?;
                let escalated = self.escalated(case, EscalationReason::Request, reason)?;
                Ok(vec![escalated.ok_or(Refusal::TopLevel)?])
            }
            Step::Supervise { note } => {
                Self::require_open(case, step)?;
                text("note", note)?;
                let level = self
                    .claims
                    .role
                    .reach()
                    .unwrap_or(Level::Grid)
                    .min(Level::District);
                Ok(vec![CaseEvent::Supervised(Supervised {
                    level,
                    note: note.clone(),
                    rule: None,
                })])
            }
            Step::Merge { into, note } => self.merge(case, step, *into, note),
            Step::Reopen { reason } => {
                Self::require(
                    case,
                    step,
                    &[CaseState::Closed, CaseState::Cancelled, CaseState::Verified],
                )?;
                text("reason", reason)?;
                let (holder, due_at) = self.again(case, Stage::Assign)?;
                Ok(vec![CaseEvent::Reopened(Reopened {
                    reason: reason.clone(),
                    holder,
                    due_at,
                })])
            }
            Step::Cancel { reason } => {
                Self::require_open(case, step)?;
                text("reason", reason)?;
                Ok(vec![CaseEvent::Cancelled(Cancelled {
                    reason: reason.clone(),
                })])
            }
            Step::Rate { satisfied, note } => {
                Self::require(
                    case,
                    step,
                    &[CaseState::Resolved, CaseState::Verified, CaseState::Closed],
                )?;
                optional_text("note", note)?;
                Ok(vec![CaseEvent::Rated(Rated {
                    satisfied: *satisfied,
                    note: note.clone(),
                })])
            }
            Step::ForgetParties { reason } => {
                text("reason", reason)?;
                if case.parties != PartiesState::Sealed {
                    return Err(Refusal::WrongState {
                        step: step.name(),
                        state: case.state,
                    });
                }
                Ok(vec![CaseEvent::PartiesForgotten(PartiesForgotten {
                    reason: reason.clone(),
                })])
            }
            Step::Extend { by, reason } => self.extend(case, step, *by, reason),
            Step::PassMoment { at } => self.pass_moment(*at),
        }
    }

    /// Which roles take which steps. Every step but the ones named here is open to each role that
    /// reaches the level that holds the case.
    pub(super) fn check_role(&self, case: &Case, step: &Step) -> Result<(), Refusal> {
        let role = self.claims.role;
        let refused = Err(Refusal::RoleMayNot {
            step: step.name(),
            role,
        });
        let Some(reach) = role.reach() else {
            return refused;
        };
        let allowed = match step {
            Step::PassMoment { .. } => role == Role::Service,
            Step::ForgetParties { .. } => role == Role::Admin,
            Step::Assign { .. }
            | Step::Verify { .. }
            | Step::OrderRework { .. }
            | Step::Suspend { .. }
            | Step::Extend { .. }
            | Step::Transfer { .. }
            | Step::Supervise { .. }
            | Step::Merge { .. }
            | Step::Reopen { .. }
            | Step::Cancel { .. } => role != Role::GridWorker,
            _ => true,
        };
        if !allowed {
            return refused;
        }
        // The resident's word is taken by whoever asks, and supervision comes from above by its nature.
        let from_anywhere = matches!(step, Step::Rate { .. });
        if !from_anywhere && reach < case.holder.level {
            return Err(Refusal::HeldAbove {
                holder: case.holder.level,
                role,
            });
        }
        let checks = matches!(step, Step::Verify { .. } | Step::OrderRework { .. });
        if checks && case.handler.as_deref() == Some(self.claims.sub.as_str()) {
            return Err(Refusal::OwnWork);
        }
        Ok(())
    }

    pub(super) fn require(case: &Case, step: &Step, states: &[CaseState]) -> Result<(), Refusal> {
        match states.contains(&case.state) {
            true => Ok(()),
            false => Err(Refusal::WrongState {
                step: step.name(),
                state: case.state,
            }),
        }
    }

    pub(super) fn require_open(case: &Case, step: &Step) -> Result<(), Refusal> {
        match case.state.is_open() {
            true => Ok(()),
            false => Err(Refusal::WrongState {
                step: step.name(),
                state: case.state,
            }),
        }
    }

    pub(super) fn require_running(case: &Case, step: &Step) -> Result<(), Refusal> {
        match case.is_running() {
            true => Ok(()),
            false => Err(Refusal::WrongState {
                step: step.name(),
                state: case.state,
            }),
        }
    }

    pub(super) fn due(
        &self,
        case: &Case,
        stage: Stage,
        level: Level,
    ) -> Result<Timestamp, Refusal> {
        let due = self.policy.due(case.concerned_at(stage, level), self.now);
        due.map_err(Refusal::from)
    }
}
