//! The aggregator: keeps the views of a district, and answers questions about them over the broker.

mod admin;
mod aggregator;
mod error;
pub mod known;
mod options;
mod questions;
pub mod rebuild;
mod run;

pub use error::Error;
pub use options::Options;
pub use run::{Parts, run, run_on};
