//! Verifying the log: every event is there, decodes, lies under its own area, is there once, and carries
//! the hash of the one before it in its area.

use std::collections::{HashMap, HashSet};

use gridkeeper_proto::{
    area::AreaCode,
    code::{Code, Coded},
    envelope::{EnvelopeError, EventHash, Position},
    event::Recorded,
    id::EventId,
};

use crate::{EventLog, LogError, Stored};

/// How many events, and how many bytes, are checked at once.
const BATCH: (usize, usize) = (4_096, 4 << 20);

/// What was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The last event.
    pub last: Position,
    /// How many areas have events.
    pub areas: usize,
    /// Hash over the last hashes of all areas, in the order of their codes: two logs with the same one
    /// hold the same events.
    pub digest: EventHash,
}

/// The first break that was found.
#[derive(Debug, thiserror::Error)]
pub enum Break {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An event does not decode.
    #[error("the event at position {position}: {source}")]
    Event {
        /// Its place.
        position: Position,
        /// What is wrong with it.
        source: EnvelopeError,
    },
    /// An event does not carry the hash of the one before it.
    #[error(
        "the event at position {position} of area {area} carries the hash {carried} of the event before it, which is {found}"
    )]
    Chain {
        /// Its place.
        position: Position,
        /// Its area.
        area: AreaCode,
        /// The hash it carries.
        carried: EventHash,
        /// The hash of the event before it.
        found: EventHash,
    },
    /// An event lies under the subject of another area.
    #[error(
        "the event at position {position} is of area {area} and lies under the subject of {subject}"
    )]
    Misplaced {
        /// Its place.
        position: Position,
        /// The area it names.
        area: AreaCode,
        /// The area of its subject.
        subject: AreaCode,
    },
    /// An event is there twice.
    #[error("the event at position {position} has the id {id}, which another one has before it")]
    Repeated {
        /// The second one's place.
        position: Position,
        /// Their id.
        id: EventId,
    },
}

impl Coded for Break {
    fn code(&self) -> Code {
        match self {
            Self::Log(error) => error.code(),
            Self::Event { source, .. } => source.code(),
            Self::Chain { .. } => Code(317),
            Self::Misplaced { .. } => Code(318),
            Self::Repeated { .. } => Code(319),
        }
    }
}

/// What has been read of the log.
#[derive(Default)]
struct Walk {
    heads: HashMap<AreaCode, EventHash>,
    ids: HashSet<EventId>,
}

/// Reads the log from its start to where it ends now, and names the first break. `progress` is told the
/// position reached and the end.
///
/// # Errors
/// The first [`Break`].
pub async fn verify(
    log: &EventLog,
    mut progress: impl FnMut(Position, Position),
) -> Result<Verified, Break> {
    let last = log.last_position().await?;
    let mut follower = log.follow(Position(0));
    let mut walk = Walk::default();
    while follower.position() < last {
        let (max_events, max_bytes) = BATCH;
        let left = usize::try_from(last.0 - follower.position().0).unwrap_or(usize::MAX);
        let batch = follower.next_batch(max_events.min(left), max_bytes).await?;
        for stored in &batch.events {
            walk.step(stored)?;
        }
        progress(follower.position(), last);
    }
    Ok(walk.verified(last))
}

impl Walk {
    fn step(&mut self, stored: &Stored) -> Result<(), Break> {
        let position = stored.position;
        let header = Recorded::decode(position, &stored.bytes)
            .map_err(|source| Break::Event { position, source })?
            .header;
        let area = header.area;
        if area != stored.area {
            return Err(Break::Misplaced {
                position,
                area,
                subject: stored.area,
            });
        }
        if !self.ids.insert(header.event_id) {
            let id = header.event_id;
            return Err(Break::Repeated { position, id });
        }
        let head = self.heads.entry(area).or_default();
        if header.previous != *head {
            return Err(Break::Chain {
                position,
                area,
                carried: header.previous,
                found: *head,
            });
        }
        *head = EventHash::of(&stored.bytes);
        Ok(())
    }

    fn verified(self, last: Position) -> Verified {
        let mut heads: Vec<_> = self.heads.into_iter().collect();
        heads.sort_by_key(|(area, _)| *area);
        let bytes: Vec<u8> = heads.iter().flat_map(|(_, hash)| hash.0).collect();
        Verified {
            last,
            areas: heads.len(),
            digest: EventHash::of(&bytes),
        }
    }
}
