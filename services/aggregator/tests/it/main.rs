//! What the aggregator promises, shown on real folders and a real broker.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod answer;
mod history;
mod plain;
mod projection;
mod service;
mod site;
