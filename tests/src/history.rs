//! A log as a district writes it: cases that are reported in all grids, and go their way step by step beside each
//! other.

use gridkeeper_liveviews::log::RawEvent;
use gridkeeper_proto::{
    access::{Claims, Role},
    area::AreaCode,
    case::{CaseKind, CaseState, Channel, Measure, Outcome, Place, Point, Severity},
    command::{Assignee, CaseCommand, Report, Step},
    id::CaseId,
    time::Timestamp,
};
use uuid::Uuid;

use crate::{WrittenLog, short_policy};

/// What has happened, in every report.
pub const DESCRIPTION: &str =
    "三单元楼上漏水到二单元住户，双方多次协商无果，请求社区派人上门查看并调解。";

/// How many cases are open beside each other: some days of a district's.
const OPEN: u64 = 10_000;
const CATEGORIES: [&str; 5] = [
    "dispute.neighbour",
    "dispute.labour.wages",
    "incident.traffic",
    "incident.facilities.lighting",
    "dispute.family",
];

/// At least so many events of these grids.
///
/// # Panics
/// There are no grids.
#[must_use]
pub fn written(grids: &[AreaCode], events: usize) -> Vec<RawEvent> {
    History::of(grids).next_events(events)
}

/// Such a log, piece by piece: it keeps no more than what is open.
pub struct History {
    log: WrittenLog,
    people: People,
    grids: Vec<AreaCode>,
    reported: u64,
    turn: u64,
}

impl History {
    /// Of these grids.
    ///
    /// # Panics
    /// There are none.
    #[must_use]
    pub fn of(grids: &[AreaCode]) -> Self {
        let district = grids[0].district();
        let log = WrittenLog::new(district, short_policy());
        Self {
            people: People::of(district, log.now),
            log,
            grids: grids.to_vec(),
            reported: 0,
            turn: 0,
        }
    }

    /// At least so many events, right after those that it gave before.
    #[must_use]
    pub fn next_events(&mut self, events: usize) -> Vec<RawEvent> {
        while self.log.events.len() < events {
            self.go_on();
        }
        self.log.take()
    }

    /// A case is reported, and so many before it are taken a step further.
    fn go_on(&mut self) {
        let Self { log, people, .. } = self;
        let grids = &self.grids;
        let grid = |case: u64| grids[usize::try_from(case * 31).unwrap() % grids.len()];
        log.now = log.now.plus_millis(300);
        let (case, command) = (self.reported, CaseCommand::Report(report(self.reported)));
        log.command(&command, id(case), grid(case), &people.handles);
        self.reported += 1;
        let oldest = self.reported.saturating_sub(OPEN);
        if let Some(left_behind) = oldest.checked_sub(1) {
            log.cases.remove(&id(left_behind));
        }
        for _ in 0..5 {
            self.turn += 1;
            let case = oldest + (self.turn * 7_919) % (self.reported - oldest);
            let found = log.cases.get(&id(case));
            let Some(step) = found.and_then(|found| next(found.state, found.grid)) else {
                continue;
            };
            let claims = people.taking(&step);
            log.command(&CaseCommand::Step(step), id(case), grid(case), claims);
        }
    }
}

/// Who takes the steps: nobody verifies what they have handled themselves.
pub struct People {
    /// Reports and handles.
    pub handles: Claims,
    /// Verifies.
    pub verifies: Claims,
}

impl People {
    /// Two people of a district.
    #[must_use]
    pub fn of(district: AreaCode, now: Timestamp) -> Self {
        let person = |name: &str| Claims::lasting(name.into(), Role::Admin, vec![district], now, 1);
        Self {
            handles: person("admin"),
            verifies: person("centre"),
        }
    }

    /// The one who takes a step.
    #[must_use]
    pub fn taking(&self, step: &Step) -> &Claims {
        match step {
            Step::Verify { .. } => &self.verifies,
            _ => &self.handles,
        }
    }
}

/// Ids in the order of time, as phones make them.
#[must_use]
pub fn id(case: u64) -> CaseId {
    let time = 0x0198_0000_0000_u128 + u128::from(case);
    let random = u128::from(case.wrapping_mul(0x9E37_79B9_7F4A_7C15)) >> 2;
    CaseId::new(Uuid::from_u128(
        (time << 80) | (0x7 << 76) | (0x2 << 62) | random,
    ))
}

/// The report of a case.
#[must_use]
pub fn report(case: u64) -> Report {
    let spread = |by: i32| i32::try_from(case % 997).unwrap() * by;
    Report {
        kind: CaseKind::Dispute,
        category: CATEGORIES[usize::try_from(case % 5).unwrap()].into(),
        severity: Severity::General,
        channel: Channel::GridWorker,
        description: DESCRIPTION.into(),
        place: Place {
            point: Some(Point {
                longitude_e7: 1_017_000_000 + spread(311),
                latitude_e7: 265_000_000 + spread(197),
            }),
            address: None,
        },
        people: None,
        parties: None,
        filed_at: None,
        imported: None,
    }
}

/// The step that takes a case in this state on its way; none at its end.
#[must_use]
pub fn next(state: CaseState, grid: AreaCode) -> Option<Step> {
    let note = || "双方已到场，正在协商。".to_owned();
    Some(match state {
        CaseState::Reported => Step::Accept { note: note() },
        CaseState::Accepted => Step::Assign {
            to: Assignee {
                area: grid,
                unit: Some("司法所".into()),
                person: None,
            },
            note: note(),
        },
        CaseState::Assigned => Step::RecordHandling {
            measure: Measure::Visit,
            note: note(),
        },
        CaseState::Handling => Step::Resolve {
            outcome: Outcome::Settled,
            note: note(),
        },
        CaseState::Resolved => Step::Verify { note: note() },
        CaseState::Verified => Step::Close { note: note() },
        _ => return None,
    })
}
