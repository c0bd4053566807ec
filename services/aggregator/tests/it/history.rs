//! Histories that intake could have written: random commands by random people, decided by the real
//! rules. What is refused leaves nothing behind, as at intake.

use std::collections::HashMap;

use gridkeeper_liveviews::log::RawEvent;
use gridkeeper_proto::{
    access::{Actor, Claims, Role},
    area::{AreaCode, Level},
    case::{
        Case, CaseKind, Channel, Decided, Decision, Measure, Outcome, Place, Point, Severity,
        Situation, SourceRecord, decide,
    },
    command::{Assignee, Command, Imported, ImportedClosing, Report, Step},
    envelope::{EventHash, Header, Position},
    event::Recorded,
    id::{CaseId, CommandId, EventId},
    limit::Limit,
    policy::{Limits, Policy, SettleLimits, Timetable},
    time::Timestamp,
};
use proptest::prelude::*;
use uuid::Uuid;

/// Two communities of one street and one of another, a grid of three digits among them.
pub(crate) const GRIDS: [&str; 5] = [
    "51040200200507",
    "510402002005071",
    "51040200200508",
    "51040200200601",
    "51040200300101",
];

const CASES: u8 = 40;
const MINUTE: i64 = 60_000;

/// One attempt to do something, as bare numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    case: u8,
    role: u8,
    what: u8,
    detail: u8,
    minutes: u16,
}

