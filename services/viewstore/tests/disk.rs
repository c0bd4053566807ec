//! The folder of a store stays in bounds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use gridkeeper_proto::envelope::Position;
use gridkeeper_viewstore::{Changes, Checksum, Error, Opened, Options, Schema, ViewStore};

const SCHEMA: Schema = Schema {
    name: "disk",
    version: 1,
};

/// As many as a flush a second makes in a day.
const FLUSHES_OF_A_DAY: u64 = 86_400;

fn bytes_in(path: &Path) -> u64 {
    match fs::metadata(path) {
        Ok(file) if !file.is_dir() => file.len(),
        Ok(_) => fs::read_dir(path)
            .unwrap()
            .map(|entry| bytes_in(&entry.unwrap().path()))
            .sum(),
        Err(_) => 0,
    }
}

/// Small changes like those of a quiet district: each touches a case, its due time, and figures of
/// its grid, community and district.
struct Trickle {
    seed: u64,
    cases: u64,
    flushes: u64,
}

impl Trickle {
    fn new() -> Self {
        Self {
            seed: 0x9e37_79b9_7f4a_7c15,
            cases: 0,
            flushes: 0,
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 11) % below
    }

    fn value(&mut self, length: usize) -> Vec<u8> {
        let random = self.random(1 << 40);
        let mut value = random.to_be_bytes().to_vec();
        value.resize(length, u8::try_from(random % 251).unwrap());
        value
    }

    /// Changes the next case: a new one each fifth time, otherwise one of the latest few hundred.
    fn next(&mut self, changes: &mut Changes) {
        self.flushes += 1;
        let day = u32::try_from(self.flushes / (FLUSHES_OF_A_DAY / 4)).unwrap();
        let case = match self.flushes % 5 {
            1 => {
                self.cases += 1;
                self.cases
            }
            _ => self.cases - self.random(self.cases.min(300)),
        };
        let grid = case.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 519;
        for (area, length) in [
            (format!("1{grid:03}"), 250),
            (format!("2{:03}", grid / 8), 600),
            ("3000".to_owned(), 2_400),
        ] {
            let figures = self.value(length);
            if length < 300 {
                changes
                    .put(format!("d{area}{day:04}"), &figures[..100])
                    .unwrap();
            }
            changes.put(format!("a{area}"), figures).unwrap();
        }
        let view = self.value(500);
        changes.put(format!("c{case:012}"), view).unwrap();
        match self.flushes % 5 {
            1 => changes.put(format!("t{case:012}"), self.value(20)).unwrap(),
            _ => changes.remove(format!("t{case:012}")).unwrap(),
        }
    }
}

/// What views may take in any case: less than by default, so that tests reach it.
const ALLOWED: u64 = 16 << 20;

fn open(folder: &Path) -> (ViewStore, Opened) {
    let options = Options {
        allowed_disk_bytes: ALLOWED,
        ..Options::default()
    };
    ViewStore::open(folder, SCHEMA, options).unwrap()
}

/// What all generations may take.
fn bound(live: u64) -> u64 {
    ALLOWED.max(4 * live)
}

/// Compacts, and looks at the folder while both generations are there.
fn compact(store: &ViewStore) {
    let (compaction, ()) = store.compact(|| Ok(())).unwrap();
    let live = store.disk_use().unwrap().live;
    let both = bytes_in(store.folder());
    assert!(both <= bound(live), "{both} bytes for {live}");
    let compacted = compaction.remove_old().unwrap();
    assert!(compacted.after < (1 << 20) + live * 2, "{compacted:?}");
    assert!(bytes_in(store.folder()) < both);
}

fn live_bytes(store: &ViewStore) -> u64 {
    store.read(|reader| {
        let entries = reader.range(..).map(Result::unwrap);
        let bytes = entries.map(|entry| entry.key.len() + entry.value.len());
        bytes.sum::<usize>().try_into().unwrap()
    })
}

/// The store opened again holds the same, and counts the same.
fn reopened(store: ViewStore) -> (ViewStore, Checksum) {
    let (folder, sum) = (store.folder().to_owned(), store.checksum().unwrap());
    let live = store.disk_use().unwrap().live;
    assert_eq!(live, live_bytes(&store));
    drop(store);
    let (store, opened) = open(&folder);
    assert_eq!(opened, Opened::Continued);
    assert_eq!(store.checksum().unwrap(), sum);
    assert_eq!(store.disk_use().unwrap().live, live);
    (store, sum)
}

#[test]
fn a_day_of_small_flushes_leaves_the_folder_in_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let mut trickle = Trickle::new();
    for flush in 1..=FLUSHES_OF_A_DAY {
        let mut changes = store.changes();
        trickle.next(&mut changes);
        changes.commit(Position(flush)).unwrap();
        store.flush().unwrap();
        if store.disk_use_is_outdated() || flush % 200 == 0 {
            let disk_use = store.disk_use().unwrap();
            let (taken, most) = (bytes_in(folder.path()), bound(disk_use.live));
            assert!(taken <= most, "{taken} of {most} bytes after flush {flush}");
            if store.asks_for_compaction(&disk_use) {
                compact(&store);
            }
        }
    }
    reopened(store);
}

