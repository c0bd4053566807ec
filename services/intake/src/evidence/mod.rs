//! What intake keeps outside the broker of the log that it writes: so that a log that lost its end, or was exchanged
//! for another one, is noticed even where everything on the broker and every view went with it.
//!
//! ```text
//! <folder>/watermark        the last acknowledged position and the root there
//! <folder>/checkpoints/     signed checkpoints, a file each, named by their position
//! <folder>/tree             the hashes of the tree, from which proofs are made, but for the newest
//! ```
//!
//! The watermark and the checkpoints are evidence and belong into backups; the tree is a cache, written anew at each
//! start.

mod checkpoints;
mod notary;
mod tree;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use gridkeeper_eventlog::{Watermark, WatermarkFile};
use gridkeeper_proto::{
    checkpoint::{Checkpoint, CheckpointVerifier},
    envelope::Position,
    id::LogId,
    integrity::Integrity,
    time::Timestamp,
    tree::{Frontier, TreeHash},
};

pub use self::checkpoints::NewestCheckpoint;
pub(crate) use self::{
    checkpoints::CheckpointFolder,
    notary::Notary,
    tree::{TreeFile, TreeReader},
};
use crate::Error;

/// The end of the log as intake knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogEnd<'a> {
    /// The tree up to it.
    pub(crate) frontier: &'a Frontier,
    /// The hash of the last leaf.
    pub(crate) leaf: TreeHash,
    /// When the last statement was made; 1970 for none.
    pub(crate) stated: Timestamp,
}

/// What intake keeps of the log outside the broker.
#[derive(Debug)]
pub(crate) struct Evidence {
    log: LogId,
    folder: PathBuf,
    watermark: WatermarkFile,
    checkpoints: CheckpointFolder,
    tree: TreeFile,
    /// The roots that the log has to have, by position: those of the watermark and of all checkpoints that are still
    /// to be compared.
    known: BTreeMap<Position, Vec<Checkpoint>>,
    /// Why the latest of it could not be written; `None` if it is.
    failure: Option<Error>,
}

impl Evidence {
    /// Opens the folder, and makes it where it is missing. `notes` are the checkpoints that the broker keeps.
    ///
    /// # Errors
    /// [`Error::Evidence`] for a folder that cannot be used.
    pub(crate) fn open(folder: &Path, verifier: &CheckpointVerifier) -> Result<Self, Error> {
        gridkeeper_private::folder(folder).map_err(failed(folder))?;
        let log = verifier.origin().log;
        let watermark = WatermarkFile::open(folder).map_err(failed(folder))?;
        let checkpoints = CheckpointFolder::open(folder)?;
        let tree = TreeFile::begin(&folder.join("tree"))?;
        let mut evidence = Self {
            log,
            folder: folder.to_owned(),
            watermark,
            checkpoints,
            tree,
            known: BTreeMap::new(),
            failure: None,
        };
        if let Some(watermark) = evidence.watermark.read() {
            if watermark.log != log {
                return Err(Error::AnotherLog {
                    expected: watermark.log,
                    found: log,
                });
            }
            evidence.expect(watermark.checkpoint);
        }
        for checkpoint in evidence.checkpoints.all(verifier)? {
            evidence.expect(checkpoint);
        }
        Ok(evidence)
    }

    /// Adds a root that the log has to have.
    pub(crate) fn expect(&mut self, checkpoint: Checkpoint) {
        let known = self.known.entry(checkpoint.position).or_default();
        if !known.contains(&checkpoint) {
            known.push(checkpoint);
        }
    }

    /// Adds a signed checkpoint that the broker keeps. One that is newer than all that is known here
    /// is kept here too: others of the installation look at this folder.
    ///
    /// # Errors
    /// [`Error::Evidence`] for one that cannot be written.
    pub(crate) fn take_in(&mut self, checkpoint: Checkpoint, note: &str) -> Result<(), Error> {
        if checkpoint.position > self.known_to() {
            self.checkpoints.add(checkpoint.position, note)?;
        }
        self.expect(checkpoint);
        Ok(())
    }

    /// Up to which position the log is known to have reached.
    pub(crate) fn known_to(&self) -> Position {
        self.known.keys().next_back().copied().unwrap_or_default()
    }

    /// Compares the root at a position with what it has to be.
    ///
    /// # Errors
    /// [`Error::AnotherHistory`].
    pub(crate) fn compare(
        &mut self,
        frontier: &Frontier,
        statements: &Integrity,
    ) -> Result<(), Error> {
        let position = frontier.position();
        let Some(known) = self.known.remove(&position) else {
            return Ok(());
        };
        let found = frontier.root();
        let holds = |known: &Checkpoint| known.root == found || statements.supersedes(known);
        match known.iter().all(holds) {
            true => Ok(()),
            false => Err(Error::AnotherHistory { position }),
        }
    }

    /// Checks that the log reaches as far as it was known to, once it is read to its end.
    ///
    /// # Errors
    /// [`Error::Shorter`].
    pub(crate) fn compare_end(
        &mut self,
        last: Position,
        statements: &Integrity,
    ) -> Result<(), Error> {
        for (position, known) in std::mem::take(&mut self.known) {
            let given_up = known.iter().all(|known| statements.supersedes(known));
            if position > last && !given_up {
                return Err(Error::Shorter {
                    last,
                    seen: position,
                });
            }
        }
        Ok(())
    }

    /// Keeps the hashes that came with events that were read. The watermark stays until the log is read to its end.
    /// What cannot be written waits: see [`Evidence::failure`].
    pub(crate) fn keep(&mut self, hashes: &[TreeHash], end: LogEnd<'_>) {
        let marks = self.known.is_empty();
        self.failure = self.write(hashes, end, marks).err();
    }

    /// Keeps the hashes that came with the latest events, and the position that is acknowledged with them. What cannot
    /// be written waits: see [`Evidence::failure`].
    pub(crate) fn record(&mut self, hashes: &[TreeHash], end: LogEnd<'_>) {
        self.failure = self.write(hashes, end, true).err();
    }

    /// Why the latest could not be written; `None` if it is. Until it is, nothing may be acknowledged.
    pub(crate) fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    fn write(&mut self, hashes: &[TreeHash], end: LogEnd<'_>, marks: bool) -> Result<(), Error> {
        self.tree.append(hashes, end.frontier.size())?;
        match marks {
            true => self.mark(end),
            false => Ok(()),
        }
    }

    fn mark(&mut self, end: LogEnd<'_>) -> Result<(), Error> {
        let watermark = Watermark {
            log: self.log,
            checkpoint: Checkpoint::of(end.frontier, end.stated),
            leaf: end.leaf,
        };
        let written = self.watermark.write(&watermark);
        written.map_err(failed(&self.folder))
    }

    /// Where the hashes of the tree are read.
    pub(crate) fn tree(&self) -> TreeReader {
        self.tree.reader()
    }

    /// The folder of checkpoints.
    pub(crate) fn checkpoints(&self) -> &CheckpointFolder {
        &self.checkpoints
    }

    /// A handle by which the watermark is forced onto the disk away from the decider.
    pub(crate) fn watermark(&self) -> &WatermarkFile {
        &self.watermark
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |refused| Error::Evidence {
        path: PathBuf::from(path),
        detail: refused.to_string(),
    }
}
