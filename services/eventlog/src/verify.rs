//! Verifying the log: every event is there, decodes, lies under its own area, is there once, and carries the hash of
//! the one before it in its area; the tree over all of them has the roots that were signed; and no sealed section has
//! lost its key.

mod read_ahead;
mod sealed;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use gridkeeper_proto::{
    area::AreaCode,
    chain::{self, AreaHead, ChainError},
    checkpoint::Checkpoint,
    code::{Code, Coded},
    envelope::{EnvelopeError, EventHash, Position},
    event::Recorded,
    id::{CaseId, EventId, LogId},
    integrity::{Integrity, Standing},
    sealed::CaseKey,
    tree::{Frontier, TreeHash},
};

pub use self::sealed::{Sealed, SealedCases, unreadable_sections};
use self::{read_ahead::read_ahead, sealed::all_keys};
use crate::{EventLog, KeyStore, LogError, Stored};

/// What was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The log; `None` for one without an id.
    pub log: Option<LogId>,
    /// The last position, and the root of the tree there.
    pub end: Checkpoint,
    /// How many areas have events.
    pub areas: usize,
    /// Hash over the last hashes of all areas, in the order of their codes: two logs with the same one
    /// hold the same events.
    pub digest: EventHash,
    /// How many checkpoints have the root that the tree has at their position.
    pub checkpoints: usize,
    /// How many checkpoints are of a history that was given up.
    pub superseded: usize,
    /// How many cases have a sealed section, and how many of these were forgotten.
    pub sealed: Sealed,
    /// What the log says of itself.
    pub statements: Arc<Integrity>,
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
        /// Its position.
        position: Position,
        /// What is wrong with it.
        source: EnvelopeError,
    },
    /// An event does not belong where it stands.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// An event is there twice.
    #[error("the event at position {position} has the id {id}, which another one has before it")]
    Repeated {
        /// The second one's position.
        position: Position,
        /// Their id.
        id: EventId,
    },
    /// The tree has another root than the one that was signed.
    #[error(
        "the log has the root {found} at position {position}, and a signed checkpoint says {signed}: an event up to there was changed"
    )]
    Root {
        /// The checkpoint's position.
        position: Position,
        /// The root it says.
        signed: TreeHash,
        /// The root of the log.
        found: TreeHash,
    },
    /// A case has a sealed section and no key, and nobody forgot it.
    #[error(
        "the parties of case {case} are sealed, nobody forgot them, and there is no key to them ({cases} cases in all)"
    )]
    KeyMissing {
        /// The first such case.
        case: CaseId,
        /// How many there are.
        cases: usize,
    },
    /// A case has a sealed section that its key does not open, and nobody forgot it.
    #[error(
        "the parties of case {case} are sealed, and the key that is kept for it does not open them ({cases} cases in all)"
    )]
    KeyWrong {
        /// The first such case.
        case: CaseId,
        /// How many there are.
        cases: usize,
    },
}

impl Coded for Break {
    fn code(&self) -> Code {
        match self {
            Self::Log(error) => error.code(),
            Self::Event { source, .. } => source.code(),
            Self::Chain(error) => error.code(),
            Self::Repeated { .. } => Code(319),
            Self::Root { .. } => Code(328),
            Self::KeyMissing { .. } => Code(329),
            Self::KeyWrong { .. } => Code(314),
        }
    }
}

/// What the log is held against.
#[derive(Debug, Default)]
pub struct Against {
    /// Checkpoints whose signatures were checked.
    pub checkpoints: Vec<Checkpoint>,
    /// The keys of sealed sections; without them they are not looked at.
    pub keys: Option<KeyStore>,
}

/// What has to be known of a verified part of the log to go on behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifiedPart {
    /// The tree over it.
    pub frontier: Frontier,
    /// The last event of each area.
    pub heads: BTreeMap<AreaCode, AreaHead>,
}

/// A verification under way: of a log, or of a copy of one. It takes the messages in their order.
#[derive(Default)]
pub struct Verification {
    statements: Arc<Integrity>,
    frontier: Frontier,
    heads: HashMap<AreaCode, AreaHead>,
    ids: HashSet<EventId>,
    sealed: SealedCases,
    /// The roots that were signed, by their position.
    signed: BTreeMap<Position, Vec<Checkpoint>>,
    checkpoints: usize,
    superseded: usize,
}

/// Reads the whole log up to its end as of now, and names the first break. `progress` is called with the position
/// reached and the end.
///
/// # Errors
/// The first [`Break`]. A stretch that cannot be read is one.
pub async fn verify(
    log: &EventLog,
    against: Against,
    mut progress: impl FnMut(Position, Position),
) -> Result<Verified, Break> {
    let signed = against.checkpoints.iter().map(|known| known.position).max();
    let statements = match log.read_statements().await {
        Err(LogError::NoStream { .. }) if signed > Some(Position(0)) => {
            return Err(Break::Log(LogError::Shorter {
                last: Position(0),
                read: signed.unwrap_or_default(),
            }));
        }
        statements => statements?,
    };
    let mut keys = match &against.keys {
        Some(keys) => Some(all_keys(keys).await?),
        None => None,
    };
    // Where messages are missing is found by reading.
    let facts = log.facts().await?;
    let mut verification = Verification::new(statements, against.checkpoints)?;
    let mut batches = read_ahead(log, facts.last);
    while verification.position() < facts.last {
        let Some(batch) = batches.batches.recv().await else {
            break;
        };
        for stored in &batch? {
            verification.step(stored)?;
        }
        progress(verification.position(), facts.last);
    }
    if let Some((keys, store)) = keys.as_mut().zip(against.keys.as_ref()) {
        let (sealed, statements) = (&verification.sealed, &verification.statements);
        sealed.add_newer_keys(keys, store, statements).await?;
    }
    verification.finish(facts.log, keys.as_ref())
}

