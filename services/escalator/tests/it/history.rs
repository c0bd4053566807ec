//! Histories that intake could have written: random steps, decided by the real rules. What is refused
//! leaves nothing behind.

use gridkeeper_proto::{
    access::{Claims, Role},
    area::AreaCode,
    case::{Case, CaseKind, Channel, Measure, Outcome, Place, Severity},
    command::{Assignee, CaseCommand, Report, Step},
    id::CaseId,
    limit::Limit,
    time::Timestamp,
};
use gridkeeper_tests::{WrittenLog, short_policy};
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

/// The log of these attempts.
pub(crate) fn history(attempts: &[Attempt]) -> WrittenLog {
    let district = grid().district();
    let mut log = WrittenLog::new(district, short_policy());
    for (case, what, minutes, detail) in attempts {
        log.now = log.now.plus_millis(i64::from(*minutes) * MINUTE);
        let id = case_id(*case);
        let command = match log.cases.get(&id) {
            None => CaseCommand::Report(report(*detail)),
            Some(case) => CaseCommand::Step(step(*what, *detail, case, log.now)),
        };
        let role = match &command {
            CaseCommand::Step(Step::PassMoment { .. }) => Role::Service,
            _ => Role::Admin,
        };
        let who = format!("somebody {}", detail % 2);
        let claims = Claims::lasting(who, role, vec![district], log.now, 60);
        log.command(&command, id, grid(), &claims);
    }
    log
}

pub(crate) fn report(detail: u8) -> Report {
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
        21 => Step::Extend {
            by: Limit::Natural(20),
            reason: reason(),
        },
        _ => Step::PassMoment { at: now },
    }
}
