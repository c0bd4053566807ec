//! What another policy would have made of a log, and that the same one gives what happened.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use gridkeeper_proto::{
    access::{Actor, Claims, Role},
    area::{AreaCode, Level},
    case::{
        Case, CaseKind, Channel, Decided, Decision, Measure, Outcome, Place, Severity, Situation,
        decide,
    },
    command::{Assignee, CaseCommand, Report, Step},
    envelope::{EventHash, Header, Position},
    event::{CaseEvent, Recorded},
    id::{CaseId, CommandId, EventId},
    limit::Limit,
    policy::{Ladder, Limits, Oversight, Policy, SettleLimits, Timetable},
    time::Timestamp,
    whatif::{Compared, Replay},
};
use proptest::prelude::*;

const MINUTE: i64 = 60_000;
const GRID: &str = "51040200200507";

/// A policy whose limits are so many times as long as those of the one in force.
fn timetable(times: u32) -> Timetable {
    let limit = |minutes: u32| Limit::Natural(minutes * times);
    let limits = |starts_at| Limits {
        starts_at,
        accept: limit(60),
        assign: (times == 1).then(|| limit(90)),
        settle: SettleLimits {
            grid: limit(300),
            community: limit(400),
            street: limit(500),
            district: limit(600),
            city: limit(700),
        },
        verify: limit(100),
        close: limit(100),
        oversight: None,
    };
    let policy = Policy {
        version: times,
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
    Timetable::new(policy, None).unwrap()
}

/// One attempt to do something, as bare numbers.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    case: u8,
    what: u8,
    /// How long after the one before.
    minutes: u16,
    /// Whether anybody looks at the other cases.
    looks: u16,
}

fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
    let attempt = (0..6_u8, 0..25_u8, 0..200_u16, 0..90_u16);
    let attempt = attempt.prop_map(|(case, what, minutes, looks)| Attempt {
        case,
        what,
        minutes,
        looks,
    });
    prop::collection::vec(attempt, 0..120)
}

/// A log in the making, with an escalator that finds what is due after a while.
struct History {
    timetable: Timetable,
    now: Timestamp,
    cases: BTreeMap<CaseId, Case>,
    log: Vec<Recorded<CaseEvent>>,
}

impl History {
    fn of(attempts: &[Attempt]) -> Self {
        let mut history = Self {
            timetable: timetable(1),
            now: "2026-11-23T00:00:00Z".parse().unwrap(),
            cases: BTreeMap::new(),
            log: Vec::new(),
        };
        for attempt in attempts {
            history.now = history.now.plus_millis(i64::from(attempt.minutes) * MINUTE);
            // Whatever somebody does to a case, they look at it first; at others only sometimes.
            let acted_on = CaseId::from_bytes([attempt.case + 1; 16]);
            history.look(|id| id == acted_on || attempt.looks % 3 == 0);
            history.attempt(*attempt);
        }
        history.look(|_| true);
        history
    }

    /// Records what has happened by itself up to now, in cases that somebody looks at.
    fn look(&mut self, looked_at: impl Fn(CaseId) -> bool) {
        let ids: Vec<_> = self
            .cases
            .keys()
            .copied()
            .filter(|id| looked_at(*id))
            .collect();
        for id in ids {
            while let Some(happened) = self.cases[&id].happened(&self.timetable, self.now).unwrap()
            {
                let recorded_at = self.now.max(self.cases[&id].last_recorded_at);
                let decided = happened.events.into_iter();
                let decided = decided.map(|event| Decided { recorded_at, event });
                self.record(
                    id,
                    happened.command_id,
                    &Actor::gridkeeper(),
                    decided.collect(),
                );
            }
        }
    }

    fn attempt(&mut self, attempt: Attempt) {
        let id = CaseId::from_bytes([attempt.case + 1; 16]);
        let Some(case) = self.cases.get(&id) else {
            let severity = Severity::ALL[usize::from(attempt.what) % 4];
            self.command(id, &CaseCommand::Report(report(severity)), Role::Admin);
            return;
        };
        let step = step(attempt.what, case, self.now);
        self.command(id, &CaseCommand::Step(step), Role::Admin);
    }

    fn command(&mut self, id: CaseId, command: &CaseCommand, role: Role) {
        let grid: AreaCode = GRID.parse().unwrap();
        let number = self.log.len() as u64 + 1;
        let mut command_id = [0; 16];
        command_id[..8].copy_from_slice(&number.to_be_bytes());
        let claims = Claims::lasting(
            format!("person {}", number % 3),
            role,
            vec![grid.district()],
            self.now,
            60,
        );
        let situation = Situation {
            command_id: CommandId::from_bytes(command_id),
            digest: [0; 8],
            case_id: id,
            case: self.cases.get(&id),
            grid,
            other: None,
            claims: &claims,
            policy: &self.timetable,
            now: self.now,
            if_version: None,
        };
        let Ok(Decision::Events(events)) = decide(command, &situation) else {
            return;
        };
        let command_id = CommandId::from_bytes(command_id);
        self.record(id, command_id, &claims.actor(), events);
    }

