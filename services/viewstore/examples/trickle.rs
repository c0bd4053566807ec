//! Measures what a trickle of small flushes takes of the disk and of memory: a line for each tenth
//! of the flushes. `cargo run --release --example trickle -p gridkeeper-viewstore -- 86400
//! DIRECTORY`; each flush writes the figures of some ten areas, several kB each, and three cases.
//! Compactions are made as they become due.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it prints what it measures, and fails by panicking"
)]

use std::{
    env, fs,
    path::Path,
    time::{Duration, Instant},
};

use gridkeeper_proto::envelope::Position;
use gridkeeper_viewstore::{Changes, Options, Schema, ViewStore};

const SCHEMA: Schema = Schema {
    name: "trickle",
    version: 1,
};

/// Of the values of grids, communities, streets and the district, in bytes.
const FIGURES: [usize; 4] = [700, 1_500, 3_000, 4_500];

struct Trickle {
    seed: u64,
    cases: u64,
}

impl Trickle {
    fn random(&mut self, below: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 11) % below
    }

    fn value(&mut self, length: usize) -> Vec<u8> {
        let mut value = self.random(1 << 40).to_be_bytes().to_vec();
        value.resize(length, value[7]);
        value
    }

    /// A new case and two of the latest few hundred.
    fn next(&mut self, day: u64, changes: &mut Changes) {
        self.cases += 1;
        for number in 0..3 {
            let case = match number {
                0 => self.cases,
                _ => self.cases - self.random(self.cases.min(600)),
            };
            let grid = case.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 519;
            let areas = [grid, grid / 8, grid / 90, 0];
            for (level, (area, length)) in areas.into_iter().zip(FIGURES).enumerate() {
                let figures = self.value(length);
                let key = format!("a{level}{area:013}");
                changes.put(key, figures.clone()).unwrap();
                let key = format!("d{level}{area:013}{day:04}");
                changes.put(key, figures).unwrap();
            }
            changes.put(format!("h{grid:015}"), self.value(32)).unwrap();
            changes
                .put(format!("c{case:016}"), self.value(800))
                .unwrap();
            let key = format!("l{grid:015}{case:016}");
            changes.put(key, self.value(80)).unwrap();
            let due = format!("t{case:024}");
            match number {
                0 => changes.put(due, self.value(20)).unwrap(),
                _ => changes.remove(due).unwrap(),
            }
        }
    }
}

/// Compacts where it is due, and gives how often.
fn compacted(store: &ViewStore) -> u32 {
    let disk_use = store.disk_use().unwrap();
    if !store.asks_for_compaction(&disk_use) {
        return 0;
    }
    let began = Instant::now();
    let (compaction, ()) = store.compact(|| Ok(())).unwrap();
    let compacted = compaction.remove_old().unwrap();
    println!("{compacted:?} in {:?}", began.elapsed());
    1
}

/// What the process takes of memory; nothing where the system does not say.
fn memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    line.unwrap_or_default().to_owned()
}

fn main() {
    let mut arguments = env::args().skip(1);
    let flushes = arguments
        .next()
        .map_or(86_400, |count| count.parse().unwrap());
    let parent = arguments.next().unwrap_or_else(|| ".".to_owned());
    let folder = tempfile::tempdir_in(Path::new(&parent)).unwrap();
    let (store, _) = ViewStore::open(folder.path(), SCHEMA, Options::default()).unwrap();
    let mut trickle = Trickle {
        seed: 0x9e37_79b9_7f4a_7c15,
        cases: 0,
    };
    let (mut compactions, mut longest) = (0, Duration::ZERO);
    let began = Instant::now();
    for flush in 1..=flushes {
        let mut changes = store.changes();
        trickle.next(flush / 20_000, &mut changes);
        changes.commit(Position(flush)).unwrap();
        let flushing = Instant::now();
        store.flush().unwrap();
        longest = longest.max(flushing.elapsed());
        if store.disk_use_is_outdated() {
            compactions += compacted(&store);
        }
        if flush % (flushes / 10).max(1) == 0 {
            let disk_use = store.disk_use().unwrap();
            println!(
                "{flush} flushes in {:?}, longest {longest:?}, {compactions} compactions, {disk_use:?}, {}",
                began.elapsed(),
                memory()
            );
        }
    }
}
