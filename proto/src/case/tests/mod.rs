//! Given / when / then: what follows from a command, by the events before it.

mod commands;
mod life;
mod moments;
mod oversight;
mod time;

use super::{
    Case, CaseKind, CaseState, Channel, Decided, Decision, EscalationReason, Holder, Measure,
    Outcome, Place, Refusal, Severity, Situation, Stage, decide,
};
use crate::{
    access::{Claims, Role},
    area::{AreaCode, Level},
    case::SourceRecord,
    command::{Assignee, CaseCommand, Imported, ImportedClosing, Report, Step},
    envelope::{EventHash, Header, Position},
    event::{CaseEvent, Recorded},
    id::{CaseId, CommandId, EventId},
    limit::Limit,
    policy::{Ladder, Limits, Oversight, Policy, SettleLimits, Timetable},
    time::Timestamp,
};

const GRID: &str = "51040200200507";
const MINUTE: i64 = 60_000;

fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

fn start() -> Timestamp {
    "2026-11-23T00:00:00Z".parse().unwrap()
}

fn case_id(number: u8) -> CaseId {
    format!("01980000-0000-7000-8000-0000000000{number:02x}")
        .parse()
        .unwrap()
}

fn claims(role: Role, code: &str, id: &str) -> Claims {
    Claims {
        sub: id.into(),
        role,
        areas: vec![area(code)],
        iat: 0,
        exp: 1,
    }
}

fn worker() -> Claims {
    claims(Role::GridWorker, GRID, "worker")
}

fn community() -> Claims {
    claims(Role::Community, "510402002005", "community")
}

fn street() -> Claims {
    claims(Role::Street, "510402002", "street")
}

fn centre() -> Claims {
    claims(Role::Centre, "510402", "centre")
}

fn admin() -> Claims {
    claims(Role::Admin, "510402", "admin")
}

fn service() -> Claims {
    claims(Role::Service, "510402", "escalator")
}

fn policy() -> Timetable {
    policy_with(|_| {})
}

fn policy_with(change: impl FnOnce(&mut Policy)) -> Timetable {
    let limits = |starts_at| Limits {
        starts_at,
        accept: Limit::Natural(10),
        assign: None,
        settle: SettleLimits {
            grid: Limit::Natural(100),
            community: Limit::Natural(200),
            street: Limit::Natural(300),
            district: Limit::Natural(400),
            city: Limit::Natural(500),
        },
        verify: Limit::Natural(20),
        close: Limit::Natural(30),
        oversight: None,
    };
    let mut policy = Policy {
        version: 3,
        service: None,
        ladder: Ladder::default(),
        oversight: Oversight::default(),
        staffing: Vec::new(),
        general: limits(Level::Grid),
        larger: limits(Level::Community),
        major: limits(Level::Street),
        extreme: limits(Level::District),
        categories: Vec::new(),
    };
    change(&mut policy);
    Timetable::new(policy, None).unwrap()
}

fn report() -> Report {
    Report {
        kind: CaseKind::Dispute,
        category: "dispute.neighbour".into(),
        severity: Severity::General,
        channel: Channel::GridWorker,
        description: "water from above".into(),
        place: Place::default(),
        people: None,
        parties: None,
        filed_at: None,
        imported: None,
    }
}

fn note() -> String {
    "done".into()
}

/// A history in the making: commands are decided at their minute and their events folded.
struct Given {
    policy: Timetable,
    case: Option<Case>,
    position: u64,
    commands: u8,
}

impl Given {
    fn nothing() -> Self {
        Self::under(policy())
    }

    fn under(policy: Timetable) -> Self {
        Self {
            policy,
            case: None,
            position: 0,
            commands: 0,
        }
    }

    fn reported() -> Self {
        Self::nothing().and(&worker(), 0, &CaseCommand::Report(report()))
    }

    fn accepted() -> Self {
        Self::reported().step(
            &worker(),
            1,
            Step::Accept {
                note: String::new(),
            },
        )
    }

    fn resolved() -> Self {
        Self::accepted().step(
            &worker(),
            2,
            Step::Resolve {
                outcome: Outcome::Settled,
                note: note(),
            },
        )
    }

    fn verified() -> Self {
        Self::resolved().step(
            &community(),
            3,
            Step::Verify {
                note: String::new(),
            },
        )
    }

    fn closed() -> Self {
        Self::verified().step(
            &community(),
            4,
            Step::Close {
                note: String::new(),
            },
        )
    }

    fn situation<'a>(
        &'a self,
        claims: &'a Claims,
        policy: &'a Timetable,
        minute: i64,
    ) -> Situation<'a> {
        Situation {
            command_id: CommandId::derived(case_id(1), "test", i64::from(self.commands)),
            digest: [0; 8],
            case_id: case_id(1),
            case: self.case.as_ref(),
            grid: area(GRID),
            other: None,
            claims,
            policy,
            now: start().plus_millis(minute * MINUTE),
            if_version: None,
        }
    }

    #[track_caller]
    fn and(mut self, claims: &Claims, minute: i64, command: &CaseCommand) -> Self {
        let policy = self.policy.clone();
        let situation = self.situation(claims, &policy, minute);
        let (command_id, now) = (situation.command_id, situation.now);
        let Decision::Events(events) = decide(command, &situation).unwrap() else {
            panic!("the command was answered before")
        };
        self.record(command_id, claims, now, events);
        self.commands += 1;
        self
    }

    fn record(
        &mut self,
        command_id: CommandId,
        claims: &Claims,
        now: Timestamp,
        events: Vec<Decided>,
    ) {
        for (index, decided) in (0..).zip(events) {
            self.position += 1;
            let header = Header {
                event_id: EventId::of(command_id, index),
                aggregate: case_id(1).into(),
                command_id,
                command_digest: [0; 8],
                area: area(GRID),
                occurred_at: now,
                recorded_at: decided.recorded_at,
                actor: claims.actor(),
                event_type: 0,
                schema_version: 0,
                previous: EventHash::default(),
            };
            let position = Position(self.position);
            let recorded = Recorded {
                position,
                header,
                event: decided.event,
            };
            self.case = Some(Case::evolve(self.case.take(), &recorded).unwrap());
        }
    }

    /// Records what has happened by itself up to a minute, and gives it.
    #[track_caller]
    fn wait(&mut self, minute: i64) -> Vec<CaseEvent> {
        let now = start().plus_millis(minute * MINUTE);
        let mut all = Vec::new();
        while let Some(happened) = self.case().happened(&self.policy, now).unwrap() {
            let recorded_at = now.max(self.case().last_recorded_at);
            let decided = happened.events.iter().cloned();
            let decided = decided.map(|event| Decided { recorded_at, event });
            self.record(happened.command_id, &service(), now, decided.collect());
            all.extend(happened.events);
        }
        all
    }

    #[track_caller]
    fn step(self, claims: &Claims, minute: i64, step: Step) -> Self {
        self.and(claims, minute, &CaseCommand::Step(step))
    }

    fn when(&self, claims: &Claims, minute: i64, step: Step) -> Result<Vec<CaseEvent>, Refusal> {
        let policy = self.policy.clone();
        match decide(
            &CaseCommand::Step(step),
            &self.situation(claims, &policy, minute),
        )? {
            Decision::Events(events) => {
                Ok(events.into_iter().map(|decided| decided.event).collect())
            }
            Decision::Repeated { .. } => panic!("the command was answered before"),
        }
    }

    fn case(&self) -> &Case {
        self.case.as_ref().unwrap()
    }

    fn due_minute(&self) -> i64 {
        self.case().due_at.since(start()) / MINUTE
    }
}
