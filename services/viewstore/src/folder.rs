//! What lies in a store's folder.
//!
//! ```text
//! lock              held while the store is open
//! current           the number of the serving generation
//! gen-000002/       a generation: a sled database
//!   copied-from     the number of the generation that this one is a compacted copy of
//! corrupt-000001/   a generation that was set aside
//! ```
//!
//! Views are made of reports of people: the folder is its owner's only, also where it was open before.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    Error,
    database::{corrupt, disk},
};

const LOCK: &str = "lock";
const POINTER: &str = "current";
const NEXT_POINTER: &str = "current.next";
const GENERATION: &str = "gen-";
const CORRUPT: &str = "corrupt-";

/// How many corrupt generations are kept for whoever wants to look into them.
const KEPT_CORRUPT: usize = 2;

/// A store's folder, locked.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    lock: File,
}

impl Folder {
    /// Makes the folder where it is missing, takes its lock, and denies it to others.
    pub(crate) fn lock(path: &Path) -> Result<Self, Error> {
        let disk = disk(path);
        report_closed(path, gridkeeper_private::folder(path).map_err(&disk)?);
        let lock = File::create(path.join(LOCK)).map_err(&disk)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked {
                    folder: path.to_owned(),
                });
            }
            Err(TryLockError::Error(refused)) => return Err(disk(refused)),
        }
        let folder = Self {
            path: path.to_owned(),
            lock,
        };
        folder.close_generations()?;
        Ok(folder)
    }

    /// Denies others the generations of versions that left them open, should the folder be opened again.
    fn close_generations(&self) -> Result<(), Error> {
        for prefix in [GENERATION, CORRUPT] {
            for number in self.numbered(prefix)? {
                let path = self.path.join(format!("{prefix}{number:06}"));
                match gridkeeper_private::close(&path) {
                    // A name that is not written as this version writes it.
                    Err(missing) if missing.kind() == io::ErrorKind::NotFound => {}
                    closed => report_closed(&path, closed.map_err(disk(&path))?),
                }
            }
        }
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn generation(&self, number: u64) -> PathBuf {
        self.path.join(format!("{GENERATION}{number:06}"))
    }

    /// The number of the serving generation; none in a new folder.
    pub(crate) fn pointer(&self) -> Result<Option<u64>, Error> {
        let path = self.path.join(POINTER);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(refused) => return Err(disk(&path)(refused)),
        };
        let number = str::from_utf8(&text).ok().and_then(|text| {
            let digits = text.strip_suffix('\n')?;
            digits.parse().ok()
        });
        number
            .map(Some)
            .ok_or_else(|| corrupt(&path, "it does not hold the number of a generation"))
    }

    /// Writes the pointer beside the one that counts.
    pub(crate) fn write_next_pointer(&self, number: u64) -> Result<(), Error> {
        let path = self.path.join(NEXT_POINTER);
        let write = || {
            let mut file = File::create(&path)?;
            writeln!(file, "{number}")?;
            file.sync_all()
        };
        write().map_err(disk(&path))
    }

    /// Makes the pointer written before the one that counts.
    pub(crate) fn move_pointer(&self) -> Result<(), Error> {
        fs::rename(self.path.join(NEXT_POINTER), self.path.join(POINTER))
            .and_then(|()| self.sync())
            .map_err(disk(&self.path))
    }

    /// The numbers of the generations that lie here, in order.
    pub(crate) fn generations(&self) -> Result<Vec<u64>, Error> {
        self.numbered(GENERATION)
    }

    /// The folders that were set aside, in order.
    pub(crate) fn set_aside(&self) -> Result<Vec<PathBuf>, Error> {
        let numbers = self.numbered(CORRUPT)?.into_iter();
        Ok(numbers.map(|number| self.corrupt(number)).collect())
    }

    fn corrupt(&self, number: u64) -> PathBuf {
        self.path.join(format!("{CORRUPT}{number:06}"))
    }

    /// Removes a generation's folder.
    pub(crate) fn remove(&self, number: u64) -> Result<(), Error> {
        let path = self.generation(number);
        fs::remove_dir_all(&path).map_err(disk(&path))
    }

    /// Sets a generation's folder aside, and removes what was set aside long ago.
    pub(crate) fn quarantine(&self, number: u64) -> Result<PathBuf, Error> {
        let aside = self.corrupt(number);
        fs::rename(self.generation(number), &aside)
            .and_then(|()| self.sync())
            .map_err(disk(&self.path))?;
        let all = self.numbered(CORRUPT)?;
        for old in all.iter().rev().skip(KEPT_CORRUPT) {
            let path = self.corrupt(*old);
            fs::remove_dir_all(&path).map_err(disk(&path))?;
        }
        Ok(aside)
    }

    /// A number that no generation has had, sound or corrupt.
    pub(crate) fn next_number(&self) -> Result<u64, Error> {
        let used = [GENERATION, CORRUPT].map(|prefix| self.numbered(prefix));
        let mut highest = self.pointer().unwrap_or(None).unwrap_or(0);
        for numbers in used {
            highest = numbers?.last().copied().unwrap_or(0).max(highest);
        }
        Ok(highest + 1)
    }

    fn numbered(&self, prefix: &str) -> Result<Vec<u64>, Error> {
        let disk = disk(&self.path);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(&disk)? {
            let name = entry.map_err(&disk)?.file_name();
            let digits = name.to_str().and_then(|name| name.strip_prefix(prefix));
            numbers.extend(digits.and_then(|digits| digits.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// Logs that a folder was open to others, and is not any more.
fn report_closed(folder: &Path, closed: Option<u32>) {
    if let Some(mode) = closed {
        let (folder, mode) = (folder.display(), format!("{mode:o}"));
        tracing::warn!(%folder, mode, "closed a folder of views that others could reach");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Closing alone is not enough: a child process that is being started holds the file, and with it
        // the lock, until it executes its program.
        if let Err(refused) = self.lock.unlock() {
            tracing::warn!(folder = %self.path.display(), %refused, "views closed without unlocking");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_folder_is_its_owners_only() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data/aggregator");
        Folder::lock(&path).unwrap();
        assert_eq!(
            (mode(&path), mode(&root.path().join("data"))),
            (0o700, 0o700)
        );
    }

    #[test]
    fn a_folder_that_was_open_is_closed_with_its_generations() {
        let root = tempfile::tempdir().unwrap();
        let inside = ["gen-000001", "gen-000002", "corrupt-000003", "gen-7"];
        for open in [0o755, 0o750, 0o777, 0o711] {
            for name in inside {
                fs::create_dir_all(root.path().join(name)).unwrap();
            }
            let paths = inside.map(|name| root.path().join(name));
            for path in paths.iter().map(PathBuf::as_path).chain([root.path()]) {
                fs::set_permissions(path, fs::Permissions::from_mode(open)).unwrap();
            }
            Folder::lock(root.path()).unwrap();
            assert_eq!(mode(root.path()), 0o700, "{open:o}");
            for path in &paths[..3] {
                assert_eq!(mode(path), 0o700, "{} {open:o}", path.display());
            }
        }
    }
}
