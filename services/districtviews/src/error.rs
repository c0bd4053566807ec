//! Why views stop, or a question has no answer.

use gridkeeper_proto::{
    case::EvolveError,
    code::{Code, Coded},
    envelope::EnvelopeError,
};
use gridkeeper_viewstore as viewstore;

/// Why views stop, or a question has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
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
    /// The store of views.
    #[error(transparent)]
    Store(#[from] viewstore::Error),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } => Code(606),
            Self::Index { .. } => Code(607),
            Self::Event(error) => error.code(),
            Self::Evolve(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
}
