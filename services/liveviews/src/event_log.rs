//! The district's stream as the aggregator reads it.

use gridkeeper_eventlog::{EventLog, Follower};
use gridkeeper_proto::{code::Coded as _, envelope::Position};

use crate::log::{Batch, Feed, Log, LogError, RawEvent};

impl Log for EventLog {
    type Feed = Follower;

    async fn follow(&self, after: Position) -> Result<Follower, LogError> {
        Ok(Self::follow(self, after))
    }
}

impl Feed for Follower {
    async fn next_batch(&mut self, max_events: usize, max_bytes: usize) -> Result<Batch, LogError> {
        let batch = Self::next_batch(self, max_events, max_bytes).await?;
        let raw = |stored: gridkeeper_eventlog::Stored| RawEvent {
            position: stored.position,
            area: stored.area,
            bytes: stored.bytes.into(),
        };
        Ok(Batch {
            events: batch.events.into_iter().map(raw).collect(),
            last_known: batch.last_known,
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
