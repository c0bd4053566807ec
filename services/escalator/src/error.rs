//! Why the escalator stops, or does not start.

use gridkeeper_identity::KeyError;
use gridkeeper_proto::{
    area::AreaCode,
    case::EvolveError,
    code::{Code, Coded},
    envelope::EnvelopeError,
    rules::RulesError,
};
use gridkeeper_viewstore as viewstore;

/// Why the escalator stops, or does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The timers.
    #[error(transparent)]
    Views(#[from] gridkeeper_liveviews::Error),
    /// An event of the log does not decode.
    #[error(transparent)]
    Event(#[from] EnvelopeError),
    /// An event of the log does not follow from those before.
    #[error(transparent)]
    Evolve(#[from] EvolveError),
    /// The rules of the log cannot be used.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The store of timers.
    #[error(transparent)]
    Store(#[from] viewstore::Error),
    /// A timer names a case that the store does not hold.
    #[error("the entry under key {key:02x?} of the timers leads nowhere")]
    Index {
        /// The key of the entry.
        key: Vec<u8>,
    },
    /// Steps are due and none gets through.
    #[error("steps are due since {since_ms} ms and none gets through: {detail}")]
    Late {
        /// For how long.
        since_ms: u64,
        /// What was seen last.
        detail: String,
    },
    /// The token cannot be issued.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The HTTP client cannot be made.
    #[error("no HTTP client for district {district}: {detail}")]
    Client {
        /// The district.
        district: AreaCode,
        /// What was said.
        detail: String,
    },
    /// An option makes no sense.
    #[error("option {option}: {why}")]
    Option {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The endpoint does not start.
    #[error("the endpoint does not start: {detail}")]
    Endpoint {
        /// What was said.
        detail: String,
        /// The code of the cause.
        code: Code,
    },
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Views(error) => error.code(),
            Self::Event(error) => error.code(),
            Self::Evolve(error) => error.code(),
            Self::Rules(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Endpoint { code, .. } => *code,
            Self::Index { .. } => Code(650),
            Self::Late { .. } => Code(651),
            Self::Client { .. } => Code(652),
            Self::Option { .. } => Code(653),
        }
    }
}
