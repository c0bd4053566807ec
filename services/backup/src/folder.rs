//! The folder of a backup.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use gridkeeper_eventlog::verify::VerifiedPart;
use gridkeeper_proto::{
    area::AreaCode,
    chain::AreaHead,
    envelope::Position,
    id::{CaseId, LogId},
    sealed::CaseKey,
    tree::Frontier,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Error, Manifest,
    checked_file::{self, Magic, failed},
    segment::SegmentFile,
};

const MANIFEST: &str = "manifest.json";
const SEGMENTS: &str = "segments";
const KEYS: &str = "keys";
const CHECKPOINTS: &str = "checkpoints";
const VERIFIED: &str = "verified";
const LOCK: &str = "lock";
/// The end of the name of a file that is being written.
const UNFINISHED: &str = ".new";

const KEYS_MAGIC: Magic = *b"GKkeys\0\x01";
const CHECKPOINTS_MAGIC: Magic = *b"GKchk\0\0\x01";
const VERIFIED_MAGIC: Magic = *b"GKver\0\0\x01";

/// The folder of a backup.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Held for as long as this command is at work.
    _lock: File,
}

/// A file that belongs to one position of one log.
#[derive(Serialize, Deserialize)]
struct AsOf<T> {
    log: LogId,
    position: Position,
    content: T,
}

/// The cache of what was verified.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cache {
    pub(crate) log: LogId,
    /// The last statement by which it was verified.
    pub(crate) statement: Position,
    frontier: Frontier,
    heads: BTreeMap<AreaCode, AreaHead>,
}

impl Cache {
    pub(crate) fn of(log: LogId, statement: Position, part: VerifiedPart) -> Self {
        Self {
            log,
            statement,
            frontier: part.frontier,
            heads: part.heads,
        }
    }

    pub(crate) fn position(&self) -> Position {
        self.frontier.position()
    }

    pub(crate) fn into_part(self) -> VerifiedPart {
        VerifiedPart {
            frontier: self.frontier,
            heads: self.heads,
        }
    }
}

