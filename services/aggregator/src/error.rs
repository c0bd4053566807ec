//! Why the aggregator stops, does not start, or does not do what it was asked to.

use gridkeeper_proto::{
    area::AreaCode,
    case::EvolveError,
    code::{Code, Coded},
    envelope::{EnvelopeError, Position},
};
use gridkeeper_viewstore as viewstore;

/// Why the aggregator stops, does not start, or does not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Events of the log are missing.
    #[error(
        "the event at position {found} follows the one at {previous}: events between are missing"
    )]
    Gap {
        /// The last event before.
        previous: Position,
        /// The one that came.
        found: Position,
    },
    /// The chain of hashes is broken.
    #[error("the event at position {position} does not follow the one before it in grid {grid}")]
    Chain {
        /// Its place.
        position: Position,
        /// Its grid.
        grid: AreaCode,
    },
    /// An event lies under the subject of another grid.
    #[error(
        "the event at position {position} is of grid {grid} and lies under the subject of {subject}"
    )]
    Misplaced {
        /// Its place.
        position: Position,
        /// The grid that it names.
        grid: AreaCode,
        /// The grid of its subject.
        subject: AreaCode,
    },
    /// An event does not decode.
    #[error(transparent)]
    Event(#[from] EnvelopeError),
    /// An event does not follow from those before.
    #[error(transparent)]
    Evolve(#[from] EvolveError),
    /// The store of views.
    #[error(transparent)]
    Store(#[from] viewstore::Error),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Gap { .. } => Code(603),
            Self::Chain { .. } => Code(604),
            Self::Misplaced { .. } => Code(605),
            Self::Event(error) => error.code(),
            Self::Evolve(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
}
