//! Histories that intake could have written: random steps, decided by the real rules. What is refused
//! leaves nothing behind.

use std::collections::HashMap;

use gridkeeper_liveviews::log::RawEvent;
use gridkeeper_proto::{
    access::{Claims, Role},
    area::{AreaCode, Level},
    case::{
        Case, CaseKind, Channel, Decision, Measure, Outcome, Place, Severity, Situation, decide,
    },
    command::{Assignee, Command, Report, Step},
    envelope::{EventHash, Header, Position},
    event::Recorded,
    id::{CaseId, CommandId, EventId},
    limit::Limit,
    policy::{Limits, Policy, SettleLimits, Timetable},
    time::Timestamp,
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::site::{GRID, MINUTE};

const CASES: u8 = 12;

/// One attempt to do something: the case, what, how long after the one before in minutes, and a detail.
pub(crate) type Attempt = (u8, u8, u16, u8);

pub(crate) fn attempts(
    count: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Attempt>> {
    prop::collection::vec((0..CASES, 0_u8..26, 0_u16..400, any::<u8>()), count)
}

pub(crate) fn case_id(number: u8) -> CaseId {
    let base = 0x0198_0000_0000_7000_8000_0000_0000_0000;
    CaseId::new(Uuid::from_u128(base | u128::from(number)))
}

fn grid() -> AreaCode {
    GRID.parse().unwrap()
}

/// A log in the making.
pub(crate) struct History {
    pub(crate) log: Vec<RawEvent>,
    cases: HashMap<CaseId, Case>,
    now: Timestamp,
    commands: u128,
    policy: Timetable,
}

impl History {
    pub(crate) fn of(attempts: &[Attempt]) -> Self {
        let mut history = Self {
            log: Vec::new(),
            cases: HashMap::new(),
            now: "2026-11-23T00:00:00Z".parse().unwrap(),
            commands: 0,
            policy: policy(),
        };
        for attempt in attempts {
            history.attempt(*attempt);
        }
        history
    }

    fn attempt(&mut self, (case, what, minutes, detail): Attempt) {
        self.now = self.now.plus_millis(i64::from(minutes) * MINUTE);
        let id = case_id(case);
        let command = match self.cases.get(&id) {
            None => Command::Report(report(detail)),
            Some(case) => Command::Step(step(what, detail, case, self.now)),
        };
        let late = matches!(&command, Command::Step(Step::MissDeadline { .. }));
        let (role, areas) = match late {
            true => (Role::Service, vec!["510402".parse().unwrap()]),
            false => (Role::Admin, vec!["510402".parse().unwrap()]),
        };
        let who = format!("somebody {}", detail % 2);
        let claims = Claims::lasting(who, role, areas, self.now, 60);
        self.commands += 1;
        let command_id = CommandId::new(Uuid::from_u128(self.commands));
        let other = match &command {
            Command::Step(Step::Merge { into, .. }) => self.cases.get(into),
            _ => None,
        };
        let situation = Situation {
            command_id,
            digest: [7; 8],
            case_id: id,
            case: self.cases.get(&id),
            grid: grid(),
            other,
            claims: &claims,
            policy: &self.policy,
            now: self.now,
            if_version: None,
        };
        let Ok(Decision::Events(events)) = decide(&command, &situation) else {
            return;
        };
        for decided in events {
            let payload = decided.event.encode();
            let position = Position(self.log.len() as u64 + 1);
            let previous = self.log.last().map(|raw| EventHash::of(&raw.bytes));
            let header = Header {
                event_id: EventId::new(Uuid::from_u128(u128::from(position.0))),
                case_id: id,
                command_id,
                command_digest: [7; 8],
                grid: grid(),
                occurred_at: decided.recorded_at,
                recorded_at: decided.recorded_at,
                actor: claims.actor(),
                event_type: payload.event_type,
                schema_version: payload.schema_version,
                previous: previous.unwrap_or_default(),
            };
            let bytes = header.encode(&payload.bytes);
            let recorded = Recorded::decode(position, &bytes).unwrap();
            let after = Case::evolve(self.cases.get(&id), &recorded).unwrap();
            self.cases.insert(id, after);
            self.log.push(RawEvent {
                position,
                grid: grid(),
                bytes,
            });
        }
    }
}

fn policy() -> Timetable {
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
    let policy = Policy {
        version: 1,
        service: None,
        general: limits(Level::Grid),
        larger: limits(Level::Community),
        major: limits(Level::Street),
        extreme: limits(Level::District),
        categories: Vec::new(),
    };
    Timetable::new(policy, None).unwrap()
}

fn report(detail: u8) -> Report {
    Report {
        kind: CaseKind::Dispute,
        category: "dispute".into(),
        severity: Severity::ALL[usize::from(detail) % 4],
        channel: Channel::GridWorker,
        description: "water from above".into(),
        place: Place::default(),
        people: None,
        parties: None,
        filed_at: None,
        imported: None,
    }
}

fn step(what: u8, detail: u8, case: &Case, now: Timestamp) -> Step {
    let note = || "note".to_owned();
    let reason = note;
    match what {
        0..=2 => Step::Accept { note: note() },
        3 => Step::Assign {
            to: Assignee {
                area: case.holder.area,
                unit: Some("unit".into()),
                person: None,
            },
            note: note(),
        },
        4 => Step::RecordHandling {
            measure: Measure::Visit,
            note: note(),
        },
        5..=6 => Step::Resolve {
            outcome: Outcome::Settled,
            note: note(),
        },
        7 => Step::Verify { note: note() },
        8 => Step::OrderRework { reason: reason() },
        9 => Step::Close { note: note() },
        10..=12 => Step::Suspend {
            reason: reason(),
            until: now.plus_millis(i64::from(detail) * 10 * MINUTE),
        },
        13..=14 => Step::Resume { note: note() },
        15 => Step::Escalate { reason: reason() },
        16 => Step::Supervise { note: note() },
        17 => Step::Merge {
            into: case_id(detail % CASES),
            note: note(),
        },
        18 => Step::Reopen { reason: reason() },
        19 if detail < 64 => Step::Cancel { reason: reason() },
        20 => Step::Rate {
            satisfied: true,
            note: note(),
        },
        _ => Step::MissDeadline {
            due_at: case.due_at,
        },
    }
}
