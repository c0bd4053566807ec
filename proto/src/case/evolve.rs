//! How an event changes a case. Nothing is refused here: the log is the truth.

use super::{AnsweredCommand, Case, CaseState, Holder, PartiesState, Stage, Suspension};
use crate::{
    code::{Code, Coded},
    envelope::Position,
    event::{Event, Recorded, Reported},
    id::CaseId,
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
                if after.stage() != before.stage() {
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
            suspension: None,
            holder: report.holder.clone(),
            held_since: at,
            assigned_by: None,
            due_at: report.due_at,
            due_since: at,
            stood: Vec::new(),
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
            Event::Reported(_) => {}
            Event::Accepted(_) => {
                self.state = CaseState::Accepted;
                self.accepted_at = Some(at);
            }
            Event::Assigned(_) => {
                self.state = CaseState::Assigned;
                self.assigned_by = Some(self.holder.clone());
            }
            Event::HandlingRecorded(_) => {
                self.state = CaseState::Handling;
                self.handler = Some(recorded.header.actor.id.clone());
            }
            Event::Resolved(_) => {
                self.state = CaseState::Resolved;
                self.resolved_at = Some(at);
                self.handler = Some(recorded.header.actor.id.clone());
            }
            Event::Verified(_) => self.state = CaseState::Verified,
            Event::ReworkOrdered(_) => {
                self.state = CaseState::Handling;
                self.resolved_at = None;
            }
            Event::Closed(event) => {
                self.end(CaseState::Closed);
                self.closed_at = event.moment_known.then_some(at);
            }
            Event::Returned(_) => {
                self.state = CaseState::Accepted;
                self.assigned_by = None;
                self.returns += 1;
            }
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
                    self.stood.push((suspension.since, at));
                }
                self.due_at = event.due_at;
                self.overdue = false;
            }
            Event::Transferred(_) => self.assigned_by = None,
            Event::DeadlineMissed(_) => {
                self.overdue = true;
                self.late_in_stage = true;
                self.deadlines_missed += 1;
            }
            Event::Escalated(_) => {
                self.escalations += 1;
                self.assigned_by = None;
            }
            Event::Supervised(_) => self.supervised = true,
            Event::Merged(event) => {
                self.end(CaseState::Merged);
                self.merged_into = Some(event.into);
            }
            Event::Reopened(_) => {
                self.state = CaseState::Accepted;
                self.reopenings += 1;
                self.resolved_at = None;
                self.closed_at = None;
            }
            Event::Cancelled(_) => self.end(CaseState::Cancelled),
            Event::Rated(event) => self.satisfied = Some(event.satisfied),
            Event::PartiesForgotten(_) => self.parties = PartiesState::Forgotten,
        }
        if let Some((holder, due_at)) = event.charge() {
            self.charge(holder, due_at, at);
        }
    }

    fn end(&mut self, state: CaseState) {
        self.state = state;
        self.suspension = None;
        self.overdue = false;
    }

    /// A new due time starts a new count; the same due time under another holder goes on.
    fn charge(&mut self, holder: &Holder, due_at: Timestamp, at: Timestamp) {
        if self.holder != *holder {
            self.holder = holder.clone();
            self.held_since = at;
        }
        if self.due_at != due_at {
            self.due_at = due_at;
            self.due_since = at;
            self.stood.clear();
            self.overdue = false;
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

    /// What has to happen next; of a suspended case what has to when it resumes. Nothing at its end.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        let state = self.suspension.as_ref();
        let state = state.map_or(self.state, |suspension| suspension.resumes_as);
        state.stage()
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
