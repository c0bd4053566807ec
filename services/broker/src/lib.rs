//! Runs nats-server as a child process: for `gridkeeper up`, and for tests.
//!
//! The server listens on loopback, keeps its streams in a folder, and syncs each write to disk before it
//! acknowledges it (`sync_interval: always`), so that an acknowledged report survives a power cut.

mod binary;
mod error;
mod process;
mod writable;

pub use binary::{Binary, FLOOR};
pub use error::BrokerError;
pub use process::{Broker, Options};
