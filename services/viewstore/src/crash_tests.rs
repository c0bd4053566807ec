//! Crashes: of a process that is killed, and at each point of a promotion.

use std::{
    collections::BTreeMap,
    env,
    fmt::Debug,
    fs,
    path::Path,
    process::{Child, Command, Stdio, abort},
    sync::Arc,
    time::{Duration, Instant},
};

use gridkeeper_proto::envelope::Position;
use proptest::prelude::*;

use crate::{
    Changes, Generation, Opened, Options, Positioned, Projection, ProjectionError, Projector,
    Schema, ViewStore, compaction, database::open_database, flush, rebuild::Step,
};

const SCHEMA: Schema = Schema {
    name: "crash",
    version: 1,
};

const FOLDER: &str = "GRIDKEEPER_CRASH_FOLDER";
const STEP: &str = "GRIDKEEPER_CRASH_STEP";

fn open(folder: &Path) -> (ViewStore, Opened) {
    ViewStore::open(folder, SCHEMA, Options::default()).unwrap()
}

/// An event that adds to one of 64 sums, or removes it.
#[derive(Clone, Copy, Debug)]
struct Event {
    position: u64,
    key: u8,
    add: Option<u32>,
}

impl Event {
    /// The event that stands at a position in a log that needs no storing.
    fn at(position: u64) -> Self {
        let mixed = position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        Self {
            position,
            key: u8::try_from(mixed % 64).unwrap(),
            add: (!mixed.is_multiple_of(11)).then(|| u32::try_from(mixed % 1_000).unwrap()),
        }
    }
}

impl Positioned for Event {
    fn position(&self) -> Position {
        Position(self.position)
    }
}

struct Sums;

impl Projection<Event> for Sums {
    fn fold(&mut self, events: &[Event], changes: &mut Changes) -> Result<(), ProjectionError> {
        for event in events {
            let failed = |error| ProjectionError::new(event.position(), error);
            let key = [b's', event.key];
            match event.add {
                Some(add) => {
                    let sum: u64 = changes.value(&key).map_err(failed)?.unwrap_or(0);
                    changes
                        .put_value(key, &(sum + u64::from(add)))
                        .map_err(failed)?;
                }
                None => changes.remove(key).map_err(failed)?,
            }
        }
        Ok(())
    }
}

fn plain_fold(events: impl IntoIterator<Item = Event>) -> BTreeMap<u8, u64> {
    let mut sums = BTreeMap::new();
    for event in events {
        match event.add {
            Some(add) => *sums.entry(event.key).or_default() += u64::from(add),
            None => {
                sums.remove(&event.key);
            }
        }
    }
    sums
}

fn sums(store: &ViewStore) -> BTreeMap<u8, u64> {
    store.read(|reader| {
        let entries = reader.prefix(b"s", None).values::<u64>();
        entries
            .map(|entry| entry.map(|(key, sum)| (key[1], sum)).unwrap())
            .collect()
    })
}

fn log_up_to(position: Position) -> impl Iterator<Item = Event> {
    (1..=position.0).map(Event::at)
}

/// What follows a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Nothing,
    Flush,
    Reopen,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_batches_with_reopening_between_give_the_plain_fold_bit_for_bit(
        adds in prop::collection::vec((0_u8..8, prop::option::weighted(0.9, 0_u32..100)), 1..200),
        cuts in prop::collection::vec(
            (1_usize..40, prop::sample::select(vec![Then::Nothing, Then::Flush, Then::Reopen]), 0_usize..5),
            1..12,
        ),
    ) {
        let events: Vec<_> = (1..)
            .zip(adds)
            .map(|(position, (key, add))| Event { position: position * 2, key, add })
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path()).0;
        let mut done = 0;
        for (size, then, repeat) in cuts.into_iter().cycle() {
            let batch = &events[done - repeat.min(done)..events.len().min(done + size)];
            Projector::new(store.generation(), Sums).apply(batch).unwrap();
            done = events.len().min(done + size);
            if then != Then::Nothing {
                store.flush().unwrap();
            }
            if then == Then::Reopen {
                drop(store);
                let (again, opened) = open(folder.path());
                prop_assert_eq!(opened, Opened::Continued);
                store = again;
            }
            prop_assert_eq!(store.position(), events[done - 1].position());
            prop_assert_eq!(sums(&store), plain_fold(events[..done].iter().copied()));
            if done == events.len() {
                break;
            }
        }
        let other = tempfile::tempdir().unwrap();
        let (whole, _) = open(other.path());
        Projector::new(whole.generation(), Sums).apply(&events).unwrap();
        prop_assert_eq!(whole.checksum().unwrap(), store.checksum().unwrap());
        prop_assert!(whole.generation().diff(&store.generation(), 1).unwrap().is_empty());
    }
}

