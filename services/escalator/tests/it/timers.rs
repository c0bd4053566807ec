//! The timers are the next moments of the open cases, however the log was cut.

use std::collections::BTreeMap;

use gridkeeper_escalator::timers::{Due, SCHEMA, Timer, Timers, due};
use gridkeeper_liveviews::log::RawEvent;
use gridkeeper_proto::{
    case::CaseState,
    code::{Code, Coded as _},
    command::Step,
    envelope::{Header, Position},
    event::{EVENT_TYPES, Recorded},
    id::CaseId,
    time::Timestamp,
    view::CaseView,
};
use gridkeeper_viewstore::{Options, Projector, ViewStore};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use crate::{
    history::{Attempt, History, attempts, case_id},
    site::MINUTE,
};

const ALL: usize = 1_000;

fn open(folder: &tempfile::TempDir) -> ViewStore {
    ViewStore::open(folder.path(), SCHEMA, Options::default())
        .unwrap()
        .0
}

fn plain(log: &[RawEvent]) -> BTreeMap<CaseId, CaseView> {
    let mut views: BTreeMap<CaseId, CaseView> = BTreeMap::new();
    for raw in log {
        let recorded = Recorded::decode(raw.position, &raw.bytes).unwrap();
        let id = recorded.header.case_id;
        let view = CaseView::evolve(views.get(&id), &recorded).unwrap();
        views.insert(id, view);
    }
    views
}

/// The steps that a plain fold of the log says are due, as moment, case and whether it is a resumption
/// and of which version; all that will ever be due for no moment.
fn expected(log: &[RawEvent], now: Option<Timestamp>) -> Vec<(Timestamp, CaseId, Option<u32>)> {
    let views = plain(log);
    let steps = views.values().filter_map(|view| {
        let case = &view.case;
        let resume = (case.state == CaseState::Suspended).then_some(case.version);
        // One that was found overdue has had its step; who is suspended still has to be resumed.
        let at = view
            .next_moment()
            .filter(|_| resume.is_some() || !case.overdue)?;
        Some((at, case.id, resume))
    });
    let mut steps: Vec<_> = steps
        .filter(|(at, ..)| now.is_none_or(|now| *at <= now))
        .collect();
    steps.sort();
    steps
}

fn found(store: &ViewStore, now: Timestamp, most: usize) -> Vec<(Timestamp, CaseId, Option<u32>)> {
    let steps = store.read(|reader| due(reader, now, most)).unwrap();
    let step = |due: Due| (due.at, due.case, due.if_version());
    steps.into_iter().map(step).collect()
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
        let log = History::of(&attempts).log;
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let mut projector = Projector::new(store.generation(), Timers);
        let mut rest = log.as_slice();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (batch, later) = rest.split_at((*size).min(rest.len()));
            projector.apply(batch).unwrap();
            rest = later;
            let so_far = &log[..log.len() - rest.len()];
            prop_assert_eq!(found(&store, far_ahead(), ALL), expected(so_far, None));
        }
        let start: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        let now = start.plus_millis(minutes * MINUTE);
        let due_now = expected(&log, Some(now));
        prop_assert_eq!(&found(&store, now, ALL), &due_now);
        prop_assert_eq!(found(&store, now, 3), &due_now[..due_now.len().min(3)]);

        let anew = tempfile::tempdir().unwrap();
        let whole = open(&anew);
        Projector::new(whole.generation(), Timers).apply(&log).unwrap();
        prop_assert_eq!(whole.checksum().unwrap(), store.checksum().unwrap());
    }
}

fn long_history() -> Vec<Attempt> {
    let mut runner = TestRunner::deterministic();
    attempts(3_000).new_tree(&mut runner).unwrap().current()
}

#[test]
fn the_histories_hold_every_event_that_moves_a_timer() {
    let log = History::of(&long_history()).log;
    let of_type = |raw: &RawEvent| Header::decode(&raw.bytes).unwrap().0.event_type;
    for (number, _, name) in EVENT_TYPES {
        let occurs = log.iter().any(|raw| of_type(raw) == number);
        // Nobody gives a case back or hands it on here, and there are no parties to forget.
        let left_out = ["returned", "transferred", "parties_forgotten"].contains(&name);
        assert_eq!(occurs, !left_out, "{name}");
    }
}

#[test]
fn a_step_is_due_at_its_moment_and_not_a_millisecond_before() {
    let log = History::of(&[(1, 0, 0, 0), (2, 0, 7, 0)]).log;
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    Projector::new(store.generation(), Timers)
        .apply(&log)
        .unwrap();
    let steps = expected(&log, None);
    assert_eq!(steps.len(), 2);
    for (index, (at, ..)) in steps.iter().enumerate() {
        assert_eq!(found(&store, at.plus_millis(-1), ALL), steps[..index]);
        assert_eq!(found(&store, *at, ALL), steps[..=index]);
    }
}

#[test]
fn a_step_has_one_command_id_whoever_sends_it_and_another_than_any_other_step() {
    let at: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
    let due = |case, at, timer| Due {
        at,
        case: case_id(case),
        timer,
    };
    let resume = |version| Timer::Resume { version };
    let step = due(1, at, Timer::MissDeadline);
    assert_eq!(step.step(), Step::MissDeadline { due_at: at });
    let others = [
        due(2, at, Timer::MissDeadline),
        due(1, at.plus_millis(1), Timer::MissDeadline),
        due(1, at, resume(3)),
    ];
    for other in others {
        assert_ne!(other.command_id(), step.command_id());
    }
    let (one, other) = (due(1, at, resume(3)), due(1, at, resume(4)));
    assert_eq!(one.command_id(), other.command_id());
    assert_eq!((one.if_version(), step.if_version()), (Some(3), None));
}

#[test]
fn what_intake_never_writes_stops_the_timers_with_its_code() {
    let stopped_by = |change: fn(&mut Vec<RawEvent>)| -> Code {
        let mut log = History::of(&[(1, 0, 0, 0), (2, 0, 0, 0)]).log;
        change(&mut log);
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let mut projector = Projector::new(store.generation(), Timers);
        let stopped = projector.apply(&log).unwrap_err();
        assert_eq!(
            store.position(),
            Position(0),
            "nothing of the batch is kept"
        );
        stopped.code()
    };
    assert_eq!(stopped_by(|log| log[1].bytes.push(0)), Code(312));
    assert_eq!(stopped_by(|log| log[1].bytes[0] = 9), Code(310));
    assert_eq!(
        stopped_by(|log| change_header(&mut log[1], |header| header.event_type = 999)),
        Code(313)
    );
    assert_eq!(
        stopped_by(|log| change_header(&mut log[1], |header| header.case_id = case_id(1))),
        Code(316)
    );
}

fn change_header(event: &mut RawEvent, change: fn(&mut Header)) {
    let (mut header, payload) = Header::decode(&event.bytes).unwrap();
    change(&mut header);
    event.bytes = header.encode(payload);
}
