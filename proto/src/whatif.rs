//! What another policy would have made of the cases in the log: which due times would have passed, and how far
//! cases would have gone up.
//!
//! The log is replayed through the real rules. What people did happens at the moments at which they did it; what
//! happens by itself happens by the policy that is tried. So the policy that was in force gives exactly what
//! happened.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    access::{Actor, Claims, Role},
    area::{AreaCode, Level},
    case::{
        Case, Decided, Decision, EscalationReason, EvolveError, Holder, Refusal, Situation, decide,
    },
    clock::ClockError,
    code::{Code, Coded},
    command::{Assignee, CaseCommand, Imported, Report, Step},
    event::{CaseEvent, Recorded, Reported},
    id::{CaseId, CommandId},
    policy::Timetable,
    time::Timestamp,
};

/// A case, as it happened and as it would have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The grid it was filed in.
    pub grid: AreaCode,
    /// Its category.
    pub category: String,
    /// What happened.
    pub happened: Course,
    /// What would have happened.
    pub would: Course,
    /// Steps that were taken and would not have been possible.
    pub impossible: u32,
}

/// How a case went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// The due times that passed, in order.
    pub missed: Vec<Timestamp>,
    /// When it went up and from which level, by itself or by request, in order.
    pub went_up: Vec<WentUp>,
}

/// A case went one level up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WentUp {
    /// When: by itself at the due time that passed, by request when it was taken.
    pub at: Timestamp,
    /// From this level.
    pub from: Level,
}

impl Course {
    fn take(&mut self, event: &CaseEvent, recorded_at: Timestamp) {
        match event {
            CaseEvent::DeadlineMissed(missed) => self.missed.push(missed.due_at),
            CaseEvent::Escalated(event) => self.went_up.push(WentUp {
                at: event.due_since.unwrap_or(recorded_at),
                from: event.from,
            }),
            _ => {}
        }
    }
}

/// Why a log cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The log does not begin each case with exactly one report.
    #[error(transparent)]
    Evolve(#[from] EvolveError),
    /// The policy's calendar does not know a moment.
    #[error(transparent)]
    Clock(#[from] ClockError),
}

impl Coded for ReplayError {
    fn code(&self) -> Code {
        match self {
            Self::Evolve(error) => error.code(),
            Self::Clock(error) => error.code(),
        }
    }
}

/// A replay of the log against a policy.
pub struct Replay<'a> {
    timetable: &'a Timetable,
    cases: BTreeMap<CaseId, Replayed>,
}

struct Replayed {
    /// As it would be.
    case: Case,
    /// The last event, whose header new ones are made with.
    last: Recorded<CaseEvent>,
    /// The command that reported it.
    report: CommandId,
    compared: Compared,
}

impl<'a> Replay<'a> {
    /// Nothing replayed yet.
    #[must_use]
    pub fn new(timetable: &'a Timetable) -> Self {
        Self {
            timetable,
            cases: BTreeMap::new(),
        }
    }

