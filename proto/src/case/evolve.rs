//! How an event changes a case. Nothing is refused here: the log is the truth.

use super::{Case, CaseState, Holder, PartiesState, Stage, Suspension};
use crate::{
    answers::Answers,
    area::Level,
    code::{Code, Coded},
    envelope::Position,
    event::{CaseEvent, Recorded, Reported},
    id::{AggregateId, CaseId},
    policy::Concerned,
    time::Timestamp,
};

/// Why an event cannot be folded: the log holds what intake never writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvolveError {
    /// An event of a case that was never reported.
    #[error("event at position {position} is of case {case}, which was never reported")]
    Unreported {
        /// The event's place.
        position: Position,
        /// The case.
        case: CaseId,
    },
    /// An event of another kind of aggregate than those before it.
    #[error("event at position {position} is none of what {aggregate} is")]
    Foreign {
        /// The event's place.
        position: Position,
        /// The aggregate.
        aggregate: AggregateId,
    },
    /// A second report of the same case.
    #[error("event at position {position} reports case {case} a second time")]
    ReportedTwice {
        /// The event's place.
        position: Position,
        /// The case.
        case: CaseId,
    },
}

impl Coded for EvolveError {
    fn code(&self) -> Code {
        match self {
            Self::Unreported { .. } => Code(315),
            Self::ReportedTwice { .. } => Code(316),
            Self::Foreign { .. } => Code(320),
        }
    }
}

impl Case {
    /// The case after an event; `before` is none for the event that reports it.
    ///
    /// # Errors
    /// A log that does not begin the case with exactly one report.
    pub fn evolve(
        before: Option<Self>,
        recorded: &Recorded<CaseEvent>,
    ) -> Result<Self, EvolveError> {
        let position = recorded.position;
        let case = recorded.header.aggregate.into();
        let mut after = match (before, &recorded.event) {
            (None, CaseEvent::Reported(report)) => Self::begin(recorded, report),
            (None, _) => return Err(EvolveError::Unreported { position, case }),
            (Some(_), CaseEvent::Reported(_)) => {
                return Err(EvolveError::ReportedTwice { position, case });
            }
            (Some(before), event) => {
                let (stage, due_at) = (before.stage, before.due_at);
                let mut after = before;
                after.apply(event, recorded);
                let begins = event.begins_limit() || after.due_at != due_at;
                if after.stage != stage && begins {
                    after.late_in_stage = false;
                }
                after
            }
        };
        after.last_recorded_at = recorded.header.recorded_at;
        after.version += 1;
        after
            .answered
            .remember(position, &recorded.header, after.version);
        Ok(after)
    }

    fn begin(recorded: &Recorded<CaseEvent>, report: &Reported) -> Self {
        let at = recorded.header.recorded_at;
        Self {
            id: recorded.header.aggregate.into(),
            grid: recorded.header.area,
            kind: report.kind,
            severity: report.severity,
            category: report.category.clone(),
            policy: report.policy,
            state: CaseState::Reported,
            stage: Some(Stage::Accept),
            suspension: None,
            holder: report.holder.clone(),
            held_since: at,
            assigned_by: None,
            due_at: report.due_at,
            due_since: at,
            stood: Vec::new(),
            reminded: 0,
            overdue: false,
            late_in_stage: false,
            handler: None,
            resolved_by_unit: None,
            reported_at: at,
            accepted_at: None,
            resolved_at: None,
            closed_at: None,
            deadlines_missed: 0,
            escalations: 0,
            reminders: 0,
            returns: 0,
            extensions: 0,
            reopenings: 0,
            supervised: false,
            merged_into: None,
            satisfied: None,
            parties: if report.parties.is_some() {
                PartiesState::Sealed
            } else {
                PartiesState::None
            },
            last_recorded_at: at,
            version: 0,
            answered: Answers::default(),
        }
    }

    fn apply(&mut self, event: &CaseEvent, recorded: &Recorded<CaseEvent>) {
        let at = recorded.header.recorded_at;
        match event {
            CaseEvent::Accepted(_) => {
                self.comes_to(CaseState::Accepted, Stage::Assign);
                self.accepted_at = Some(at);
            }
            CaseEvent::Assigned(_) => {
                self.comes_to(CaseState::Assigned, Stage::Settle);
                self.assigned_by = Some(self.holder.clone());
            }
            CaseEvent::HandlingRecorded(_) => {
                self.comes_to(CaseState::Handling, Stage::Settle);
                self.handler = Some(recorded.header.actor.id.clone());
            }
            CaseEvent::Resolved(_) => {
                self.comes_to(CaseState::Resolved, Stage::Verify);
                self.resolved_at = Some(at);
                self.resolved_by_unit.clone_from(&self.holder.unit);
                self.handler = Some(recorded.header.actor.id.clone());
            }
            CaseEvent::Verified(_) => self.comes_to(CaseState::Verified, Stage::Close),
            CaseEvent::ReworkOrdered(_) => {
                self.comes_to(CaseState::Handling, Stage::Settle);
                self.resolved_at = None;
            }
            CaseEvent::Closed(event) => {
                self.end(CaseState::Closed);
                self.closed_at = event.moment_known.then_some(at);
            }
            CaseEvent::Returned(_) => {
                self.comes_to(CaseState::Accepted, Stage::Settle);
                self.assigned_by = None;
                self.returns += 1;
            }
            CaseEvent::Reopened(_) => {
                self.comes_to(CaseState::Accepted, Stage::Assign);
                self.reopenings += 1;
                self.resolved_at = None;
                self.closed_at = None;
            }
            CaseEvent::Merged(event) => {
                self.end(CaseState::Merged);
                self.merged_into = Some(event.into);
            }
            CaseEvent::Cancelled(_) => self.end(CaseState::Cancelled),
            _ => self.apply_beside(event, at),
        }
        if let Some((holder, due_at)) = event.charge() {
            self.charge(holder, due_at, event, at);
        }
    }

