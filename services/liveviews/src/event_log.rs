//! The district's stream as the aggregator reads it.

use gridkeeper_eventlog::{EventLog, Follower, ServerRun};
use gridkeeper_proto::{anchor::Anchor, checkpoint::Checkpoint, code::Coded as _};

use crate::log::{Batch, Feed, Log, LogError, RawEvent, Source};

impl Log for EventLog {
    type Feed = Follower;
    type Run = ServerRun;

    fn server_run(&self) -> ServerRun {
        Self::server_run(self)
    }

    async fn compare_history(&self, known: Checkpoint) -> Result<(), LogError> {
        Ok(Self::compare_history(self, known).await?)
    }

    async fn follow(&self, after: Anchor) -> Result<Follower, LogError> {
        Ok(Self::follow(self, after))
    }
}

impl Feed for Follower {
    async fn next_batch(&mut self, max_events: usize, max_bytes: usize) -> Result<Batch, LogError> {
        let batch = Self::next_batch(self, max_events, max_bytes).await?;
        let district = self.district();
        let raw = |stored: gridkeeper_eventlog::Stored| RawEvent {
            position: stored.position,
            area: stored.area.unwrap_or(district),
            bytes: stored.bytes.into(),
            leaf: stored.leaf,
            standing: stored.standing,
        };
        Ok(Batch {
            events: batch.events.into_iter().map(raw).collect(),
            last_known: batch.last_known,
            source: Source {
                log: self.anchor().log,
                statements: self.statements(),
            },
        })
    }
}

impl From<gridkeeper_eventlog::LogError> for LogError {
    fn from(error: gridkeeper_eventlog::LogError) -> Self {
        let detail = error.to_string();
        match error.is_unavailable() {
            true => Self::Unavailable(detail),
            false => Self::Broken {
                code: error.code(),
                detail,
            },
        }
    }
}
