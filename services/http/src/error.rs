//! What keeps an HTTP endpoint from starting.

use std::io;

use gridkeeper_proto::code::{Code, Coded};

/// Why an HTTP endpoint does not start.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be listened at.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// Host and port.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something else records the metrics of this process.
    #[error("this process records its metrics through something else already")]
    Recorder,
}

impl Coded for HttpError {
    fn code(&self) -> Code {
        match self {
            Self::Recorder => Code(34),
            Self::Listen { .. } => Code(35),
        }
    }
}
