//! What views of a district promise, shown on real folders.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod answer;
mod history;
mod plain;
mod projection;
