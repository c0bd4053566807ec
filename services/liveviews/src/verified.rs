//! The hashes of the log, checked and kept beside every projection.
//!
//! # Invariants
//! - What is folded follows the last position of the views without a gap.
//! - Every event is under its own area's subject and carries the hash of the one before it there.
//! - The frontier of the tree and the last leaf are committed with the views, under keys that no projection uses.

use gridkeeper_proto::{
    anchor::Anchor,
    area::AreaCode,
    chain::{self, AreaHead},
    checkpoint::Checkpoint,
    event::ByAggregate,
    id::LogId,
    integrity::Standing,
    time::Timestamp,
    tree::{Frontier, TreeHash},
};
use gridkeeper_viewstore::{Changes, Projection, ProjectionError, Reader};
use serde::{Deserialize, Serialize};

use crate::{
    Cache, Error,
    log::{LogEvent, Source},
};

const HEAD: u8 = 0xf0;
const PROGRESS: u8 = 0xf1;

/// How many heads of areas are kept at most between commits: all of a district with some thousand grids.
const HEADS: usize = 16_384;

/// How far a log was read, and what ties the reader to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The log; `None` before anything of one was read, and for one without an id.
    pub log: Option<LogId>,
    /// The hash of the leaf at the last position.
    pub leaf: TreeHash,
    /// When the last statement on the log was made that what was read follows; 1970 for none.
    pub stated: Timestamp,
    /// The tree up to the last position.
    pub frontier: Frontier,
}

impl Default for Progress {
    fn default() -> Self {
        let Anchor { leaf, .. } = Anchor::default();
        Self {
            log: None,
            leaf,
            stated: Timestamp::EPOCH,
            frontier: Frontier::default(),
        }
    }
}

impl Progress {
    /// How far the views of a reader are.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn read(reader: &Reader<'_>) -> Result<Self, gridkeeper_viewstore::Error> {
        Ok(reader.value(&[PROGRESS])?.unwrap_or_default())
    }

    /// The root of the log up to the last position.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint::of(&self.frontier, self.stated)
    }

    /// What ties the reader to the log.
    #[must_use]
    pub fn anchor(&self) -> Anchor {
        Anchor {
            log: self.log,
            position: self.frontier.position(),
            leaf: self.leaf,
            stated: self.stated,
        }
    }
}

/// A projection behind the check of the log's hashes.
#[derive(Clone, Debug)]
pub struct Verified<P> {
    inner: P,
    source: Source,
    heads: Cache<AreaCode, AreaHead>,
    /// `None` until something is folded.
    progress: Option<Progress>,
}

impl<P> Verified<P> {
    /// Checks what is folded into the views of a projection.
    pub fn new(inner: P) -> Self {
        Self {
            inner,
            source: Source::default(),
            heads: Cache::new(),
            progress: None,
        }
    }

    /// Sets which log the next events come from.
    pub(crate) fn read_from(&mut self, source: Source) {
        self.source = source;
    }

    fn check(&mut self, event: &LogEvent, changes: &Changes) -> Result<(), Error> {
        let progress = match &mut self.progress {
            Some(progress) => progress,
            none => none.insert(changes.value(&[PROGRESS])?.unwrap_or_default()),
        };
        let position = event.position;
        let previous = progress.frontier.position();
        if position.0 != previous.0 + 1 {
            return Err(Error::Gap {
                previous,
                found: position,
            });
        }
        let statements = &self.source.statements;
        match event.standing {
            Standing::Event | Standing::SetAside => {
                let recorded = event.recorded.as_ref().map_err(Clone::clone)?;
                let header = recorded.header();
                let key = head_key(header.area);
                let stored = || changes.value(&key).map(Option::unwrap_or_default);
                let head = self.heads.change(header.area, stored)?;
                chain::check((position, event.area), header, *head, statements)?;
                *head = AreaHead {
                    position,
                    hash: event.hash,
                };
                if matches!(recorded, ByAggregate::Integrity(_)) {
                    progress.stated = progress.stated.max(header.recorded_at);
                }
            }
            Standing::Quarantined | Standing::Lost => {}
        }
        if event.standing != Standing::Event {
            let stated = statements.stated_on(position);
            progress.stated = progress.stated.max(stated);
        }
        progress.log = self.source.log;
        progress.leaf = event.leaf;
        progress.frontier.append(event.leaf);
        Ok(())
    }
}

impl<P: Projection<LogEvent>> Projection<LogEvent> for Verified<P> {
    fn fold(&mut self, events: &[LogEvent], changes: &mut Changes) -> Result<(), ProjectionError> {
        for event in events {
            self.check(event, changes)
                .map_err(|error| ProjectionError::new(event.position, error))?;
        }
        if events.iter().all(is_folded) {
            return self.inner.fold(events, changes);
        }
        let folded = events.iter().filter(|event| is_folded(event));
        let folded: Vec<_> = folded.cloned().collect();
        match folded.is_empty() {
            true => Ok(()),
            false => self.inner.fold(&folded, changes),
        }
    }

    fn write(&mut self, changes: &mut Changes) -> Result<(), ProjectionError> {
        self.inner.write(changes)?;
        let Some(progress) = &self.progress else {
            return Ok(());
        };
        let position = progress.frontier.position();
        let failed = |error| ProjectionError::new(position, Error::Store(error));
        self.heads
            .write(HEADS, |area, head| changes.put_value(head_key(area), head))
            .and_then(|()| changes.put_value([PROGRESS], progress))
            .map_err(failed)
    }

    fn kept(&self) -> usize {
        self.inner.kept()
    }
}

fn is_folded(event: &LogEvent) -> bool {
    event.standing == Standing::Event
}

/// An area's digits order as its code does.
fn head_key(area: AreaCode) -> Vec<u8> {
    let mut key = vec![HEAD];
    key.extend_from_slice(area.as_str().as_bytes());
    key
}