    /// Takes in the next event of the log.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn event(&mut self, recorded: &Recorded<CaseEvent>) -> Result<(), ReplayError> {
        let id = recorded.header.aggregate.into();
        let Some(mut replayed) = self.cases.remove(&id) else {
            let replayed = self.begin(recorded)?;
            self.cases.insert(id, replayed);
            return Ok(());
        };
        let happened = &mut replayed.compared.happened;
        happened.take(&recorded.event, recorded.header.recorded_at);
        if recorded.header.command_id == replayed.report {
            self.with_report(&mut replayed, recorded)?;
        } else if !by_itself(recorded) {
            replayed.advance(self.timetable, recorded.header.recorded_at)?;
            match &recorded.event {
                // Nobody assigns to the city: it began with the case, and does so again with the next event.
                CaseEvent::Assigned(event) if event.holder.level == Level::City => {}
                _ => self.step(&mut replayed, recorded)?,
            }
        }
        replayed.last = recorded.clone();
        self.cases.insert(id, replayed);
        Ok(())
    }

    /// Lets the time run on to this moment, and gives all cases.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn until(mut self, now: Timestamp) -> Result<BTreeMap<CaseId, Compared>, ReplayError> {
        for replayed in self.cases.values_mut() {
            replayed.advance(self.timetable, now)?;
        }
        let cases = self.cases.into_iter();
        Ok(cases
            .map(|(id, replayed)| (id, replayed.compared))
            .collect())
    }

    fn begin(&self, recorded: &Recorded<CaseEvent>) -> Result<Replayed, ReplayError> {
        let mut begun = recorded.clone();
        let mut category = String::new();
        if let CaseEvent::Reported(report) = &recorded.event {
            category.clone_from(&report.category);
            let command = CaseCommand::Report(as_command(report, recorded.header.recorded_at));
            let decided = decided(self.timetable, &command, (None, None), recorded)?;
            if let Some(first) = decided.unwrap_or_default().into_iter().next() {
                begun.event = first.event;
            }
        }
        Ok(Replayed {
            case: Case::evolve(None, &begun)?,
            last: recorded.clone(),
            report: recorded.header.command_id,
            compared: Compared {
                grid: recorded.header.area,
                category,
                happened: Course::default(),
                would: Course::default(),
                impossible: 0,
            },
        })
    }

    /// What comes with the report of an imported record: its end, or that it was late when it was taken over.
    fn with_report(
        &self,
        replayed: &mut Replayed,
        recorded: &Recorded<CaseEvent>,
    ) -> Result<(), ReplayError> {
        let taken_at = recorded.header.recorded_at;
        match &recorded.event {
            CaseEvent::DeadlineMissed(_) => {
                let events = replayed
                    .case
                    .missed_before_import(self.timetable, taken_at)?;
                replayed.take(events, recorded)
            }
            _ if by_itself(recorded) => Ok(()),
            event => replayed.take(vec![event.clone()], recorded),
        }
    }

    /// Takes the step that an event stands for, if it is still possible.
    fn step(
        &self,
        replayed: &mut Replayed,
        recorded: &Recorded<CaseEvent>,
    ) -> Result<(), ReplayError> {
        let Some(step) = as_step(&recorded.event) else {
            return replayed.take(vec![recorded.event.clone()], recorded);
        };
        let other = match &step {
            Step::Merge { into, .. } => self.cases.get(into).map(|other| &other.case),
            _ => None,
        };
        let cases = (Some(&replayed.case), other);
        let command = CaseCommand::Step(step);
        match decided(self.timetable, &command, cases, recorded)? {
            Some(decided) => {
                let events = decided.into_iter().map(|decided| decided.event);
                replayed.take(events.collect(), recorded)
            }
            None => {
                replayed.compared.impossible += 1;
                Ok(())
            }
        }
    }
}

