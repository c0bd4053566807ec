//! How views are kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;

/// How views are kept, a section of their service's options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How many events are fetched and folded at once at most, 1 to 100,000.
    pub batch_events: usize,
    /// How many events are committed at once at most while far behind the log, 1 to 10,000,000.
    pub catch_up_events: usize,
    /// How many views, most of them cases, are kept in memory until they are committed, and as many again until they
    /// are in the database, before folding waits, 1 to 10,000,000. A case takes about 2 kB.
    pub views_in_memory: usize,
    /// How many bytes of events are fetched at once at most; at least 1,000.
    pub batch_bytes: usize,
    /// How often views are written to the database and handed to the disk, in milliseconds, at least 1. After a
    /// crash the log is read again from there.
    pub flush_every_ms: u64,
    /// How long to wait before asking a log again that does not answer, in milliseconds, at least 1.
    pub retry_ms: u64,
    /// The store of views.
    pub store: gridkeeper_viewstore::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            batch_events: 512,
            catch_up_events: 1_000_000,
            views_in_memory: 32_768,
            batch_bytes: 1 << 20,
            flush_every_ms: 1_000,
            retry_ms: 1_000,
            store: gridkeeper_viewstore::Options::default(),
        }
    }
}

impl Options {
    pub(crate) const fn flush_every(&self) -> Duration {
        Duration::from_millis(self.flush_every_ms)
    }

    pub(crate) const fn retry(&self) -> Duration {
        Duration::from_millis(self.retry_ms)
    }

    /// Whether all of them make sense.
    ///
    /// # Errors
    /// [`Error::Option`] names the first that does not.
    pub fn check(&self) -> Result<(), Error> {
        let refused = |option, why| Err(Error::Option { option, why });
        for (option, value) in [
            ("flush_every_ms", self.flush_every_ms),
            ("retry_ms", self.retry_ms),
        ] {
            if value == 0 {
                return refused(option, "has to be at least 1");
            }
        }
        if !(1..=100_000).contains(&self.batch_events) {
            return refused("batch_events", "has to be 1 to 100,000");
        }
        for (option, value) in [
            ("catch_up_events", self.catch_up_events),
            ("views_in_memory", self.views_in_memory),
        ] {
            if !(1..=10_000_000).contains(&value) {
                return refused(option, "has to be 1 to 10,000,000");
            }
        }
        match self.batch_bytes {
            1_000.. => Ok(()),
            _ => refused("batch_bytes", "has to be at least 1,000"),
        }
    }
}