/// Attempts, of which about every second one succeeds.
pub(crate) fn attempts(
    count: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Attempt>> {
    let attempt = (0..CASES, 0_u8..6, 0_u8..40, any::<u8>(), 0_u16..600);
    let attempt = attempt.prop_map(|(case, role, what, detail, minutes)| Attempt {
        case,
        role,
        what,
        detail,
        minutes,
    });
    prop::collection::vec(attempt, count)
}

pub(crate) fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

pub(crate) fn district() -> AreaCode {
    area("510402")
}

pub(crate) fn case_id(number: u8) -> CaseId {
    CaseId::new(Uuid::from_u128(
        0x0198_0000_0000_7000_8000_0000_0000_0000 | u128::from(number),
    ))
}

/// A log in the making.
pub(crate) struct History {
    pub(crate) log: Vec<RawEvent>,
    cases: HashMap<CaseId, Case>,
    heads: HashMap<AreaCode, EventHash>,
    now: Timestamp,
    commands: u128,
    policy: Timetable,
}

impl History {
    pub(crate) fn new() -> Self {
        let limits = |starts_at| Limits {
            starts_at,
            accept: Limit::Natural(60),
            settle: SettleLimits {
                grid: Limit::Natural(600),
                community: Limit::Natural(1_200),
                street: Limit::Natural(2_400),
                district: Limit::Natural(4_800),
                city: Limit::Natural(9_600),
            },
            verify: Limit::Natural(300),
            close: Limit::Natural(300),
        };
        Self {
            log: Vec::new(),
            cases: HashMap::new(),
            heads: HashMap::new(),
            now: "2026-11-23T00:00:00Z".parse().unwrap(),
            commands: 0,
            policy: Timetable::new(
                Policy {
                    version: 1,
                    service: None,
                    general: limits(Level::Grid),
                    larger: limits(Level::Community),
                    major: limits(Level::Street),
                    extreme: limits(Level::District),
                    categories: Vec::new(),
                },
                None,
            )
            .unwrap(),
        }
    }

    pub(crate) fn of(attempts: &[Attempt]) -> Self {
        let mut history = Self::new();
        for attempt in attempts {
            history.attempt(*attempt);
        }
        history
    }

    /// A case that is reported and nothing else, in the grid of this number.
    pub(crate) fn report(&mut self, case: u8, grid: usize) -> Position {
        let command = Command::Report(report(case, self.now));
        let claims = claims(Role::Admin, area(GRIDS[grid]));
        self.command(&command, case_id(case), area(GRIDS[grid]), &claims);
        self.last()
    }

    pub(crate) fn last(&self) -> Position {
        Position(self.log.len() as u64)
    }

    fn attempt(&mut self, attempt: Attempt) {
        self.now = self.now.plus_millis(i64::from(attempt.minutes) * MINUTE);
        let id = case_id(attempt.case);
        let grid = area(GRIDS[usize::from(attempt.case) % GRIDS.len()]);
        let role = [
            Role::GridWorker,
            Role::Community,
            Role::Street,
            Role::Centre,
            Role::Admin,
            Role::Service,
        ][usize::from(attempt.role)];
        let claims = claims(role, grid);
        let command = match self.cases.get(&id) {
            None => Command::Report(report(attempt.detail, self.now)),
            Some(case) => Command::Step(step(attempt, case, self.now)),
        };
        self.command(&command, id, grid, &claims);
    }

    fn command(&mut self, command: &Command, id: CaseId, grid: AreaCode, claims: &Claims) {
        self.commands += 1;
        let command_id = CommandId::new(Uuid::from_u128(self.commands));
        let other = match command {
            Command::Step(Step::Merge { into, .. }) => self.cases.get(into),
            _ => None,
        };
        let situation = Situation {
            command_id,
            digest: [7; 8],
            case_id: id,
            case: self.cases.get(&id),
            grid,
            other,
            claims,
            policy: &self.policy,
            now: self.now,
            if_version: None,
        };
        let Ok(Decision::Events(events)) = decide(command, &situation) else {
            return;
        };
        for decided in events {
            self.append(command_id, id, grid, claims.actor(), &decided);
        }
    }

    fn append(
        &mut self,
        command_id: CommandId,
        id: CaseId,
        grid: AreaCode,
        actor: Actor,
        decided: &Decided,
    ) {
        let position = Position(self.last().0 + 1);
        let payload = decided.event.encode();
        let header = Header {
            event_id: EventId::new(Uuid::from_u128(u128::from(position.0))),
            case_id: id,
            command_id,
            command_digest: [7; 8],
            grid,
            occurred_at: decided.recorded_at,
            recorded_at: decided.recorded_at,
            actor,
            event_type: payload.event_type,
            schema_version: payload.schema_version,
            previous: self.heads.get(&grid).copied().unwrap_or_default(),
        };
        let bytes = header.encode(&payload.bytes);
        let recorded = Recorded::decode(position, &bytes).unwrap();
        let case = Case::evolve(self.cases.get(&id), &recorded).unwrap();
        self.cases.insert(id, case);
        self.heads.insert(grid, EventHash::of(&bytes));
        self.log.push(RawEvent {
            position,
            grid,
            bytes,
        });
    }
}

fn claims(role: Role, grid: AreaCode) -> Claims {
    let area = grid.at(role.reach().unwrap().min(Level::District)).unwrap();
    Claims {
        sub: format!("{role:?}"),
        role,
        areas: vec![area],
        iat: 0,
        exp: 1,
    }
}

fn report(detail: u8, now: Timestamp) -> Report {
    let of = |number: u8| usize::from(detail / number);
    let earlier = now.plus_millis(-300 * MINUTE);
    let closed = ImportedClosing {
        at: detail.is_multiple_of(2).then_some(now),
    };
    let imported = detail.is_multiple_of(7).then(|| Imported {
        source: SourceRecord {
            system: "old".into(),
            record: detail.to_string(),
            state: detail.is_multiple_of(3).then(|| "done".into()),
        },
        reported_at: earlier,
        due_at: detail
            .is_multiple_of(5)
            .then(|| earlier.plus_millis(100 * MINUTE)),
        closed: (!detail.is_multiple_of(4)).then_some(closed),
    });
    let point = Point {
        longitude_e7: 1_017_000_000 + i32::from(detail % 4) * 9_000,
        latitude_e7: 265_000_000 - i32::from(detail % 5) * 9_000,
    };
    Report {
        kind: [CaseKind::Dispute, CaseKind::Incident][of(1) % 2],
        category: ["dispute", "dispute.family", "dispute.family.divorce", "12"][of(2) % 4].into(),
        severity: Severity::ALL[of(8) % 4],
        channel: Channel::GridWorker,
        description: "water from above".into(),
        place: Place {
            point: (!detail.is_multiple_of(3)).then_some(point),
            address: None,
        },
        people: None,
        parties: None,
        filed_at: None,
        imported,
    }
}

fn assignee(detail: u8, case: &Case) -> Assignee {
    let level = case.holder.level.min(Level::District);
    let names = ["unit", "u", "\0"].map(str::to_owned);
    Assignee {
        area: case.grid.at(level).unwrap(),
        unit: names.get(usize::from(detail % 4)).cloned(),
        person: detail.is_multiple_of(3).then(|| "person".into()),
    }
}

/// Steps on a case's usual way come more often than those beside it, so that cases get far.
fn step(attempt: Attempt, case: &Case, now: Timestamp) -> Step {
    let detail = attempt.detail;
    let note = || "note".to_owned();
    let reason = note;
    match attempt.what {
        0..=3 => Step::Accept { note: note() },
        4..=6 => Step::Assign {
            to: assignee(detail, case),
            note: note(),
        },
        7..=9 => Step::RecordHandling {
            measure: Measure::Visit,
            note: note(),
        },
        10..=13 => Step::Resolve {
            outcome: Outcome::Settled,
            note: note(),
        },
        14..=16 => Step::Verify { note: note() },
        17 => Step::OrderRework { reason: reason() },
        18..=20 => Step::Close { note: note() },
        21 => Step::Return { reason: reason() },
        22 => Step::Suspend {
            reason: reason(),
            until: now.plus_millis(1_000 * MINUTE),
        },
        23..=24 => Step::Resume { note: note() },
        25 => Step::Transfer {
            to: assignee(detail, case),
            reason: reason(),
        },
        26 => Step::Escalate { reason: reason() },
        27 => Step::Supervise { note: note() },
        28 => Step::Merge {
            into: case_id(detail % CASES),
            note: note(),
        },
        29..=30 => Step::Reopen { reason: reason() },
        31 => Step::Cancel { reason: reason() },
        32..=33 => Step::Rate {
            satisfied: detail.is_multiple_of(2),
            note: note(),
        },
        _ => Step::MissDeadline {
            due_at: case.due_at,
        },
    }
}
