//! What an operator may set of an HTTP endpoint.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The options of an HTTP endpoint, a section of its service's options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The largest body that is read, in bytes. A batch of 500 reports of usual length takes 0.5 MB.
    pub body_limit_bytes: usize,
    /// The longest that a request may take until its answer begins, in milliseconds. Streams that have
    /// begun may go on.
    pub request_timeout_ms: u64,
    /// How long requests that are under way may take to finish when the service stops, in milliseconds.
    pub drain_ms: u64,
    /// Up to how many events behind the log a service counts as ready.
    pub ready_behind_events: u64,
    /// After how long without progress a follower that is behind, or silent, counts as stuck, in
    /// milliseconds.
    pub stuck_after_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            body_limit_bytes: 2 * 1024 * 1024,
            request_timeout_ms: 30_000,
            drain_ms: 5_000,
            ready_behind_events: 1_000,
            stuck_after_ms: 30_000,
        }
    }
}

impl Options {
    /// The longest until an answer begins.
    #[must_use]
    pub const fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// The time that requests under way have when the service stops.
    #[must_use]
    pub const fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }
}
