//! What can go wrong with the broker's process.

use std::{path::PathBuf, time::Duration};

use gridkeeper_proto::code::{Code, Coded};

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No binary anywhere.
    #[error(
        "no nats-server found: not in $NATS_SERVER, not on PATH, not in .venv/bin; install nats-server 2.14.7 or later"
    )]
    NotFound,
    /// The binary does not say its version.
    #[error("{path} does not answer --version as a nats-server does: {answer}", path = .path.display())]
    NotNatsServer {
        /// The binary.
        path: PathBuf,
        /// What it said.
        answer: String,
    },
    /// The binary is too old to be trusted with reports.
    #[error(
        "nats-server {found} at {path} is too old: below {floor} acknowledged messages can be lost and atomic batches mixed up",
        path = .path.display()
    )]
    TooOld {
        /// The binary.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The lowest version that does.
        floor: String,
    },
    /// A file or the process could not be made.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended before it was ready.
    #[error("nats-server ended while starting; its last words: {log}")]
    Ended {
        /// The end of its log.
        log: String,
    },
    /// It did not answer in time.
    #[error("nats-server did not answer within {waited:?}; its last words: {log}")]
    Silent {
        /// How long was waited.
        waited: Duration,
        /// The end of its log.
        log: String,
    },
    /// A server of an earlier start runs in the same folder and does not stop.
    #[error(
        "the nats-server of an earlier start (process {pid}) did not stop within {waited:?}; its last words: {log}"
    )]
    LeftBehind {
        /// Its process.
        pid: u32,
        /// How long was waited.
        waited: Duration,
        /// The end of its log.
        log: String,
    },
    /// Another process has a server in the same folder.
    #[error("another process runs a broker in {}", .folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// It ends again and again.
    #[error("nats-server ended {times} times within a minute and is not started again")]
    KeepsEnding {
        /// How often.
        times: usize,
    },
}

impl BrokerError {
    /// Whether the server ended because somebody else listens at its port.
    pub(crate) fn is_port_taken(&self) -> bool {
        matches!(self, Self::Ended { log } if log.contains("address already in use"))
    }
}

impl Coded for BrokerError {
    fn code(&self) -> Code {
        match self {
            Self::NotFound => Code(800),
            Self::NotNatsServer { .. } => Code(801),
            Self::TooOld { .. } => Code(802),
            Self::System { .. } => Code(803),
            Self::Ended { .. } => Code(804),
            Self::Silent { .. } => Code(805),
            Self::KeepsEnding { .. } => Code(806),
            Self::LeftBehind { .. } => Code(807),
            Self::InUse { .. } => Code(808),
        }
    }
}

impl BrokerError {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
