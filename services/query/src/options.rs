//! What an operator may set of the query service.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Who keeps the views that questions are answered from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeper {
    /// This process, in which an aggregator runs beside the query service.
    #[default]
    Own,
    /// Aggregators elsewhere, asked over the broker.
    Aggregators,
}

/// The options of the query service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Host and port that the HTTP endpoint listens at.
    pub listen: String,
    /// Address of the broker.
    pub nats_url: String,
    /// Who keeps the views: "own" for this process, "aggregators" for those that are asked over the broker.
    pub views: Keeper,
    /// How long an aggregator may take to answer, besides the time that a question asks it to wait, in
    /// milliseconds, at least 1.
    pub answer_timeout_ms: u64,
    /// How long a question waits for `at_least` unless it says otherwise, in milliseconds.
    pub wait_ms: u32,
    /// How long a question may ask to wait, in milliseconds; shorter than the time a request may take.
    pub wait_limit_ms: u32,
    /// The most days of a span of figures by day, at least 1.
    pub span_days: u32,
    /// How many may listen to live events at once, at least 1.
    pub live_clients: usize,
    /// How many live events are kept for a client that falls behind, at least 1; one that falls further
    /// behind reads on from the log.
    pub live_buffer: usize,
    /// How long to wait before asking a broker again that does not answer, in milliseconds, at least 1.
    pub retry_ms: u64,
    /// How far the clock may be from the broker's, in milliseconds. While it is further, answers
    /// are given as of the broker's time.
    pub clock_tolerance_ms: u64,
    /// The HTTP endpoint.
    pub http: gridkeeper_http::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8402".to_owned(),
            nats_url: "nats://127.0.0.1:4222".to_owned(),
            views: Keeper::default(),
            answer_timeout_ms: 5_000,
            wait_ms: 2_000,
            wait_limit_ms: 10_000,
            span_days: 366,
            live_clients: 1_000,
            live_buffer: 1_024,
            retry_ms: 1_000,
            clock_tolerance_ms: 60_000,
            http: gridkeeper_http::Options::default(),
        }
    }
}

impl Options {
    pub(crate) const fn retry(&self) -> Duration {
        Duration::from_millis(self.retry_ms)
    }

    pub(crate) const fn answer_timeout(&self) -> Duration {
        Duration::from_millis(self.answer_timeout_ms)
    }

    /// Whether all of them make sense.
    ///
    /// # Errors
    /// [`Error::Option`] names the first that does not.
    pub fn check(&self) -> Result<(), Error> {
        let positive = [
            ("answer_timeout_ms", self.answer_timeout_ms),
            ("span_days", self.span_days.into()),
            ("live_clients", self.live_clients as u64),
            ("live_buffer", self.live_buffer as u64),
            ("retry_ms", self.retry_ms),
        ];
        for (option, value) in positive {
            if value == 0 {
                let why = "has to be at least 1";
                return Err(Error::Option { option, why });
            }
        }
        let longest = u64::from(self.wait_limit_ms) + self.answer_timeout_ms;
        if longest >= self.http.request_timeout_ms {
            return Err(Error::Option {
                option: "wait_limit_ms",
                why: "has to be less than http.request_timeout_ms by more than answer_timeout_ms",
            });
        }
        Ok(())
    }
}
