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
    #[error("the event at position {position} does not follow the one before it in area {area}")]
    Chain {
        /// Its place.
        position: Position,
        /// Its area.
        area: AreaCode,
    },
    /// An event lies under the subject of another area.
    #[error(
        "the event at position {position} is of area {area} and lies under the subject of {subject}"
    )]
    Misplaced {
        /// Its place.
        position: Position,
        /// The grid that it names.
        area: AreaCode,
        /// The area of its subject.
        subject: AreaCode,
    },
    /// An event does not decode.
    #[error(transparent)]
    Event(#[from] EnvelopeError),
    /// An event does not follow from those before.
    #[error(transparent)]
    Evolve(#[from] EvolveError),
    /// The answer is longer than the broker takes.
    #[error(
        "the answer is longer than the {limit} bytes that the broker takes; ask for fewer areas or days"
    )]
    TooLarge {
        /// The longest message that the broker takes.
        limit: usize,
    },
    /// An index of the views names what they do not hold.
    #[error("the entry under key {key:02x?} of the views' index leads nowhere")]
    Index {
        /// The key of the entry.
        key: Vec<u8>,
    },
    /// An option makes no sense.
    #[error("option {option}: {why}")]
    Option {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The broker cannot be reached.
    #[error("the broker does not answer: {detail}")]
    Broker {
        /// What was said.
        detail: String,
    },
    /// Nobody answers a request to rebuild.
    #[error("no aggregator of district {district} answers: {detail}")]
    NoAggregator {
        /// The district.
        district: AreaCode,
        /// What was seen.
        detail: String,
    },
    /// A request to rebuild, or the answer to it, is not understood.
    #[error("the request to rebuild is not understood: {detail}")]
    Control {
        /// What is wrong with it.
        detail: String,
    },
    /// An aggregator refuses a request.
    #[error("{detail}")]
    Refused {
        /// The code of its reason.
        code: Code,
        /// What it said.
        detail: String,
    },
    /// The endpoint does not start.
    #[error("the endpoint does not start: {detail}")]
    Endpoint {
        /// What was said.
        detail: String,
        /// The code of the cause.
        code: Code,
    },
    /// The views.
    #[error(transparent)]
    Views(#[from] gridkeeper_liveviews::Error),
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
            Self::TooLarge { .. } => Code(606),
            Self::Index { .. } => Code(607),
            Self::Option { .. } => Code(608),
            Self::Broker { .. } => Code(609),
            Self::NoAggregator { .. } => Code(610),
            Self::Control { .. } => Code(611),
            Self::Refused { code, .. } | Self::Endpoint { code, .. } => *code,
            Self::Views(error) => error.code(),
            Self::Event(error) => error.code(),
            Self::Evolve(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
}
