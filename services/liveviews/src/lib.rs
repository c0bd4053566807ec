//! Views that keep up with the log: what every service is that follows it.
//!
//! A position, a projection, a store: [`LiveViews`] reads the log on from the position of the views, folds
//! what comes with one commit per batch, tells how far it is, and builds the views anew on request. A
//! service differs by its projection and by what it serves. Nothing is skipped: an event that cannot be
//! folded stops the views, with its code. Every projection folds into views behind [`Verified`], which checks the
//! chain of hashes of each area and keeps the frontier of the tree over the log.

mod cache;
mod compaction;
mod error;
mod event_log;
mod flushes;
mod follow;
mod history;
mod live;
pub mod log;
mod options;
mod reached;
mod read_ahead;
mod rebuild;
mod reopening;
mod verified;

pub use cache::Cache;
pub use error::Error;
pub use live::{LiveViews, State, blocking};
pub use options::Options;
pub use rebuild::Report;
pub use reopening::{Reopening, is_of_disk};
pub use verified::{Progress, Verified};
