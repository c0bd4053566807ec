//! Folding the log into all views: from memory, so that only decoding, folding and the store are measured, and by the
//! real aggregator from a broker, beside a consumer that only reads, and PostgreSQL.

mod catch_up;
mod postgres;
mod rows;

use std::{sync::Arc, time::Instant};

use gridkeeper_district::{Area, District};
use gridkeeper_districtviews::projection::{SCHEMA, Views};
use gridkeeper_liveviews::{
    Verified,
    log::{RawEvent, decoded},
};
use gridkeeper_tests::{history, sample_district};
use gridkeeper_viewstore::{Options, Projector, ViewStore};

use self::catch_up::CatchUp;
pub(crate) use self::catch_up::catch_up;
use crate::{
    figures::{Figures, Goal},
    plot::grouped,
    postgres::Postgres,
};

/// How many events are read at once.
const PORTION: usize = 512;
/// From how many views on they are flushed.
const FLUSHED: usize = 32_768;

/// What is folded from memory, and by PostgreSQL, which gets slower the more there is.
const PREFIX: usize = 200_000;

/// Runs the benchmark on so many events; the beginning of them is folded from memory in batches of these lengths.
pub(crate) async fn run(rounds: usize, events: usize, batches: &[usize]) -> Figures {
    let mut figures = Figures::of("projection");
    let district = District::load(sample_district()).unwrap();
    let grids: Vec<_> = district.grids().map(Area::code).collect();
    let mut log = history::written(&grids, events.min(PREFIX));
    log.truncate(PREFIX);
    let log: Arc<[_]> = log.into();
    let bytes: usize = log.iter().map(|event| event.bytes.len()).sum();
    eprintln!("{} events, {} bytes each", log.len(), bytes / log.len());
    let mut catch_up = CatchUp::of(events).await;
    let server = Postgres::start().await;
    let name = format!(
        "PostgreSQL, the first {} in batches of {}",
        grouped(log.len() as f64),
        grouped(postgres::BATCH as f64)
    );
    for round in 1..=rounds {
        eprintln!("round {round}");
        for &batch in batches {
            let (rate, disk) = fold(&log, &district, batch);
            let what = format!("batches of {batch}");
            figures.add(&format!("folded, {what}"), "events/s", rate);
            figures.add(&format!("disk, {what}"), "bytes/event", disk);
        }
        catch_up.measure(&mut figures).await;
        if let Some(server) = &server {
            let applied = postgres::apply(server, &log, district.zone()).await;
            figures.add(&name, "events/s", applied.per_second);
            let disk = applied.bytes as f64 / log.len() as f64;
            figures.add("PostgreSQL: tables on the disk", "bytes/event", disk);
        }
    }
    figures.compare(catch_up::CATCH_UP, catch_up::RAW, Goal::Least(0.35));
    if server.is_some() {
        figures.compare(catch_up::CATCH_UP, &name, Goal::Least(20.0));
    }
    figures.compare(catch_up::DISK, catch_up::LIVE, Goal::Most(3.0));
    figures
}

fn fold(log: &[RawEvent], district: &District, batch: usize) -> (f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = ViewStore::open(folder.path(), SCHEMA, Options::default()).unwrap();
    let views = Verified::new(Views::new(district.zone().clone()));
    let mut projector = Projector::new(store.generation(), views);
    let began = Instant::now();
    for events in log.chunks(batch) {
        for portion in events.chunks(PORTION) {
            projector.fold(&decoded(portion)).unwrap();
        }
        projector.commit().unwrap();
        if store.generation().waiting() >= FLUSHED {
            store.flush().unwrap();
        }
    }
    store.flush().unwrap();
    let rate = log.len() as f64 / began.elapsed().as_secs_f64();
    let disk = store.generation().size_on_disk().unwrap();
    (rate, disk as f64 / log.len() as f64)
}
