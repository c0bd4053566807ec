//! What a store promises, shown on real folders.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{fs, path::Path, sync::Arc, time::Duration};

use gridkeeper_proto::{
    code::{Code, Coded},
    envelope::Position,
};
use gridkeeper_viewstore::{
    Changes, Difference, Error, Generation, Opened, Options, Positioned, Projection,
    ProjectionError, Projector, Schema, ViewStore,
};

const SCHEMA: Schema = Schema {
    name: "test",
    version: 1,
};

fn open(folder: &Path) -> (ViewStore, Opened) {
    ViewStore::open(folder, SCHEMA, Options::default()).unwrap()
}

fn put(generation: &Arc<Generation>, position: u64, entries: &[(&str, u32)]) {
    let mut changes = generation.changes();
    for (key, value) in entries {
        changes.put_value(*key, value).unwrap();
    }
    changes.commit(Position(position)).unwrap();
}

fn value(store: &ViewStore, key: &str) -> Option<u32> {
    store.read(|reader| reader.value(key.as_bytes())).unwrap()
}

#[test]
fn changes_are_seen_before_they_are_committed_and_only_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let (store, opened) = open(folder.path());
    assert_eq!(opened, Opened::Created);
    put(&store.generation(), 1, &[("a1", 1), ("a3", 3), ("b1", 9)]);

    let mut changes = store.changes();
    changes.put_value("a2", &2_u32).unwrap();
    changes.put_value("a3", &33_u32).unwrap();
    changes.put_value("a3", &34_u32).unwrap();
    changes.remove("a1").unwrap();
    changes.remove("a9").unwrap();
    assert_eq!(changes.value::<u32>(b"a1").unwrap(), None);
    assert_eq!(changes.value::<u32>(b"a3").unwrap(), Some(34));
    assert_eq!(changes.value::<u32>(b"b1").unwrap(), Some(9));
    assert_eq!(changes.touched(), 4);
    let keys = |prefix: &[u8], after| {
        changes
            .prefix(prefix, after)
            .map(|entry| String::from_utf8(entry.unwrap().key).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(b"a", None), ["a2", "a3"]);
    assert_eq!(keys(b"a", Some(b"a2".as_slice())), ["a3"]);
    assert_eq!(keys(b"", None), ["a2", "a3", "b1"]);
    assert_eq!(value(&store, "a1"), Some(1));

    changes.commit(Position(7)).unwrap();
    assert_eq!(store.position(), Position(7));
    let all = store.read(|reader| {
        assert_eq!(reader.position(), Position(7));
        let entries = reader.range(..).values::<u32>();
        entries.map(Result::unwrap).collect::<Vec<_>>()
    });
    let expected = [("a2", 2), ("a3", 34), ("b1", 9)];
    assert_eq!(
        all,
        expected.map(|(key, value)| (key.as_bytes().to_vec(), value))
    );
}

#[test]
fn ranges_hold_their_bounds_and_may_be_empty() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    put(&store.generation(), 1, &[("a", 1), ("b", 2), ("c", 3)]);
    let count = |from: &[u8], to: &[u8]| store.read(|reader| reader.range(from..to).count());
    assert_eq!(count(b"a", b"c"), 2);
    assert_eq!(count(b"", b"b"), 1);
    assert_eq!(count(b"c", b"a"), 0);
    let changes = store.changes();
    assert_eq!(changes.range(b"c".as_slice()..b"a".as_slice()).count(), 0);
    assert_eq!(store.read(|reader| reader.prefix(&[0xff], None).count()), 0);
}

#[test]
fn reopening_continues_at_the_position_of_the_last_flush() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    put(&store.generation(), 5, &[("a", 1)]);
    let before = store.checksum().unwrap();
    store.flush().unwrap();
    put(&store.generation(), 6, &[("a", 2), ("b", 1)]);
    drop(store);
    let (store, opened) = open(folder.path());
    assert_eq!(opened, Opened::Continued);
    assert_eq!(store.checksum().unwrap(), before);
    assert_eq!(*store.subscribe().borrow(), Position(5));
}

#[test]
fn a_folder_in_use_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, _) = open(folder.path());
    let refused = ViewStore::open(folder.path(), SCHEMA, Options::default()).unwrap_err();
    assert_eq!(refused.code(), Code(400));
    assert!(
        refused
            .to_string()
            .contains(&*folder.path().to_string_lossy())
    );
}

