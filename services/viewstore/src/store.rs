//! A service's store of views.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use gridkeeper_proto::envelope::Position;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{
    Changes, Checksum, Error, Generation, Reader, Rebuild,
    compaction::copied_from,
    folder::Folder,
    generation::{Found, Role},
};

/// How the views of a service are laid out. Views of another schema are not read but rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The service or projection.
    pub name: &'static str,
    /// Raised with every change of keys, values or folding.
    pub version: u32,
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// Settings of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Memory for pages of the running generation, in bytes; a rebuild takes as much again.
    pub cache_bytes: u64,
    /// Size of a segment of the file, in bytes: a power of two from 256 to 16 MiB. 64 KiB keeps the
    /// file of a district about half the size that 512 KiB does. Views made with another size are set
    /// aside and rebuilt.
    pub segment_bytes: usize,
    /// How many bytes of the disk the generations of the views may take in any case; more only up
    /// to four times their live data. To stay within it views are compacted in time: above three
    /// eighths of it, when they take more than 2.25 times their live data.
    pub allowed_disk_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            segment_bytes: 64 << 10,
            allowed_disk_bytes: 256 << 20,
        }
    }
}

/// What was found at opening. Whoever opens logs it; [`ViewStore::position`] says where to read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// There was nothing; the log is read from its start.
    Created,
    /// Sound views, read on from their position.
    Continued,
    /// Views of another schema were dropped; the log is read from its start.
    OtherSchema {
        /// Name and version found.
        found: String,
    },
    /// Corrupt views were set aside; the log is read from its start.
    Quarantined {
        /// What was wrong.
        reason: String,
        /// Where the folder lies now; none when the pointer to it was what was wrong.
        moved_to: Option<PathBuf>,
    },
    /// The pointer names views that are not there; the log is read from its start.
    Missing {
        /// The folder that is not there.
        folder: PathBuf,
    },
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) folder: Folder,
    pub(crate) schema: Schema,
    pub(crate) options: Options,
    pub(crate) current: RwLock<Arc<Generation>>,
    pub(crate) announce: Arc<watch::Sender<Position>>,
    /// While a rebuild or a compaction is under way.
    pub(crate) rebuilding: AtomicBool,
    /// While that is a compaction.
    pub(crate) compacting: AtomicBool,
    /// Once compactions are to end.
    pub(crate) closing: AtomicBool,
}

