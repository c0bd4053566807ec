//! What the aggregator needs of the log: events in order from a position on, and where the log ends.
//!
//! A seam, so that a log that breaks its own rules or does not answer can be shown in tests.

use std::future::Future;

use gridkeeper_proto::{
    area::AreaCode,
    code::Code,
    envelope::{EnvelopeError, EventHash, Position},
    event::{ByAggregate, Recorded},
};
use gridkeeper_viewstore::Positioned;

/// An event as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvent {
    /// Its place.
    pub position: Position,
    /// The area of its subject.
    pub area: AreaCode,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Positioned for RawEvent {
    fn position(&self) -> Position {
        self.position
    }
}

impl RawEvent {
    /// The event, decoded.
    #[must_use]
    pub fn decode(&self) -> LogEvent {
        let recorded = Recorded::decode(self.position, &self.bytes);
        LogEvent {
            position: self.position,
            area: self.area,
            hash: EventHash::of(&self.bytes),
            recorded: recorded.map(Recorded::by_aggregate),
        }
    }
}

/// The events, decoded.
#[must_use]
pub fn decoded(events: &[RawEvent]) -> Vec<LogEvent> {
    events.iter().map(RawEvent::decode).collect()
}

/// An event, decoded for being folded.
#[derive(Clone, Debug)]
pub struct LogEvent {
    /// Its place.
    pub position: Position,
    /// The area of its subject.
    pub area: AreaCode,
    /// The hash of its bytes.
    pub hash: EventHash,
    /// What happened, or why the bytes do not say.
    pub recorded: Result<ByAggregate, EnvelopeError>,
}

impl Positioned for LogEvent {
    fn position(&self) -> Position {
        self.position
    }
}

/// Events that came together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order of the log; none when nothing came for a while.
    pub events: Vec<RawEvent>,
    /// The end of the log, as far as is known.
    pub last_known: Position,
}

/// Why the log gives no events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// It does not answer now; asking again may help.
    #[error("the log does not answer: {0}")]
    Unavailable(String),
    /// It holds what cannot be read; asking again does not help.
    #[error("{detail}")]
    Broken {
        /// The code of what is wrong.
        code: Code,
        /// What is wrong, with its position.
        detail: String,
    },
}

/// The log of a district.
pub trait Log: Send + Sync + 'static {
    /// Reads it in order.
    type Feed: Feed;

    /// Begins to read after a position.
    fn follow(&self, after: Position) -> impl Future<Output = Result<Self::Feed, LogError>> + Send;
}

/// Reads the log in order, without leaving out any event.
pub trait Feed: Send + 'static {
    /// The next events, as soon as there are any, up to so many and so many bytes but at least one; none
    /// when nothing came for about a second. After an error a new feed has to be begun.
    fn next_batch(
        &mut self,
        max_events: usize,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Batch, LogError>> + Send;
}
