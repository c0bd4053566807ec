//! One generation of the views: a sled database of its own.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError},
};

use gridkeeper_proto::envelope::Position;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::{
    Changes, Error, Options, Reader, Schema,
    bounds::{Bounds, is_empty_range},
    cleaner::Cleaning,
    database::{classified, corrupt, disk, guarded, open_database},
    disk_use::{Written, bytes_in},
    flush::{Flushed, finish_interrupted},
    journal,
    memtable::{Changed, Memtable},
    reader::StoredEntries,
    seal::Seal,
    value::{RESERVED, check_key, decode},
};

/// Position and seal, beside the data; missing while a flush is under way.
pub(crate) const COMMITTED: &[u8] = &[RESERVED, b'c'];
const SCHEMA: &[u8] = &[RESERVED, b's'];

/// Marks a generation that was found corrupt while it was in use.
const CORRUPT_MARK: &str = "corrupt";

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
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// Of the last event that was committed.
    pub(crate) position: Position,
    pub(crate) memtable: Memtable,
    pub(crate) role: Role,
}

/// A generation of the views. The handle stays good for reading after another took its place.
pub struct Generation {
    number: u64,
    pub(crate) folder: PathBuf,
    pub(crate) database: sled::Db,
    state: RwLock<State>,
    /// Held by whoever flushes.
    pub(crate) flushed: Mutex<Flushed>,
    pub(crate) written: Written,
    pub(crate) cleaning: Cleaning,
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
        let at_start = (Position(0), Seal::default());
        let mut generation = Self::with(database, (folder, number), at_start, (role, announce));
        generation.cleaning = Cleaning::new(options, role == Role::Filling);
        let mut batch = sled::Batch::default();
        batch.insert(SCHEMA, schema.to_string().as_bytes());
        batch.insert(COMMITTED, &committed(Position(0), Seal::default()));
        generation.call(|| generation.database.apply_batch(batch))?;
        generation.call(|| generation.database.flush())?;
        Ok(generation)
    }

    fn with(
        database: sled::Db,
        (folder, number): (&Path, u64),
        (position, seal): (Position, Seal),
        (role, announce): (Role, Arc<watch::Sender<Position>>),
    ) -> Self {
        Self {
            number,
            folder: folder.to_owned(),
            database,
            state: RwLock::new(State {
                position,
                memtable: Memtable::default(),
                role,
            }),
            flushed: Mutex::new(Flushed {
                position,
                seal,
                half_done: false,
            }),
            written: Written::default(),
            cleaning: Cleaning::default(),
            announce,
        }
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
        let Some(found_schema) = read(&database, folder, SCHEMA)? else {
            return Err(corrupt(folder, "its layout is not named"));
        };
        if *found_schema != *schema.to_string().as_bytes() {
            let name = String::from_utf8_lossy(&found_schema).into_owned();
            return Ok(Found::OtherSchema(name));
        }
        if read(&database, folder, COMMITTED)?.is_none() && !finish_interrupted(&database, folder)?
        {
            return Err(corrupt(folder, "its position is missing"));
        }
        let committed = read(&database, folder, COMMITTED)?;
        let (position, sealed) = committed
            .and_then(|committed| read_committed(&committed))
            .ok_or_else(|| corrupt(folder, "its position does not have sixteen bytes"))?;
        let (seal, live) = guarded(folder, || {
            let mut seal = Seal::default();
            let mut live = 0;
            for entry in database.range([RESERVED + 1]..) {
                let (key, value) = entry.map_err(|failed| classified(folder, failed))?;
                seal.add(&key, &value);
                live += (key.len() + value.len()) as u64;
            }
            Ok((seal, live))
        })?;
        if sealed != seal {
            return Err(corrupt(
                folder,
                "its entries are not the ones that were committed",
            ));
        }
        // What a crash left when the database was never written to, or was done.
        journal::remove(folder).map_err(disk(folder))?;
        let mut generation = Self::with(
            database,
            (folder, number),
            (position, seal),
            (Role::Serving, announce),
        );
        generation.written.set_live(live);
        generation.cleaning = Cleaning::new(options, false);
        Ok(Found::Sound(generation))
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

    /// The same, if it can begin at once; else none. While something is committed it cannot, nor while a commit waits
    /// for another reader.
    pub fn try_read<T>(&self, question: impl FnOnce(&Reader<'_>) -> T) -> Option<T> {
        let state = match self.state.try_read() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(question(&Reader::new(self, state)))
    }

    /// Begins a batch of changes on top of what is committed.
    #[must_use]
    pub fn changes(self: &Arc<Self>) -> Changes {
        Changes::new(Arc::clone(self), self.position())
    }

    /// The checksum of all keys and values. Reads everything and keeps commits waiting meanwhile.
    ///
    /// # Errors
    /// [`Error::Disk`] and [`Error::Corrupt`].
    pub fn checksum(&self) -> Result<Checksum, Error> {
        let _between_flushes = self.between_flushes();
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

    /// Lets a batch's changes count, and its position, all at once; readers wait for no more than that. They are in
    /// memory until [`Generation::flush`].
    pub(crate) fn commit(
        &self,
        changes: Changed,
        (based_on, position): (Position, Position),
    ) -> Result<(), Error> {
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
        state.memtable.take_in(changes);
        state.position = position;
        if state.role == Role::Serving {
            // Inside the lock, so that positions are announced in their order.
            self.announce.send_replace(position);
        }
        Ok(())
    }

    pub(crate) fn shared(&self) -> RwLockReadGuard<'_, State> {
        // Nothing that changes the state panics half way.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn alone(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes under a key, in this state.
    pub(crate) fn fetch(&self, state: &State, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        check_key(key)?;
        match state.memtable.get(key) {
            Some(changed) => Ok(changed.map(<[u8]>::to_vec)),
            None => Ok(self.stored(key)?.map(|value| value.to_vec())),
        }
    }

    /// The value under a key, in this state.
    pub(crate) fn fetch_value<T: DeserializeOwned>(
        &self,
        state: &State,
        key: &[u8],
    ) -> Result<Option<T>, Error> {
        check_key(key)?;
        let decoded = match state.memtable.get(key) {
            Some(changed) => changed.map(|bytes| decode(&self.folder, key, bytes)),
            None => self
                .stored(key)?
                .map(|bytes| decode(&self.folder, key, &bytes)),
        };
        self.checked(decoded.transpose())
    }

    /// The bytes that the database holds under a key.
    pub(crate) fn stored(&self, key: &[u8]) -> Result<Option<sled::IVec>, Error> {
        self.call(|| self.database.get(key))
    }

    /// The entries that the database holds between bounds.
    pub(crate) fn stored_between(&self, bounds: &Bounds) -> StoredEntries<'_> {
        let inner = (!is_empty_range(bounds)).then(|| self.database.range(bounds.clone()));
        StoredEntries::new(self, inner)
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

    /// Marks the generation, and gives the error that says why.
    pub(crate) fn found_corrupt(&self, reason: &str) -> Error {
        self.mark_corrupt();
        corrupt(&self.folder, reason)
    }

    /// Bytes of all its files.
    pub(crate) fn bytes_on_disk(&self) -> Result<u64, Error> {
        bytes_in(&self.folder).map_err(disk(&self.folder))
    }

    fn mark_corrupt(&self) {
        if let Err(refused) = fs::write(self.folder.join(CORRUPT_MARK), b"") {
            // The error itself goes to the caller; without the mark the next open has to find out again.
            tracing::error!(folder = %self.folder.display(), %refused, "cannot mark corrupt views");
        }
    }
}

/// What the database had under a key when it was opened.
fn read(database: &sled::Db, folder: &Path, key: &[u8]) -> Result<Option<sled::IVec>, Error> {
    guarded(folder, || {
        let found = database.get(key);
        found.map_err(|failed| classified(folder, failed))
    })
}

pub(crate) fn committed(position: Position, seal: Seal) -> [u8; 16] {
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
