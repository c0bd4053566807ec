//! The changes of a flush in a file of their own, so that one that was interrupted can be done again.
//!
//! ```text
//! committed (16)  position and seal once the changes are in the database
//! for each change:
//! length of the key (4), key, length of the value (4) or 0xffffffff when removed, value
//! digest (32)     BLAKE3 of all that is before it
//! ```
//!
//! The file is there only while a flush is under way. It is not forced onto the disk: after a crash of the
//! process it is whole, and after one of the machine the database may be behind it or broken as well, which
//! opening finds by the seal.

use std::{
    fs::{self, File},
    io::{self, BufWriter, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use crate::memtable::Changed;

const NAME: &str = "journal";
const DIGEST: usize = 32;
const BUFFER: usize = 64 << 10;
const REMOVED: u32 = u32::MAX;

/// What a journal holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Journal {
    pub(crate) committed: [u8; 16],
    pub(crate) changed: Changed,
}

fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// Writes a journal into a generation's folder.
pub(crate) fn write(folder: &Path, committed: [u8; 16], changed: &Changed) -> io::Result<()> {
    let mut file = Hashed {
        file: BufWriter::with_capacity(BUFFER, File::create(path(folder))?),
        hasher: blake3::Hasher::new(),
    };
    file.write(&committed)?;
    for (key, value) in changed {
        file.write(&length(key)?)?;
        file.write(key)?;
        match value {
            Some(value) => {
                file.write(&length(value)?)?;
                file.write(value)?;
            }
            None => file.write(&REMOVED.to_be_bytes())?,
        }
    }
    let Hashed { mut file, hasher } = file;
    file.write_all(hasher.finalize().as_bytes())?;
    file.flush()
}

/// A file, and the hash of what was written to it.
struct Hashed {
    file: BufWriter<File>,
    hasher: blake3::Hasher,
}

impl Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.file.write_all(bytes)
    }
}

fn length(bytes: &[u8]) -> io::Result<[u8; 4]> {
    match u32::try_from(bytes.len()) {
        Ok(length) if length != REMOVED => Ok(length.to_be_bytes()),
        _ => Err(ErrorKind::FileTooLarge.into()),
    }
}

/// Reads the journal in a generation's folder; none where there is none that is whole.
pub(crate) fn read(folder: &Path) -> io::Result<Option<Journal>> {
    match fs::read(path(folder)) {
        Ok(bytes) => Ok(parse(&bytes)),
        Err(missing) if missing.kind() == ErrorKind::NotFound => Ok(None),
        Err(refused) => Err(refused),
    }
}

/// Removes the journal from a generation's folder, if one is there.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_file(path(folder)) {
        Err(refused) if refused.kind() != ErrorKind::NotFound => Err(refused),
        _ => Ok(()),
    }
}

fn parse(bytes: &[u8]) -> Option<Journal> {
    let (rest, digest) = bytes.split_last_chunk::<DIGEST>()?;
    if blake3::hash(rest) != *digest {
        return None;
    }
    let (&committed, mut rest) = rest.split_first_chunk()?;
    let mut changed = Changed::new();
    while !rest.is_empty() {
        let key = text(&mut rest)??;
        changed.insert(key, text(&mut rest)?);
    }
    Some(Journal { committed, changed })
}

/// Takes a length and so many bytes off the front; within it none for what was removed.
#[expect(
    clippy::option_option,
    reason = "too few bytes and removed are not the same"
)]
fn text(rest: &mut &[u8]) -> Option<Option<Vec<u8>>> {
    let (length, after) = rest.split_first_chunk()?;
    *rest = after;
    let length = u32::from_be_bytes(*length);
    if length == REMOVED {
        return Some(None);
    }
    let (bytes, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(Some(bytes.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_part_of_it_or_anything_else_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let read_back = || read(folder.path()).unwrap();
        assert_eq!(read_back(), None);
        let changed = Changed::from([
            (b"a".to_vec(), Some(b"one".to_vec())),
            (b"b".to_vec(), None),
            (b"c".to_vec(), Some(Vec::new())),
        ]);
        write(folder.path(), [7; 16], &changed).unwrap();
        let committed = [7; 16];
        assert_eq!(read_back(), Some(Journal { committed, changed }));
        let bytes = fs::read(path(folder.path())).unwrap();
        for length in 0..bytes.len() {
            assert_eq!(parse(&bytes[..length]), None, "{length}");
            let mut changed = bytes.clone();
            changed[length] ^= 1;
            assert_eq!(parse(&changed), None, "{length}");
        }
        remove(folder.path()).unwrap();
        remove(folder.path()).unwrap();
        assert_eq!(read_back(), None);
    }
}