#[test]
fn large_flushes_leave_the_folder_in_bounds_and_so_do_compactions_between_them() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    for flush in 1..=30_u64 {
        let mut changes = store.changes();
        for number in 0..9_000_u64 {
            // Every third, in turns, so that each page is changed a little.
            if number % 3 == flush % 3 {
                let value = vec![u8::try_from(flush).unwrap(); 300];
                changes.put(format!("k{number:05}"), value).unwrap();
            }
        }
        changes.commit(Position(flush)).unwrap();
        store.flush().unwrap();
        let disk_use = store.disk_use().unwrap();
        let (taken, most) = (bytes_in(folder.path()), bound(disk_use.live));
        assert!(taken <= most, "{taken} of {most} bytes after flush {flush}");
        if store.asks_for_compaction(&disk_use) || flush % 10 == 0 {
            compact(&store);
        }
    }
    reopened(store);
}

/// Entries that all hold the position's number.
fn put_all(store: &ViewStore, position: u64) {
    let mut changes = store.changes();
    for number in 0..2_000_u32 {
        changes.put_value(format!("k{number}"), &position).unwrap();
    }
    changes.commit(Position(position)).unwrap();
}

#[test]
fn readers_see_one_position_and_commits_go_on_all_through_a_compaction() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    put_all(&store, 1);
    store.flush().unwrap();
    let over = AtomicBool::new(false);
    let read_once = |store: &ViewStore| {
        store.read(|reader| {
            let position = reader.position().0;
            let values = reader.range(..).values::<u64>();
            let all = values.map(|entry| assert_eq!(entry.unwrap().1, position));
            assert_eq!(all.count(), 2_000);
            position
        })
    };
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut last = 0;
            while !over.load(Ordering::Relaxed) {
                let position = read_once(&store);
                assert!(position >= last);
                last = position;
            }
            last
        });
        for round in 0..8 {
            let position = 2 + round * 2;
            put_all(&store, position);
            let before = store.generation();
            let (compaction, flushing) = store
                .compact(|| {
                    // Flushes wait, commits and readers do not.
                    let flushing = scope.spawn(|| store.flush());
                    put_all(&store, position + 1);
                    assert_eq!(read_once(&store), position + 1);
                    Ok(flushing)
                })
                .unwrap();
            flushing.join().unwrap().unwrap();
            assert_eq!(store.position(), Position(position + 1));
            assert_eq!(before.position(), store.position());
            assert!(before.diff(&store.generation(), 1).unwrap().is_empty());
            let late = before.changes().commit(Position(position + 2));
            assert!(matches!(late, Err(Error::Retired { .. })), "{late:?}");
            drop(before);
            compaction.remove_old().unwrap();
        }
        over.store(true, Ordering::Relaxed);
        assert!(reading.join().unwrap() > 1);
    });
    let (store, _) = reopened(store);
    assert_eq!(read_once(&store), 17);
    assert_eq!(store.disk_use().unwrap().others, 0);
}

#[test]
fn a_compaction_and_a_rebuild_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    put_all(&store, 1);
    store.flush().unwrap();
    let rebuild = store.begin_rebuild().unwrap();
    let refused = store.compact(|| Ok(())).map(drop);
    assert!(
        matches!(refused, Err(Error::RebuildRunning { .. })),
        "{refused:?}"
    );
    drop(rebuild);
    let (compaction, ()) = store
        .compact(|| {
            let refused = store.begin_rebuild().map(drop);
            assert!(
                matches!(refused, Err(Error::CompactionRunning { .. })),
                "{refused:?}"
            );
            let refused = store.compact(|| Ok(())).map(drop);
            assert!(
                matches!(refused, Err(Error::CompactionRunning { .. })),
                "{refused:?}"
            );
            Ok(())
        })
        .unwrap();
    compaction.remove_old().unwrap();
    drop(store.begin_rebuild().unwrap());
}

#[test]
fn a_compaction_that_is_given_up_or_refused_leaves_the_views_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    put_all(&store, 1);
    store.flush().unwrap();
    let (number, sum) = (store.generation().number(), store.checksum().unwrap());
    let refused: Result<(_, ()), _> = store.compact(|| Err(Error::Retired { number: 7 }));
    assert!(matches!(refused, Err(Error::Retired { number: 7 })));
    store.abandon_compaction();
    let refused = store.compact(|| Ok(())).map(drop);
    assert!(
        matches!(refused, Err(Error::CompactionAbandoned { .. })),
        "{refused:?}"
    );
    put_all(&store, 2);
    store.flush().unwrap();
    assert_eq!(store.disk_use().unwrap().others, 0);
    assert_eq!(store.generation().number(), number);
    assert_ne!(store.checksum().unwrap(), sum);
    reopened(store);
}

#[test]
fn the_generation_before_is_kept_after_a_rebuild_until_its_room_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let rebuild = |position: u64, bytes: usize| {
        let rebuild = store.begin_rebuild().unwrap();
        let mut changes = rebuild.generation().changes();
        for number in 0..bytes / 1_000 {
            changes.put(format!("k{number}"), vec![7; 1_000]).unwrap();
        }
        changes.commit(Position(position)).unwrap();
        rebuild.promote().unwrap();
    };
    rebuild(1, 100_000);
    rebuild(2, 100_000);
    let disk_use = store.disk_use().unwrap();
    assert!(disk_use.others > 100_000, "{disk_use:?}");
    fs::create_dir(folder.path().join("corrupt-000001")).unwrap();
    fs::write(folder.path().join("corrupt-000001/db"), [0; 5_000]).unwrap();
    let filler = store.folder().join("gen-000002/filler");
    fs::write(filler, vec![0; usize::try_from(ALLOWED).unwrap()]).unwrap();
    let disk_use = store.disk_use().unwrap();
    assert_eq!((disk_use.others, disk_use.set_aside), (0, 5_000));
    assert_eq!(store.checksum().unwrap().position, Position(2));
}
