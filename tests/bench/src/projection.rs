//! Folding the log into all views: from memory, so that only decoding, folding and the store are measured.

use std::time::Instant;

use gridkeeper_aggregator::projection::{SCHEMA, Views};
use gridkeeper_district::{Area, District};
use gridkeeper_liveviews::log::RawEvent;
use gridkeeper_tests::{history, sample_district};
use gridkeeper_viewstore::{Options, Projector, ViewStore};

use crate::figures::Figures;

/// Runs the benchmark on so many events, in batches of these lengths.
pub(crate) fn run(rounds: usize, events: usize, batches: &[usize]) -> Figures {
    let mut figures = Figures::of("projection");
    let district = District::load(sample_district()).unwrap();
    let grids: Vec<_> = district.grids().map(Area::code).collect();
    let log = history::written(&grids, events);
    let live: usize = log.iter().map(|event| event.bytes.len()).sum();
    eprintln!("{} events, {} bytes each", log.len(), live / log.len());
    for round in 1..=rounds {
        eprintln!("round {round}");
        for &batch in batches {
            let (rate, disk) = fold(&log, &district, batch);
            let what = format!("batches of {batch}");
            figures.add(&format!("folded, {what}"), "events/s", rate);
            figures.add(&format!("disk, {what}"), "bytes/event", disk);
        }
    }
    figures
}

fn fold(log: &[RawEvent], district: &District, batch: usize) -> (f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = ViewStore::open(folder.path(), SCHEMA, Options::default()).unwrap();
    let views = Views::new(district.zone().clone());
    let mut projector = Projector::new(store.generation(), views);
    let began = Instant::now();
    for events in log.chunks(batch) {
        projector.apply(events).unwrap();
    }
    store.flush().unwrap();
    let rate = log.len() as f64 / began.elapsed().as_secs_f64();
    let disk = store.generation().size_on_disk().unwrap();
    (rate, disk as f64 / log.len() as f64)
}
