//! The escalator on a real broker, with a real intake and a clock set by hand.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod clocks;
mod door;
mod escalation;
mod history;
mod moved_on;
mod quarter;
mod site;
mod timers;
mod troubles;
