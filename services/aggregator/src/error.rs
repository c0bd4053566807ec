//! Why the aggregator stops, does not start, or does not do what it was asked to.

use gridkeeper_proto::{
    area::AreaCode,
    code::{Code, Coded},
};

/// Why the aggregator stops, does not start, or does not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
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
    /// A request of an operator's command, or the answer to it, is not understood.
    #[error("the request, or the answer to it, is not understood: {detail}")]
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
}

impl Error {
    /// A request of an operator's command, or the answer to it, that is not what it should be.
    pub(crate) fn misunderstood(error: &serde_json::Error) -> Self {
        Self::Control {
            detail: error.to_string(),
        }
    }
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Option { .. } => Code(608),
            Self::Broker { .. } => Code(609),
            Self::NoAggregator { .. } => Code(610),
            Self::Control { .. } => Code(611),
            Self::Refused { code, .. } | Self::Endpoint { code, .. } => *code,
            Self::Views(error) => error.code(),
        }
    }
}
