//! The changes of a flush in a file of their own, so that one that was interrupted can be done again.
//!
//! ```text
//! committed (16)  position and seal once the changes are in the database
//! for each change:
//! length of the key (4), key, length of the value (4) or 0xffffffff when removed, value
//! sum (8)         the seal of these changes
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

use crate::{memtable::Changed, seal::Seal};

const NAME: &str = "journal";
const SUM: usize = 8;
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
    let mut file = BufWriter::with_capacity(BUFFER, File::create(path(folder))?);
    file.write_all(&committed)?;
    for (key, value) in changed {
        file.write_all(&length(key)?)?;
        file.write_all(key)?;
        match value {
            Some(value) => {
                file.write_all(&length(value)?)?;
                file.write_all(value)?;
            }
            None => file.write_all(&REMOVED.to_be_bytes())?,
        }
    }
    file.write_all(&sum(&committed, changed).to_bytes())?;
    file.flush()
}

/// What tells whether a journal is whole.
fn sum(committed: &[u8], changed: &Changed) -> Seal {
    let mut sum = Seal::default();
    sum.add(committed, &[]);
    for (key, value) in changed {
        match value {
            Some(value) => sum.add(key, value),
            None => sum.subtract(key, &[]),
        }
    }
    sum
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
    let (rest, written) = bytes.split_last_chunk::<SUM>()?;
    let (&committed, mut rest) = rest.split_first_chunk()?;
    let mut changed = Changed::new();
    while !rest.is_empty() {
        let key = text(&mut rest)??;
        changed.insert(key, text(&mut rest)?);
    }
    let whole = sum(&committed, &changed).to_bytes() == *written;
    whole.then_some(Journal { committed, changed })
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