#[test]
fn an_entry_that_was_lost_or_is_older_than_its_position_is_noticed_at_opening() {
    let older = |database: &sled::Db| {
        database.insert(b"a", b"1").unwrap();
    };
    let lost = |database: &sled::Db| {
        database.remove(b"b").unwrap();
    };
    // As it is in the middle of a flush whose journal is lost.
    let interrupted = |database: &sled::Db| {
        database.remove(crate::generation::COMMITTED).unwrap();
    };
    let damages: [&dyn Fn(&sled::Db); 3] = [&older, &lost, &interrupted];
    for damage in damages {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = open(folder.path());
        for (position, value) in [(1, b"1"), (2, b"2")] {
            let mut changes = store.changes();
            changes.put(b"a", value).unwrap();
            changes.put(b"b", b"3").unwrap();
            changes.commit(Position(position)).unwrap();
            store.flush().unwrap();
        }
        let generation = store.generation().folder().to_owned();
        drop(store);
        damage(&open_database(&generation, &Options::default()).unwrap());
        let (store, opened) = open(folder.path());
        assert!(matches!(opened, Opened::Quarantined { .. }), "{opened:?}");
        assert_eq!(store.checksum().unwrap().entries, 0);
    }
}

#[test]
fn damage_anywhere_in_the_file_leaves_whole_views_of_some_position_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let mut sums = Vec::new();
    for position in 1..=300 {
        let mut changes = store.changes();
        for key in 0..20_u64 {
            // Rewritten again and again, so that the file reuses its segments.
            let key = (key * 7 + position) % 150;
            let value = vec![u8::try_from(position % 251).unwrap(); 400];
            changes.put(format!("k{key}"), value).unwrap();
        }
        changes.commit(Position(position)).unwrap();
        sums.push(store.checksum().unwrap());
        if position % 10 == 0 {
            store.flush().unwrap();
        }
    }
    let source = store.generation().folder().to_owned();
    drop(store);
    let len = fs::metadata(source.join("db")).unwrap().len();
    let mut hit = 0;
    for part in 0..24 {
        let copy = tempfile::tempdir().unwrap();
        let generation = copy.path().join("gen-000001");
        fs::create_dir_all(generation.join("blobs")).unwrap();
        fs::write(copy.path().join("current"), "1\n").unwrap();
        for entry in fs::read_dir(&source).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), generation.join(entry.file_name())).unwrap();
            }
        }
        let mut bytes = fs::read(generation.join("db")).unwrap();
        let from = usize::try_from(len * part / 24).unwrap();
        bytes
            .iter_mut()
            .skip(from)
            .take(600)
            .for_each(|byte| *byte ^= 0x5a);
        fs::write(generation.join("db"), bytes).unwrap();
        let (store, opened) = open(copy.path());
        if opened == Opened::Continued {
            // The place held nothing that is still of use, or sled went back to before it.
            let sum = store.checksum().unwrap();
            assert!(sums.contains(&sum), "part {part} at {}", sum.position);
            hit += u32::from(sum.position < Position(300));
        } else {
            assert!(
                matches!(opened, Opened::Quarantined { .. }),
                "part {part}: {opened:?}"
            );
            assert_eq!(store.position(), Position(0));
            hit += 1;
        }
    }
    assert!(hit > 0, "no damage hit anything");
}