#[test]
fn a_segment_size_out_of_range_is_refused_and_sets_nothing_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    put(&store.generation(), 3, &[("a", 1)]);
    drop(store);
    for segment_bytes in [0, 100, 65_537, 32 << 20] {
        let options = Options {
            segment_bytes,
            ..Options::default()
        };
        let refused = ViewStore::open(folder.path(), SCHEMA, options).unwrap_err();
        assert_eq!(refused.code(), Code(414));
    }
    assert_eq!(open(folder.path()).1, Opened::Continued);
}

#[test]
fn a_stale_writer_is_fenced() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    put(&store.generation(), 3, &[("a", 1)]);
    let mut stale = store.changes();
    stale.put_value("a", &99_u32).unwrap();
    put(&store.generation(), 4, &[("a", 2)]);
    let refused = stale.commit(Position(5)).unwrap_err();
    assert!(matches!(
        refused,
        Error::Stale {
            stored: Position(4),
            based_on: Position(3),
            ..
        }
    ));
    let repeated = store.changes().commit(Position(4)).unwrap_err();
    assert_eq!(repeated.code(), Code(404));
    assert_eq!(
        (value(&store, "a"), store.position()),
        (Some(2), Position(4))
    );
}

#[test]
fn keys_of_the_store_itself_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let mut changes = store.changes();
    assert_eq!(changes.put("", "x").unwrap_err().code(), Code(410));
    assert_eq!(changes.remove([0, b'p']).unwrap_err().code(), Code(410));
    assert_eq!(store.checksum().unwrap().entries, 0);
}

#[test]
fn views_of_another_schema_are_dropped_and_not_called_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    put(&store.generation(), 3, &[("a", 1)]);
    drop(store);
    let newer = Schema {
        version: 2,
        ..SCHEMA
    };
    let (store, opened) = ViewStore::open(folder.path(), newer, Options::default()).unwrap();
    assert_eq!(
        opened,
        Opened::OtherSchema {
            found: "test 1".to_owned()
        }
    );
    assert_eq!((store.position(), value(&store, "a")), (Position(0), None));
    assert!(!folder.path().join("gen-000001").exists());
    assert!(!folder.path().join("corrupt-000001").exists());
}

fn database_file(folder: &Path) -> std::path::PathBuf {
    folder.join("gen-000001").join("db")
}

/// Fills a store, closes it, damages it, and shows that it is set aside.
fn quarantined_after(damage: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    for position in 1..200 {
        let mut changes = store.changes();
        let key = position.to_string();
        changes.put(key, vec![7; 2_000]).unwrap();
        changes.commit(Position(position)).unwrap();
    }
    store.flush().unwrap();
    drop(store);
    damage(folder.path());
    let (store, opened) = open(folder.path());
    let Opened::Quarantined { moved_to, .. } = opened else {
        panic!(
            "damage was not noticed: {opened:?}, {:?}, {:?}",
            store.position(),
            store.checksum()
        );
    };
    assert!(moved_to.unwrap().ends_with("corrupt-000001"));
    assert!(folder.path().join("corrupt-000001").exists());
    assert_eq!(
        (store.position(), store.checksum().unwrap().entries),
        (Position(0), 0)
    );
    put(&store.generation(), 1, &[("a", 1)]);
    drop(store);
    assert_eq!(open(folder.path()).1, Opened::Continued);
}

#[test]
fn an_emptied_file_is_set_aside() {
    quarantined_after(|folder| {
        fs::write(database_file(folder), b"").unwrap();
        for entry in fs::read_dir(folder.join("gen-000001")).unwrap() {
            let path = entry.unwrap().path();
            if path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("snap")
            {
                fs::remove_file(path).unwrap();
            }
        }
    });
}

#[test]
fn a_garbled_configuration_is_set_aside() {
    quarantined_after(|folder| {
        fs::write(folder.join("gen-000001").join("conf"), [0xff; 64]).unwrap();
    });
}

#[test]
fn a_half_written_snapshot_is_set_aside_or_ignored_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    put(&store.generation(), 3, &[("a", 1)]);
    store.flush().unwrap();
    drop(store);
    let snapshot = folder
        .path()
        .join("gen-000001/snap.0000000000000000.generating");
    fs::write(snapshot, [1, 2, 3]).unwrap();
    let (store, opened) = open(folder.path());
    let views = (store.position(), value(&store, "a"));
    match opened {
        Opened::Continued => assert_eq!(views, (Position(3), Some(1))),
        _ => assert_eq!(views, (Position(0), None)),
    }
}

