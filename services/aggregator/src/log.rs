//! What the aggregator needs of the log.

use gridkeeper_proto::{area::AreaCode, envelope::Position};
use gridkeeper_viewstore::Positioned;

/// An event as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvent {
    /// Its place.
    pub position: Position,
    /// The grid of its subject.
    pub grid: AreaCode,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Positioned for RawEvent {
    fn position(&self) -> Position {
        self.position
    }
}
