//! The timers are the next moments of the open cases, however the log was cut.

use std::collections::BTreeMap;

use gridkeeper_escalator::timers::{Due, SCHEMA, Timers, beyond, due};
use gridkeeper_liveviews::log::{RawEvent, decoded};
use gridkeeper_proto::{
    access::{Claims, Role},
    area::{AreaCode, Level},
    calendar::CalendarYear,
    case::{Case, Moment},
    clock::{Hours, ServiceHours},
    code::{Code, Coded as _},
    command::{CaseCommand, Step},
    envelope::{Header, Position},
    event::{ByAggregate, CaseEvent, Recorded},
    id::CaseId,
    limit::Limit,
    policy::Service,
    rules::{Rules, RulesCommand},
    time::Timestamp,
};
use gridkeeper_tests::{WrittenLog, short_policy};
use gridkeeper_viewstore::{Options, Projector, ViewStore};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use crate::{
    history::{Attempt, attempts, case_id, history, report},
    site::MINUTE,
};

const ALL: usize = 1_000;

fn open(folder: &tempfile::TempDir) -> ViewStore {
    ViewStore::open(folder.path(), SCHEMA, Options::default())
        .unwrap()
        .0
}

/// The moments that a plain fold of the log says are to come, up to a moment.
fn expected(log: &[RawEvent], now: Timestamp) -> Vec<Due> {
    let mut cases: BTreeMap<CaseId, Case> = BTreeMap::new();
    let mut rules = Rules::default();
    for raw in log {
        let recorded = Recorded::decode(raw.position, &raw.bytes).unwrap();
        match recorded.by_aggregate() {
            ByAggregate::Case(recorded) => {
                let id = recorded.header.aggregate.into();
                let case = Case::evolve(cases.remove(&id), &recorded).unwrap();
                cases.insert(id, case);
            }
            ByAggregate::Rules(recorded) => rules.evolve(&recorded),
            other => panic!("{other:?}"),
        }
    }
    let timetables = rules.timetables().unwrap();
    let due = |case: &Case| {
        let next = case.next_moment(timetables.of(case.policy).unwrap());
        let next = next.unwrap().filter(|next| next.at <= now)?;
        Some(Due {
            at: next.at,
            case: case.id,
            moment: next.moment,
        })
    };
    let mut all: Vec<_> = cases.values().filter_map(due).collect();
    all.sort();
    all
}

fn found(store: &ViewStore, now: Timestamp, most: usize) -> Vec<Due> {
    store.read(|reader| due(reader, now, most)).unwrap()
}

fn far_ahead() -> Timestamp {
    "2090-01-01T00:00:00Z".parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_due_steps_are_the_next_moments_of_the_open_cases(
        attempts in attempts(1..250),
        sizes in prop::collection::vec(1_usize..40, 1..6),
        minutes in 0_i64..60_000,
    ) {
        let log = history(&attempts).events;
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let mut projector = Projector::new(store.generation(), Timers::default());
        let mut rest = log.as_slice();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (batch, later) = rest.split_at((*size).min(rest.len()));
            projector.apply(&decoded(batch)).unwrap();
            rest = later;
            let so_far = &log[..log.len() - rest.len()];
            prop_assert_eq!(found(&store, far_ahead(), ALL), expected(so_far, far_ahead()));
        }
        let start: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        let now = start.plus_millis(minutes * MINUTE);
        let due_now = expected(&log, now);
        prop_assert_eq!(&found(&store, now, ALL), &due_now);
        prop_assert_eq!(found(&store, now, 3), &due_now[..due_now.len().min(3)]);

        let anew = tempfile::tempdir().unwrap();
        let whole = open(&anew);
        Projector::new(whole.generation(), Timers::default()).apply(&decoded(&log)).unwrap();
        prop_assert_eq!(whole.checksum().unwrap(), store.checksum().unwrap());
    }
}

fn long_history() -> Vec<Attempt> {
    let mut runner = TestRunner::deterministic();
    attempts(3_000).new_tree(&mut runner).unwrap().current()
}

#[test]
fn the_histories_hold_every_event_that_moves_a_timer() {
    let log = history(&long_history()).events;
    let of_type = |raw: &RawEvent| Header::decode(&raw.bytes).unwrap().0.event_type;
    for (number, _, name) in CaseEvent::TYPES.iter().copied() {
        let occurs = log.iter().any(|raw| of_type(raw) == number);
        // Nobody gives a case back or hands it on here, there are no parties to forget, and the clocks agree.
        let left_out = [
            "returned",
            "transferred",
            "parties_forgotten",
            "clock_differed",
        ];
        let left_out = left_out.contains(&name);
        assert_eq!(occurs, !left_out, "{name}");
    }
}

#[test]
fn a_step_is_due_at_its_moment_and_not_a_millisecond_before() {
    let log = history(&[(1, 0, 0, 0), (2, 0, 7, 0)]).events;
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    Projector::new(store.generation(), Timers::default())
        .apply(&decoded(&log))
        .unwrap();
    let steps = expected(&log, far_ahead());
    assert_eq!(steps.len(), 2);
    for (index, step) in steps.iter().enumerate() {
        assert_eq!(found(&store, step.at.plus_millis(-1), ALL), steps[..index]);
        assert_eq!(found(&store, step.at, ALL), steps[..=index]);
    }
}