    /// Events beside the case's way from step to step.
    fn apply_beside(&mut self, event: &CaseEvent, at: Timestamp) {
        match event {
            CaseEvent::Suspended(event) => {
                let resumes_as = self.state;
                self.state = CaseState::Suspended;
                self.suspension = Some(Suspension {
                    resumes_as,
                    since: at,
                    until: event.until,
                });
            }
            CaseEvent::Resumed(event) => {
                if let Some(suspension) = self.suspension.take() {
                    self.state = suspension.resumes_as;
                    // It stood until then at the latest, however late that was found.
                    self.stood
                        .push((suspension.since, at.min(suspension.until)));
                }
                // A due time that had passed before is left where it was.
                self.overdue = self.overdue && self.due_at == event.due_at;
                self.due_at = event.due_at;
            }
            CaseEvent::Transferred(_) => self.assigned_by = None,
            CaseEvent::Reminded(event) => {
                self.reminded = event.share;
                self.reminders += 1;
            }
            CaseEvent::Extended(event) => {
                self.due_at = event.due_at;
                self.extensions += 1;
                self.overdue = false;
                self.reminded = event.share;
            }
            CaseEvent::DeadlineMissed(_) => {
                self.overdue = true;
                self.reminded = 100;
                self.late_in_stage = true;
                self.deadlines_missed += 1;
            }
            CaseEvent::Escalated(_) => {
                self.escalations += 1;
                self.assigned_by = None;
            }
            CaseEvent::Supervised(_) => self.supervised = true,
            CaseEvent::Rated(event) => self.satisfied = Some(event.satisfied),
            CaseEvent::PartiesForgotten(_) => self.parties = PartiesState::Forgotten,
            // The others take the case a step on its way.
            _ => {}
        }
    }

    fn comes_to(&mut self, state: CaseState, stage: Stage) {
        self.state = state;
        self.stage = Some(stage);
    }

    fn end(&mut self, state: CaseState) {
        self.state = state;
        self.stage = None;
        self.suspension = None;
        self.overdue = false;
    }

    /// A new limit, or a new due time, starts a new count; the same due time under another holder goes on. What is
    /// assigned has to be settled in the time since it was accepted.
    fn charge(&mut self, holder: &Holder, due_at: Timestamp, event: &CaseEvent, at: Timestamp) {
        if self.holder != *holder {
            self.holder = holder.clone();
            self.held_since = at;
        }
        if self.due_at != due_at || event.begins_limit() {
            self.due_at = due_at;
            self.reminded = 0;
            self.overdue = false;
            if !matches!(event, CaseEvent::Assigned(_)) {
                let since = match event {
                    CaseEvent::Escalated(event) => event.due_since,
                    _ => None,
                };
                self.due_since = since.unwrap_or(at);
                self.stood.clear();
            }
        }
    }

    /// Whether its clock runs: it is neither suspended nor at its end.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.stage.is_some() && self.suspension.is_none()
    }

    /// What its present limit is for; none for a case at its end.
    #[must_use]
    pub fn concerned(&self) -> Option<Concerned<'_>> {
        Some(self.concerned_at(self.stage?, self.holder.level))
    }

    /// What its limit for a stage and level is for.
    #[must_use]
    pub fn concerned_at(&self, stage: Stage, level: Level) -> Concerned<'_> {
        Concerned {
            category: &self.category,
            severity: self.severity,
            stage,
            level,
        }
    }

    /// The unit whose work an event that finds the case so is about: the one that holds it; of what becomes of a
    /// case once it is resolved, the one that resolved it.
    #[must_use]
    pub fn unit_concerned(&self, event: &CaseEvent) -> Option<&str> {
        let unit = match event {
            CaseEvent::Verified(_)
            | CaseEvent::ReworkOrdered(_)
            | CaseEvent::Closed(_)
            | CaseEvent::Reopened(_)
            | CaseEvent::Rated(_) => &self.resolved_by_unit,
            _ => &self.holder.unit,
        };
        unit.as_deref()
    }

    /// Whether a step taken at this moment is in time.
    #[must_use]
    pub fn in_time(&self, at: Timestamp) -> bool {
        !self.late_in_stage && at <= self.due_at
    }
}
