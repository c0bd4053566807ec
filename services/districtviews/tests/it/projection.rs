//! Views do not depend on how the log was cut, nor on crashes and rebuilds.

use std::{path::Path, sync::Arc};

use gridkeeper_districtviews::{
    keys,
    projection::{SCHEMA, Views},
};
use gridkeeper_liveviews::{
    Verified,
    log::{RawEvent, decoded},
};
use gridkeeper_proto::{
    area::AreaCode,
    code::{Code, Coded as _},
    envelope::{Header, Position},
    event::{self, IntegrityEvent},
    time::Zone,
    view::{AreaSummary, CaseView, DayRollup},
};
use gridkeeper_viewstore::{Error, Generation, Opened, Options, Projector, ViewStore};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::Config};

use crate::{
    history::{Attempt, GRIDS, History, area, attempts, case_id, district},
    plain::{Entries, Plain},
};

fn zone() -> Zone {
    Zone::named("Asia/Shanghai").unwrap()
}

fn open(folder: &Path) -> (ViewStore, Opened) {
    ViewStore::open(folder, SCHEMA, Options::default()).unwrap()
}

fn projector(generation: Arc<Generation>) -> Projector<Verified<Views>> {
    Projector::new(generation, Verified::new(Views::new(zone())))
}

fn entries(store: &ViewStore) -> Entries {
    store.read(|reader| {
        let entry = |entry: Result<gridkeeper_viewstore::Entry, Error>| {
            let entry = entry.unwrap();
            (entry.key, entry.value)
        };
        reader.range(..).map(entry).collect()
    })
}

/// Feeds a generation in batches whose sizes repeat.
fn feed(projector: &mut Projector<Verified<Views>>, log: &[RawEvent], sizes: &[usize]) {
    let mut rest = log;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            return;
        }
        let (batch, later) = rest.split_at((*size).min(rest.len()));
        projector.apply(&decoded(batch)).unwrap();
        rest = later;
    }
}

/// Some batches, then a flush, then some that are lost when the store is dropped and opened again, and so on.
fn feed_with_crashes(folder: &Path, log: &[RawEvent], sizes: &[usize], until_crash: usize) {
    loop {
        let (store, opened) = open(folder);
        assert!(matches!(opened, Opened::Created | Opened::Continued));
        let at = usize::try_from(store.position().0).unwrap();
        if at == log.len() {
            return;
        }
        // The last events before the crash are sent again, as a consumer may do.
        let again = at.saturating_sub(3);
        let end = (at + until_crash).min(log.len());
        let kept = (at + until_crash * 2 / 3).min(log.len());
        let mut projector = projector(store.generation());
        feed(&mut projector, &log[again..kept], sizes);
        store.flush().unwrap();
        feed(&mut projector, &log[kept..end], sizes);
    }
}

fn check(attempts: &[Attempt], sizes: &[usize], until_crash: usize) {
    let log = History::of(attempts).log();
    let expected = Plain::of(&log, &zone()).entries();
    let folder = tempfile::tempdir().unwrap();
    feed_with_crashes(folder.path(), &log, sizes, until_crash);
    let (store, _) = open(folder.path());
    assert_eq!(store.position(), Position(log.len() as u64));
    assert_eq!(entries(&store), expected);

    let at_once = tempfile::tempdir().unwrap();
    let (whole, _) = open(at_once.path());
    projector(whole.generation()).apply(&decoded(&log)).unwrap();
    assert_eq!(whole.checksum().unwrap(), store.checksum().unwrap());

    let rebuild = store.begin_rebuild().unwrap();
    feed(&mut projector(rebuild.generation()), &log, &[7]);
    assert!(store.generation().diff(&rebuild, 10).unwrap().is_empty());
    rebuild.promote().unwrap();
    assert_eq!(store.position(), Position(log.len() as u64));
    assert_eq!(entries(&store), expected);
}

