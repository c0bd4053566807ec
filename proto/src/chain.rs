//! The chain of hashes of each area: every event carries the hash of the event before it in its area.

use serde::{Deserialize, Serialize};

use crate::{
    area::AreaCode,
    code::{Code, Coded},
    envelope::{EventHash, Header, Position},
    integrity::Integrity,
};

/// The last event of an area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreaHead {
    /// Its position; zero where the area has no event.
    pub position: Position,
    /// Its hash.
    pub hash: EventHash,
}

/// An event does not belong where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// An event does not carry the hash of the one before it.
    #[error(
        "the event at position {position} of area {area} carries the hash {carried} of the event before it, which is {found}"
    )]
    Broken {
        /// Its position.
        position: Position,
        /// Its area.
        area: AreaCode,
        /// The hash it carries.
        carried: EventHash,
        /// The hash of the event before it.
        found: EventHash,
    },
    /// An event is under the subject of another area.
    #[error(
        "the event at position {position} is of area {area} and under the subject of {subject}"
    )]
    Misplaced {
        /// Its position.
        position: Position,
        /// The area it names.
        area: AreaCode,
        /// The area of its subject.
        subject: AreaCode,
    },
}

impl Coded for ChainError {
    fn code(&self) -> Code {
        match self {
            Self::Broken { .. } => Code(317),
            Self::Misplaced { .. } => Code(318),
        }
    }
}

/// Checks that an event is under its own area's subject and follows the area's last one, or one that was given up
/// as lost.
///
/// # Errors
/// [`ChainError`].
pub fn check(
    (position, subject): (Position, AreaCode),
    header: &Header,
    head: AreaHead,
    statements: &Integrity,
) -> Result<(), ChainError> {
    let area = header.area;
    if area != subject {
        return Err(ChainError::Misplaced {
            position,
            area,
            subject,
        });
    }
    let follows = header.previous == head.hash;
    if follows || statements.misses_between(head.position, position) {
        return Ok(());
    }
    Err(ChainError::Broken {
        position,
        area,
        carried: header.previous,
        found: head.hash,
    })
}
