//! What the aggregator needs of the log: events in order from a position on, and where the log ends.
//!
//! A seam, so that a log that breaks its own rules or does not answer can be shown in tests.

use std::{future::Future, sync::Arc};

use gridkeeper_proto::{
    anchor::Anchor,
    area::AreaCode,
    checkpoint::Checkpoint,
    code::Code,
    envelope::{EnvelopeError, EventHash, Position},
    event::{ByAggregate, Recorded},
    id::LogId,
    integrity::{Integrity, Standing},
    tree::TreeHash,
};
use gridkeeper_viewstore::Positioned;

/// A message as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvent {
    /// Its position.
    pub position: Position,
    /// The area of its subject; the district where it is no event.
    pub area: AreaCode,
    /// Its bytes; none where it is lost.
    pub bytes: Vec<u8>,
    /// The hash of its leaf in the tree.
    pub leaf: TreeHash,
    /// What it is to a reader.
    pub standing: Standing,
}

impl Positioned for RawEvent {
    fn position(&self) -> Position {
        self.position
    }
}

impl RawEvent {
    /// An event at a position.
    #[must_use]
    pub fn event(position: Position, area: AreaCode, bytes: Vec<u8>) -> Self {
        Self {
            position,
            area,
            leaf: TreeHash::of_leaf(&bytes),
            bytes,
            standing: Standing::Event,
        }
    }

    /// The event, decoded.
    #[must_use]
    pub fn decode(&self) -> LogEvent {
        let recorded = Recorded::decode(self.position, &self.bytes);
        LogEvent {
            position: self.position,
            area: self.area,
            hash: EventHash::of(&self.bytes),
            leaf: self.leaf,
            standing: self.standing,
            recorded: recorded.map(Recorded::by_aggregate),
        }
    }
}

/// The events, decoded.
#[must_use]
pub fn decoded(events: &[RawEvent]) -> Vec<LogEvent> {
    events.iter().map(RawEvent::decode).collect()
}

/// A message, decoded for being folded.
#[derive(Clone, Debug)]
pub struct LogEvent {
    /// Its position.
    pub position: Position,
    /// The area of its subject; the district where it is no event.
    pub area: AreaCode,
    /// The hash of its bytes.
    pub hash: EventHash,
    /// The hash of its leaf in the tree.
    pub leaf: TreeHash,
    /// What it is to a reader.
    pub standing: Standing,
    /// What happened, or why the bytes do not say.
    pub recorded: Result<ByAggregate, EnvelopeError>,
}

impl Positioned for LogEvent {
    fn position(&self) -> Position {
        self.position
    }
}

/// Which log events came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The log; `None` for one without an id.
    pub log: Option<LogId>,
    /// What the log says of itself.
    pub statements: Arc<Integrity>,
}

/// Events that came together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order of the log; none when nothing came for a while.
    pub events: Vec<RawEvent>,
    /// The end of the log, as far as is known.
    pub last_known: Position,
    /// Which log they came from.
    pub source: Source,
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
    /// Tells the runs of the server apart that gives it.
    type Run: PartialEq + Send;

    /// The run of the server that gives the log now. Another one may give another log.
    fn server_run(&self) -> Self::Run;

    /// Reads the log from its start and compares its roots with the given one, and with what else
    /// is known of it.
    fn compare_history(
        &self,
        known: Checkpoint,
    ) -> impl Future<Output = Result<(), LogError>> + Send;

    /// Begins to read after what an anchor ties to the log.
    fn follow(&self, after: Anchor) -> impl Future<Output = Result<Self::Feed, LogError>> + Send;
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
