//! What can go wrong with a store of views.

use std::{error, fmt, io, path::PathBuf, time::Duration};

use gridkeeper_proto::{
    code::{Code, Coded},
    envelope::Position,
};

/// An error with a code, whichever crate it comes from.
pub trait CodedError: error::Error + Coded + Send + Sync {}

impl<T: error::Error + Coded + Send + Sync> CodedError for T {}

/// Why an event could not be folded into the views.
#[derive(Debug)]
pub struct ProjectionError {
    /// The event's place in the log.
    pub position: Position,
    /// What was wrong.
    pub source: Box<dyn CodedError>,
}

impl ProjectionError {
    /// The event at `position` could not be folded because of `source`.
    pub fn new(position: Position, source: impl CodedError + 'static) -> Self {
        Self {
            position,
            source: Box::new(source),
        }
    }
}

impl fmt::Display for ProjectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the event at position {} cannot be folded ({}): {}",
            self.position,
            self.source.code(),
            self.source
        )
    }
}

impl error::Error for ProjectionError {}

impl Coded for ProjectionError {
    fn code(&self) -> Code {
        self.source.code()
    }
}

/// Why the store of views does not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process, or another store of this process, holds the folder.
    #[error("the views in {} are in use by another process", folder.display())]
    Locked {
        /// The store's folder.
        folder: PathBuf,
    },
    /// The disk or the file system refused.
    #[error("the views in {} cannot be read or written: {source}", folder.display())]
    Disk {
        /// The folder or file.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is on the disk is not what was written. The folder is marked, and set aside at the next open.
    #[error("the views in {} are corrupt: {reason}", folder.display())]
    Corrupt {
        /// The generation's folder.
        folder: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A value does not decode exactly. The folder is marked, and set aside at the next open.
    #[error("the value under key {key} in {} does not decode exactly", folder.display())]
    Undecodable {
        /// The generation's folder.
        folder: PathBuf,
        /// The key, in hexadecimal.
        key: String,
    },
    /// Somebody else committed since these changes were begun, or the position is not a later one.
    #[error(
        "changes for position {offered} stand on position {based_on}, the views are at {stored}"
    )]
    Stale {
        /// Where the views are.
        stored: Position,
        /// Where they were when the changes were begun.
        based_on: Position,
        /// The position of the last event folded.
        offered: Position,
    },
    /// The generation was replaced by a newer one and takes no more changes.
    #[error("generation {number} of the views was replaced and takes no more changes")]
    Retired {
        /// The generation.
        number: u64,
    },
    /// One rebuild at a time.
    #[error("the views in {} are being rebuilt already", folder.display())]
    RebuildRunning {
        /// The store's folder.
        folder: PathBuf,
    },
    /// Copying the views takes some seconds; nothing else replaces them meanwhile.
    #[error("the views in {} are being compacted; ask again in some seconds", folder.display())]
    CompactionRunning {
        /// The store's folder.
        folder: PathBuf,
    },
    /// The store closes. The views stay as they are, and are compacted after the next opening.
    #[error("the compaction of the views in {} is given up, since they are closed", folder.display())]
    CompactionAbandoned {
        /// The store's folder.
        folder: PathBuf,
    },
    /// A rebuild may not take the views back in time.
    #[error("the rebuilt views are at position {rebuilt}, the running ones at {running}")]
    RebuildBehind {
        /// Where the rebuild is.
        rebuilt: Position,
        /// Where the running generation is.
        running: Position,
    },
    /// The views did not come as far as was asked within the limit.
    #[error("the views are at position {at}, not yet at {wanted}, after {} ms", waited.as_millis())]
    NotReached {
        /// The position asked for.
        wanted: Position,
        /// Where the views were at the end.
        at: Position,
        /// The limit.
        waited: Duration,
    },
    /// Only generations at the same position can be compared.
    #[error("views at positions {left} and {right} cannot be compared")]
    PositionsDiffer {
        /// The first generation's.
        left: Position,
        /// The second one's.
        right: Position,
    },
    /// Empty keys and keys that begin with a zero byte belong to the store.
    #[error("the key {key:?} (hexadecimal) is empty or begins with a zero byte")]
    ReservedKey {
        /// The key, in hexadecimal.
        key: String,
    },
    /// A value cannot be encoded.
    #[error("the value for key {key} cannot be encoded: {reason}")]
    Unencodable {
        /// The key, in hexadecimal.
        key: String,
        /// What the encoder said.
        reason: String,
    },
    /// The events of a batch do not stand in the order of the log.
    #[error("the event at position {next} follows the one at {previous} in a batch")]
    Disorder {
        /// The earlier event of the batch.
        previous: Position,
        /// The one after it.
        next: Position,
    },
    /// The option is out of its range; nothing was opened.
    #[error("segment_bytes is {found}; it must be a power of two from 256 to 16777216")]
    SegmentSize {
        /// Bytes asked for.
        found: usize,
    },
    /// The projection refused an event. The projector has stopped before this batch.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    /// The projector stopped earlier and takes no more events.
    #[error("the projector stopped at position {position} and takes no more events")]
    Stopped {
        /// Where the views are.
        position: Position,
    },
}

impl Error {
    /// Whether the same may succeed later without a change of the configuration or of rights: the disk is full or
    /// failing.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        use io::ErrorKind as Kind;
        match self {
            Self::Disk { source, .. } => !matches!(
                source.kind(),
                Kind::PermissionDenied
                    | Kind::NotFound
                    | Kind::NotADirectory
                    | Kind::IsADirectory
                    | Kind::AlreadyExists
                    | Kind::InvalidInput
            ),
            _ => false,
        }
    }
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Locked { .. } => Code(400),
            Self::Disk { .. } => Code(401),
            Self::Corrupt { .. } => Code(402),
            Self::Undecodable { .. } => Code(403),
            Self::Stale { .. } => Code(404),
            Self::Retired { .. } => Code(405),
            Self::RebuildRunning { .. } => Code(406),
            Self::RebuildBehind { .. } => Code(407),
            Self::NotReached { .. } => Code(408),
            Self::PositionsDiffer { .. } => Code(409),
            Self::ReservedKey { .. } => Code(410),
            Self::Unencodable { .. } => Code(411),
            Self::Disorder { .. } => Code(412),
            Self::Stopped { .. } => Code(413),
            Self::SegmentSize { .. } => Code(414),
            Self::CompactionRunning { .. } => Code(415),
            Self::CompactionAbandoned { .. } => Code(416),
            Self::Projection(stopped) => stopped.code(),
        }
    }
}
