//! A quarter of a district: 519 grids, 90 days with the National Day holidays among them, limits by hours of
//! service. With the escalator away for minutes, hours and days the same happens as with one that is always there.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use gridkeeper_district::District;
use gridkeeper_escalator::timers::{SCHEMA, Timers, due};
use gridkeeper_proto::{
    access::{Claims, Role},
    area::{AreaCode, Level},
    case::{
        Case, CaseKind, CaseState, Channel, EscalationReason, Measure, Outcome, Place, Severity,
    },
    command::{Assignee, CaseCommand, Report, Step},
    event::{ByAggregate, CaseEvent, Recorded},
    id::CaseId,
    limit::Limit,
    policy::Timetable,
    rules::RulesCommand,
    time::Timestamp,
    whatif::Replay,
};
use gridkeeper_tests::{WrittenLog, sample_district};
use gridkeeper_viewstore::{Options, Projector, ViewStore};
use uuid::Uuid;

use crate::site::MINUTE;

const DAYS: i64 = 90;
/// How often the escalator looks.
const LOOK: i64 = 30;
const CASES_PER_GRID: u64 = 4;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

fn start() -> Timestamp {
    "2026-08-15T00:00:00+08:00".parse().unwrap()
}

fn minute(number: i64) -> Timestamp {
    start().plus_millis(number * MINUTE)
}

/// What people try: at a minute, with a case, some step.
struct Attempt {
    minute: i64,
    case: u64,
    what: u64,
}

/// Reports and steps over the quarter, in order. Most cases are taken care of, many late, some by nobody.
fn attempts(grids: usize) -> Vec<Attempt> {
    let mut numbers = Numbers(42);
    let mut all = Vec::new();
    for case in 0..grids as u64 * CASES_PER_GRID {
        let end = u64::try_from(DAYS).unwrap() * 24 * 60;
        let mut minute = numbers.below(end);
        for _ in 0..=numbers.below(9) {
            let what = numbers.below(20);
            let at = i64::try_from(minute).unwrap();
            all.push(Attempt {
                minute: at,
                case,
                what,
            });
            minute += numbers.below(4 * 24 * 60);
        }
    }
    all.retain(|attempt| attempt.minute < DAYS * 24 * 60);
    all.sort_by_key(|attempt| (attempt.minute, attempt.case));
    all
}

fn case_id(number: u64) -> CaseId {
    let base = 0x0198_0000_0000_7000_8000_0000_0000_0000;
    CaseId::new(Uuid::from_u128(base | u128::from(number)))
}

fn report(case: u64) -> CaseCommand {
    let severity = match case % 10 {
        0..=6 => Severity::General,
        7..=8 => Severity::Larger,
        _ if case.is_multiple_of(3) => Severity::Extreme,
        _ => Severity::Major,
    };
    CaseCommand::Report(Report {
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
    })
}

fn step(what: u64, case: &Case, now: Timestamp) -> Step {
    let note = || "note".to_owned();
    let reason = note;
    match (case.state, what) {
        (_, 0) => Step::Escalate { reason: reason() },
        (_, 1) => Step::Supervise { note: note() },
        (_, 2) => Step::Extend {
            by: Limit::Workdays(2),
            reason: reason(),
        },
        (CaseState::Reported, _) => Step::Accept { note: note() },
        (CaseState::Accepted | CaseState::Assigned | CaseState::Handling, 3..=4) => Step::Suspend {
            reason: reason(),
            until: now.plus_millis(3 * 24 * 60 * MINUTE),
        },
        (CaseState::Accepted, 5..=10) => Step::Assign {
            to: Assignee {
                area: case
                    .grid
                    .at(case.holder.level.min(Level::District))
                    .unwrap(),
                unit: Some("司法所".into()),
                person: None,
            },
            note: note(),
        },
        (CaseState::Assigned, 5..=6) => Step::Return { reason: reason() },
        (CaseState::Assigned, 7..=11) => Step::RecordHandling {
            measure: Measure::Visit,
            note: note(),
        },
        (CaseState::Suspended, _) => Step::Resume { note: note() },
        (CaseState::Resolved, 12) => Step::OrderRework { reason: reason() },
        (CaseState::Resolved, _) => Step::Verify { note: note() },
        (CaseState::Verified, _) => Step::Close { note: note() },
        (CaseState::Closed, _) => Step::Reopen { reason: reason() },
        _ => Step::Resolve {
            outcome: Outcome::Settled,
            note: note(),
        },
    }
}

