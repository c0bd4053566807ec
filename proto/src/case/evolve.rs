//! How an event changes a case. Nothing is refused here: the log is the truth.

use super::{AnsweredCommand, Case, CaseState, Holder, PartiesState, Stage, Suspension};
use crate::{
    area::Level,
    code::{Code, Coded},
    envelope::Position,
    event::{Event, Recorded, Reported},
    id::CaseId,
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
        }
    }
}

impl Case {
    /// The case after an event; `before` is none for the event that reports it.
    ///
    /// # Errors
    /// A log that does not begin the case with exactly one report.
    pub fn evolve(before: Option<&Self>, recorded: &Recorded) -> Result<Self, EvolveError> {
        let position = recorded.position;
        let case = recorded.header.case_id;
        let mut after = match (before, &recorded.event) {
            (None, Event::Reported(report)) => Self::begin(recorded, report),
            (None, _) => return Err(EvolveError::Unreported { position, case }),
            (Some(_), Event::Reported(_)) => {
                return Err(EvolveError::ReportedTwice { position, case });
            }
            (Some(before), event) => {
                let mut after = before.clone();
                after.apply(event, recorded);
                if after.stage != before.stage && after.due_at != before.due_at {
                    after.late_in_stage = false;
                }
                after
            }
        };
        after.last_recorded_at = recorded.header.recorded_at;
        after.version += 1;
        after.remember(recorded);
        Ok(after)
    }

    fn begin(recorded: &Recorded, report: &Reported) -> Self {
        let at = recorded.header.recorded_at;
        Self {
            id: recorded.header.case_id,
            grid: recorded.header.grid,
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
            reported_at: at,
            accepted_at: None,
            resolved_at: None,
            closed_at: None,
            deadlines_missed: 0,
            escalations: 0,
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
            answered: Vec::new(),
        }
    }

    fn apply(&mut self, event: &Event, recorded: &Recorded) {
        let at = recorded.header.recorded_at;
        match event {
            Event::Accepted(_) => {
                self.comes_to(CaseState::Accepted, Stage::Assign);
                self.accepted_at = Some(at);
            }
            Event::Assigned(_) => {
                self.comes_to(CaseState::Assigned, Stage::Settle);
                self.assigned_by = Some(self.holder.clone());
            }
            Event::HandlingRecorded(_) => {
                self.comes_to(CaseState::Handling, Stage::Settle);
                self.handler = Some(recorded.header.actor.id.clone());
            }
            Event::Resolved(_) => {
                self.comes_to(CaseState::Resolved, Stage::Verify);
                self.resolved_at = Some(at);
                self.handler = Some(recorded.header.actor.id.clone());
            }
            Event::Verified(_) => self.comes_to(CaseState::Verified, Stage::Close),
            Event::ReworkOrdered(_) => {
                self.comes_to(CaseState::Handling, Stage::Settle);
                self.resolved_at = None;
            }
            Event::Closed(event) => {
                self.end(CaseState::Closed);
                self.closed_at = event.moment_known.then_some(at);
            }
            Event::Returned(_) => {
                self.comes_to(CaseState::Accepted, Stage::Settle);
                self.assigned_by = None;
                self.returns += 1;
            }
            Event::Reopened(_) => {
                self.comes_to(CaseState::Accepted, Stage::Assign);
                self.reopenings += 1;
                self.resolved_at = None;
                self.closed_at = None;
            }
            Event::Merged(event) => {
                self.end(CaseState::Merged);
                self.merged_into = Some(event.into);
            }
            Event::Cancelled(_) => self.end(CaseState::Cancelled),
            _ => self.apply_beside(event, at),
        }
        if let Some((holder, due_at)) = event.charge() {
            self.charge(holder, due_at, event, at);
        }
    }

    /// Events beside the case's way from step to step.
    fn apply_beside(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::Suspended(event) => {
                let resumes_as = self.state;
                self.state = CaseState::Suspended;
                self.suspension = Some(Suspension {
                    resumes_as,
                    since: at,
                    until: event.until,
                });
            }
            Event::Resumed(event) => {
                if let Some(suspension) = self.suspension.take() {
                    self.state = suspension.resumes_as;
                    // It stood until then at the latest, however late that was found.
                    self.stood
                        .push((suspension.since, at.min(suspension.until)));
                }
                self.due_at = event.due_at;
                self.overdue = false;
            }
            Event::Transferred(_) => self.assigned_by = None,
            Event::Reminded(event) => self.reminded = event.share,
            Event::Extended(event) => {
                self.due_at = event.due_at;
                self.extensions += 1;
                self.overdue = false;
                self.reminded = event.share;
            }
            Event::DeadlineMissed(_) => {
                self.overdue = true;
                self.reminded = 100;
                self.late_in_stage = true;
                self.deadlines_missed += 1;
            }
            Event::Escalated(_) => {
                self.escalations += 1;
                self.assigned_by = None;
            }
            Event::Supervised(_) => self.supervised = true,
            Event::Rated(event) => self.satisfied = Some(event.satisfied),
            Event::PartiesForgotten(_) => self.parties = PartiesState::Forgotten,
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

    /// A new due time starts a new count; the same due time under another holder goes on. What is assigned
    /// has to be settled in the time since it was accepted.
    fn charge(&mut self, holder: &Holder, due_at: Timestamp, event: &Event, at: Timestamp) {
        if self.holder != *holder {
            self.holder = holder.clone();
            self.held_since = at;
        }
        if self.due_at != due_at {
            self.due_at = due_at;
            self.reminded = 0;
            self.overdue = false;
            if !matches!(event, Event::Assigned(_)) {
                let since = match event {
                    Event::Escalated(event) => event.due_since,
                    _ => None,
                };
                self.due_since = since.unwrap_or(at);
                self.stood.clear();
            }
        }
    }

    /// All events of one command share its entry, which ends at the last of them.
    fn remember(&mut self, recorded: &Recorded) {
        let answer = AnsweredCommand {
            command: recorded.header.command_id,
            digest: recorded.header.command_digest,
            position: recorded.position,
            version: self.version,
        };
        match self.answered.last_mut() {
            Some(last) if last.command == answer.command => *last = answer,
            _ => self.answered.push(answer),
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

    /// Whether a step taken at this moment is in time.
    #[must_use]
    pub fn in_time(&self, at: Timestamp) -> bool {
        !self.late_in_stage && at <= self.due_at
    }

    /// The answer given to a command before.
    #[must_use]
    pub fn answer_to(&self, command: crate::id::CommandId) -> Option<&AnsweredCommand> {
        self.answered
            .iter()
            .rev()
            .find(|answer| answer.command == command)
    }
}
