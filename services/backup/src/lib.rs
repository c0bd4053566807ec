//! Backups of a district's log: taken while everything runs, checked without a broker, restored into an empty one.
//!
//! ```text
//! <folder>/manifest.json                  what the backup is: which log, up to which position, with which root
//! <folder>/segments/<first>.segment       the messages, exactly as the broker had them
//! <folder>/keys.<position>                the keys of sealed parties, as of that position
//! <folder>/checkpoints.<position>         the signed checkpoints
//! <folder>/verified                       a cache: what has to be known to verify on from the last run
//! ```
//!
//! # Invariants
//! - The manifest is written last and names a position up to which everything is there and verified. What a run that
//!   was interrupted has left behind it is used by the next one, and by nothing else.
//! - Which messages share a segment follows from the messages alone, so that any runs over a log leave the same files.
//! - Every file ends with a checksum over all of it. The cache is the only file without which, or with another one of
//!   which, a backup is still whole.
//! - The keys are replaced, never added to: a key that was erased is in no file once a later run has ended.

mod check;
mod checked_file;
mod error;
mod folder;
mod manifest;
mod notes;
mod restore;
mod segment;
mod take;

pub use check::{Checked, check};
pub use error::Error;
pub use manifest::Manifest;
pub use restore::{Known, Missing, Restored, Target, restore};
pub use segment::Limits;
pub use take::{Acknowledged, Source, Taken, take};

use gridkeeper_proto::envelope::Position;

/// How far an action has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, as a participle.
    pub doing: &'static str,
    /// The last position, or how many keys are done.
    pub done: u64,
    /// The position, or the number of keys, at which it is done.
    pub end: u64,
}

impl Progress {
    fn at(doing: &'static str, done: Position, end: Position) -> Self {
        Self {
            doing,
            done: done.0,
            end: end.0,
        }
    }
}
