//! The last position of a log that a service acknowledged or read, and its root, in a file that is
//! overwritten each time. The service notices by it that the log lost its end.
//!
//! ```text
//! slot 0 at 0, slot 1 at 512:
//! log (16), position (8), root (32), leaf at the position (32), when the last statement was made in milliseconds since
//! 1970 (8), first 8 bytes of the BLAKE3 of these
//! ```
//!
//! The slots take turns, so that a write that is interrupted leaves the one before.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
    sync::Arc,
};

use gridkeeper_proto::{
    checkpoint::Checkpoint, envelope::Position, id::LogId, time::Timestamp, tree::TreeHash,
};

/// The name of the file in a service's folder.
const WATERMARK: &str = "watermark";

const SLOT_BYTES: u64 = 512;
const CONTENT: usize = 16 + 8 + 32 + 32 + 8;
const LENGTH: usize = CONTENT + 8;

/// A position that a log has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// The log.
    pub log: LogId,
    /// Position and root.
    pub checkpoint: Checkpoint,
    /// The hash of the leaf at the position; that of the empty tree for an empty log.
    pub leaf: TreeHash,
}

/// Reads the watermark in a service's folder and changes nothing; `None` if there is none that can be read.
#[must_use]
pub fn read_watermark(folder: &Path) -> Option<Watermark> {
    let file = WatermarkFile {
        file: Arc::new(File::open(folder.join(WATERMARK)).ok()?),
        next: 0,
    };
    file.read()
}

/// The file of a watermark.
#[derive(Clone, Debug)]
pub struct WatermarkFile {
    file: Arc<File>,
    /// The slot that the next write takes.
    next: u64,
}

impl WatermarkFile {
    /// Opens the file in a service's folder, and makes it where it is missing.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(gridkeeper_private::FILE)
            .open(folder.join(WATERMARK))?;
        let mut opened = Self {
            file: Arc::new(file),
            next: 0,
        };
        let [first, second] = [0, 1].map(|slot| opened.slot(slot));
        // The newer one is kept as long as possible.
        let newer_is_first = first.map(position) >= second.map(position);
        opened.next = u64::from(newer_is_first && first.is_some());
        Ok(opened)
    }

    /// The newest watermark in the file; `None` in a new one.
    #[must_use]
    pub fn read(&self) -> Option<Watermark> {
        let slots = [0, 1].into_iter().filter_map(|slot| self.slot(slot));
        slots.max_by_key(|watermark| watermark.checkpoint.position)
    }

    /// Writes a watermark. It is in the hands of the system then, and on the disk after [`WatermarkFile::sync`].
    ///
    /// # Errors
    /// What the system says; the watermark before it stays.
    pub fn write(&mut self, watermark: &Watermark) -> io::Result<()> {
        let bytes = encode(watermark);
        self.file.write_all_at(&bytes, self.next * SLOT_BYTES)?;
        self.next = 1 - self.next;
        Ok(())
    }

    /// Forces what is written onto the disk. Blocks.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn slot(&self, slot: u64) -> Option<Watermark> {
        let mut bytes = [0; LENGTH];
        self.file
            .read_exact_at(&mut bytes, slot * SLOT_BYTES)
            .ok()?;
        decode(&bytes)
    }
}

fn position(watermark: Watermark) -> Position {
    watermark.checkpoint.position
}

fn encode(watermark: &Watermark) -> [u8; LENGTH] {
    let Checkpoint {
        position,
        root,
        stated,
    } = watermark.checkpoint;
    let mut bytes = [0; LENGTH];
    bytes[..16].copy_from_slice(watermark.log.as_bytes());
    bytes[16..24].copy_from_slice(&position.0.to_be_bytes());
    bytes[24..56].copy_from_slice(&root.0);
    bytes[56..88].copy_from_slice(&watermark.leaf.0);
    bytes[88..CONTENT].copy_from_slice(&stated.millis().to_be_bytes());
    let sum = sum(&bytes[..CONTENT]);
    bytes[CONTENT..].copy_from_slice(&sum);
    bytes
}

fn decode(bytes: &[u8; LENGTH]) -> Option<Watermark> {
    let (content, found) = bytes.split_last_chunk::<8>()?;
    if sum(content) != *found {
        return None;
    }
    let (log, rest) = content.split_first_chunk::<16>()?;
    let (position, rest) = rest.split_first_chunk::<8>()?;
    let (root, rest) = rest.split_first_chunk::<32>()?;
    let (leaf, stated) = rest.split_first_chunk::<32>()?;
    let stated = i64::from_be_bytes(stated.try_into().ok()?);
    Some(Watermark {
        log: LogId::from_bytes(*log),
        checkpoint: Checkpoint {
            position: Position(u64::from_be_bytes(*position)),
            root: TreeHash(*root),
            stated: Timestamp::from_millis(stated).ok()?,
        },
        leaf: TreeHash(*leaf),
    })
}

fn sum(content: &[u8]) -> [u8; 8] {
    let mut sum = [0; 8];
    sum.copy_from_slice(&blake3::hash(content).as_bytes()[..8]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watermark(position: u64) -> Watermark {
        Watermark {
            log: LogId::from_bytes([3; 16]),
            checkpoint: Checkpoint {
                position: Position(position),
                root: TreeHash::of_leaf(&position.to_be_bytes()),
                stated: Timestamp::EPOCH.plus_millis(7),
            },
            leaf: TreeHash::of_leaf(b"leaf"),
        }
    }

    #[test]
    fn the_newest_whole_one_is_read_whatever_became_of_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(WATERMARK);
        let open = || WatermarkFile::open(folder.path()).unwrap();
        let mut file = open();
        assert_eq!(file.read(), None);
        for position in 1..=5 {
            file.write(&watermark(position)).unwrap();
            assert_eq!(file.read(), Some(watermark(position)));
        }
        assert_eq!(read_watermark(folder.path()), Some(watermark(5)));
        let mut again = open();
        assert_eq!(again.read(), Some(watermark(5)));
        // A write that was interrupted leaves the one before it.
        again.write(&watermark(6)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            let found = open().read().unwrap();
            let in_a_slot = at % 512 < LENGTH;
            assert!(
                found == watermark(6) || in_a_slot && found == watermark(5),
                "{at}"
            );
        }
        std::fs::write(&path, &bytes).unwrap();
        let mut reopened = open();
        reopened.write(&watermark(7)).unwrap();
        assert_eq!(reopened.slot(reopened.next), Some(watermark(6)));
    }
}
