//! The store of views: what a service has folded out of the log, and how far it has read.
//!
//! The log is the truth; a store is a cache that can be deleted and rebuilt. So it promises little about
//! durability and much about consistency:
//!
//! - [`Changes::commit`] lets everything that a batch of events changed count, together with the position of
//!   its last event, at once and in memory. [`ViewStore::flush`] writes what was committed since the last flush,
//!   each key once, while readers and commits go on; a journal lets an interrupted one be done again. After a
//!   crash the store is at some earlier position, whole.
//! - [`ViewStore::read`] shows one position: no write lands between two reads of the same question.
//! - A folder that does not open, or does not read back as it was committed, is set aside and reported
//!   by [`ViewStore::open`]; the caller then reads the log from its start. Each flush carries a sum over
//!   all entries for that: sled opens some damaged files with older pages in the place of lost ones.
//! - A rebuild fills a new generation beside the running one ([`ViewStore::begin_rebuild`]), is compared
//!   with it ([`Generation::diff`]) and takes its place by moving a pointer ([`Rebuild::promote`]).
//! - The folder stays in bounds: each flush turns sled's cleaner, and [`ViewStore::compact`] copies the
//!   generation into a new one where that was not enough ([`ViewStore::disk_use`]).
//!
//! Underneath is sled 0.34.7, which nothing outside this crate sees. A generation is a sled database of
//! its own with one tree: several trees do not stay consistent with one write each, and dropping trees
//! leaks space, while a folder can be removed.
//!
//! # Blocking
//! Nothing here is async but [`ViewStore::wait_for`]. Point reads take microseconds and may be called
//! from async code; they can wait for a commit in progress, about a millisecond for 512 events. Scans without a
//! limit, `checksum`, `diff`, `flush`, `open` and `promote` belong on a blocking thread; a [`Projector`] is best
//! given a thread of its own.

mod bounds;
mod changes;
mod cleaner;
mod compaction;
mod database;
mod diff;
mod disk_use;
mod error;
mod flush;
mod folder;
mod generation;
mod journal;
mod memtable;
mod projector;
mod reader;
mod rebuild;
mod seal;
mod store;
mod value;

#[cfg(test)]
mod crash_tests;

pub use changes::Changes;
pub use compaction::{Compacted, Compaction};
pub use diff::{Diff, Difference};
pub use disk_use::DiskUse;
pub use error::{CodedError, Error, ProjectionError};
pub use generation::{Checksum, Generation};
pub use projector::{Applied, Positioned, Projection, Projector};
pub use reader::{Entries, Entry, Reader};
pub use rebuild::Rebuild;
pub use store::{Opened, Options, Schema, ViewStore};
