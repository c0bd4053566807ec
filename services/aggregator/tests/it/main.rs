//! What the aggregator promises, shown on real folders and a real broker.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod full_disk;
#[path = "../../../districtviews/tests/it/history.rs"]
mod history;
mod service;
mod site;
