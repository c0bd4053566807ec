//! Histories that intake could have written: random commands by random people, decided by the real
//! rules. What is refused leaves nothing behind, as at intake.

use gridkeeper_liveviews::log::RawEvent;
use gridkeeper_proto::{
    access::{Claims, Role},
    area::{AreaCode, Level},
    case::{Case, CaseKind, Channel, Measure, Outcome, Place, Point, Severity, SourceRecord},
    command::{Assignee, CaseCommand, Imported, ImportedClosing, Report, Step},
    duty::{Member, On, Plan, PlannedShift, RosterCommand},
    envelope::Position,
    id::{CaseId, CommandId, InquiryId},
    inquiry::InquiryCommand,
    limit::Limit,
    time::{Day, Timestamp},
};
use gridkeeper_tests::{WrittenLog, short_policy};
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
    let attempt = (0..CASES, 0_u8..6, 0_u8..44, any::<u8>(), 0_u16..600);
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
pub(crate) struct History(WrittenLog);

impl History {
    pub(crate) fn new() -> Self {
        Self(WrittenLog::new(district(), short_policy()))
    }

    pub(crate) fn log(self) -> Vec<RawEvent> {
        self.0.events
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
        let command = CaseCommand::Report(report(case, self.0.now));
        let claims = claims(Role::Admin, area(GRIDS[grid]));
        let grid = area(GRIDS[grid]);
        self.0.command(&command, case_id(case), grid, &claims);
        self.last()
    }

    pub(crate) fn last(&self) -> Position {
        self.0.last()
    }

    fn attempt(&mut self, attempt: Attempt) {
        self.0.now = self.0.now.plus_millis(i64::from(attempt.minutes) * MINUTE);
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
        match attempt.what {
            40..=41 => return self.plan_duty(attempt, &claims),
            42..=43 => return self.inquire(attempt, grid, &claims),
            _ => {}
        }
        let command = match self.0.cases.get(&id) {
            None => CaseCommand::Report(report(attempt.detail, self.0.now)),
            Some(case) => CaseCommand::Step(step(attempt, case, self.0.now)),
        };
        self.0.command(&command, id, grid, &claims);
    }
}

impl History {
    fn plan_duty(&mut self, attempt: Attempt, claims: &Claims) {
        let now = self.0.now;
        let member = |person: &str, post: &str| Member {
            person: person.into(),
            post: post.into(),
            stands_in_for: None,
        };
        let day: Day = "2026-11-23".parse().unwrap();
        let area = area(GRIDS[0]).parent().unwrap();
        let (first, last) = (now.plus_millis(-MINUTE * 100_000), now.plus_millis(MINUTE));
        let roster = self.0.roster(area);
        let away = roster.and_then(|roster| roster.absences(first, last).next());
        let absence = away.map_or(CommandId::new(Uuid::nil()), |away| away.id);
        let command = match attempt.detail % 4 {
            0..=1 => RosterCommand::Plan {
                plan: Plan {
                    area,
                    from: day,
                    to: day,
                    members: vec![member("li.na", "民政"), member("wang.wei", "调解")],
                    shifts: vec![PlannedShift {
                        person: "li.na".into(),
                        on: vec![On::Day(day)],
                        from: "08:30".parse().unwrap(),
                        to: "17:30".parse().unwrap(),
                    }],
                },
            },
            2 => RosterCommand::RecordAbsence {
                person: "li.na".into(),
                from: now,
                to: now.plus_millis(MINUTE),
                reason: "leave".into(),
            },
            _ => RosterCommand::WithdrawAbsence { absence },
        };
        self.0.change_roster(area, &command, claims);
    }

    fn inquire(&mut self, attempt: Attempt, grid: AreaCode, claims: &Claims) {
        let id = InquiryId::from_bytes([attempt.case % 6; 16]);
        let others = ["Community", "Street", "Centre", "Admin"];
        let command = match attempt.detail % 8 {
            0..=1 => InquiryCommand::Take {
                question: "how".into(),
                channel: Channel::Window,
            },
            2..=3 => InquiryCommand::Offer {
                to: others[usize::from(attempt.detail / 8) % 4].into(),
                note: String::new(),
            },
            4..=5 => InquiryCommand::Accept,
            6 => InquiryCommand::Decline {
                reason: "away".into(),
            },
            _ => InquiryCommand::Answer {
                answer: "so".into(),
                case: None,
            },
        };
        self.0.change_inquiry(id, grid, &command, claims);
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
        34..=35 => Step::Extend {
            by: Limit::Natural(20),
            reason: reason(),
        },
        _ => Step::PassMoment { at: now },
    }
}
