//! What an operator may set of the escalator.

use std::{path::PathBuf, time::Duration};

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The options of the escalator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Host and port that health and metrics are served at.
    pub listen: String,
    /// Address of the broker.
    pub nats_url: String,
    /// Address of intake, with `http://` in front.
    pub intake_url: String,
    /// How often it looks at the clock, in milliseconds, 1 to 1,000.
    pub tick_ms: u64,
    /// How many steps may be under way to intake at once, at least 1. One by one they are recorded in the
    /// order of their moments; more at once are faster after an outage and overtake each other.
    pub steps_at_once: usize,
    /// How long to wait before asking intake again that gave no answer, in milliseconds, at least 1; the
    /// wait doubles each time.
    pub retry_ms: u64,
    /// The longest such wait, and the wait before a step is sent again that was refused, in milliseconds,
    /// at least `retry_ms`. A longer `Retry-After` of intake is kept to, up to `late_after_ms`.
    pub retry_limit_ms: u64,
    /// After how long the escalator counts as failed while steps are due and intake answers none, or one
    /// of them is refused, in milliseconds, at least 1.
    pub late_after_ms: u64,
    /// How far the clock may be from the broker's, in milliseconds. While it is further, no steps are sent.
    pub clock_tolerance_ms: u64,
    /// Folder of the timers. Each process has one of its own.
    pub folder: PathBuf,
    /// The timers.
    pub views: gridkeeper_liveviews::Options,
    /// The HTTP endpoint.
    pub http: gridkeeper_http::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8404".to_owned(),
            nats_url: "nats://127.0.0.1:4222".to_owned(),
            intake_url: "http://127.0.0.1:8401".to_owned(),
            tick_ms: 500,
            steps_at_once: 1,
            retry_ms: 500,
            retry_limit_ms: 15_000,
            late_after_ms: 60_000,
            clock_tolerance_ms: 60_000,
            folder: PathBuf::from("escalator"),
            views: gridkeeper_liveviews::Options::default(),
            http: gridkeeper_http::Options::default(),
        }
    }
}

impl Options {
    pub(crate) const fn tick(&self) -> Duration {
        Duration::from_millis(self.tick_ms)
    }

    pub(crate) const fn retry(&self) -> Duration {
        Duration::from_millis(self.retry_ms)
    }

    pub(crate) const fn retry_limit(&self) -> Duration {
        Duration::from_millis(self.retry_limit_ms)
    }

    pub(crate) const fn late_after(&self) -> Duration {
        Duration::from_millis(self.late_after_ms)
    }

    /// Whether all of them make sense.
    ///
    /// # Errors
    /// [`Error::Option`] names the first that does not.
    pub fn check(&self) -> Result<(), Error> {
        self.views.check()?;
        let refused = |option, why| Err(Error::Option { option, why });
        let positive = [
            ("steps_at_once", self.steps_at_once as u64),
            ("retry_ms", self.retry_ms),
            ("late_after_ms", self.late_after_ms),
        ];
        for (option, value) in positive {
            if value == 0 {
                return refused(option, "has to be at least 1");
            }
        }
        if !(1..=1_000).contains(&self.tick_ms) {
            return refused("tick_ms", "has to be 1 to 1,000");
        }
        if self.retry_limit_ms < self.retry_ms {
            return refused("retry_limit_ms", "has to be at least retry_ms");
        }
        match Url::parse(&self.intake_url) {
            Ok(url) if url.scheme() == "http" => Ok(()),
            _ => refused(
                "intake_url",
                "has to be an address such as http://127.0.0.1:8401",
            ),
        }
    }
}
