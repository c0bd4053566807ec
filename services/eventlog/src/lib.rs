//! The log of a district: a JetStream stream with one subject per area.
//!
//! Nothing is ever deleted from it. An append names the position that each of its areas is expected to
//! be at; it lands whole or not at all. Nobody appends to, or reads on from, a log that is not the one that was read
//! before: see [`EventLog::confirm`].

mod append;
mod checkpoints;
mod confirm;
mod connection;
mod copy;
pub mod diagnosis;
mod error;
mod follow;
mod history;
mod keys;
mod read;
mod restore;
mod scan;
mod session;
mod statements;
mod stream;
pub mod verify;
mod watermark;
mod witness;

pub use append::{Append, Appended};
pub use checkpoints::CheckpointStore;
pub use confirm::{Confirmed, statement};
pub use connection::{Occupied, ServerRun};
pub use copy::Message;
pub use error::{AppendError, LogError};
pub use follow::{Batch, Follower};
pub use keys::KeyStore;
pub use read::{Head, Stored};
pub use restore::Restoration;
pub use scan::Scanned;
pub use stream::{EventLog, LogFacts, Options};
pub use watermark::{Watermark, WatermarkFile, read_watermark};
pub use witness::Witnessed;
