//! The aggregator: follows the log of a district, folds it into views, and answers questions about them
//! over the broker.

mod aggregator;
pub mod answer;
mod error;
pub mod keys;
mod options;
pub mod projection;
mod questions;
pub mod rebuild;
mod run;

pub use error::Error;
pub use options::Options;
pub use run::{run, run_on};
