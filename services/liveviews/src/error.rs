//! Why views stop, do not open, or are not rebuilt.

use gridkeeper_proto::{
    chain::ChainError,
    code::{Code, Coded},
    envelope::{EnvelopeError, Position},
};
use gridkeeper_viewstore as viewstore;

use crate::log::LogError;

/// Why views stop, do not open, or are not rebuilt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log cannot be read, now or ever.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Events of the log are missing.
    #[error(
        "the event at position {found} follows the one at {previous}: events between are missing"
    )]
    Gap {
        /// The last position before.
        previous: Position,
        /// The one that came.
        found: Position,
    },
    /// An event does not belong where it stands.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// An event does not decode.
    #[error(transparent)]
    Event(#[from] EnvelopeError),
    /// The log does not answer during a rebuild.
    #[error("the rebuild is given up, and the views stay as they are: {detail}")]
    RebuildAbandoned {
        /// What was seen.
        detail: String,
    },
    /// The views stopped before at an error.
    #[error("{detail}")]
    Stopped {
        /// The code of that error.
        code: Code,
        /// What it said.
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
    /// The store, and the projection that it runs.
    #[error(transparent)]
    Store(#[from] viewstore::Error),
}

impl Error {
    /// Whether opening the views may succeed later without a change of the configuration: the disk is full or failing.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_passing())
    }
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Log(LogError::Unavailable(_)) => Code(300),
            Self::Log(LogError::Broken { code, .. }) | Self::Stopped { code, .. } => *code,
            Self::Gap { .. } => Code(309),
            Self::Chain(error) => error.code(),
            Self::Event(error) => error.code(),
            Self::RebuildAbandoned { .. } => Code(612),
            Self::Option { .. } => Code(613),
            Self::Store(error) => error.code(),
        }
    }
}
