//! What another policy would have made of the cases in the log: which due times would have passed, and how far
//! cases would have gone up.
//!
//! The log is replayed through the real rules. What people did happens at the moments at which they did it; due
//! times pass by themselves when they pass. Where the same due time stood in the log, it passes when that was
//! found, or not at all where somebody acted before: so the policy that was in force gives exactly what happened.

use std::collections::BTreeMap;

use crate::{
    access::{Claims, Role},
    area::AreaCode,
    case::{
        Case, CaseState, Decided, Decision, EscalationReason, EvolveError, Holder, Situation,
        decide,
    },
    command::{Assignee, Command, Imported, Report, Step},
    event::{Event, Recorded, Reported},
    id::{CaseId, CommandId},
    policy::Timetable,
    time::Timestamp,
};

/// A due time that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missed {
    /// The due time.
    pub due_at: Timestamp,
    /// When it was found passed.
    pub found_at: Timestamp,
}

/// A case, as it happened and as it would have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The grid it was filed in.
    pub grid: AreaCode,
    /// Its category.
    pub category: String,
    /// The due times that passed.
    pub happened: Vec<Missed>,
    /// Those that would have passed.
    pub would: Vec<Missed>,
    /// How often it went up, by itself or by request.
    pub went_up: u32,
    /// How often it would have gone up.
    pub would_go_up: u32,
    /// Steps that were taken and would not have been possible.
    pub impossible: u32,
}

/// A replay of the log against a policy.
pub struct Replay<'a> {
    timetable: &'a Timetable,
    cases: BTreeMap<CaseId, Replayed>,
}

struct Replayed {
    /// As it would be.
    case: Case,
    /// As it is in the log.
    actual: Case,
    /// The last event, whose header new ones are made with.
    last: Recorded,
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
    /// A log that does not begin each case with exactly one report.
    pub fn event(&mut self, recorded: &Recorded) -> Result<(), EvolveError> {
        let id = recorded.header.case_id;
        let Some(mut replayed) = self.cases.remove(&id) else {
            let replayed = self.begin(recorded)?;
            self.cases.insert(id, replayed);
            return Ok(());
        };
        let at = recorded.header.recorded_at;
        match &recorded.event {
            Event::DeadlineMissed(missed) => {
                let missed = Missed {
                    due_at: missed.due_at,
                    found_at: at,
                };
                replayed.compared.happened.push(missed);
                replayed.advance(self.timetable, at, Some(missed))?;
            }
            Event::Escalated(escalated) => {
                replayed.compared.went_up += 1;
                replayed.advance(self.timetable, at, None)?;
                if escalated.reason == EscalationReason::Request {
                    self.step(&mut replayed, recorded)?;
                }
            }
            // The closing of an imported record comes with its report.
            Event::Closed(_) if recorded.header.command_id == replayed.last.header.command_id => {
                replayed.apply(recorded)?;
            }
            _ => {
                replayed.advance(self.timetable, at, None)?;
                self.step(&mut replayed, recorded)?;
            }
        }
        replayed.actual = Case::evolve(Some(&replayed.actual), recorded)?;
        replayed.last = recorded.clone();
        self.cases.insert(id, replayed);
        Ok(())
    }

    /// Lets the time run on to this moment, and gives all cases.
    ///
    /// # Errors
    /// As [`Self::event`].
    pub fn until(mut self, now: Timestamp) -> Result<BTreeMap<CaseId, Compared>, EvolveError> {
        for replayed in self.cases.values_mut() {
            replayed.advance(self.timetable, now, None)?;
        }
        let cases = self.cases.into_iter();
        Ok(cases
            .map(|(id, replayed)| (id, replayed.compared))
            .collect())
    }

    fn begin(&self, recorded: &Recorded) -> Result<Replayed, EvolveError> {
        let mut begun = recorded.clone();
        let mut category = String::new();
        if let Event::Reported(report) = &recorded.event {
            category.clone_from(&report.category);
            let command = Command::Report(as_command(report, recorded.header.recorded_at));
            let decided = decided(
                self.timetable,
                &command,
                (None, None),
                recorded,
                Role::Admin,
            );
            if let Some(first) = decided.unwrap_or_default().into_iter().next() {
                begun.event = first.event;
            }
        }
        Ok(Replayed {
            case: Case::evolve(None, &begun)?,
            actual: Case::evolve(None, recorded)?,
            last: recorded.clone(),
            compared: Compared {
                grid: recorded.header.grid,
                category,
                happened: Vec::new(),
                would: Vec::new(),
                went_up: 0,
                would_go_up: 0,
                impossible: 0,
            },
        })
    }

    /// Takes the step that an event stands for, if it is still possible.
    fn step(&self, replayed: &mut Replayed, recorded: &Recorded) -> Result<(), EvolveError> {
        let Some(step) = as_step(&recorded.event) else {
            return replayed.apply(recorded);
        };
        let other = match &step {
            Step::Merge { into, .. } => self.cases.get(into).map(|other| &other.case),
            _ => None,
        };
        let cases = (Some(&replayed.case), other);
        let command = Command::Step(step);
        match decided(self.timetable, &command, cases, recorded, Role::Admin) {
            Some(events) => replayed.take(events, recorded),
            None => {
                replayed.compared.impossible += 1;
                Ok(())
            }
        }
    }
}

