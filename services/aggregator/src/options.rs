//! What an operator may set of the aggregator.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::Error;

/// The options of the aggregator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Host and port that health and metrics are served at.
    pub listen: String,
    /// Address of the broker.
    pub nats_url: String,
    /// Folder of the views. Each aggregator has one of its own.
    pub folder: PathBuf,
    /// How many events are folded at once at most, 1 to 100,000; questions wait for one batch.
    pub batch_events: usize,
    /// How many events are folded at once at most while catching up, 1 to 100,000.
    pub catch_up_events: usize,
    /// How many bytes of events are fetched at once at most; at least 1,000.
    pub batch_bytes: usize,
    /// How often views are handed to the disk, in milliseconds, at least 1. After a crash the log is
    /// read again from there.
    pub flush_every_ms: u64,
    /// How long a question may wait for `at_least`, whatever it asks for, in milliseconds.
    pub wait_limit_ms: u32,
    /// How many questions may be under way, at least 1; more wait their turn.
    pub questions: usize,
    /// How long to wait before asking a log again that does not answer, in milliseconds, at least 1.
    pub retry_ms: u64,
    /// The store of views.
    pub store: gridkeeper_viewstore::Options,
    /// The HTTP endpoint.
    pub http: gridkeeper_http::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8403".to_owned(),
            nats_url: "nats://127.0.0.1:4222".to_owned(),
            folder: PathBuf::from("aggregator"),
            batch_events: 512,
            catch_up_events: 4_096,
            batch_bytes: 4 << 20,
            flush_every_ms: 1_000,
            wait_limit_ms: 10_000,
            questions: 1_024,
            retry_ms: 1_000,
            store: gridkeeper_viewstore::Options::default(),
            http: gridkeeper_http::Options::default(),
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

    pub(crate) fn check(&self) -> Result<(), Error> {
        let positive = [
            ("flush_every_ms", self.flush_every_ms),
            ("questions", self.questions as u64),
            ("retry_ms", self.retry_ms),
        ];
        for (option, value) in positive {
            if value == 0 {
                let why = "has to be at least 1";
                return Err(Error::Option { option, why });
            }
        }
        let batches = [
            ("batch_events", self.batch_events),
            ("catch_up_events", self.catch_up_events),
        ];
        for (option, value) in batches {
            if !(1..=100_000).contains(&value) {
                let why = "has to be 1 to 100,000";
                return Err(Error::Option { option, why });
            }
        }
        if self.batch_bytes < 1_000 {
            return Err(Error::Option {
                option: "batch_bytes",
                why: "has to be at least 1,000",
            });
        }
        Ok(())
    }
}