#[test]
fn a_step_has_one_command_id_whoever_sends_it_and_another_than_any_other_step() {
    let at: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
    let due = |case, at| Due {
        at,
        case: case_id(case),
        moment: Moment::MissDeadline,
    };
    let step = due(1, at);
    assert_eq!(step.step(), Step::PassMoment { at });
    for other in [due(2, at), due(1, at.plus_millis(1))] {
        assert_ne!(other.command_id(), step.command_id());
    }
}

#[test]
fn a_moment_beyond_the_calendar_waits_for_the_year_to_be_adopted() {
    let district: AreaCode = "510402".parse().unwrap();
    let year = |year| RulesCommand::AdoptCalendar {
        year: CalendarYear {
            year,
            holidays: vec![format!("{year}-10-01").parse().unwrap()],
            workdays: Vec::new(),
        },
    };
    let mut log = WrittenLog::new(district, short_policy());
    log.change_rules(district, &year(2026));
    let mut policy = short_policy();
    policy.version = 2;
    policy.service = Some(Service {
        calendar: "calendar".into(),
        hours: ServiceHours {
            workday: vec![Hours {
                from: "08:30".parse().unwrap(),
                to: "18:30".parse().unwrap(),
            }],
            weekend: Vec::new(),
            holiday: Vec::new(),
        },
    });
    // One service hour to each rung, and at the city reminders of it for ever.
    policy.general.accept = Limit::Service(60);
    policy.oversight.overdue_every = 1_000;
    log.change_rules(
        district,
        &RulesCommand::AdoptPolicy {
            zone: "Asia/Shanghai".into(),
            policy: Box::new(policy),
            calendar: Vec::new(),
        },
    );
    log.now = "2026-12-31T00:00:00Z".parse().unwrap();
    let report = CaseCommand::Report(report(0));
    let claims = Claims::lasting("admin".into(), Role::Admin, vec![district], log.now, 60);
    let grid = "51040200200507".parse().unwrap();
    log.command(&report, case_id(1), grid, &claims);
    log.now = "2026-12-31T10:29:00Z".parse().unwrap();
    log.look(case_id(1));
    assert_eq!(log.cases[&case_id(1)].holder.level, Level::City);

    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let mut projector = Projector::new(store.generation(), Timers::default());
    projector.apply(&decoded(&log.events)).unwrap();
    let known = |count: usize| {
        assert_eq!(found(&store, far_ahead(), ALL).len(), count);
        assert_eq!(store.read(beyond).unwrap(), 1 - count);
    };
    known(0);
    let before = log.events.len();
    log.change_rules(district, &year(2027));
    projector.apply(&decoded(&log.events[before..])).unwrap();
    known(1);
    assert_eq!(
        found(&store, far_ahead(), ALL),
        expected(&log.events, far_ahead())
    );
}

#[test]
fn where_the_adoption_of_a_policy_was_lost_its_cases_wait_until_it_is_adopted_again() {
    let log = history(&[(1, 0, 0, 0), (2, 0, 0, 0)]).events;
    let adopts = |event: &RawEvent| matches!(event.decode().recorded, Ok(ByAggregate::Rules(_)));
    let (lost, left): (Vec<_>, Vec<_>) = log.iter().cloned().partition(adopts);
    assert!(!lost.is_empty());
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let mut projector = Projector::new(store.generation(), Timers::default());
    projector.apply(&decoded(&left)).unwrap();
    assert_eq!(found(&store, far_ahead(), ALL), []);
    assert_eq!(store.read(beyond).unwrap(), 2);
    let end = log.len() as u64;
    let again = lost.into_iter().zip(end + 1..);
    let again: Vec<_> = again
        .map(|(event, at)| RawEvent::event(Position(at), event.area, event.bytes))
        .collect();
    projector.apply(&decoded(&again)).unwrap();
    assert_eq!(store.read(beyond).unwrap(), 0);
    let expected = expected(&log, far_ahead());
    assert_eq!(
        (expected.len(), found(&store, far_ahead(), ALL)),
        (2, expected)
    );
}

#[test]
fn what_intake_never_writes_stops_the_timers_with_its_code() {
    let stopped_by = |change: fn(&mut Vec<RawEvent>)| -> Code {
        let mut log = history(&[(1, 0, 0, 0), (2, 0, 0, 0)]).events;
        change(&mut log);
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let mut projector = Projector::new(store.generation(), Timers::default());
        let stopped = projector.apply(&decoded(&log)).unwrap_err();
        assert_eq!(
            store.position(),
            Position(0),
            "nothing of the batch is kept"
        );
        stopped.code()
    };
    assert_eq!(stopped_by(|log| log[2].bytes.push(0)), Code(312));
    assert_eq!(stopped_by(|log| log[2].bytes[0] = 9), Code(310));
    assert_eq!(
        stopped_by(|log| change_header(&mut log[2], |header| header.event_type = 999)),
        Code(313)
    );
    assert_eq!(
        stopped_by(|log| change_header(&mut log[2], |header| header.aggregate = case_id(1).into())),
        Code(316)
    );
}

fn change_header(event: &mut RawEvent, change: fn(&mut Header)) {
    let (mut header, payload) = Header::decode(&event.bytes).unwrap();
    change(&mut header);
    event.bytes = header.encode(payload);
}