/// Runs one test of this binary as a process of its own.
fn child(test: &str, folder: &Path, step: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", test])
        .env(FOLDER, folder)
        .env(STEP, step)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets a process abort at a step, and opens what it left, which has to be sound.
fn opened_after_crash(test: &str, folder: &Path, step: impl Debug) -> ViewStore {
    let mut child = child(test, folder, &format!("{step:?}"));
    assert!(!child.wait().unwrap().success(), "no crash at {step:?}");
    let (store, opened) = open(folder);
    assert_eq!(opened, Opened::Continued, "{step:?}");
    store
}

/// Folds for ever, when started by the test below; by itself it does nothing.
#[test]
fn child_that_folds_until_it_is_killed() {
    let Some(folder) = env::var_os(FOLDER) else {
        return;
    };
    let (store, _) = open(folder.as_ref());
    let mut projector = Projector::new(store.generation(), Sums);
    loop {
        let from = projector.position().0 + 1;
        let size = 1 + from % 97;
        let batch: Vec<_> = (from..from + size).map(Event::at).collect();
        projector.apply(&batch).unwrap();
        if from % 5 == 0 {
            store.flush().unwrap();
            // Tells the parent that something is there to lose.
            fs::write(
                Path::new(&folder).join("progress"),
                projector.position().to_string(),
            )
            .unwrap();
        }
    }
}

#[test]
fn a_killed_process_leaves_position_and_views_that_agree() {
    let folder = tempfile::tempdir().unwrap();
    let progress = folder.path().join("progress");
    let mut before = Position(0);
    for round in 0..6_u64 {
        let _ = fs::remove_file(&progress);
        let mut child = child(
            "crash_tests::child_that_folds_until_it_is_killed",
            folder.path(),
            "",
        );
        let began = Instant::now();
        let lasting = Duration::from_millis(round * 37);
        while !progress.exists() || began.elapsed() < lasting {
            assert!(
                child.try_wait().unwrap().is_none(),
                "the child ended by itself"
            );
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "the child makes no progress"
            );
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let (store, opened) = open(folder.path());
        assert_eq!(opened, Opened::Continued, "round {round}");
        assert!(
            store.position() > before,
            "nothing was kept in round {round}: {opened:?}"
        );
        assert_eq!(
            sums(&store),
            plain_fold(log_up_to(store.position())),
            "round {round}"
        );
        before = store.position();
    }
}

/// Entries that each flush replaces, removes or adds.
fn change(generation: &Arc<Generation>, position: u64) {
    let mut changes = generation.changes();
    for number in 0..3_000_u32 {
        let key = [&[b'k'][..], &number.to_be_bytes()].concat();
        match (u64::from(number) + position) % 3 {
            0 => changes.remove(key).unwrap(),
            _ => changes.put_value(key, &position).unwrap(),
        }
    }
    changes.commit(Position(position)).unwrap();
}

/// Flushes and aborts at the step that its environment names.
#[test]
fn child_that_aborts_while_flushing() {
    let (Some(folder), Ok(wanted)) = (env::var_os(FOLDER), env::var(STEP)) else {
        return;
    };
    let (store, _) = open(folder.as_ref());
    let generation = store.generation();
    change(&generation, 2);
    generation
        .flush_observed(|step| {
            if format!("{step:?}") == wanted {
                // Or most of it would still lie in sled's buffers.
                generation.database.flush().unwrap();
                abort();
            }
        })
        .unwrap();
}

#[test]
fn a_crash_at_any_point_of_a_flush_leaves_the_views_before_or_after_it() {
    let sums = [1, 2].map(|last| {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = open(folder.path());
        for position in 1..=last {
            change(&store.generation(), position);
        }
        store.checksum().unwrap()
    });
    for (step, position) in [
        (flush::Step::JournalWritten, 1),
        (flush::Step::PositionRemoved, 2),
        (flush::Step::HalfWritten, 2),
        (flush::Step::AllWritten, 2),
        (flush::Step::Handed, 2),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = open(folder.path());
        change(&store.generation(), 1);
        store.flush().unwrap();
        drop(store);
        let store = opened_after_crash(
            "crash_tests::child_that_aborts_while_flushing",
            folder.path(),
            step,
        );
        assert_eq!(store.position(), Position(position), "{step:?}");
        assert!(sums.contains(&store.checksum().unwrap()), "{step:?}");
        // It goes on as if nothing had been.
        change(&store.generation(), 3);
        store.flush().unwrap();
        drop(store);
        assert_eq!(open(folder.path()).0.position(), Position(3), "{step:?}");
    }
}

/// Promotes and aborts at the step that its environment names.
#[test]
fn child_that_aborts_while_promoting() {
    let (Some(folder), Ok(wanted)) = (env::var_os(FOLDER), env::var(STEP)) else {
        return;
    };
    let (store, _) = open(folder.as_ref());
    let rebuild = store.begin_rebuild().unwrap();
    let batch: Vec<_> = log_up_to(Position(50)).collect();
    Projector::new(rebuild.generation(), Sums)
        .apply(&batch)
        .unwrap();
    rebuild
        .promote_observed(|step| {
            if format!("{step:?}") == wanted {
                abort();
            }
        })
        .unwrap();
}

#[test]
fn a_crash_at_any_point_of_a_promotion_leaves_the_old_or_the_new_views() {
    for (step, expected) in [
        (Step::Flushed, 30),
        (Step::PointerWritten, 30),
        (Step::PointerMoved, 50),
        (Step::OlderRemoved, 50),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = open(folder.path());
        let batch: Vec<_> = log_up_to(Position(30)).collect();
        Projector::new(store.generation(), Sums)
            .apply(&batch)
            .unwrap();
        store.flush().unwrap();
        drop(store);
        let store = opened_after_crash(
            "crash_tests::child_that_aborts_while_promoting",
            folder.path(),
            step,
        );
        assert_eq!(store.position(), Position(expected), "{step:?}");
        assert_eq!(
            sums(&store),
            plain_fold(log_up_to(Position(expected))),
            "{step:?}"
        );
        let newest = fs::read_dir(folder.path())
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
            .filter(|name| name.starts_with("gen-"))
            .max();
        let serving = store.generation().folder().file_name().unwrap().to_owned();
        assert_eq!(newest.map(Into::into), Some(serving), "{step:?}");
        // A rebuild is possible again.
        drop(store.begin_rebuild().unwrap());
    }
}

/// Compacts and aborts at the step that its environment names.
#[test]
fn child_that_aborts_while_compacting() {
    let (Some(folder), Ok(wanted)) = (env::var_os(FOLDER), env::var(STEP)) else {
        return;
    };
    let (store, _) = open(folder.as_ref());
    let reached = |step: compaction::Step| {
        if format!("{step:?}") == wanted {
            abort();
        }
    };
    // Committed and not flushed: a crash takes it back.
    change(&store.generation(), 3);
    let (compaction, ()) = store.compact_observed(|| Ok(()), reached).unwrap();
    compaction.remove_old_observed(reached).unwrap();
}

#[test]
fn a_crash_at_any_point_of_a_compaction_leaves_the_views_as_they_were_flushed() {
    use compaction::Step;
    for step in [
        Step::Created,
        Step::HalfCopied,
        Step::Copied,
        Step::PointerWritten,
        Step::PointerMoved,
        Step::OldRemoved,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = open(folder.path());
        change(&store.generation(), 1);
        change(&store.generation(), 2);
        store.flush().unwrap();
        let sum = store.checksum().unwrap();
        drop(store);
        let store = opened_after_crash(
            "crash_tests::child_that_aborts_while_compacting",
            folder.path(),
            step,
        );
        assert_eq!(store.checksum().unwrap(), sum, "{step:?}");
        let moved = matches!(step, Step::PointerMoved | Step::OldRemoved);
        assert_eq!(
            store.generation().number(),
            1 + u64::from(moved),
            "{step:?}"
        );
        assert_eq!(store.disk_use().unwrap().others, 0, "{step:?}");
        // It goes on as if nothing had been.
        change(&store.generation(), 3);
        store.flush().unwrap();
        store.compact(|| Ok(())).unwrap().0.remove_old().unwrap();
        drop(store);
        assert_eq!(open(folder.path()).0.position(), Position(3), "{step:?}");
    }
}
