//! Batches of the log into all views; one operation is one event.

use gridkeeper_district::{Area, District};
use gridkeeper_districtviews::projection::{SCHEMA, Views};
use gridkeeper_liveviews::{
    Verified,
    log::{RawEvent, decoded},
};
use gridkeeper_proto::tree::TreeHash;
use gridkeeper_tests::{history, sample_district};
use gridkeeper_viewstore::{Options, Projector, ViewStore};

use crate::work::Work;

const BATCH: usize = 512;
/// Batches that are folded before the counting begins, so that there are cases to take further.
const BEFORE: usize = 4;
const BATCHES: usize = 20;
/// How many batches are flushed at once: about what comes in a second under load.
const FLUSHED: usize = 8;

/// Decodes, folds and commits, and now and then flushes.
pub(crate) fn apply() -> Work {
    let district = District::load(sample_district()).unwrap();
    let grids: Vec<_> = district.grids().map(Area::code).collect();
    let log = history::written(&grids, BATCHES * BATCH);
    let batches: Vec<Vec<RawEvent>> = log.chunks_exact(BATCH).map(<[_]>::to_vec).collect();
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = ViewStore::open(folder.path(), SCHEMA, Options::default()).unwrap();
    let views = Verified::new(Views::new(district.zone().clone()));
    let mut projector = Projector::new(store.generation(), views);
    Work {
        warm_up: 0..BEFORE,
        counted: BEFORE..BATCHES,
        operations: (BATCHES - BEFORE) * BATCH,
        call: Box::new(move |number| {
            // It has to stay until the last batch.
            let _ = &folder;
            // As the follower does, which hands out the leaf with each event.
            for event in &batches[number] {
                std::hint::black_box(TreeHash::of_leaf(&event.bytes));
            }
            projector.apply(&decoded(&batches[number])).unwrap();
            if number % FLUSHED == FLUSHED - 1 {
                store.flush().unwrap();
            }
        }),
    }
}
