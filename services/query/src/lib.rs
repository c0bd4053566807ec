//! The query service: answers who holds a case, by when and where it goes next; lists, figures, and the
//! events themselves, live and to pull.
//!
//! It keeps nothing. Questions about cases and areas go to an aggregator over the broker; events are read
//! from the log.

mod areas;
mod cases;
mod duty;
mod error;
mod events;
mod feed;
mod figures;
mod inquiries;
mod known;
mod live;
mod options;
mod past;
mod policies;
mod questions;
mod record;
mod routes;
mod rules;
mod run;
mod status;
mod views;

pub use error::Error;
pub use options::{Keeper, Options};
pub use routes::document;
pub use run::{Parts, run, run_on};