#[test]
fn a_value_that_does_not_decode_is_an_error_and_sets_the_views_aside_at_the_next_open() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let mut changes = store.changes();
    changes.put("a", [1, 5, 0]).unwrap();
    changes.commit(Position(1)).unwrap();
    let refused = store.read(|reader| reader.value::<u8>(b"a")).unwrap_err();
    assert_eq!(refused.code(), Code(403));
    drop(store);
    assert!(matches!(open(folder.path()).1, Opened::Quarantined { .. }));
}

#[test]
fn a_pointer_to_nothing_and_a_garbled_pointer_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    put(&store.generation(), 3, &[("a", 1)]);
    drop(store);
    fs::remove_dir_all(folder.path().join("gen-000001")).unwrap();
    let (store, opened) = open(folder.path());
    assert!(matches!(opened, Opened::Missing { .. }));
    drop(store);
    fs::write(folder.path().join("current"), "gen").unwrap();
    let (store, opened) = open(folder.path());
    assert!(matches!(opened, Opened::Quarantined { moved_to: None, .. }));
    assert_eq!(store.position(), Position(0));
}

#[test]
fn a_rebuild_is_compared_and_takes_over_for_every_reader() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    put(&store.generation(), 3, &[("a", 1), ("b", 2), ("c", 3)]);
    let (reader, positions, late) = (store.clone(), store.subscribe(), store.changes());

    let rebuild = store.begin_rebuild().unwrap();
    assert_eq!(store.begin_rebuild().unwrap_err().code(), Code(406));
    put(&rebuild, 2, &[("a", 1)]);
    assert_eq!(
        store.generation().diff(&rebuild, 9).unwrap_err().code(),
        Code(409)
    );
    put(&rebuild, 3, &[("b", 4), ("d", 5)]);
    let diff = store.generation().diff(&rebuild, 2).unwrap();
    assert_eq!(
        (diff.equal, diff.only_left, diff.only_right, diff.different),
        (1, 1, 1, 1)
    );
    assert_eq!(
        diff.first,
        [
            (b"b".to_vec(), Difference::Value),
            (b"c".to_vec(), Difference::OnlyLeft)
        ]
    );
    assert_eq!(*positions.borrow(), Position(3));
    put(&rebuild, 6, &[("e", 6)]);
    assert_eq!(value(&reader, "e"), None);
    rebuild.promote().unwrap();

    assert_eq!(
        (value(&reader, "e"), *positions.borrow()),
        (Some(6), Position(6))
    );
    assert_eq!(late.commit(Position(9)).unwrap_err().code(), Code(405));
    put(&reader.generation(), 7, &[("f", 7)]);
    assert_eq!(*positions.borrow(), Position(7));
    assert!(folder.path().join("gen-000001").exists());
    store.flush().unwrap();
    drop((store, reader));
    let (store, opened) = open(folder.path());
    assert_eq!((opened, store.position()), (Opened::Continued, Position(7)));
    let third = store.begin_rebuild().unwrap();
    put(&third, 7, &[("a", 1)]);
    third.promote().unwrap();
    assert!(!folder.path().join("gen-000001").exists());
    assert!(folder.path().join("gen-000002").exists());
}

#[test]
fn a_rebuild_that_is_behind_does_not_take_over() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    put(&store.generation(), 3, &[("a", 1)]);
    let rebuild = store.begin_rebuild().unwrap();
    put(&rebuild, 2, &[("a", 1)]);
    let abandoned = rebuild.generation();
    assert_eq!(rebuild.promote().unwrap_err().code(), Code(407));
    assert_eq!(value(&store, "a"), Some(1));
    assert!(!abandoned.folder().exists());
    assert_eq!(
        abandoned.changes().commit(Position(9)).unwrap_err().code(),
        Code(405)
    );
    drop(store.begin_rebuild().unwrap());
}

#[tokio::test]
async fn a_reader_waits_for_its_own_write_up_to_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.wait_for(Position(2), Duration::from_secs(30)).await }
    });
    put(&store.generation(), 1, &[("a", 1)]);
    put(&store.generation(), 4, &[("a", 2)]);
    assert_eq!(waiting.await.unwrap().unwrap(), Position(4));
    let late = store
        .wait_for(Position(5), Duration::from_millis(10))
        .await
        .unwrap_err();
    assert!(matches!(
        late,
        Error::NotReached {
            at: Position(4),
            wanted: Position(5),
            ..
        }
    ));
}

