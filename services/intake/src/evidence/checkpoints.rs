//! Signed checkpoints in a folder.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use gridkeeper_proto::{
    checkpoint::{Checkpoint, CheckpointVerifier},
    envelope::Position,
    id::LogId,
};

use super::failed;
use crate::Error;

/// The folder's name in that of all evidence.
const FOLDER: &str = "checkpoints";
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
        let folder = evidence.join(FOLDER);
        gridkeeper_private::folder(&folder).map_err(failed(&folder))?;
        Ok(Self { folder })
    }

    /// All checkpoints, oldest first. One that this log's key did not sign is an error: nobody else writes here.
    pub(crate) fn all(&self, verifier: &CheckpointVerifier) -> Result<Vec<Checkpoint>, Error> {
        let files = self.files()?;
        let opened = files.iter().map(|(_, path)| open(path, verifier));
        opened.collect()
    }

    /// The newest checkpoint that can be read, and when the folder was changed last, unless it was
    /// not since `seen`.
    fn newest_since(
        &self,
        seen: Option<SystemTime>,
        verifier: &CheckpointVerifier,
    ) -> Option<(SystemTime, Option<Checkpoint>)> {
        let changed = fs::metadata(&self.folder).ok()?.modified().ok()?;
        if seen == Some(changed) {
            return None;
        }
        let files = self.files().ok()?;
        let mut opened = files.iter().rev().map(|(_, path)| open(path, verifier));
        Some((changed, opened.find_map(Result::ok)))
    }

    /// Adds a signed checkpoint, and drops old ones. Blocks until it is on the disk.
    pub(crate) fn add(&self, position: Position, note: &str) -> Result<(), Error> {
        let path = self.path(position);
        gridkeeper_private::write(&path, note.as_bytes()).map_err(failed(&path))?;
        self.thin_out()
    }

    fn thin_out(&self) -> Result<(), Error> {
        let files = self.files()?;
        let Some(old) = files.len().checked_sub(NEWEST) else {
            return Ok(());
        };
        let mut kept = None;
        for (position, path) in files.into_iter().take(old) {
            let stretch = position.0 / STRETCH;
            if kept.replace(stretch) == Some(stretch) {
                fs::remove_file(&path).map_err(failed(&path))?;
            }
        }
        Ok(())
    }

    /// The files of checkpoints by the positions that they are named by, however many zeros stand
    /// before these.
    fn files(&self) -> Result<Vec<(Position, PathBuf)>, Error> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed(&self.folder))? {
            let path = entry.map_err(failed(&self.folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let number = name.and_then(|name| name.strip_suffix(".checkpoint"));
            if let Some(number) = number.and_then(|number| number.parse().ok()) {
                files.push((Position(number), path));
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    fn path(&self, position: Position) -> PathBuf {
        self.folder.join(format!("{position:012}.checkpoint"))
    }
}

fn open(path: &Path, verifier: &CheckpointVerifier) -> Result<Checkpoint, Error> {
    // What is no text is no checkpoint.
    let note = fs::read(path).map_err(failed(path))?;
    let note = String::from_utf8_lossy(&note);
    verifier.open(&note).map_err(|source| Error::Checkpoint {
        path: path.to_owned(),
        source,
    })
}

/// The newest checkpoint in intake's folder, for who looks again and again.
#[derive(Debug)]
pub struct NewestCheckpoint {
    folder: CheckpointFolder,
    verifier: CheckpointVerifier,
    /// What was found, and of when the folder was.
    found: Mutex<(Option<SystemTime>, Option<Checkpoint>)>,
}

impl NewestCheckpoint {
    /// That in the folder of intake's evidence which this log's key signed.
    #[must_use]
    pub fn new(evidence: &Path, verifier: CheckpointVerifier) -> Self {
        Self {
            folder: CheckpointFolder {
                folder: evidence.join(FOLDER),
            },
            verifier,
            found: Mutex::default(),
        }
    }

    /// The log that it is of.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.verifier.origin().log
    }

    /// The newest one now; `None` where there is none that can be read.
    #[must_use]
    pub fn read(&self) -> Option<Checkpoint> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((changed, newest)) = self.folder.newest_since(found.0, &self.verifier) {
            *found = (Some(changed), newest);
        }
        found.1
    }
}

#[cfg(test)]
mod tests {
    use gridkeeper_identity::{load_checkpoint_signer, make_checkpoint_key};
    use gridkeeper_proto::tree::{Frontier, TreeHash};

    use super::*;

    #[test]
    fn a_checkpoint_is_read_whatever_zeros_its_name_has_and_the_newest_one_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        gridkeeper_private::folder(&keys).unwrap();
        make_checkpoint_key(&keys).unwrap();
        let signer = load_checkpoint_signer(&keys).unwrap();
        let mut frontier = Frontier::default();
        let evidence = folder.path().join("log");
        gridkeeper_private::folder(&evidence).unwrap();
        let checkpoints = CheckpointFolder::open(&evidence).unwrap();
        let newest = NewestCheckpoint::new(&evidence, signer.verifier().clone());
        assert_eq!(newest.read(), None);
        for leaf in [&b"a"[..], b"b"] {
            frontier.append(TreeHash::of_leaf(leaf));
            let checkpoint = Checkpoint::from(&frontier);
            let note = signer.sign(&checkpoint).unwrap();
            checkpoints.add(checkpoint.position, &note).unwrap();
        }
        let second = Checkpoint::from(&frontier);
        let padded = checkpoints.path(Position(2));
        fs::rename(padded, checkpoints.folder.join("2.checkpoint")).unwrap();
        fs::write(checkpoints.folder.join("7.checkpoint"), "damaged").unwrap();
        assert_eq!(newest.read(), Some(second));
        assert!(checkpoints.all(signer.verifier()).is_err());
        fs::remove_file(checkpoints.folder.join("7.checkpoint")).unwrap();
        assert_eq!(checkpoints.all(signer.verifier()).unwrap().len(), 2);
        assert_eq!(newest.read(), Some(second));
    }
}