    fn record(&mut self, id: CaseId, command_id: CommandId, actor: &Actor, events: Vec<Decided>) {
        let grid: AreaCode = GRID.parse().unwrap();
        for decided in events {
            let payload = decided.event.encode();
            let recorded = Recorded {
                position: Position(self.log.len() as u64 + 1),
                header: Header {
                    event_id: EventId::from_bytes([0; 16]),
                    aggregate: id.into(),
                    command_id,
                    command_digest: [0; 8],
                    area: grid,
                    occurred_at: decided.recorded_at,
                    recorded_at: decided.recorded_at,
                    actor: actor.clone(),
                    event_type: payload.event_type,
                    schema_version: payload.schema_version,
                    previous: EventHash::default(),
                },
                event: decided.event,
            };
            let case = Case::evolve(self.cases.remove(&id), &recorded).unwrap();
            self.cases.insert(id, case);
            self.log.push(recorded);
        }
    }

    fn replayed(&self, timetable: &Timetable) -> BTreeMap<CaseId, Compared> {
        let mut replay = Replay::new(timetable);
        for recorded in &self.log {
            replay.event(recorded).unwrap();
        }
        replay.until(self.now).unwrap()
    }

    fn missed(&self) -> usize {
        let missed = |recorded: &&Recorded<CaseEvent>| {
            matches!(recorded.event, CaseEvent::DeadlineMissed(_))
        };
        self.log.iter().filter(missed).count()
    }
}

fn report(severity: Severity) -> Report {
    Report {
        kind: CaseKind::Dispute,
        category: "dispute.neighbour".into(),
        severity,
        channel: Channel::GridWorker,
        description: "water from above".into(),
        place: Place::default(),
        people: None,
        parties: None,
        filed_at: None,
        imported: None,
    }
}

fn step(what: u8, case: &Case, now: Timestamp) -> Step {
    let text = || "note".to_owned();
    let level = case.holder.level.min(Level::District);
    let to = Assignee {
        area: case.grid.at(level).unwrap(),
        unit: Some("judicial office".to_owned()),
        person: None,
    };
    match what {
        0..=4 => Step::Accept { note: text() },
        5..=6 => Step::Assign { to, note: text() },
        7..=8 => Step::RecordHandling {
            measure: Measure::Visit,
            note: text(),
        },
        9..=11 => Step::Resolve {
            outcome: Outcome::Settled,
            note: text(),
        },
        12..=13 => Step::Verify { note: text() },
        14 => Step::OrderRework { reason: text() },
        15..=16 => Step::Close { note: text() },
        17 => Step::Return { reason: text() },
        18 => Step::Suspend {
            reason: text(),
            until: now.plus_millis(1_000 * MINUTE),
        },
        19..=20 => Step::Resume { note: text() },
        21 => Step::Escalate { reason: text() },
        22 => Step::Reopen { reason: text() },
        23 => Step::Extend {
            by: Limit::Natural(30),
            reason: text(),
        },
        _ => Step::Supervise { note: text() },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_policy_in_force_gives_exactly_what_happened(attempts in attempts()) {
        let history = History::of(&attempts);
        let replayed = history.replayed(&timetable(1));
        prop_assert_eq!(replayed.len(), history.cases.len());
        let mut missed = 0;
        for (id, compared) in &replayed {
            prop_assert_eq!(&compared.would, &compared.happened, "{:?}", id);
            prop_assert_eq!(compared.impossible, 0);
            missed += compared.happened.missed.len();
        }
        prop_assert_eq!(missed, history.missed());
    }

    #[test]
    fn limits_seven_hundred_times_as_long_let_nothing_pass(attempts in attempts()) {
        let history = History::of(&attempts);
        for compared in history.replayed(&timetable(700)).values() {
            prop_assert_eq!(&compared.would.missed, &[]);
        }
    }
}

#[test]
fn the_histories_let_due_times_pass_at_every_level() {
    let steps = |count: u16| {
        (0..count).map(|number| Attempt {
            case: u8::try_from(number % 6).unwrap(),
            what: u8::try_from(number * 7 % 25).unwrap(),
            minutes: 150,
            looks: number % 90,
        })
    };
    let history = History::of(&steps(200).collect::<Vec<_>>());
    assert!(history.missed() > 20, "{}", history.missed());
    let twice = history.replayed(&timetable(2));
    let would: usize = twice
        .values()
        .map(|compared| compared.would.missed.len())
        .sum();
    assert!(would < history.missed(), "{would}");
}
