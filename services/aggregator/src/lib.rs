//! The aggregator: follows the log of a district, folds it into views, and answers questions about them.

pub mod answer;
mod error;
pub mod keys;
pub mod log;
pub mod projection;

pub use error::Error;
