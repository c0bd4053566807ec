//! What an operator may set of the aggregator.

use std::path::PathBuf;

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
    /// How long a question may wait for `at_least`, whatever it asks for, in milliseconds.
    pub wait_limit_ms: u32,
    /// How many questions may be under way, at least 1; more wait their turn.
    pub questions: usize,
    /// Folder of the views. Each process has one of its own.
    pub folder: PathBuf,
    /// The views.
    pub views: gridkeeper_liveviews::Options,
    /// The HTTP endpoint.
    pub http: gridkeeper_http::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8403".to_owned(),
            nats_url: "nats://127.0.0.1:4222".to_owned(),
            wait_limit_ms: 10_000,
            questions: 1_024,
            folder: PathBuf::from("aggregator"),
            views: gridkeeper_liveviews::Options::default(),
            http: gridkeeper_http::Options::default(),
        }
    }
}

impl Options {
    /// Whether all of them make sense.
    ///
    /// # Errors
    /// [`Error::Option`] names the first that does not.
    pub fn check(&self) -> Result<(), Error> {
        self.views.check()?;
        match self.questions {
            0 => Err(Error::Option {
                option: "questions",
                why: "has to be at least 1",
            }),
            _ => Ok(()),
        }
    }
}
