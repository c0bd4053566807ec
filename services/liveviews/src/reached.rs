//! How far the views have read the log, in a file beside them.
//!
//! Whoever else looks at the log of the installation, and whoever mends it while nothing runs, sees there how far it
//! went. It outlives views that are set aside.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use gridkeeper_eventlog::{Watermark, WatermarkFile};
use gridkeeper_viewstore::Error as StoreError;

use crate::{Error, Progress};

/// The watermark of views. Clones write the same file.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    folder: PathBuf,
    file: Arc<Mutex<WatermarkFile>>,
}

impl Reached {
    /// Opens the file in the folder of the views, and makes it where it is missing.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let file = WatermarkFile::open(folder).map_err(disk(folder))?;
        Ok(Self {
            folder: folder.to_owned(),
            file: Arc::new(Mutex::new(file)),
        })
    }

    /// Writes how far the views are, onto the disk. Blocks.
    pub(crate) fn write(&self, progress: &Progress) -> Result<(), Error> {
        let Some(log) = progress.log else {
            return Ok(());
        };
        let watermark = Watermark {
            log,
            checkpoint: progress.checkpoint(),
            leaf: progress.leaf,
        };
        // A write that failed half leaves the slot before it.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.read() == Some(watermark) {
            return Ok(());
        }
        let written = file.write(&watermark).and_then(|()| file.sync());
        written.map_err(disk(&self.folder))
    }
}

fn disk(folder: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    move |source| {
        Error::Store(StoreError::Disk {
            folder: folder.to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use gridkeeper_eventlog::read_watermark;
    use gridkeeper_proto::{
        id::LogId,
        tree::{Frontier, TreeHash},
    };

    use super::*;

    fn progress(events: u64) -> Progress {
        let mut frontier = Frontier::default();
        let mut leaf = TreeHash::EMPTY;
        for event in 0..events {
            leaf = TreeHash::of_leaf(&event.to_be_bytes());
            frontier.append(leaf);
        }
        Progress {
            log: Some(LogId::from_bytes([7; 16])),
            leaf,
            frontier,
            ..Progress::default()
        }
    }

    #[test]
    fn how_far_views_are_is_written_once_and_may_go_back_in_two_steps() {
        let folder = tempfile::tempdir().unwrap();
        let position = || read_watermark(folder.path()).map(|kept| kept.checkpoint.position.0);
        let reached = Reached::open(folder.path()).unwrap();
        reached.write(&Progress::default()).unwrap();
        assert_eq!(position(), None);
        // The file has two places; the history of nine was given up.
        for (events, kept) in [(3, 3), (9, 9), (9, 9), (5, 9), (5, 5), (5, 5)] {
            reached.write(&progress(events)).unwrap();
            assert_eq!(position(), Some(kept), "{events}");
        }
        let found = read_watermark(folder.path()).unwrap();
        assert_eq!(found.checkpoint, progress(5).checkpoint());
    }
}
