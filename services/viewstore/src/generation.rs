//! One generation of the views: a sled database of its own.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    ops::{Bound, RangeBounds},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread,
    time::{Duration, Instant},
};

use gridkeeper_proto::envelope::Position;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::{
    Changes, Entries, Error, Options, Reader, Schema,
    reader::{data_bounds, is_empty_range, prefix_bounds},
    seal::Seal,
    value::{RESERVED, check_key, decode},
};

// Position and seal lie in the tree of the data, because one write is atomic on one tree only.
pub(crate) const COMMITTED: &[u8] = &[RESERVED, b'c'];
const SCHEMA: &[u8] = &[RESERVED, b's'];

/// Marks a generation that was found corrupt while it was in use.
const CORRUPT_MARK: &str = "corrupt";

/// How long a database that this process has closed may keep its file: sled's threads let go of it a
/// little after the last handle.
const CLOSING_LIMIT: Duration = Duration::from_secs(5);

/// How many changes a part of a commit has.
const PART: usize = 1_024;

/// How changes are committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// All or nothing.
    Whole,
    /// In parts: a crash in between costs the whole generation.
    InParts,
}

/// What a generation is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Answers; its commits are announced.
    Serving,
    /// A rebuild fills it.
    Filling,
    /// Replaced; takes no more changes.
    Retired,
}

/// What readers share and a commit holds alone.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) position: Position,
    pub(crate) seal: Seal,
    pub(crate) role: Role,
}

/// A generation of the views. The handle stays good for reading after another took its place.
pub struct Generation {
    number: u64,
    folder: PathBuf,
    database: sled::Db,
    state: RwLock<State>,
    announce: Arc<watch::Sender<Position>>,
}

/// What all keys and values of a generation come to at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// The position it is valid at.
    pub position: Position,
    /// How many keys there are.
    pub entries: u64,
    /// BLAKE3 over all keys and values in order, each preceded by its length.
    pub digest: [u8; 32],
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digest
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation")
            .field("number", &self.number)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// What was found in a generation's folder.
pub(crate) enum Found {
    /// A sound generation of the wanted schema.
    Sound(Generation),
    /// A sound generation of another schema.
    OtherSchema(String),
}

impl Generation {
    /// Makes a new and empty generation.
    pub(crate) fn create(
        folder: &Path,
        number: u64,
        schema: Schema,
        options: &Options,
        role: Role,
        announce: Arc<watch::Sender<Position>>,
    ) -> Result<Self, Error> {
        let database = open_database(folder, options)?;
        let generation = Self {
            number,
            folder: folder.to_owned(),
            database,
            state: RwLock::new(State {
                position: Position(0),
                seal: Seal::default(),
                role,
            }),
            announce,
        };
        let mut batch = sled::Batch::default();
        batch.insert(SCHEMA, schema.to_string().as_bytes());
        batch.insert(COMMITTED, &committed(Position(0), Seal::default()));
        generation.call(|| generation.database.apply_batch(batch))?;
        generation.flush()?;
        Ok(generation)
    }

    /// Opens a generation that exists and reads all of it once: damage is found here, where it can be
    /// set aside, and not by a reader weeks later. Costs about a second per million entries.
    ///
    /// The entries must come to the seal that was committed with their position. sled opens a damaged
    /// file with older pages in the place of lost ones, and says nothing.
    pub(crate) fn open(
        folder: &Path,
        number: u64,
        schema: Schema,
        options: &Options,
        announce: Arc<watch::Sender<Position>>,
    ) -> Result<Found, Error> {
        if folder.join(CORRUPT_MARK).exists() {
            return Err(corrupt(folder, "it was found corrupt while in use"));
        }
        let database = open_database(folder, options)?;
        let (seal, found_schema, committed) = guarded(folder, || {
            let mut seal = Seal::default();
            for entry in database.range([RESERVED + 1]..) {
                let (key, value) = entry.map_err(|failed| classified(folder, failed))?;
                seal.add(&key, &value);
            }
            let read = |key| {
                database
                    .get(key)
                    .map_err(|failed| classified(folder, failed))
            };
            Ok((seal, read(SCHEMA)?, read(COMMITTED)?))
        })?;
        let (Some(found_schema), Some(committed)) = (found_schema, committed) else {
            return Err(corrupt(
                folder,
                "its position is missing: filling it was interrupted",
            ));
        };
        if *found_schema != *schema.to_string().as_bytes() {
            let name = String::from_utf8_lossy(&found_schema).into_owned();
            return Ok(Found::OtherSchema(name));
        }
        let (position, sealed) = read_committed(&committed)
            .ok_or_else(|| corrupt(folder, "its position does not have sixteen bytes"))?;
        if sealed != seal {
            return Err(corrupt(
                folder,
                "its entries are not the ones that were committed",
            ));
        }
        Ok(Found::Sound(Self {
            number,
            folder: folder.to_owned(),
            database,
            state: RwLock::new(State {
                position,
                seal,
                role: Role::Serving,
            }),
            announce,
        }))
    }