impl Verification {
    /// Of a whole log, which says this of itself and has to have the roots of these checkpoints.
    ///
    /// # Errors
    /// [`Break::Root`] for a checkpoint of an empty log.
    pub fn new(statements: Arc<Integrity>, checkpoints: Vec<Checkpoint>) -> Result<Self, Break> {
        Self::behind(VerifiedPart::default(), statements, checkpoints)
    }

    /// Of what comes behind a part that is verified. Ids that are repeated, and sealed sections, are seen in the rest
    /// alone.
    ///
    /// # Errors
    /// [`Break::Root`] for a checkpoint at the end of that part.
    pub fn behind(
        verified: VerifiedPart,
        statements: Arc<Integrity>,
        checkpoints: Vec<Checkpoint>,
    ) -> Result<Self, Break> {
        let mut signed = BTreeMap::<_, Vec<_>>::new();
        for checkpoint in checkpoints {
            signed
                .entry(checkpoint.position)
                .or_default()
                .push(checkpoint);
        }
        let mut verification = Self {
            statements,
            frontier: verified.frontier,
            heads: verified.heads.into_iter().collect(),
            signed,
            ..Self::default()
        };
        verification.compare()?;
        Ok(verification)
    }

    /// The last position that is verified.
    #[must_use]
    pub fn position(&self) -> Position {
        self.frontier.position()
    }

    /// What has to be known to go on from here later.
    #[must_use]
    pub fn part(&self) -> VerifiedPart {
        VerifiedPart {
            frontier: self.frontier.clone(),
            heads: self
                .heads
                .iter()
                .map(|(area, head)| (*area, *head))
                .collect(),
        }
    }

    /// The cases with a sealed section that were met since this was asked last.
    pub fn take_sealed(&mut self) -> SealedCases {
        std::mem::take(&mut self.sealed)
    }

    /// How many checkpoints have the root that the tree has at their position.
    #[must_use]
    pub fn checkpoints(&self) -> usize {
        self.checkpoints
    }

    /// Verifies the next message.
    ///
    /// # Errors
    /// The first [`Break`].
    pub fn step(&mut self, stored: &Stored) -> Result<(), Break> {
        self.frontier.append(stored.leaf);
        if matches!(stored.standing, Standing::Event | Standing::SetAside) {
            self.take_in(stored)?;
        }
        self.compare()
    }

    /// Verifies that the end is not before a checkpoint, and that keys open the sealed sections
    /// where they are given.
    ///
    /// # Errors
    /// [`LogError::Shorter`], [`Break::KeyMissing`] and [`Break::KeyWrong`].
    pub fn finish(
        mut self,
        log: Option<LogId>,
        keys: Option<&BTreeMap<CaseId, CaseKey>>,
    ) -> Result<Verified, Break> {
        self.compare_longer()?;
        let sealed = match keys {
            Some(keys) => self.sealed.check(keys, &self.statements)?,
            None => Sealed::default(),
        };
        Ok(self.verified(log, sealed))
    }

    fn take_in(&mut self, stored: &Stored) -> Result<(), Break> {
        let position = stored.position;
        let recorded = Recorded::decode(position, &stored.bytes)
            .map_err(|source| Break::Event { position, source })?;
        let header = &recorded.header;
        let head = self.heads.entry(header.area).or_default();
        let subject = stored.area.ok_or(LogError::Foreign { position })?;
        chain::check((position, subject), header, *head, &self.statements)?;
        *head = AreaHead {
            position,
            hash: EventHash::of(&stored.bytes),
        };
        let id = header.event_id;
        // What is set aside did not happen: sent again, it happens by the same id.
        if stored.standing == Standing::Event && !self.ids.insert(id) {
            return Err(Break::Repeated { position, id });
        }
        self.sealed.note(recorded);
        Ok(())
    }

    /// Compares the root with those signed for this position.
    fn compare(&mut self) -> Result<(), Break> {
        let position = self.position();
        let Some(signed) = self.signed.remove(&position) else {
            return Ok(());
        };
        let found = self.frontier.root();
        for signed in signed {
            if signed.root == found {
                self.checkpoints += 1;
            } else if self.statements.supersedes(&signed) {
                self.superseded += 1;
            } else {
                return Err(Break::Root {
                    position,
                    signed: signed.root,
                    found,
                });
            }
        }
        Ok(())
    }

    /// What was signed for positions behind the end of the log.
    fn compare_longer(&mut self) -> Result<(), Break> {
        for (position, signed) in std::mem::take(&mut self.signed) {
            let supersedes = |known| self.statements.supersedes(known);
            if !signed.iter().all(supersedes) {
                return Err(Break::Log(LogError::Shorter {
                    last: self.position(),
                    read: position,
                }));
            }
            self.superseded += signed.len();
        }
        Ok(())
    }

    fn verified(self, log: Option<LogId>, sealed: Sealed) -> Verified {
        let mut heads: Vec<_> = self.heads.into_iter().collect();
        heads.sort_by_key(|(area, _)| *area);
        let bytes: Vec<u8> = heads.iter().flat_map(|(_, head)| head.hash.0).collect();
        Verified {
            log,
            end: Checkpoint::of(&self.frontier, self.statements.stated),
            areas: heads.len(),
            digest: EventHash::of(&bytes),
            checkpoints: self.checkpoints,
            superseded: self.superseded,
            sealed,
            statements: self.statements,
        }
    }
}