struct Quarter {
    log: WrittenLog,
    grids: Vec<AreaCode>,
    claims: Claims,
    timetable: Timetable,
}

impl Quarter {
    fn new() -> Self {
        let folder = sample_district();
        let text = fs::read_to_string(folder.join("policy-by-service-hours.toml")).unwrap();
        let district = District::load_with_policy(&folder, &text).unwrap();
        let code = district.code();
        let mut rules = district.rules();
        let Some(RulesCommand::AdoptPolicy { policy, .. }) = rules.pop() else {
            panic!("the policy comes last")
        };
        // The calendar first: the policy goes by it.
        let mut log = WrittenLog::under(code, &rules, *policy);
        log.now = start();
        Self {
            log,
            grids: district
                .grids()
                .map(gridkeeper_district::Area::code)
                .collect(),
            claims: Claims::lasting("admin".into(), Role::Admin, vec![code], start(), 1),
            timetable: district.timetable().unwrap().clone(),
        }
    }

    /// Runs the quarter; `away` says at which minutes the escalator is away.
    fn run(mut self, away: impl Fn(i64) -> bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = ViewStore::open(folder.path(), SCHEMA, Options::default()).unwrap();
        let mut timers = Projector::new(store.generation(), Timers::default());
        let mut folded = 0;
        let mut attempts = attempts(self.grids.len()).into_iter().peekable();
        for now in (0..=DAYS * 24 * 60).step_by(usize::try_from(LOOK).unwrap()) {
            while let Some(attempt) = attempts.next_if(|attempt| attempt.minute < now) {
                self.attempt(&attempt);
            }
            let last = now + LOOK > DAYS * 24 * 60;
            if away(now) && !last {
                continue;
            }
            self.log.now = minute(now);
            loop {
                timers
                    .apply(&gridkeeper_liveviews::log::decoded(
                        &self.log.events[folded..],
                    ))
                    .unwrap();
                folded = self.log.events.len();
                let found = store
                    .read(|reader| due(reader, self.log.now, usize::MAX))
                    .unwrap();
                if found.is_empty() {
                    break;
                }
                assert!(found.is_sorted(), "the earliest first");
                for step in found {
                    let before = self.log.events.len();
                    let step_taken = CaseCommand::Step(step.step());
                    let service = Claims {
                        role: Role::Service,
                        ..self.claims.clone()
                    };
                    let grid = self.log.cases[&step.case].grid;
                    self.log.command(&step_taken, step.case, grid, &service);
                    let case = &self.log.cases[&step.case];
                    assert!(self.log.events.len() > before, "{step:?} {case:?}");
                }
            }
        }
        self
    }

    fn attempt(&mut self, attempt: &Attempt) {
        self.log.now = minute(attempt.minute);
        let id = case_id(attempt.case);
        let grid = self.grids[usize::try_from(attempt.case).unwrap() % self.grids.len()];
        // What somebody does follows from what they see, and they see what has happened by then.
        self.log.look(id);
        let command = match self.log.cases.get(&id) {
            None => report(attempt.case),
            Some(case) => CaseCommand::Step(step(attempt.what, case, self.log.now)),
        };
        let claims = self.claims.clone();
        self.log.command(&command, id, grid, &claims);
    }

    fn recorded(&self) -> impl Iterator<Item = Recorded<CaseEvent>> {
        self.log.events.iter().filter_map(|raw| {
            let recorded = Recorded::decode(raw.position, &raw.bytes).unwrap();
            match recorded.by_aggregate() {
                ByAggregate::Case(recorded) => Some(recorded),
                _ => None,
            }
        })
    }