    /// Its number; later generations have higher ones.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The folder it lies in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The position of the last event that it holds.
    #[must_use]
    pub fn position(&self) -> Position {
        self.shared().position
    }

    /// Reads at one position: no commit lands before `question` returns. A second reader must not be
    /// opened inside.
    pub fn read<T>(&self, question: impl FnOnce(&Reader<'_>) -> T) -> T {
        question(&Reader::new(self, self.shared()))
    }

    /// Begins a batch of changes on top of what is committed.
    #[must_use]
    pub fn changes(self: &Arc<Self>) -> Changes {
        Changes::new(Arc::clone(self), self.position())
    }

    /// Hands what is committed to the disk. Without it a crash takes the generation back to an earlier
    /// position; the log then repeats the rest. Blocks for milliseconds.
    ///
    /// # Errors
    /// [`Error::Disk`] and [`Error::Corrupt`].
    pub fn flush(&self) -> Result<(), Error> {
        self.call(|| self.database.flush()).map(|_bytes| ())
    }

    /// The checksum of all keys and values. Reads everything and keeps commits waiting meanwhile.
    ///
    /// # Errors
    /// [`Error::Disk`] and [`Error::Corrupt`].
    pub fn checksum(&self) -> Result<Checksum, Error> {
        self.read(|reader| {
            let mut hasher = blake3::Hasher::new();
            let mut entries = 0;
            for entry in reader.range(..) {
                let entry = entry?;
                for part in [&entry.key, &entry.value] {
                    hasher.update(&(part.len() as u64).to_be_bytes());
                    hasher.update(part);
                }
                entries += 1;
            }
            Ok(Checksum {
                position: reader.position(),
                entries,
                digest: *hasher.finalize().as_bytes(),
            })
        })
    }

    /// Bytes on the disk.
    ///
    /// # Errors
    /// [`Error::Disk`] and [`Error::Corrupt`].
    pub fn size_on_disk(&self) -> Result<u64, Error> {
        self.call(|| self.database.size_on_disk())
    }

    /// Writes the overlay of a batch and its position.
    ///
    /// Whole, it is one write, all or nothing. In parts, a crash on the way leaves a generation without a position,
    /// which the next open sets aside: for generations that are being filled and would be begun again anyway. A
    /// large write in parts is faster by far, since sled frees no page that a write replaces before it ends.
    pub(crate) fn commit(
        &self,
        overlay: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
        (based_on, position): (Position, Position),
        way: Way,
    ) -> Result<(), Error> {
        // Nobody commits between `based_on` and this commit, or it is refused below; so what is replaced
        // can be read before the lock.
        let mut difference = Seal::default();
        for (key, value) in &overlay {
            if let Some(replaced) = self.lookup(key)? {
                difference.subtract(key, &replaced);
            }
            if let Some(value) = value {
                difference.add(key, value);
            }
        }
        let mut state = self.alone();
        if state.role == Role::Retired {
            return Err(Error::Retired {
                number: self.number,
            });
        }
        if state.position != based_on || position <= state.position {
            return Err(Error::Stale {
                stored: state.position,
                based_on,
                offered: position,
            });
        }
        let seal = state.seal.combined(difference);
        let mut changes = overlay.into_iter();
        if way == Way::InParts && changes.len() > PART {
            self.call(|| self.database.remove(COMMITTED))?;
            while changes.len() > PART {
                let part = changes.by_ref().take(PART);
                self.call(|| self.database.apply_batch(batch_of(part)))?;
            }
        }
        let mut batch = batch_of(changes);
        batch.insert(COMMITTED, &committed(position, seal));
        self.call(|| self.database.apply_batch(batch))?;
        state.position = position;
        state.seal = seal;
        if state.role == Role::Serving {
            // Inside the lock, so that positions are announced in their order.
            self.announce.send_replace(position);
        }
        Ok(())
    }

    pub(crate) fn shared(&self) -> RwLockReadGuard<'_, State> {
        // A panic cannot leave the state half changed: it is assigned after the write, in one step.
        self.state
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn alone(&self) -> RwLockWriteGuard<'_, State> {
        self.state
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn fetch(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.lookup(key)?.map(|value| value.to_vec()))
    }

