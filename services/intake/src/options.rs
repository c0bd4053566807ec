//! What an operator may set of intake.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{DiskOptions, Error};

/// The options of intake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Host and port that the HTTP endpoint listens at.
    pub listen: String,
    /// Address of the broker.
    pub nats_url: String,
    /// Folder of what is kept of the log outside the broker: the watermark and the checkpoints. Each intake has one of
    /// its own, on another disk than the broker's where there is one.
    pub folder: PathBuf,
    /// How many commands may wait to be decided; more are turned away with 429.
    pub queue_commands: usize,
    /// How many of them may be of one area; more are turned away with 429, so that one area leaves room for others.
    pub queue_commands_of_area: usize,
    /// How many events are appended at once at most; the broker takes 1,000.
    pub batch_events: usize,
    /// How long a command may wait for the broker's acknowledgement, in milliseconds.
    pub append_deadline_ms: u64,
    /// How often a command is decided again because somebody else appended to its grid first.
    pub conflict_tries: u32,
    /// How often it looks whether the log went on without it, in milliseconds. To be shorter than the
    /// stream's duplicate window, which catches what two intakes record at the same moment.
    pub follow_every_ms: u64,
    /// How far the clock may be from the broker's, in milliseconds. While it is further, reports are recorded at the
    /// broker's time and nothing that time brings is decided.
    pub clock_tolerance_ms: u64,
    /// The disks.
    pub disk: DiskOptions,
    /// The HTTP endpoint.
    pub http: gridkeeper_http::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8401".to_owned(),
            nats_url: "nats://127.0.0.1:4222".to_owned(),
            folder: PathBuf::from("log"),
            queue_commands: 4_096,
            queue_commands_of_area: 1_024,
            batch_events: 1_000,
            append_deadline_ms: 10_000,
            conflict_tries: 20,
            follow_every_ms: 1_000,
            clock_tolerance_ms: 60_000,
            disk: DiskOptions::default(),
            http: gridkeeper_http::Options::default(),
        }
    }
}

impl Options {
    /// How long a command may wait for the broker's acknowledgement.
    #[must_use]
    pub const fn append_deadline(&self) -> Duration {
        Duration::from_millis(self.append_deadline_ms)
    }

    /// How often it looks whether the log went on without it.
    #[must_use]
    pub const fn follow_every(&self) -> Duration {
        Duration::from_millis(self.follow_every_ms)
    }

    /// Whether all of them make sense.
    ///
    /// # Errors
    /// [`Error::Option`] names the first that does not.
    pub fn check(&self) -> Result<(), Error> {
        let refused = |option, why| Err(Error::Option { option, why });
        if self.queue_commands == 0 {
            return refused("queue_commands", "has to be at least 1");
        }
        if self.queue_commands_of_area == 0 {
            return refused("queue_commands_of_area", "has to be at least 1");
        }
        if !(2..=1_000).contains(&self.batch_events) {
            return refused(
                "batch_events",
                "has to be 2 to 1,000, what the broker takes at once",
            );
        }
        if self.append_deadline_ms >= self.http.request_timeout_ms {
            return refused(
                "append_deadline_ms",
                "has to be less than http.request_timeout_ms",
            );
        }
        if self.disk.alarm_below_bytes < self.disk.refuse_below_bytes {
            return refused(
                "disk.alarm_below_bytes",
                "has to be at least disk.refuse_below_bytes",
            );
        }
        if self.follow_every_ms == 0 {
            return refused("follow_every_ms", "has to be at least 1");
        }
        Ok(())
    }
}
