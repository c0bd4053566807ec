//! The hashes of the tree over the log, in a file: 32 bytes each, in the order of `tlog_tiles::stored_hash_index`.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use gridkeeper_proto::{envelope::Position, tree::TreeHash};
use tlog_tiles::tlog::{
    self, Hash, HashReader, prove_record, prove_tree, stored_hash_index, tree_hash,
};

use super::failed;
use crate::Error;

const HASH_BYTES: u64 = 32;
/// With so many hashes in memory they are written. A file that grew with each append would have
/// part in each sync of the broker, where both are on one disk.
const PIECE: usize = 4_096;

/// The file, as its one writer has it.
#[derive(Debug)]
pub(crate) struct TreeFile {
    reader: TreeReader,
}

/// Reads the hashes, those in the file and those that are still to be written there. Clones read
/// the same.
#[derive(Clone, Debug)]
pub(crate) struct TreeReader {
    path: Arc<PathBuf>,
    file: Arc<File>,
    end: Arc<RwLock<End>>,
}

/// The end of the tree.
#[derive(Debug, Default)]
struct End {
    /// How many hashes are in the file.
    written: u64,
    /// The hashes that follow them.
    unwritten: Vec<TreeHash>,
    /// How many leaves the tree has with these.
    size: u64,
}

impl TreeFile {
    /// Begins the file anew.
    pub(crate) fn begin(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(gridkeeper_private::FILE)
            .open(path)
            .map_err(failed(path))?;
        Ok(Self {
            reader: TreeReader {
                path: Arc::new(path.to_owned()),
                file: Arc::new(file),
                end: Arc::default(),
            },
        })
    }

    /// Adds the hashes by which the tree comes to have so many leaves. They can be read from then
    /// on, also where this fails because the file cannot be written: the next call tries again.
    ///
    /// # Errors
    /// [`Error::Evidence`].
    pub(crate) fn append(&mut self, hashes: &[TreeHash], size: u64) -> Result<(), Error> {
        let mut end = self.reader.end_to_change();
        end.unwritten.extend_from_slice(hashes);
        end.size = size;
        if end.unwritten.len() < PIECE {
            return Ok(());
        }
        let start = end.written * HASH_BYTES;
        let bytes: Vec<u8> = end.unwritten.iter().flat_map(|hash| hash.0).collect();
        // Nobody who reads waits for the disk; nobody else changes the end.
        drop(end);
        self.reader
            .file
            .write_all_at(&bytes, start)
            .map_err(failed(&self.reader.path))?;
        let mut end = self.reader.end_to_change();
        end.written += end.unwritten.len() as u64;
        end.unwritten.clear();
        Ok(())
    }

    pub(crate) fn reader(&self) -> TreeReader {
        self.reader.clone()
    }
}

impl TreeReader {
    /// The last position that is a leaf of the tree.
    pub(crate) fn position(&self) -> Position {
        Position(self.end().size)
    }

    /// The leaf at a position; `None` where there is none.
    pub(crate) fn leaf(&self, position: Position) -> Result<Option<TreeHash>, Error> {
        if position.0 == 0 || position > self.position() {
            return Ok(None);
        }
        let index = stored_hash_index(0, position.0 - 1);
        let hashes = self
            .read_hashes(&[index])
            .map_err(|error| self.failed(&error))?;
        Ok(hashes.first().map(|hash| TreeHash(hash.0)))
    }

    /// The root of the log up to a position.
    ///
    /// # Errors
    /// [`Error::BeyondEnd`] and [`Error::Evidence`].
    pub(crate) fn root(&self, position: Position) -> Result<TreeHash, Error> {
        self.check(position)?;
        let root = tree_hash(position.0, self).map_err(|error| self.failed(&error))?;
        Ok(TreeHash(root.0))
    }

    /// The proof that the message at a position is in the tree of the log up to another one.
    ///
    /// # Errors
    /// [`Error::BeyondEnd`], [`Error::NotWithin`] and [`Error::Evidence`].
    pub(crate) fn inclusion(
        &self,
        position: Position,
        up_to: Position,
    ) -> Result<Vec<TreeHash>, Error> {
        self.check(up_to)?;
        if position.0 == 0 || position > up_to {
            return Err(Error::NotWithin {
                position,
                to: up_to,
            });
        }
        let proof = prove_record(up_to.0, position.0 - 1, self);
        proof.map(hashes).map_err(|error| self.failed(&error))
    }

    /// The proof that the log up to one position is the beginning of the log up to a later one.
    ///
    /// # Errors
    /// [`Error::BeyondEnd`], [`Error::NotWithin`] and [`Error::Evidence`].
    pub(crate) fn consistency(&self, from: Position, to: Position) -> Result<Vec<TreeHash>, Error> {
        self.check(to)?;
        if from > to {
            return Err(Error::NotWithin { position: from, to });
        }
        if from.0 == 0 || from == to {
            return Ok(Vec::new());
        }
        let proof = prove_tree(to.0, from.0, self);
        proof.map(hashes).map_err(|error| self.failed(&error))
    }

    fn check(&self, position: Position) -> Result<(), Error> {
        let last = self.position();
        match position <= last {
            true => Ok(()),
            false => Err(Error::BeyondEnd { position, last }),
        }
    }

    fn failed(&self, error: &tlog::Error) -> Error {
        Error::Evidence {
            path: self.path.to_path_buf(),
            detail: error.to_string(),
        }
    }

