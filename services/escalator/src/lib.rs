//! The escalator: makes that a late case goes up by itself.
//!
//! It follows the log, keeps which case needs a step at which moment, and sends that step to intake when
//! the moment passes. Intake decides: the same step sent twice is one step, and a step that came too late
//! is refused. So a restart, a rebuild and a second escalator change nothing.

mod attempts;
mod error;
mod fire;
mod intake;
mod options;
mod run;
pub mod timers;

pub use error::Error;
pub use options::Options;
pub use run::{Parts, run, run_on};
