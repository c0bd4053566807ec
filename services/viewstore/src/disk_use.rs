//! How much of the disk the views take, and how much they may.
//!
//! With `live` for the bytes of all keys and values and `allowed` for
//! [`Options::allowed_disk_bytes`], the generations of a store take no more than `max(allowed, 4 x
//! live)`:
//!
//! - above `max(3/8 x allowed, 2.25 x live)` the serving generation is compacted. A copy takes
//!   about 1.5 x live, and one flush a part of the rest, so that all together stay below;
//! - the generation that a rebuild replaced is kept only while all together stay below
//!   `max(7/8 x allowed, 3.5 x live)`, and not during a compaction.
//!
//! Generations that were set aside as corrupt, two at most, are kept for inspection and come in
//! addition; so does the generation that a rebuild is filling.

use std::{
    fs, io,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{Error, Options, ViewStore, database::disk};

/// After which part of [`Options::allowed_disk_bytes`] has been flushed the folder is measured
/// again.
const UNMEASURED_PART: u64 = 128;

/// How much of the disk a store takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUse {
    /// Keys and values of the serving generation, as of its last flush.
    pub live: u64,
    /// Files of the serving generation.
    pub serving: u64,
    /// Files of all other generations: the one before, kept after a rebuild, or the one being
    /// filled.
    pub others: u64,
    /// Files of generations that were set aside as corrupt.
    pub set_aside: u64,
}

impl DiskUse {
    /// Files of the store.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.serving + self.others + self.set_aside
    }

    /// Whether the serving generation takes so much more than its live data that it is to be
    /// compacted.
    pub(crate) fn asks_for_compaction(&self, options: &Options) -> bool {
        self.serving > (options.allowed_disk_bytes / 8 * 3).max(self.live / 4 * 9)
    }

    /// Whether the generation before has to give way.
    pub(crate) fn asks_for_room(&self, options: &Options) -> bool {
        let most = (options.allowed_disk_bytes / 8 * 7).max(self.live / 2 * 7);
        self.serving + self.others > most
    }
}

impl ViewStore {
    /// Whether so much was flushed since [`ViewStore::disk_use`] that the bounds ask for measuring
    /// again.
    #[must_use]
    pub fn disk_use_is_outdated(&self) -> bool {
        self.generation().written.unmeasured()
            >= self.inner.options.allowed_disk_bytes / UNMEASURED_PART
    }

    /// Measures the folder, and removes the generation that a rebuild left there when all together
    /// take more than they may. Blocks for as long as looking at each file takes.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn disk_use(&self) -> Result<DiskUse, Error> {
        let measured = self.measured()?;
        if !measured.asks_for_room(&self.inner.options) || !self.inner.remove_before()? {
            return Ok(measured);
        }
        self.measured()
    }

    /// Whether the serving generation is to be compacted: [`ViewStore::compact`].
    #[must_use]
    pub fn asks_for_compaction(&self, disk_use: &DiskUse) -> bool {
        disk_use.asks_for_compaction(&self.inner.options)
    }

    fn measured(&self) -> Result<DiskUse, Error> {
        let folder = &self.inner.folder;
        let serving = self.generation();
        serving.written.measured();
        let mut disk_use = DiskUse {
            live: serving.written.live(),
            serving: serving.bytes_on_disk()?,
            ..DiskUse::default()
        };
        let bytes = |path: &Path| bytes_in(path).map_err(disk(path));
        for number in folder.generations()? {
            if number != serving.number() {
                disk_use.others += bytes(&folder.generation(number))?;
            }
        }
        for path in folder.set_aside()? {
            disk_use.set_aside += bytes(&path)?;
        }
        Ok(disk_use)
    }
}

/// What a generation counts of itself as it is flushed.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Bytes of the keys and values in the database.
    live: AtomicU64,
    /// Bytes of keys and values flushed since the folder was measured.
    unmeasured: AtomicU64,
}

impl Written {
    pub(crate) fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }

    pub(crate) fn unmeasured(&self) -> u64 {
        self.unmeasured.load(Ordering::Relaxed)
    }

    pub(crate) fn measured(&self) {
        self.unmeasured.store(0, Ordering::Relaxed);
    }

    pub(crate) fn set_live(&self, bytes: u64) {
        self.live.store(bytes, Ordering::Relaxed);
    }

    /// After a flush. One at a time counts.
    pub(crate) fn count(&self, replaced: u64, written: u64) {
        let live = (self.live() + written).saturating_sub(replaced);
        self.set_live(live);
        self.unmeasured.fetch_add(written, Ordering::Relaxed);
    }
}

/// Bytes of a file, or of all files in a folder and below. What vanishes meanwhile counts nothing.
pub(crate) fn bytes_in(path: &Path) -> io::Result<u64> {
    let found = |result: io::Result<u64>| match result {
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(0),
        other => other,
    };
    let entries = match fs::symlink_metadata(path) {
        Ok(file) if !file.is_dir() => return Ok(file.len()),
        Ok(_) => fs::read_dir(path),
        Err(failed) => Err(failed),
    };
    let sum = |entries: fs::ReadDir| {
        entries
            .map(|entry| bytes_in(&entry?.path()))
            .sum::<io::Result<u64>>()
    };
    found(entries.and_then(sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_below_a_folder_are_summed_and_missing_ones_are_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("below")).unwrap();
        fs::write(folder.path().join("one"), [0; 10]).unwrap();
        fs::write(folder.path().join("below/two"), [0; 5]).unwrap();
        assert_eq!(bytes_in(folder.path()).unwrap(), 15);
        assert_eq!(bytes_in(&folder.path().join("none")).unwrap(), 0);
    }

    #[test]
    fn a_compaction_is_due_above_the_mark_or_far_above_the_live_data() {
        let options = Options {
            allowed_disk_bytes: 8_000,
            ..Options::default()
        };
        let due = |live, serving| {
            let disk_use = DiskUse {
                live,
                serving,
                ..DiskUse::default()
            };
            disk_use.asks_for_compaction(&options)
        };
        assert_eq!([due(0, 3_000), due(0, 3_001)], [false, true]);
        assert_eq!([due(4_000, 9_000), due(4_000, 9_001)], [false, true]);
    }
}