    pub(crate) fn fetch_value<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, Error> {
        self.lookup(key)?
            .map(|bytes| self.checked(decode(&self.folder, key, &bytes)))
            .transpose()
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<sled::IVec>, Error> {
        check_key(key)?;
        self.call(|| self.database.get(key))
    }

    pub(crate) fn entries<'k>(&self, range: &impl RangeBounds<&'k [u8]>) -> Entries<'_> {
        self.entries_between(data_bounds(range))
    }

    pub(crate) fn entries_with_prefix(&self, prefix: &[u8], after: Option<&[u8]>) -> Entries<'_> {
        self.entries_between(prefix_bounds(prefix, after))
    }

    pub(crate) fn entries_between(&self, bounds: (Bound<Vec<u8>>, Bound<Vec<u8>>)) -> Entries<'_> {
        let inner = (!is_empty_range(&bounds)).then(|| self.database.range(bounds));
        Entries::new(self, inner)
    }

    /// Marks the generation when a value of it did not decode.
    pub(crate) fn checked<T>(&self, decoded: Result<T, Error>) -> Result<T, Error> {
        if matches!(decoded, Err(Error::Undecodable { .. })) {
            self.mark_corrupt();
        }
        decoded
    }

    /// Calls into sled; marks the generation when that shows damage.
    pub(crate) fn call<T>(&self, call: impl FnOnce() -> sled::Result<T>) -> Result<T, Error> {
        let called = guarded(&self.folder, || {
            call().map_err(|failed| classified(&self.folder, failed))
        });
        if matches!(called, Err(Error::Corrupt { .. })) {
            self.mark_corrupt();
        }
        called
    }

    fn mark_corrupt(&self) {
        if let Err(refused) = fs::write(self.folder.join(CORRUPT_MARK), b"") {
            // The error itself goes to the caller; without the mark the next open has to find out again.
            tracing::error!(folder = %self.folder.display(), %refused, "cannot mark corrupt views");
        }
    }
}

fn batch_of(changes: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>) -> sled::Batch {
    let mut batch = sled::Batch::default();
    for (key, value) in changes {
        match value {
            Some(value) => batch.insert(key, value),
            None => batch.remove(key),
        }
    }
    batch
}

fn committed(position: Position, seal: Seal) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&position.0.to_be_bytes());
    bytes[8..].copy_from_slice(&seal.to_bytes());
    bytes
}

fn read_committed(bytes: &[u8]) -> Option<(Position, Seal)> {
    let (position, seal) = bytes.split_first_chunk::<8>()?;
    let seal = Seal::from_bytes(seal.try_into().ok()?);
    Some((Position(u64::from_be_bytes(*position)), seal))
}

pub(crate) fn open_database(folder: &Path, options: &Options) -> Result<sled::Db, Error> {
    let began = Instant::now();
    loop {
        let config = sled::Config::new()
            .path(folder)
            .cache_capacity(options.cache_bytes)
            .segment_size(options.segment_bytes)
            .flush_every_ms(None);
        match guarded(folder, || Ok(config.open()))? {
            Ok(database) => return Ok(database),
            // The store's own lock keeps other processes out, so the holder is this one, closing.
            Err(sled::Error::Io(held)) if is_lock(&held) => {
                if began.elapsed() > CLOSING_LIMIT {
                    return Err(Error::Locked {
                        folder: folder.to_owned(),
                    });
                }
                thread::sleep(Duration::from_millis(5));
            }
            Err(failed) => return Err(classified(folder, failed)),
        }
    }
}

/// Runs a call into sled. sled 0.34 answers some damage by panicking (its issue 1387 among others),
/// and damage of a cache must not take the process down; nothing of ours is shared with the call but
/// the database itself, which is given up when it panicked.
fn guarded<T>(folder: &Path, call: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Err(corrupt(
            folder,
            said.unwrap_or("the database panicked without a message"),
        ))
    })
}

fn classified(folder: &Path, failed: sled::Error) -> Error {
    match failed {
        sled::Error::Io(source) if !is_damage(&source) => Error::Disk {
            folder: folder.to_owned(),
            source,
        },
        other => corrupt(folder, &other.to_string()),
    }
}

/// Errors of the file system that come from a file that is too short, gone, or holds what does not fit.
fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::NotFound
            | io::ErrorKind::IsADirectory
    )
}

/// sled gives no other sign of its lock than the message.
fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other && error.to_string().starts_with("could not acquire lock")
}

pub(crate) fn corrupt(folder: &Path, reason: &str) -> Error {
    Error::Corrupt {
        folder: folder.to_owned(),
        reason: reason.to_owned(),
    }
}