    /// The hash at a place in the file; `None` where it cannot be read.
    fn hash(&self, index: u64) -> Option<Hash> {
        let end = self.end();
        if let Some(behind) = index.checked_sub(end.written) {
            let found = end.unwritten.get(usize::try_from(behind).ok()?)?;
            return Some(Hash(found.0));
        }
        drop(end);
        let mut hash = [0; 32];
        let read = self.file.read_exact_at(&mut hash, index * HASH_BYTES);
        read.ok().map(|()| Hash(hash))
    }

    fn end(&self) -> RwLockReadGuard<'_, End> {
        // No panic leaves it half changed.
        self.end.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn end_to_change(&self) -> RwLockWriteGuard<'_, End> {
        self.end.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HashReader for TreeReader {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
        let read = |index: &u64| self.hash(*index).ok_or(tlog::Error::IndexesNotInTree);
        indexes.iter().map(read).collect()
    }
}

fn hashes(proof: Vec<Hash>) -> Vec<TreeHash> {
    proof.into_iter().map(|hash| TreeHash(hash.0)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use gridkeeper_proto::tree::Frontier;
    use tlog_tiles::tlog::{check_record, check_tree};

    use super::*;

    /// Adds a leaf that no other is like, and the hashes that come with it.
    fn grow(frontier: &mut Frontier, added: &mut Vec<TreeHash>) -> TreeHash {
        let leaf = TreeHash::of_leaf(&frontier.size().to_be_bytes());
        frontier.append_observed(leaf, |hash| added.push(hash));
        leaf
    }

    #[test]
    fn every_proof_holds_for_its_roots_and_for_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = TreeFile::begin(&folder.path().join("tree")).unwrap();
        let reader = file.reader();
        let mut frontier = Frontier::default();
        let mut roots = vec![frontier.root()];
        for _ in 0..40 {
            let mut added = Vec::new();
            let leaf = grow(&mut frontier, &mut added);
            file.append(&added, frontier.size()).unwrap();
            roots.push(frontier.root());
            assert_eq!(reader.leaf(frontier.position()).unwrap(), Some(leaf));
        }
        let back = |proof: Vec<TreeHash>| proof.iter().map(|hash| Hash(hash.0)).collect();
        let root = |size: u64| Hash(roots[usize::try_from(size).unwrap()].0);
        for size in 1..=40 {
            let at = Position(size);
            assert_eq!(reader.root(at).unwrap().0, root(size).0);
            for position in 1..=size {
                let leaf = reader.leaf(Position(position)).unwrap().unwrap();
                let proof = back(reader.inclusion(Position(position), at).unwrap());
                let leaf = Hash(leaf.0);
                assert!(check_record(&proof, size, root(size), position - 1, leaf).is_ok());
                assert!(check_record(&proof, size, root(size - 1), position - 1, leaf).is_err());
                let proof = back(reader.consistency(Position(position), at).unwrap());
                let check = |earlier| check_tree(&proof, size, root(size), position, earlier);
                assert!(check(root(position)).is_ok());
                assert!(check(root(position - 1)).is_err());
            }
        }
        assert_eq!(reader.leaf(Position(41)).unwrap(), None);
        assert!(reader.root(Position(41)).is_err());
        assert!(reader.inclusion(Position(0), Position(40)).is_err());
        assert!(reader.inclusion(Position(9), Position(8)).is_err());
        assert!(reader.consistency(Position(9), Position(8)).is_err());
        assert!(
            reader
                .consistency(Position(0), Position(8))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn leaves_are_read_from_the_file_and_from_memory_alike() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tree");
        let mut file = TreeFile::begin(&path).unwrap();
        let reader = file.reader();
        let mut frontier = Frontier::default();
        let (mut roots, mut leaves) = (vec![frontier.root()], Vec::new());
        let length = || fs::metadata(&path).unwrap().len();
        while length() < 2 * PIECE as u64 * HASH_BYTES {
            let mut added = Vec::new();
            let leaf = grow(&mut frontier, &mut added);
            file.append(&added, frontier.size()).unwrap();
            roots.push(frontier.root());
            leaves.push(leaf);
            let newest = reader.root(frontier.position()).unwrap();
            assert_eq!(newest, frontier.root());
        }
        for (before, leaf) in leaves.iter().enumerate() {
            let position = Position(before as u64 + 1);
            assert_eq!(reader.leaf(position).unwrap(), Some(*leaf));
            assert_eq!(reader.root(position).unwrap(), roots[before + 1]);
        }
    }

    #[test]
    fn hashes_that_cannot_be_written_are_read_all_the_same_and_are_written_once_that_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tree");
        let mut file = TreeFile::begin(&path).unwrap();
        let writable = Arc::clone(&file.reader.file);
        file.reader.file = Arc::new(File::open(&path).unwrap());
        let mut frontier = Frontier::default();
        let mut added = Vec::new();
        while added.len() < PIECE {
            grow(&mut frontier, &mut added);
        }
        let refused = file.append(&added, frontier.size());
        assert!(matches!(refused, Err(Error::Evidence { .. })));
        let end = frontier.position();
        assert_eq!(file.reader().root(end).unwrap(), frontier.root());
        file.reader.file = writable;
        file.append(&[], frontier.size()).unwrap();
        let bytes: Vec<u8> = added.iter().flat_map(|hash| hash.0).collect();
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(file.reader().root(end).unwrap(), frontier.root());
    }
}
