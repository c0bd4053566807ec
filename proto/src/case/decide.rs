//! What follows from a command: events, the answer given before, or a refusal.

use super::{Case, CaseState, EscalationReason, Holder, PartiesState, Refusal, Stage};
use crate::{
    access::{Claims, Role},
    area::{AreaCode, Level},
    command::{Assignee, Command, Report, Step},
    envelope::Position,
    event::{
        Accepted, Assigned, Cancelled, Closed, DeadlineMissed, Escalated, Event, HandlingRecorded,
        Merged, PartiesForgotten, Rated, Reopened, Reported, Resolved, Resumed, Returned,
        ReworkOrdered, Supervised, Suspended, Transferred, Verified,
    },
    id::{CaseId, CommandId},
    policy::Policy,
    time::Timestamp,
};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// A phone's clock may run ahead by this much; more is a mistake worth refusing.
const CLOCK_SKEW: i64 = 10 * MINUTE;

/// All that a decision stands on, besides the command.
pub struct Situation<'a> {
    /// The command's id.
    pub command_id: CommandId,
    /// Digest of its content.
    pub digest: [u8; 8],
    /// The case it is for.
    pub case_id: CaseId,
    /// That case, as of the grid's head; none when it was never reported.
    pub case: Option<&'a Case>,
    /// The grid of the case or of the report.
    pub grid: AreaCode,
    /// For a merge the case named as the older one.
    pub other: Option<&'a Case>,
    /// Who asks.
    pub claims: &'a Claims,
    /// The district's limits.
    pub policy: &'a Policy,
    /// Intake's clock.
    pub now: Timestamp,
    /// The version of the case that the sender saw, where it insists on it.
    pub if_version: Option<u32>,
}

/// What follows from a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// These happen, all or none, in this order.
    Events(Vec<Decided>),
    /// The same command was answered before.
    Repeated {
        /// The place of its last event.
        position: Position,
        /// The case's version after it.
        version: u32,
    },
}

/// An event that follows from a command, and the time it is recorded at.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// Never before the case's previous event.
    pub recorded_at: Timestamp,
    /// What happens.
    pub event: Event,
}

/// Decides a command.
///
/// # Errors
/// A [`Refusal`]; nothing changes.
pub fn decide(command: &Command, situation: &Situation<'_>) -> Result<Decision, Refusal> {
    if let Some(answer) = situation
        .case
        .and_then(|case| case.answer_to(situation.command_id))
    {
        // Only who could have sent the command learns that it was answered.
        situation.claims.within(situation.grid)?;
        if answer.digest != situation.digest {
            return Err(Refusal::IdReused);
        }
        let (position, version) = (answer.position, answer.version);
        return Ok(Decision::Repeated { position, version });
    }
    let events = match command {
        Command::Report(report) => situation.report(report)?,
        Command::Step(step) => {
            let last = situation
                .case
                .map_or(situation.now, |case| case.last_recorded_at);
            let recorded_at = situation.now.max(last);
            let events = situation.step(step)?.into_iter();
            events.map(|event| Decided { recorded_at, event }).collect()
        }
    };
    Ok(Decision::Events(events))
}

fn text(field: &'static str, text: &str) -> Result<(), Refusal> {
    let allowed = "1 to 4,000";
    match text.trim().is_empty() || text.chars().count() > 4_000 {
        true => Err(Refusal::TextLength { field, allowed }),
        false => Ok(()),
    }
}

fn optional_text(field: &'static str, text: &str) -> Result<(), Refusal> {
    match text.chars().count() > 4_000 {
        true => Err(Refusal::TextLength {
            field,
            allowed: "at most 4,000",
        }),
        false => Ok(()),
    }
}