    /// Each escalation by itself: the case, from where, the due time that was missed, and the one that follows.
    fn escalations(&self) -> Vec<(CaseId, Level, Option<Timestamp>, Timestamp)> {
        let mut all: Vec<_> = self
            .recorded()
            .filter_map(|recorded| match recorded.event {
                CaseEvent::Escalated(event) if event.reason == EscalationReason::Deadline => {
                    let case = recorded.header.aggregate.into();
                    Some((case, event.from, event.due_since, event.due_at))
                }
                _ => None,
            })
            .collect();
        all.sort();
        all
    }

    /// Everything but reminders, which something later may overtake, by case.
    fn courses(&self) -> BTreeMap<CaseId, Vec<CaseEvent>> {
        let mut courses: BTreeMap<CaseId, Vec<CaseEvent>> = BTreeMap::new();
        for recorded in self.recorded() {
            if !matches!(recorded.event, CaseEvent::Reminded(_)) {
                let case = recorded.header.aggregate.into();
                courses.entry(case).or_default().push(recorded.event);
            }
        }
        courses
    }
}

#[test]
fn outages_of_minutes_hours_and_days_change_no_escalation_and_no_moment() {
    let began = Instant::now();
    let present = Quarter::new().run(|_| false);
    // Gone for the first 40 minutes of every hour, for a night in three, and for whole days: a weekend, the
    // National Day holidays, and four days at the end.
    let away = |minute: i64| {
        let day = minute / (24 * 60);
        minute % 60 < 40
            || (day % 3 == 0 && minute % (24 * 60) < 8 * 60)
            || [14, 15, 47, 48, 49, 50, 51, 86, 87, 88, 89].contains(&day)
    };
    let absent = Quarter::new().run(away);
    let escalations = present.escalations();
    assert!(escalations.len() > 2_000, "{}", escalations.len());
    assert_eq!(present.escalations(), absent.escalations());
    let (courses, other) = (present.courses(), absent.courses());
    assert_eq!(courses.len(), other.len());
    for (case, course) in &courses {
        assert_eq!(Some(course), other.get(case), "{case}");
    }

    for quarter in [&present, &absent] {
        let mut seen = BTreeMap::new();
        for recorded in quarter.recorded() {
            if let CaseEvent::DeadlineMissed(event) = &recorded.event {
                let due = (recorded.header.aggregate, event.due_at);
                assert_eq!(seen.insert(due, recorded.position), None, "fired once");
                assert!(
                    recorded.header.recorded_at >= event.due_at,
                    "and not before"
                );
            }
        }
        no_due_time_lies_in_closed_hours(quarter);
        the_same_policy_gives_what_happened(quarter);
    }
    let took = began.elapsed();
    println!(
        "{} cases, {} and {} events, {} escalations, {took:?}",
        courses.len(),
        present.log.events.len(),
        absent.log.events.len(),
        escalations.len()
    );
    assert!(took < Duration::from_secs(600), "{took:?}");
}

/// After every event, whatever gave the due time: it is a moment at which the clock of the limit runs, or the one at
/// which it stops.
fn no_due_time_lies_in_closed_hours(quarter: &Quarter) {
    let mut cases: BTreeMap<CaseId, Case> = BTreeMap::new();
    let (mut moved, mut put_off) = (0, 0);
    for recorded in quarter.recorded() {
        let id = recorded.header.aggregate.into();
        let case = Case::evolve(cases.remove(&id), &recorded).unwrap();
        moved += u32::from(matches!(recorded.event, CaseEvent::Resumed(_)));
        put_off += u32::from(matches!(recorded.event, CaseEvent::Extended(_)));
        if let Some(concerned) = case.concerned() {
            let last = case.due_at.plus_millis(-1);
            let runs = quarter.timetable.runs(concerned, last).unwrap();
            assert!(runs, "{:?} {case:?}", recorded.event);
        }
        cases.insert(id, case);
    }
    assert!(moved > 100 && put_off > 20, "{moved} {put_off}");
}

fn the_same_policy_gives_what_happened(quarter: &Quarter) {
    let mut replay = Replay::new(&quarter.timetable);
    for recorded in quarter.recorded() {
        replay.event(&recorded).unwrap();
    }
    let end = minute(DAYS * 24 * 60);
    for (case, compared) in replay.until(end).unwrap() {
        assert_eq!(compared.would, compared.happened, "{case}");
        assert_eq!(compared.impossible, 0, "{case}");
    }
}
