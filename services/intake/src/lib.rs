//! Intake: the one door. A command comes in by HTTP, is decided against the state of its grid, and its
//! events are appended to the log; or it is refused with a reason and changes nothing.

mod adopt;
mod aggregates;
mod appends;
mod calendar;
mod decider;
mod disk;
mod error;
mod event_log;
mod evidence;
mod http;
pub mod log;
mod options;
mod plan;
mod problem;
mod queue;
mod run;
mod state;
#[cfg(test)]
mod tests;
mod validate;

pub use disk::DiskOptions;
pub use error::Error;
pub use evidence::NewestCheckpoint;
pub use options::Options;
pub use run::{Parts, document, run, run_on};
