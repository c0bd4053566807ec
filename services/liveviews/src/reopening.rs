//! Opens views again that a full or failing disk has stopped.

use std::{fmt, time::Duration};

use gridkeeper_http::Check;
use gridkeeper_proto::code::{Code, Coded};
use tokio::time::{Instant, sleep};

use crate::{Error, Options};

const REOPENED: &str = "gridkeeper_views_reopened_total";

/// The codes of views that the disk refused, that are not what was written, or that take nothing after either.
const OF_DISK: [Code; 4] = [Code(401), Code(402), Code(403), Code(413)];
/// The code of a folder that is in use.
const LOCKED: Code = Code(400);

/// The longest pause between two tries: opening reads all views.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Whether an error with this code is one of the disk, after which views are opened again: they go on from what the
/// disk has of them, or from the log's start.
#[must_use]
pub fn is_of_disk(code: Code) -> bool {
    OF_DISK.contains(&code)
}

/// When views are opened again.
#[derive(Debug)]
pub struct Reopening {
    retry: Duration,
    pause: Duration,
    /// When the latest try began; `None` before the second.
    began: Option<Instant>,
}

impl Reopening {
    /// Views that are opened for the first time.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            retry: options.retry(),
            pause: options.retry(),
            began: None,
        }
    }

    /// Whether opening, which failed with this error, may succeed later. The folder may still be held for a moment by
    /// the views that stopped.
    #[must_use]
    pub fn passes(&self, error: &Error) -> bool {
        error.is_passing() || (self.began.is_some() && error.code() == LOCKED)
    }

    /// Reports to health why there are no views, and waits until it is time for another try; longer each time.
    pub async fn wait<E: Coded + fmt::Display>(&mut self, error: &E, check: &Check) {
        check.failed(error);
        if self
            .began
            .is_some_and(|began| began.elapsed() > LONGEST_PAUSE)
        {
            self.pause = self.retry;
        }
        tracing::warn!(
            code = %error.code(), %error, pause_ms = self.pause.as_millis(),
            "the views are opened again in a moment"
        );
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.began = Some(Instant::now());
        metrics::counter!(REOPENED).increment(1);
    }
}
