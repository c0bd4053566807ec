//! Drives the database's cleaner from the flush.
//!
//! sled appends every change to a log of segments and gets a segment back once nothing in it is of
//! use any more. Of a segment that is half stale its cleaner moves the rest away, but only one page
//! each time that some page is written whole, which is every eleventh change of it. A segment that
//! small flushes filled holds parts of twenty pages and more, so the queue of the cleaner grows for
//! ever and the file with it: by half of all that is ever written, where a flush a second writes
//! the figures of some areas. sled's own flusher would work the queue off, but by the clock and
//! with a sync of the file each time.
//!
//! So each flush changes one tiny entry, of a tree that nothing reads, often enough to turn the
//! cleaner as far as the flush has filled its queue.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{Error, Generation, Options};

/// The tree whose one entry is changed. Its page is a few bytes long.
const TREE: &[u8] = b"cleaner";

/// How many changes of a page it takes until sled writes it whole and cleans one page of another
/// segment.
const CHANGES_PER_TURN: usize = 11;

/// From how many entries on a part of a flush counts as large: in the order of their keys four and
/// more of them then change the same page.
const LARGE: usize = 256;

/// At how many percent of the live data the file is held: sled's cleaner leaves segments alone that
/// are less than half stale.
const TARGET_PERCENT: u64 = 175;

/// Which part of [`Options::allowed_disk_bytes`] a file may take without being cleaned.
const SPARED_PART: u64 = 8;

/// The same while a generation is filled, when nearly every flush writes nearly every page: what is
/// cleaned then is soon written again, and one compaction afterwards costs less.
const FILLING_PERCENT: u64 = 300;
const FILLING_PART: (u64, u64) = (3, 4);

/// From which length on a file is cleaned.
#[derive(Debug, Default)]
pub(crate) struct Cleaning {
    allowed: u64,
    filling: AtomicBool,
}

impl Cleaning {
    pub(crate) fn new(options: &Options, filling: bool) -> Self {
        Self {
            allowed: options.allowed_disk_bytes,
            filling: AtomicBool::new(filling),
        }
    }

    fn target(&self, live: u64) -> u64 {
        let percent = live / 100;
        match self.filling.load(Ordering::Relaxed) {
            false => (percent * TARGET_PERCENT).max(self.allowed / SPARED_PART),
            true => {
                let (part, of) = FILLING_PART;
                (percent * FILLING_PERCENT).max(self.allowed / of * part)
            }
        }
    }
}

impl Generation {
    /// Says whether the generation is being filled with a log that is far longer than what it has
    /// of it: until that is over, its file may take up to three times its live data.
    pub fn set_filling(&self, filling: bool) {
        self.cleaning.filling.store(filling, Ordering::Relaxed);
    }

    /// Turns the cleaner for `entries` changes of a flush, where the file is longer than it need
    /// be; says whether it is.
    pub(crate) fn clean(&self, entries: usize) -> Result<bool, Error> {
        let target = self.cleaning.target(self.written.live());
        // Without the length there is nothing to hold it to; sled itself reports a file that is
        // gone.
        let length = fs::metadata(self.folder.join("db")).map_or(0, |file| file.len());
        if length < target {
            return Ok(false);
        }
        // Each page that is changed leaves one to be moved, and moving it leaves further ones.
        self.turn_cleaner(match entries {
            LARGE.. => entries / 4,
            few => few + 4,
        })?;
        Ok(true)
    }

    /// Makes the cleaner move up to `turns` pages.
    pub(crate) fn turn_cleaner(&self, turns: usize) -> Result<(), Error> {
        self.call(|| {
            let tree = self.database.open_tree(TREE)?;
            for change in 0..turns * CHANGES_PER_TURN {
                // Another value than the one before, or sled would leave it at that.
                tree.insert(b"c", [b"0", b"1"][change % 2])?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_that_is_filled_may_take_more_and_no_more_than_the_views_are_allowed() {
        let options = Options {
            allowed_disk_bytes: 8_000,
            ..Options::default()
        };
        let cleaning = Cleaning::new(&options, true);
        assert_eq!(
            [0, 10_000].map(|live| cleaning.target(live)),
            [6_000, 30_000]
        );
        cleaning.filling.store(false, Ordering::Relaxed);
        assert_eq!(
            [0, 10_000].map(|live| cleaning.target(live)),
            [1_000, 17_500]
        );
    }
}
