//! The log of a district: a JetStream stream with one subject per area.
//!
//! Nothing is ever deleted from it. An append names the position that each of its areas is expected to
//! be at; it lands whole or not at all.

mod append;
mod error;
mod follow;
mod keys;
mod read;
mod stream;
pub mod verify;

pub use append::{Append, Appended};
pub use error::{AppendError, LogError};
pub use follow::{Batch, Follower};
pub use keys::KeyStore;
pub use read::{Head, Stored};
pub use stream::{EventLog, Options};
