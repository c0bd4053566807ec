//! The history of another system: its rows become reports with their original times.
//!
//! The id of a case follows from the system and the record, so that a second import finds what the
//! first one recorded and adds nothing.

mod derive;
mod error;
mod mapping;
mod rows;
mod send;
#[cfg(test)]
mod tests;

pub(crate) use derive::derive;
pub(crate) use error::{ImportError, RowError};
pub(crate) use mapping::Mapping;
pub(crate) use rows::Rows;
pub(crate) use send::{Outcome, send};
