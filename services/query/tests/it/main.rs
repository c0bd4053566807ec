//! The query service on a real broker, with a real intake and a real aggregator.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod areas;
mod cases;
mod clocks;
mod duty;
mod events;
mod refusals;
mod site;
mod ways;