impl Replayed {
    /// Lets due times pass up to this moment: when they pass, or when the one that passed in fact was found.
    fn advance(
        &mut self,
        timetable: &Timetable,
        until: Timestamp,
        found: Option<Missed>,
    ) -> Result<(), EvolveError> {
        while let Some(due_at) = due(&self.case) {
            let in_fact = found.filter(|found| found.due_at == due_at);
            let found_at = in_fact.map_or(due_at, |found| found.found_at);
            if found_at > until || (found_at == until && in_fact.is_none()) {
                return Ok(());
            }
            // The same due time stood in the log, and somebody acted before it was found passed.
            if in_fact.is_none() && due(&self.actual) == Some(due_at) {
                return Ok(());
            }
            let mut header = self.last.header.clone();
            header.recorded_at = found_at;
            header.command_id = CommandId::derived(self.case.id, "miss_deadline", due_at.millis());
            let at = Recorded {
                header,
                ..self.last.clone()
            };
            let command = Command::Step(Step::MissDeadline { due_at });
            let cases = (Some(&self.case), None);
            let Some(events) = decided(timetable, &command, cases, &at, Role::Service) else {
                return Ok(());
            };
            self.compared.would.push(Missed { due_at, found_at });
            self.take(events, &at)?;
        }
        Ok(())
    }

    fn take(&mut self, events: Vec<Decided>, at: &Recorded) -> Result<(), EvolveError> {
        for decided in events {
            if matches!(decided.event, Event::Escalated(_)) {
                self.compared.would_go_up += 1;
            }
            let mut recorded = at.clone();
            recorded.header.recorded_at = decided.recorded_at;
            recorded.event = decided.event;
            self.apply(&recorded)?;
        }
        Ok(())
    }

    fn apply(&mut self, recorded: &Recorded) -> Result<(), EvolveError> {
        self.case = Case::evolve(Some(&self.case), recorded)?;
        Ok(())
    }
}

/// When the due time of a case passes by itself.
fn due(case: &Case) -> Option<Timestamp> {
    let running = case.state.is_open() && case.state != CaseState::Suspended;
    (running && !case.overdue).then_some(case.due_at)
}

/// What follows from a command at the moment of an event, sent by the event's actor with every right; nothing
/// where it is refused.
fn decided(
    timetable: &Timetable,
    command: &Command,
    (case, other): (Option<&Case>, Option<&Case>),
    recorded: &Recorded,
    role: Role,
) -> Option<Vec<Decided>> {
    let header = &recorded.header;
    let claims = Claims {
        sub: header.actor.id.clone(),
        role,
        areas: vec![header.grid.district()],
        iat: 0,
        exp: u64::MAX,
    };
    let situation = Situation {
        command_id: header.command_id,
        digest: header.command_digest,
        case_id: header.case_id,
        case,
        grid: header.grid,
        other,
        claims: &claims,
        policy: timetable,
        now: header.recorded_at,
        if_version: None,
    };
    match decide(command, &situation) {
        Ok(Decision::Events(events)) => Some(events),
        Ok(Decision::Repeated { .. }) => Some(Vec::new()),
        Err(_) => None,
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
fn as_step(event: &Event) -> Option<Step> {
    let assignee = |holder: &Holder| Assignee {
        area: holder.area,
        unit: holder.unit.clone(),
        person: holder.person.clone(),
    };
    Some(match event.clone() {
        Event::Accepted(event) => Step::Accept { note: event.note },
        Event::Assigned(event) => Step::Assign {
            to: assignee(&event.holder),
            note: event.note,
        },
        Event::HandlingRecorded(event) => Step::RecordHandling {
            measure: event.measure,
            note: event.note,
        },
        Event::Resolved(event) => Step::Resolve {
            outcome: event.outcome,
            note: event.note,
        },
        Event::Verified(event) => Step::Verify { note: event.note },
        Event::ReworkOrdered(event) => Step::OrderRework {
            reason: event.reason,
        },
        Event::Closed(event) => Step::Close { note: event.note },
        Event::Returned(event) => Step::Return {
            reason: event.reason,
        },
        Event::Suspended(event) => Step::Suspend {
            reason: event.reason,
            until: event.until,
        },
        Event::Resumed(event) => Step::Resume { note: event.note },
        Event::Transferred(event) => Step::Transfer {
            to: assignee(&event.holder),
            reason: event.reason,
        },
        Event::Escalated(event) => Step::Escalate { reason: event.note },
        Event::Merged(event) => Step::Merge {
            into: event.into,
            note: event.note,
        },
        Event::Reopened(event) => Step::Reopen {
            reason: event.reason,
        },
        Event::Cancelled(event) => Step::Cancel {
            reason: event.reason,
        },
        Event::Reported(_)
        | Event::DeadlineMissed(_)
        | Event::Supervised(_)
        | Event::Rated(_)
        | Event::PartiesForgotten(_) => return None,
    })
}