#[test]
fn no_commit_lands_between_two_reads_of_one_question() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    put(&store.generation(), 1, &[("a", 1), ("z", 1)]);
    let writer = std::thread::spawn({
        let store = store.clone();
        move || {
            for step in 2_u32..2_000 {
                put(
                    &store.generation(),
                    step.into(),
                    &[("a", step), ("z", step)],
                );
            }
        }
    });
    let flusher = std::thread::spawn({
        let store = store.clone();
        move || {
            while store.position() < Position(1_999) {
                store.flush().unwrap();
            }
        }
    });
    let mut seen = 0;
    while !writer.is_finished() || seen == 0 {
        store.read(|reader| {
            let first = reader.value::<u32>(b"a").unwrap().unwrap();
            let entries = reader.range(..).values::<u32>();
            assert!(entries.map(Result::unwrap).all(|(_, value)| value == first));
            assert_eq!(reader.position(), Position(first.into()));
        });
        seen += 1;
    }
    writer.join().unwrap();
    flusher.join().unwrap();
}

struct Event(u64);

impl Positioned for Event {
    fn position(&self) -> Position {
        Position(self.0)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("thirteen")]
struct Unlucky;

impl Coded for Unlucky {
    fn code(&self) -> Code {
        Code(313)
    }
}

struct Count;

impl Projection<Event> for Count {
    fn fold(&mut self, events: &[Event], changes: &mut Changes) -> Result<(), ProjectionError> {
        for event in events {
            let failed = |error: Error| ProjectionError::new(event.position(), error);
            if event.0 == 13 {
                return Err(ProjectionError::new(event.position(), Unlucky));
            }
            let count: u64 = changes.value(b"count").map_err(failed)?.unwrap_or(0);
            changes.put_value("count", &(count + 1)).map_err(failed)?;
        }
        Ok(())
    }
}

fn events(positions: impl IntoIterator<Item = u64>) -> Vec<Event> {
    positions.into_iter().map(Event).collect()
}

#[test]
fn what_waits_for_a_flush_is_counted_and_a_flush_of_nothing_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let generation = store.generation();
    put(&generation, 1, &[("a", 1), ("b", 2)]);
    put(&generation, 2, &[("a", 3)]);
    assert_eq!(generation.waiting(), 2);
    for _ in 0..2 {
        store.flush().unwrap();
        assert_eq!(generation.waiting(), 0);
        assert_eq!((value(&store, "a"), value(&store, "b")), (Some(3), Some(2)));
    }
    // A batch may change nothing but the position.
    put(&generation, 9, &[]);
    store.flush().unwrap();
    drop((store, generation));
    assert_eq!(open(folder.path()).0.position(), Position(9));
}

#[test]
fn a_projector_folds_several_batches_into_one_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let mut projector = Projector::new(store.generation(), Count);
    projector.fold(&events([1, 2, 4])).unwrap();
    let folded = projector.fold(&events([2, 4, 5])).unwrap();
    assert_eq!(
        (folded.folded, folded.repeated, projector.position()),
        (1, 2, Position(5))
    );
    assert_eq!(store.position(), Position(0), "nothing is committed yet");
    projector.commit().unwrap();
    assert_eq!(store.position(), Position(5));
    let count: Option<u64> = store.read(|reader| reader.value(b"count").unwrap());
    assert_eq!(count, Some(4));
}

#[test]
fn a_projector_leaves_out_what_is_applied_and_counts_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let mut projector = Projector::new(store.generation(), Count);
    projector.apply(&events([1, 2, 4])).unwrap();
    let applied = projector.apply(&events([2, 4, 5, 9])).unwrap();
    assert_eq!(
        (applied.folded, applied.repeated, applied.position),
        (2, 2, Position(9))
    );
    assert_eq!(projector.apply(&events([9])).unwrap().repeated, 1);
    assert_eq!(
        store.read(|reader| reader.value::<u64>(b"count")).unwrap(),
        Some(5)
    );
}

#[test]
fn a_projector_stops_at_an_event_that_does_not_fold_and_skips_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let mut projector = Projector::new(store.generation(), Count);
    projector.apply(&events(1..=10)).unwrap();
    let Error::Projection(stopped) = projector.apply(&events(11..=20)).unwrap_err() else {
        panic!("stopped for another reason");
    };
    assert_eq!(
        (stopped.position, stopped.code()),
        (Position(13), Code(313))
    );
    assert_eq!(
        projector.apply(&events(14..=20)).unwrap_err().code(),
        Code(413)
    );
    assert_eq!(store.position(), Position(10));
}

#[test]
fn a_batch_out_of_order_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let mut projector = Projector::new(store.generation(), Count);
    assert_eq!(
        projector.apply(&events([2, 1])).unwrap_err().code(),
        Code(412)
    );
}
