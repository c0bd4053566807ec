//! Signed checkpoints in a folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use gridkeeper_proto::{
    checkpoint::{Checkpoint, CheckpointVerifier},
    envelope::Position,
};

use super::failed;
use crate::Error;

/// How many of the newest checkpoints are kept: a day of one a minute.
const NEWEST: usize = 1_440;
/// Of the older ones the first of so many positions is kept.
const STRETCH: u64 = 10_000;

/// The folder of checkpoints.
#[derive(Clone, Debug)]
pub(crate) struct CheckpointFolder {
    folder: PathBuf,
}

impl CheckpointFolder {
    /// Opens it in the folder of all evidence, and makes it where it is missing.
    pub(crate) fn open(evidence: &Path) -> Result<Self, Error> {
        let folder = evidence.join("checkpoints");
        gridkeeper_private::folder(&folder).map_err(failed(&folder))?;
        Ok(Self { folder })
    }

    /// All checkpoints, oldest first. One that this log's key did not sign is an error: nobody else writes here.
    pub(crate) fn all(&self, verifier: &CheckpointVerifier) -> Result<Vec<Checkpoint>, Error> {
        let mut checkpoints = Vec::new();
        for position in self.positions()? {
            let path = self.path(position);
            let note = fs::read_to_string(&path).map_err(failed(&path))?;
            let checkpoint = verifier.open(&note).map_err(|source| Error::Checkpoint {
                path: path.clone(),
                source,
            })?;
            checkpoints.push(checkpoint);
        }
        Ok(checkpoints)
    }

    /// Adds a signed checkpoint, and drops old ones. Blocks until it is on the disk.
    pub(crate) fn add(&self, position: Position, note: &str) -> Result<(), Error> {
        let path = self.path(position);
        gridkeeper_private::write(&path, note.as_bytes()).map_err(failed(&path))?;
        self.thin_out()
    }

    fn thin_out(&self) -> Result<(), Error> {
        let positions = self.positions()?;
        let Some(old) = positions.len().checked_sub(NEWEST) else {
            return Ok(());
        };
        let mut kept = None;
        for position in positions.into_iter().take(old) {
            let stretch = position.0 / STRETCH;
            if kept.replace(stretch) == Some(stretch) {
                let path = self.path(position);
                fs::remove_file(&path).map_err(failed(&path))?;
            }
        }
        Ok(())
    }

    fn positions(&self) -> Result<Vec<Position>, Error> {
        let mut positions = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed(&self.folder))? {
            let name = entry.map_err(failed(&self.folder))?.file_name();
            let number = name
                .to_str()
                .and_then(|name| name.strip_suffix(".checkpoint"));
            let number = number.and_then(|number| number.parse().ok());
            positions.extend(number.map(Position));
        }
        positions.sort_unstable();
        Ok(positions)
    }

    fn path(&self, position: Position) -> PathBuf {
        self.folder.join(format!("{position:012}.checkpoint"))
    }
}
