//! What ends a command.

use std::{io, path::PathBuf};

use gridkeeper_district::DistrictError;
use gridkeeper_identity::KeyError;
use gridkeeper_proto::{
    access::ClaimsError,
    code::{Code, Coded},
};

use crate::{config::ConfigError, door::DoorError, import::ImportError};

/// Why a command ended without what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file or folder of the command line.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A part of the process ended by itself.
    #[error("the {part} ended without being asked to: {reason}")]
    Ended {
        /// The part.
        part: &'static str,
        /// Why, as far as it is known.
        reason: String,
    },
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A district's folder.
    #[error(transparent)]
    District(#[from] DistrictError),
    /// Keys.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Claims of a token.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// Intake's door.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// An import.
    #[error(transparent)]
    Import(#[from] ImportError),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } => Code(820),
            Self::Ended { .. } => Code(822),
            Self::Config(error) => error.code(),
            Self::District(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Claims(error) => error.code(),
            Self::Door(error) => error.code(),
            Self::Import(error) => error.code(),
        }
    }
}