impl Inner {
    pub(crate) fn current(&self) -> Arc<Generation> {
        // The lock guards one pointer, which a panic cannot leave half moved.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The views of one service. Cheap to clone; all clones see the same.
#[derive(Clone, Debug)]
pub struct ViewStore {
    pub(crate) inner: Arc<Inner>,
}

impl ViewStore {
    /// Opens the store in a folder, or makes it. Views that cannot be used are set aside or dropped and
    /// replaced by empty ones, and the second value says so: never in silence. Reads everything once;
    /// blocks.
    ///
    /// # Errors
    /// [`Error::Locked`] when somebody else has it open, [`Error::SegmentSize`], [`Error::Disk`].
    pub fn open(
        folder: impl AsRef<Path>,
        schema: Schema,
        options: Options,
    ) -> Result<(Self, Opened), Error> {
        let segment = options.segment_bytes;
        if !segment.is_power_of_two() || !(256..=16 << 20).contains(&segment) {
            // sled refuses it too, but in words that would pass for damage.
            return Err(Error::SegmentSize { found: segment });
        }
        let folder = Folder::lock(folder.as_ref())?;
        let announce = Arc::new(watch::Sender::new(Position(0)));
        let (sound, opened) = find_current(&folder, schema, &options, &announce)?;
        let generation = match sound {
            Some(generation) => generation,
            None => start_anew(&folder, schema, &options, &announce)?,
        };
        sweep(&folder, generation.number(), &opened)?;
        announce.send_replace(generation.position());
        let inner = Inner {
            folder,
            schema,
            options,
            current: RwLock::new(Arc::new(generation)),
            announce,
            rebuilding: AtomicBool::new(false),
            compacting: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        };
        Ok((
            Self {
                inner: Arc::new(inner),
            },
            opened,
        ))
    }

    /// The folder of the store.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.inner.folder.path()
    }

    /// The serving generation. Take it anew for every question or batch: a rebuild may replace it.
    #[must_use]
    pub fn generation(&self) -> Arc<Generation> {
        self.inner.current()
    }

    /// The position of the last event that the views hold.
    #[must_use]
    pub fn position(&self) -> Position {
        self.generation().position()
    }

    /// Reads at one position: see [`Generation::read`].
    pub fn read<T>(&self, question: impl FnOnce(&Reader<'_>) -> T) -> T {
        self.generation().read(question)
    }

    /// Reads at one position, if that can begin at once: see [`Generation::try_read`].
    pub fn try_read<T>(&self, question: impl FnOnce(&Reader<'_>) -> T) -> Option<T> {
        self.generation().try_read(question)
    }

    /// Begins a batch of changes.
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.generation().changes()
    }

    /// Hands what is committed to the disk: see [`Generation::flush`].
    ///
    /// # Errors
    /// [`Error::Stopped`], [`Error::Disk`] and [`Error::Corrupt`].
    pub fn flush(&self) -> Result<(), Error> {
        let flushed = self.generation();
        flushed.flush()?;
        let serving = self.generation();
        match Arc::ptr_eq(&flushed, &serving) {
            true => Ok(()),
            // It took the other one's place meanwhile, with what was committed and not flushed.
            false => serving.flush(),
        }
    }

    /// The checksum of all views: see [`Generation::checksum`].
    ///
    /// # Errors
    /// [`Error::Disk`] and [`Error::Corrupt`].
    pub fn checksum(&self) -> Result<Checksum, Error> {
        self.generation().checksum()
    }

    /// Bytes on the disk of the serving generation.
    ///
    /// # Errors
    /// [`Error::Disk`] and [`Error::Corrupt`].
    pub fn size_on_disk(&self) -> Result<u64, Error> {
        self.generation().size_on_disk()
    }

    /// Follows the position. A value seen here can be read at once.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Position> {
        self.inner.announce.subscribe()
    }

    /// Waits until the views hold the event at a position; gives the position that they have reached.
    ///
    /// # Errors
    /// [`Error::NotReached`] after `limit`.
    pub async fn wait_for(&self, at_least: Position, limit: Duration) -> Result<Position, Error> {
        let mut positions = self.subscribe();
        let reached =
            tokio::time::timeout(limit, positions.wait_for(|position| *position >= at_least)).await;
        match reached {
            Ok(Ok(position)) => Ok(*position),
            // The sender lives as long as this store, so only the limit ends the wait.
            Ok(Err(_)) | Err(_) => Err(Error::NotReached {
                wanted: at_least,
                at: self.position(),
                waited: limit,
            }),
        }
    }

    /// Begins a new, empty generation beside the serving one.
    ///
    /// # Errors
    /// [`Error::RebuildRunning`] while another one is being filled, [`Error::CompactionRunning`],
    /// [`Error::Disk`].
    pub fn begin_rebuild(&self) -> Result<Rebuild, Error> {
        if self.inner.rebuilding.swap(true, Ordering::AcqRel) {
            return Err(self.inner.occupied());
        }
        Rebuild::begin(Arc::clone(&self.inner)).inspect_err(|_| {
            self.inner.rebuilding.store(false, Ordering::Release);
        })
    }
}

fn find_current(
    folder: &Folder,
    schema: Schema,
    options: &Options,
    announce: &Arc<watch::Sender<Position>>,
) -> Result<(Option<Generation>, Opened), Error> {
    let number = match folder.pointer() {
        Ok(Some(number)) => number,
        Ok(None) => return Ok((None, Opened::Created)),
        Err(Error::Corrupt { reason, .. }) => {
            let opened = Opened::Quarantined {
                reason: format!("the pointer to the views is corrupt: {reason}"),
                moved_to: None,
            };
            return Ok((None, opened));
        }
        Err(other) => return Err(other),
    };
    let path = folder.generation(number);
    if !path.exists() {
        return Ok((None, Opened::Missing { folder: path }));
    }
    match Generation::open(&path, number, schema, options, Arc::clone(announce)) {
        Ok(Found::Sound(generation)) => Ok((Some(generation), Opened::Continued)),
        Ok(Found::OtherSchema(found)) => Ok((None, Opened::OtherSchema { found })),
        Err(Error::Corrupt { reason, .. }) => {
            let moved_to = Some(folder.quarantine(number)?);
            Ok((None, Opened::Quarantined { reason, moved_to }))
        }
        Err(other) => Err(other),
    }
}

fn start_anew(
    folder: &Folder,
    schema: Schema,
    options: &Options,
    announce: &Arc<watch::Sender<Position>>,
) -> Result<Generation, Error> {
    let number = folder.next_number()?;
    let generation = Generation::create(
        &folder.generation(number),
        number,
        schema,
        options,
        Role::Serving,
        Arc::clone(announce),
    )?;
    folder.write_next_pointer(number)?;
    folder.move_pointer()?;
    Ok(generation)
}

/// Removes what a crash left behind: generations newer than the serving one, which never came to
/// serve, the one that it was copied from, and all older ones but the one before it. When the views
/// were begun anew the older ones are of no use.
fn sweep(folder: &Folder, serving: u64, opened: &Opened) -> Result<(), Error> {
    let older: Vec<u64> = folder
        .generations()?
        .into_iter()
        .filter(|&number| number != serving)
        .collect();
    let copied = copied_from(&folder.generation(serving));
    let before = |&&number: &&u64| number < serving && Some(number) != copied;
    let kept = match opened {
        Opened::Continued => older.iter().rfind(before).copied(),
        _ => None,
    };
    older
        .into_iter()
        .filter(|&number| Some(number) != kept)
        .try_for_each(|number| folder.remove(number))
}