proptest! {
    #![proptest_config(Config { cases: 24, ..Config::default() })]

    #[test]
    fn any_batches_crashes_and_a_rebuild_give_the_plain_fold(
        attempts in attempts(1..400),
        sizes in prop::collection::vec(1_usize..60, 1..6),
        until_crash in 10_usize..200,
    ) {
        check(&attempts, &sizes, until_crash);
    }
}

fn event_type(raw: &RawEvent) -> u16 {
    Header::decode(&raw.bytes).unwrap().0.event_type
}

#[test]
fn the_histories_hold_every_step_and_the_views_read_back() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let attempts = attempts(6_000).new_tree(&mut runner).unwrap().current();
    let log = History::of(&attempts).log();
    let plain = Plain::of(&log, &zone());
    for (number, _, name) in event::types() {
        // Random histories carry no personal data, so there is none to forget,
        let occurs = log.iter().any(|raw| event_type(raw) == number);
        // and their limits run day and night, so that there is no calendar.
        // Their clock is right all along.
        let left_out = ["parties_forgotten", "calendar_adopted", "clock_differed"].contains(&name)
            // Nor is any of it lost.
            || IntegrityEvent::TYPES.iter().any(|(_, _, of_log)| *of_log == name);
        assert_eq!(occurs, !left_out, "{name}");
    }
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    feed(&mut projector(store.generation()), &log, &[100]);
    let district_now = &plain.summaries()[&district()];
    store.read(|reader| {
        let key = keys::summary(district());
        let summary: AreaSummary = reader.value(&key).unwrap().unwrap();
        assert_eq!(summary, *district_now);
        for (id, view) in &plain.cases {
            let key = keys::case(*id);
            let found: CaseView = reader.value(&key).unwrap().unwrap();
            assert_eq!(found, *view);
        }
        for ((area, day), rollup) in &plain.days {
            let key = keys::day(*area, *day);
            let found: DayRollup = reader.value(&key).unwrap().unwrap();
            assert_eq!(found, *rollup);
        }
    });
}

/// Folds the first events, then one that was tampered with; gives the code it stops with.
fn stopped_by(change: impl FnOnce(&mut RawEvent)) -> Code {
    let mut history = History::new();
    history.report(1, 0);
    history.report(2, 0);
    let mut log = history.log();
    change(&mut log[2]);
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let mut projector = projector(store.generation());
    projector.apply(&decoded(&log[..2])).unwrap();
    let stopped = projector.apply(&decoded(&log[2..])).unwrap_err();
    let Error::Projection(at) = &stopped else {
        panic!("{stopped}")
    };
    assert_eq!(at.position, log[2].position);
    assert_eq!(store.position(), Position(2), "nothing of it is kept");
    assert!(
        projector.apply(&decoded(&log[2..])).is_err(),
        "it stays stopped"
    );
    stopped.code()
}

#[test]
fn what_intake_never_writes_stops_the_projection_with_its_code() {
    let grid: AreaCode = area(GRIDS[1]);
    assert_eq!(stopped_by(|event| event.position = Position(4)), Code(309));
    assert_eq!(stopped_by(|event| event.area = grid), Code(318));
    assert_eq!(stopped_by(|event| event.bytes[0] = 9), Code(310));
    assert_eq!(stopped_by(|event| event.bytes.truncate(20)), Code(311));
    assert_eq!(stopped_by(|event| event.bytes.push(0)), Code(312));
    let broken_chain = |event: &mut RawEvent| {
        let (mut header, payload) = Header::decode(&event.bytes).unwrap();
        header.previous.0[0] ^= 1;
        event.bytes = header.encode(payload);
    };
    assert_eq!(stopped_by(broken_chain), Code(317));
    let unknown = |event: &mut RawEvent| {
        let (mut header, payload) = Header::decode(&event.bytes).unwrap();
        header.event_type = 999;
        event.bytes = header.encode(payload);
    };
    assert_eq!(stopped_by(unknown), Code(313));
    let second_report = |event: &mut RawEvent| {
        let (mut header, payload) = Header::decode(&event.bytes).unwrap();
        header.aggregate = case_id(1).into();
        event.bytes = header.encode(payload);
    };
    assert_eq!(stopped_by(second_report), Code(316));
}