impl Replayed {
    /// Lets happen what happens by itself up to this moment.
    fn advance(&mut self, timetable: &Timetable, until: Timestamp) -> Result<(), ReplayError> {
        while let Some(happened) = self.case.happened(timetable, until)? {
            let mut at = self.last.clone();
            at.header.recorded_at = happened.at.max(self.case.last_recorded_at);
            at.header.command_id = happened.command_id;
            at.header.actor = Actor::gridkeeper();
            self.take(happened.events, &at)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        events: Vec<CaseEvent>,
        at: &Recorded<CaseEvent>,
    ) -> Result<(), ReplayError> {
        for event in events {
            let would = &mut self.compared.would;
            would.take(&event, at.header.recorded_at);
            let recorded = Recorded {
                event,
                ..at.clone()
            };
            self.case = Case::evolve(Some(self.case.clone()), &recorded)?;
        }
        Ok(())
    }
}

/// Whether nobody caused an event: it follows from a rule and the time.
fn by_itself(recorded: &Recorded<CaseEvent>) -> bool {
    match &recorded.event {
        CaseEvent::DeadlineMissed(_) | CaseEvent::Reminded(_) => true,
        CaseEvent::Escalated(event) => event.reason == EscalationReason::Deadline,
        CaseEvent::Resumed(_) | CaseEvent::Supervised(_) => recorded.header.actor.is_gridkeeper(),
        _ => false,
    }
}

/// What follows from a command at the moment of an event, sent by the event's actor with every right; nothing
/// where it is refused.
///
/// # Errors
/// The calendar does not know a moment.
fn decided(
    timetable: &Timetable,
    command: &CaseCommand,
    (case, other): (Option<&Case>, Option<&Case>),
    recorded: &Recorded<CaseEvent>,
) -> Result<Option<Vec<Decided>>, ClockError> {
    let header = &recorded.header;
    let claims = Claims {
        sub: header.actor.id.clone(),
        role: Role::Admin,
        areas: vec![header.area.district()],
        iat: 0,
        exp: u64::MAX,
    };
    let situation = Situation {
        command_id: header.command_id,
        digest: header.command_digest,
        case_id: header.aggregate.into(),
        case,
        grid: header.area,
        other,
        claims: &claims,
        policy: timetable,
        now: header.recorded_at,
        if_version: None,
    };
    match decide(command, &situation) {
        Ok(Decision::Events(events)) => Ok(Some(events)),
        Ok(Decision::Repeated { .. }) => Ok(Some(Vec::new())),
        Err(Refusal::Clock(beyond)) => Err(beyond),
        Err(_) => Ok(None),
    }
}

/// The report that an event stands for. An imported record keeps its due time: nobody knows any more whether it
/// was its own.
fn as_command(report: &Reported, recorded_at: Timestamp) -> Report {
    Report {
        kind: report.kind,
        category: report.category.clone(),
        severity: report.severity,
        channel: report.channel,
        description: report.description.clone(),
        place: report.place.clone(),
        people: report.people,
        parties: report.parties.clone(),
        filed_at: None,
        imported: report.source.clone().map(|source| Imported {
            source,
            reported_at: recorded_at,
            due_at: Some(report.due_at),
            closed: None,
        }),
    }
}

/// The step that an event stands for; none for events that no policy changes.
fn as_step(event: &CaseEvent) -> Option<Step> {
    let assignee = |holder: &Holder| Assignee {
        area: holder.area,
        unit: holder.unit.clone(),
        person: holder.person.clone(),
    };
    Some(match event.clone() {
        CaseEvent::Accepted(event) => Step::Accept { note: event.note },
        CaseEvent::Assigned(event) => Step::Assign {
            to: assignee(&event.holder),
            note: event.note,
        },
        CaseEvent::HandlingRecorded(event) => Step::RecordHandling {
            measure: event.measure,
            note: event.note,
        },
        CaseEvent::Resolved(event) => Step::Resolve {
            outcome: event.outcome,
            note: event.note,
        },
        CaseEvent::Verified(event) => Step::Verify { note: event.note },
        CaseEvent::ReworkOrdered(event) => Step::OrderRework {
            reason: event.reason,
        },
        CaseEvent::Closed(event) => Step::Close { note: event.note },
        CaseEvent::Returned(event) => Step::Return {
            reason: event.reason,
        },
        CaseEvent::Suspended(event) => Step::Suspend {
            reason: event.reason,
            until: event.until,
        },
        CaseEvent::Resumed(event) => Step::Resume { note: event.note },
        CaseEvent::Transferred(event) => Step::Transfer {
            to: assignee(&event.holder),
            reason: event.reason,
        },
        CaseEvent::Escalated(event) => Step::Escalate { reason: event.note },
        CaseEvent::Merged(event) => Step::Merge {
            into: event.into,
            note: event.note,
        },
        CaseEvent::Reopened(event) => Step::Reopen {
            reason: event.reason,
        },
        CaseEvent::Cancelled(event) => Step::Cancel {
            reason: event.reason,
        },
        CaseEvent::Extended(event) => Step::Extend {
            by: event.by,
            reason: event.reason,
        },
        CaseEvent::Reported(_)
        | CaseEvent::DeadlineMissed(_)
        | CaseEvent::Reminded(_)
        | CaseEvent::Supervised(_)
        | CaseEvent::Rated(_)
        | CaseEvent::PartiesForgotten(_)
        | CaseEvent::ClockDiffered(_) => return None,
    })
}
