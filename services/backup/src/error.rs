//! What keeps a backup from being taken, checked or restored.

use std::{io, path::PathBuf};

use gridkeeper_eventlog::{LogError, verify::Break};
use gridkeeper_proto::{
    checkpoint::CheckpointError,
    code::{Code, Coded},
    envelope::Position,
};

/// Why there is no backup, or no restored log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refuses a file or folder of the backup.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the backup is not as it was written, or is gone.
    #[error("the backup is damaged: {}: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The folder holds no backup.
    #[error("there is no backup in {}: {detail}", folder.display())]
    NoBackup {
        /// The folder.
        folder: PathBuf,
        /// What is there instead.
        detail: String,
    },
    /// Another run is at work in the folder.
    #[error("another command is at work in {}", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The backup is of another log than the one it is used with.
    #[error("the backup in {} is of {backup}, and {what} is of {found}", folder.display())]
    AnotherLog {
        /// The folder.
        folder: PathBuf,
        /// The backup's log and district.
        backup: String,
        /// What it is used with.
        what: &'static str,
        /// The log and district of that.
        found: String,
    },
    /// The log holds another message than the backup.
    #[error(
        "position {position} of the log holds another message than the backup in {}: the log has another history",
        folder.display()
    )]
    AnotherHistory {
        /// The folder.
        folder: PathBuf,
        /// Where they differ.
        position: Position,
    },
    /// The log ends before the backup does.
    #[error(
        "the log ends at position {last}, and the backup in {} holds it up to {backup}: the log became shorter",
        folder.display()
    )]
    LogShorter {
        /// The folder.
        folder: PathBuf,
        /// The log's end.
        last: Position,
        /// The backup's end.
        backup: Position,
    },
    /// The broker holds streams of the district already.
    #[error("the broker is not empty: {found}")]
    NotEmpty {
        /// The streams, with what they hold.
        found: String,
    },
    /// The restored log has another root than the backup.
    #[error("the restored log is not the one of the backup: {detail}")]
    NotRestored {
        /// How they differ.
        detail: String,
    },
    /// A backup of a newer version.
    #[error("the backup in {} has format {format}, and this version reads format {known}", folder.display())]
    Format {
        /// The folder.
        folder: PathBuf,
        /// Its format.
        format: u32,
        /// The format of this version.
        known: u32,
    },
    /// The log has no id.
    #[error("the log has no id yet: it gets one when intake starts")]
    Unnamed,
    /// The log cannot be read or written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What was copied does not hold together.
    #[error(transparent)]
    Break(#[from] Break),
    /// The key of checkpoints that the backup names is none.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } => Code(342),
            Self::Damaged { .. } => Code(343),
            Self::NoBackup { .. } => Code(344),
            Self::InUse { .. } => Code(345),
            Self::AnotherLog { .. } => Code(346),
            Self::AnotherHistory { .. } => Code(347),
            Self::LogShorter { .. } => Code(348),
            Self::NotEmpty { .. } => Code(349),
            Self::NotRestored { .. } => Code(350),
            Self::Format { .. } => Code(351),
            Self::Unnamed => Code(352),
            Self::Log(error) => error.code(),
            Self::Break(error) => error.code(),
            Self::Checkpoint(error) => error.code(),
        }
    }
}