impl Situation<'_> {
    fn report(&self, report: &Report) -> Result<Vec<Decided>, Refusal> {
        if self.case.is_some() {
            return Err(Refusal::IdReused);
        }
        self.claims.may_file(self.grid)?;
        text("description", &report.description)?;
        self.check_report_times(report)?;
        let imported = report.imported.as_ref();
        let recorded_at = imported.map_or(self.now, |imported| imported.reported_at);
        let level = self.policy.limits(report.severity).starts_at;
        let due = self
            .policy
            .due(report.severity, Stage::Accept, level, recorded_at);
        let reported = Event::Reported(Reported {
            kind: report.kind,
            category: report.category.clone(),
            severity: report.severity,
            channel: report.channel,
            description: report.description.clone(),
            place: report.place.clone(),
            people: report.people,
            parties: report.parties.clone(),
            filed_at: report.filed_at,
            source: imported.map(|imported| imported.source.clone()),
            policy: self.policy.version,
            holder: Holder::of_level(level, self.grid),
            due_at: imported.and_then(|imported| imported.due_at).unwrap_or(due),
        });
        let mut events = vec![Decided {
            recorded_at,
            event: reported,
        }];
        if let Some(closing) = imported.and_then(|imported| imported.closed.as_ref()) {
            let in_time = imported
                .and_then(|imported| imported.due_at)
                .zip(closing.at)
                .map(|(due_at, closed_at)| closed_at <= due_at);
            let event = Closed {
                note: String::new(),
                moment_known: closing.at.is_some(),
                in_time,
            };
            let recorded_at = closing.at.unwrap_or(recorded_at);
            events.push(Decided {
                recorded_at,
                event: Event::Closed(event),
            });
        }
        Ok(events)
    }

    fn check_report_times(&self, report: &Report) -> Result<(), Refusal> {
        let absurd = |field, why| Err(Refusal::AbsurdTime { field, why });
        if let Some(imported) = &report.imported {
            self.claims.may_import()?;
            let closed_at = imported.closed.as_ref().and_then(|closing| closing.at);
            if imported.reported_at > self.now {
                return absurd("imported.reported_at", "lies in the future");
            }
            if closed_at.is_some_and(|at| at > self.now) {
                return absurd("imported.closed.at", "lies in the future");
            }
            if closed_at.is_some_and(|at| at < imported.reported_at) {
                return absurd("imported.closed.at", "lies before the report");
            }
        }
        let Some(filed_at) = report.filed_at else {
            return Ok(());
        };
        let waited = self.now.since(filed_at);
        if waited < -CLOCK_SKEW {
            let why = "lies in the future: set the phone's clock";
            return Err(Refusal::AbsurdTime {
                field: "filed_at",
                why,
            });
        }
        if waited > 366 * DAY {
            let why = "lies more than 366 days back";
            return Err(Refusal::AbsurdTime {
                field: "filed_at",
                why,
            });
        }
        Ok(())
    }

    fn step(&self, step: &Step) -> Result<Vec<Event>, Refusal> {
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
                Ok(vec![Event::HandlingRecorded(HandlingRecorded {
                    measure,
                    note,
                })])
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
                let due_at = self.due(case, Stage::Verify, holder.level);
                let (outcome, note) = (*outcome, note.clone());
                Ok(vec![Event::Resolved(Resolved {
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
                let due_at = self.due(case, Stage::Close, holder.level);
                Ok(vec![Event::Verified(Verified {
                    note: note.clone(),
                    holder,
                    due_at,
                })])
            }
            Step::OrderRework { reason } => {
                Self::require(case, step, &[CaseState::Resolved])?;
                text("reason", reason)?;
                let (holder, due_at) = self.settle_again(case);
                Ok(vec![Event::ReworkOrdered(ReworkOrdered {
                    reason: reason.clone(),
                    holder,
                    due_at,
                })])
            }
            Step::Close { note } => {
                Self::require(case, step, &[CaseState::Verified])?;
                optional_text("note", note)?;
                let in_time = case.deadlines_missed == 0 && self.now <= case.due_at;
                Ok(vec![Event::Closed(Closed {
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
                Ok(vec![Event::Supervised(Supervised {
                    level,
                    note: note.clone(),
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
                let (holder, due_at) = self.settle_again(case);
                Ok(vec![Event::Reopened(Reopened {
                    reason: reason.clone(),
                    holder,
                    due_at,
                })])
            }
            Step::Cancel { reason } => {
                Self::require_open(case, step)?;
                text("reason", reason)?;
                Ok(vec![Event::Cancelled(Cancelled {
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
                Ok(vec![Event::Rated(Rated {
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
                Ok(vec![Event::PartiesForgotten(PartiesForgotten {
                    reason: reason.clone(),
                })])
            }
            Step::MissDeadline { due_at } => self.miss_deadline(case, step, *due_at),
        }
    }

    /// Which roles take which steps. Every step but the ones named here is open to each role that
    /// reaches the level that holds the case.
    fn check_role(&self, case: &Case, step: &Step) -> Result<(), Refusal> {
        let role = self.claims.role;
        let refused = Err(Refusal::RoleMayNot {
            step: step.name(),
            role,
        });
        let Some(reach) = role.reach() else {
            return refused;
        };
        let allowed = match step {
            Step::MissDeadline { .. } => role == Role::Service,
            Step::ForgetParties { .. } => role == Role::Admin,
            Step::Assign { .. }
            | Step::Verify { .. }
            | Step::OrderRework { .. }
            | Step::Suspend { .. }
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

    fn require(case: &Case, step: &Step, states: &[CaseState]) -> Result<(), Refusal> {
        match states.contains(&case.state) {
            true => Ok(()),
            false => Err(Refusal::WrongState {
                step: step.name(),
                state: case.state,
            }),
        }
    }

    fn require_open(case: &Case, step: &Step) -> Result<(), Refusal> {
        match case.state.is_open() {
            true => Ok(()),
            false => Err(Refusal::WrongState {
                step: step.name(),
                state: case.state,
            }),
        }
    }

    fn require_running(case: &Case, step: &Step) -> Result<(), Refusal> {
        match case.state.stage() {
            Some(_) => Ok(()),
            None => Err(Refusal::WrongState {
                step: step.name(),
                state: case.state,
            }),
        }
    }

    fn due(&self, case: &Case, stage: Stage, level: Level) -> Timestamp {
        self.policy.due(case.severity, stage, level, self.now)
    }

    fn accept(&self, case: &Case, note: &str) -> Result<Vec<Event>, Refusal> {
        let step = "accept";
        if case.state != CaseState::Reported {
            return Err(Refusal::WrongState {
                step,
                state: case.state,
            });
        }
        optional_text("note", note)?;
        let holder = case.holder.clone();
        let due_at = self.due(case, Stage::Settle, holder.level);
        Ok(vec![Event::Accepted(Accepted {
            holder,
            due_at,
            note: note.to_owned(),
        })])
    }

    fn assign(&self, case: &Case, to: &Assignee, note: &str) -> Result<Vec<Event>, Refusal> {
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
        let (holder, due_at) = (to.holder(), case.due_at);
        Ok(vec![Event::Assigned(Assigned {
            holder,
            due_at,
            note: note.to_owned(),
        })])
    }

    /// The assignee's names fit, and its area lies in this district.
    fn check_assignee(&self, to: &Assignee) -> Result<(), Refusal> {
        if to.area.district() != self.grid.district() {
            let why = "it lies in another district";
            return Err(Refusal::WrongAssignee { area: to.area, why });
        }
        for (field, name, longest, allowed) in [
            ("to.unit", &to.unit, 100, "1 to 100"),
            ("to.person", &to.person, 64, "1 to 64"),
        ] {
            let Some(name) = name else { continue };
            if name.trim().is_empty() || name.chars().count() > longest {
                return Err(Refusal::TextLength { field, allowed });
            }
        }
        Ok(())
    }

    /// A grid's own work is verified by its community; work further up by the level that holds it,
    /// through somebody other than the handler.
    fn checker(&self, case: &Case) -> Holder {
        let level = case.holder.level.max(Level::Community);
        Holder::of_level(level, self.grid)
    }

    fn settle_again(&self, case: &Case) -> (Holder, Timestamp) {
        let holder = case.holder.clone();
        let due_at = self.due(case, Stage::Settle, holder.level);
        (holder, due_at)
    }

    fn give_back(&self, case: &Case, step: &Step, reason: &str) -> Result<Vec<Event>, Refusal> {
        Self::require(case, step, &[CaseState::Assigned])?;
        text("reason", reason)?;
        if case.returns > 0 {
            return Err(Refusal::ReturnedBefore);
        }
        let holder = case.assigned_by.clone();
        let holder = holder.unwrap_or_else(|| Holder::of_level(case.holder.level, self.grid));
        let (reason, due_at) = (reason.to_owned(), case.due_at);
        Ok(vec![Event::Returned(Returned {
            reason,
            holder,
            due_at,
        })])
    }

    fn suspend(
        &self,
        case: &Case,
        step: &Step,
        reason: &str,
        until: Timestamp,
    ) -> Result<Vec<Event>, Refusal> {
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
        Ok(vec![Event::Suspended(Suspended {
            reason: reason.to_owned(),
            until,
        })])
    }

    fn resume(&self, case: &Case, step: &Step, note: &str) -> Result<Vec<Event>, Refusal> {
        optional_text("note", note)?;
        let Some(suspension) = &case.suspension else {
            return Err(Refusal::WrongState {
                step: step.name(),
                state: case.state,
            });
        };
        let due_at = case
            .due_at
            .plus_millis(self.now.since(suspension.since).max(0));
        Ok(vec![Event::Resumed(Resumed {
            due_at,
            note: note.to_owned(),
        })])
    }

    fn transfer(
        &self,
        case: &Case,
        step: &Step,
        to: &Assignee,
        reason: &str,
    ) -> Result<Vec<Event>, Refusal> {
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
        Ok(vec![Event::Transferred(Transferred {
            reason,
            holder,
            due_at,
        })])
    }

    /// The case one level up; none at the top.
    fn escalated(
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
        let due_at = self.due(case, stage, level);
        let note = note.to_owned();
        Ok(Some(Event::Escalated(Escalated {
            from,
            reason,
            note,
            holder,
            due_at,
        })))
    }

    fn merge(
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
    fn miss_deadline(
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