impl Folder {
    /// Opens the folder for a run that writes, makes it where it is missing, and removes what an interrupted run has
    /// not finished.
    pub(crate) fn open_or_make(path: &Path) -> Result<Self, Error> {
        match fs::read_dir(path) {
            Ok(entries) => refuse_foreign(path, entries)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("list", path)(error)),
        }
        let segments = path.join(SEGMENTS);
        for folder in [path, &segments] {
            gridkeeper_private::folder(folder).map_err(failed("make", folder))?;
        }
        let opened = Self::open(path)?;
        for folder in [path, &segments] {
            for file in list(folder)? {
                if name(&file).ends_with(UNFINISHED) {
                    fs::remove_file(&file).map_err(failed("remove", &file))?;
                }
            }
        }
        Ok(opened)
    }

    /// Opens the folder of a backup that is there.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = path.join(LOCK);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(gridkeeper_private::FILE)
            .open(&file)
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => no_backup(path, "there is no such folder"),
                _ => failed("open", &file)(error),
            })?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse {
                folder: path.to_owned(),
            }),
            Err(TryLockError::Error(error)) => Err(failed("lock", &file)(error)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn segments_folder(&self) -> PathBuf {
        self.path.join(SEGMENTS)
    }

    /// The manifest; `None` if no run has ended yet.
    pub(crate) fn manifest(&self) -> Result<Option<Manifest>, Error> {
        Manifest::read(&self.path.join(MANIFEST))
    }

    /// The files of segments, in the order of their positions.
    pub(crate) fn segments(&self) -> Result<Vec<SegmentFile>, Error> {
        segments_in(&self.segments_folder())
    }

    pub(crate) fn keys(&self, manifest: &Manifest) -> Result<BTreeMap<CaseId, CaseKey>, Error> {
        let keys: Vec<(CaseId, [u8; 32])> = self.as_of(manifest, KEYS, KEYS_MAGIC)?;
        let keys = keys.into_iter();
        Ok(keys.map(|(case, key)| (case, CaseKey(key))).collect())
    }

    pub(crate) fn notes(&self, manifest: &Manifest) -> Result<Vec<String>, Error> {
        self.as_of(manifest, CHECKPOINTS, CHECKPOINTS_MAGIC)
    }

    /// The cache, if there is one of this log.
    pub(crate) fn cache(&self, log: LogId) -> Option<Cache> {
        let cache: Cache = checked_file::read(&self.path.join(VERIFIED), VERIFIED_MAGIC).ok()?;
        (cache.log == log && cache.frontier.is_sound()).then_some(cache)
    }

    /// Writes what a run has come to: the manifest last, and then removes what belongs to another one.
    pub(crate) fn commit(
        &self,
        manifest: &Manifest,
        keys: &BTreeMap<CaseId, CaseKey>,
        notes: &[String],
        cache: &Cache,
    ) -> Result<(), Error> {
        let keys: Vec<_> = keys.iter().map(|(case, key)| (*case, key.0)).collect();
        self.write_as_of(manifest, KEYS, KEYS_MAGIC, keys)?;
        self.write_as_of(manifest, CHECKPOINTS, CHECKPOINTS_MAGIC, notes)?;
        checked_file::write(&self.path.join(VERIFIED), VERIFIED_MAGIC, cache)?;
        manifest.write(&self.path.join(MANIFEST))?;
        let kept = [KEYS, CHECKPOINTS].map(|kind| as_of_name(kind, manifest.position));
        for file in list(&self.path)? {
            let name = name(&file);
            let kinds = [KEYS, CHECKPOINTS];
            let is_kind = kinds.iter().any(|kind| is_as_of(name, kind));
            if is_kind && !kept.iter().any(|kept| kept == name) {
                fs::remove_file(&file).map_err(failed("remove", &file))?;
            }
        }
        gridkeeper_private::sync_folder(&self.path).map_err(failed("sync", &self.path))
    }

    fn as_of<T: DeserializeOwned>(
        &self,
        manifest: &Manifest,
        kind: &str,
        magic: Magic,
    ) -> Result<T, Error> {
        let path = self.path.join(as_of_name(kind, manifest.position));
        let file: AsOf<T> = checked_file::read(&path, magic)?;
        if (file.log, file.position) != (manifest.log, manifest.position) {
            let detail = "it is of another backup".to_owned();
            return Err(Error::Damaged { path, detail });
        }
        Ok(file.content)
    }

    fn write_as_of<T: Serialize>(
        &self,
        manifest: &Manifest,
        kind: &str,
        magic: Magic,
        content: T,
    ) -> Result<(), Error> {
        let file = AsOf {
            log: manifest.log,
            position: manifest.position,
            content,
        };
        let path = self.path.join(as_of_name(kind, manifest.position));
        checked_file::write(&path, magic, &file)
    }
}

/// The files of segments in their folder, in the order of their positions.
pub(crate) fn segments_in(folder: &Path) -> Result<Vec<SegmentFile>, Error> {
    let mut files = Vec::new();
    for path in list(folder)? {
        files.extend(SegmentFile::of(path)?);
    }
    files.sort();
    Ok(files)
}

pub(crate) fn no_backup(folder: &Path, detail: &str) -> Error {
    Error::NoBackup {
        folder: folder.to_owned(),
        detail: detail.to_owned(),
    }
}

/// A folder with somebody else's files becomes no backup.
fn refuse_foreign(path: &Path, entries: fs::ReadDir) -> Result<(), Error> {
    let (mut ours, mut foreign) = (false, None);
    for entry in entries {
        let name = entry.map_err(failed("list", path))?.file_name();
        match name.to_str() {
            Some(SEGMENTS | LOCK | MANIFEST) => ours = true,
            Some("lost+found") => {}
            _ => foreign = Some(name),
        }
    }
    match foreign {
        Some(name) if !ours => Err(no_backup(
            path,
            &format!("it holds {}; name an empty folder", name.display()),
        )),
        _ => Ok(()),
    }
}

fn as_of_name(kind: &str, position: Position) -> String {
    format!("{kind}.{:012}", position.0)
}

fn is_as_of(name: &str, kind: &str) -> bool {
    let position = name
        .strip_prefix(kind)
        .and_then(|rest| rest.strip_prefix('.'));
    position.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn name(path: &Path) -> &str {
    let name = path.file_name().and_then(|name| name.to_str());
    name.unwrap_or_default()
}

/// The files of a folder; none where there is no folder.
fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed("list", folder))?,
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    paths
        .collect::<Result<_, _>>()
        .map_err(failed("list", folder))
}
