//! A disk that is soon full.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

/// The block by which it is filled.
const BLOCK: usize = 64 << 10;

/// A file system of a few megabytes; unmounted when it is dropped.
pub struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts one with so many bytes; `None`, with a notice, where the machine does not let this process mount.
    ///
    /// # Panics
    /// There is no folder to mount it in.
    #[must_use]
    pub fn mount(bytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={bytes}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { folder }),
            refused => {
                eprintln!("SKIPPED: no file system of a test's own can be mounted: {refused:?}");
                None
            }
        }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills it, so that about so many bytes are left.
    ///
    /// # Panics
    /// It cannot be written for another reason than that it is full.
    pub fn fill(&self, left: u64) {
        self.empty();
        let mut file = File::create(self.filler()).unwrap();
        let mut block = vec![0x5a; BLOCK];
        while !block.is_empty() {
            match file.write(&block) {
                Ok(_) => {}
                Err(full) if full.kind() == ErrorKind::StorageFull => {
                    block.truncate(block.len() / 2);
                }
                Err(refused) => panic!("{refused}"),
            }
        }
        let filled = file.metadata().unwrap().len();
        let file = OpenOptions::new().write(true).open(self.filler()).unwrap();
        file.set_len(filled.saturating_sub(left)).unwrap();
    }

    /// Removes what it was filled with.
    ///
    /// # Panics
    /// It cannot be removed.
    pub fn empty(&self) {
        match fs::remove_file(self.filler()) {
            Err(refused) if refused.kind() != ErrorKind::NotFound => panic!("{refused}"),
            _ => {}
        }
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what still runs in it may hold files for a moment.
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.path().display());
        }
    }
}
