//! Copying the serving generation into a new one that takes less of the disk.
//!
//! # Invariants
//! - The copy holds what the serving generation has flushed, at the same position and with the same
//!   running checksum, with all bytes that are stored beside the position. It is read back and
//!   summed up before it serves.
//! - From the first entry copied until the copy serves nothing is flushed; readers and commits go
//!   on, as they do during a flush. What was committed meanwhile moves with the position, in
//!   memory.
//! - Until the pointer is moved the old generation is whole and serves; from then on the new one. A
//!   crash leaves one of them, and the next opening removes the other.

use std::{
    fs::{self, File},
    io,
    ops::Bound,
    path::Path,
    sync::{Arc, PoisonError, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Error, Generation,
    bounds::data_bounds,
    database::{corrupt, disk},
    flush::Flushed,
    generation::{COMMITTED, Role, State},
    reader::StoredEntries,
    seal::Seal,
    store::{Inner, ViewStore},
    value::RESERVED,
};

/// Names the generation that this one was copied from, which is of no use any more.
const COPIED_FROM: &str = "copied-from";

/// After how many entries the copy is handed to the disk, so that sled uses its segments again.
const ENTRIES_PER_FLUSH: usize = 250;

/// How often the cleaner is turned with each of these flushes: as often as pages are left behind.
/// Without it a copy of small entries takes a third more.
const TURNS_PER_FLUSH: usize = 50;

/// How long to wait until nobody reads the old generation any more.
const READERS_LIMIT: Duration = Duration::from_secs(30);

/// The points that a compaction passes; a crash after each leaves the old or the new generation,
/// whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// An empty generation is there.
    Created,
    /// It has half of the entries.
    HalfCopied,
    /// It has all entries and the position, on the disk.
    Copied,
    /// The new pointer is written beside the old one.
    PointerWritten,
    /// The new pointer counts.
    PointerMoved,
    /// The old generation is gone.
    OldRemoved,
}

/// A compaction whose copy serves already. The old generation is still there, until
/// [`Compaction::remove_old`] or the next opening.
#[derive(Debug)]
pub struct Compaction {
    old: Arc<Generation>,
    new: Arc<Generation>,
    only: Only,
}

/// What a compaction came to, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Keys and values.
    pub live: u64,
    /// Files of the generation that was copied.
    pub before: u64,
    /// Files of the copy.
    pub after: u64,
}

/// As long as it lives no rebuild and no other compaction begins.
#[derive(Debug)]
struct Only(Arc<Inner>);

impl Only {
    fn new(inner: &Arc<Inner>) -> Result<Self, Error> {
        if inner.rebuilding.swap(true, Ordering::AcqRel) {
            return Err(inner.occupied());
        }
        inner.compacting.store(true, Ordering::Release);
        Ok(Self(Arc::clone(inner)))
    }
}

impl Drop for Only {
    fn drop(&mut self) {
        self.0.compacting.store(false, Ordering::Release);
        self.0.rebuilding.store(false, Ordering::Release);
    }
}

impl ViewStore {
    /// Copies the serving generation into a new one, which takes its place. `hold_commits` is
    /// called when the copy is complete: what it returns has to keep others from committing, and is
    /// given back; it must not wait for a flush. Changes begun before are refused with
    /// [`Error::Retired`] afterwards. The generation that a rebuild left is removed first. Blocks
    /// for as long as reading and writing everything takes; flushes wait meanwhile, readers and
    /// commits go on.
    ///
    /// # Errors
    /// [`Error::RebuildRunning`], [`Error::CompactionRunning`], [`Error::CompactionAbandoned`],
    /// [`Error::Stopped`] after a flush that failed, [`Error::Disk`], [`Error::Corrupt`], and those
    /// of `hold_commits`. The serving generation goes on.
    pub fn compact<T>(
        &self,
        hold_commits: impl FnOnce() -> Result<T, Error>,
    ) -> Result<(Compaction, T), Error> {
        self.compact_observed(hold_commits, |_step| {})
    }

    pub(crate) fn compact_observed<T>(
        &self,
        hold_commits: impl FnOnce() -> Result<T, Error>,
        mut reached: impl FnMut(Step),
    ) -> Result<(Compaction, T), Error> {
        let inner = &self.inner;
        let only = Only::new(inner)?;
        inner.check_open()?;
        inner.remove_others()?;
        let old = self.generation();
        let flushed = old.between_flushes();
        if flushed.half_done {
            return Err(Error::Stopped {
                position: old.position(),
            });
        }
        let mut copy = Copy::create(inner)?;
        reached(Step::Created);
        copy.fill(&old, &flushed, &mut reached)?;
        reached(Step::Copied);
        let held = hold_commits()?;
        copy.take_over(&old, &flushed, &mut reached)?;
        drop(flushed);
        let new = Arc::clone(&copy.generation);
        Ok((Compaction { old, new, only }, held))
    }

    /// Ends a compaction that is still copying, and lets none begin any more: before closing.
    pub fn abandon_compaction(&self) {
        self.inner.closing.store(true, Ordering::Release);
    }
}

impl Compaction {
    /// Removes the old generation as soon as nobody reads it any more; a holder of a handle of it,
    /// as a [`crate::Projector`] does, has to drop it first. After half a minute it is left to the
    /// next compaction or opening, and at once when the store closes. Blocks.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn remove_old(self) -> Result<Compacted, Error> {
        self.remove_old_observed(|_step| {})
    }

    pub(crate) fn remove_old_observed(
        self,
        mut reached: impl FnMut(Step),
    ) -> Result<Compacted, Error> {
        let Self { old, new, only } = self;
        let compacted = Compacted {
            live: new.written.live(),
            before: old.bytes_on_disk()?,
            after: new.bytes_on_disk()?,
        };
        let began = Instant::now();
        while Arc::strong_count(&old) > 1 {
            if began.elapsed() > READERS_LIMIT || only.0.check_open().is_err() {
                tracing::warn!(
                    number = old.number(),
                    "views replaced by a compaction are still read"
                );
                return Ok(compacted);
            }
            thread::sleep(Duration::from_millis(5));
        }
        let number = old.number();
        // The database closes before its files go.
        drop(old);
        only.0.folder.remove(number)?;
        reached(Step::OldRemoved);
        Ok(compacted)
    }
}

impl Inner {
    /// Why neither a rebuild nor a compaction can begin.
    pub(crate) fn occupied(&self) -> Error {
        let folder = self.folder.path().to_owned();
        match self.compacting.load(Ordering::Acquire) {
            true => Error::CompactionRunning { folder },
            false => Error::RebuildRunning { folder },
        }
    }

    fn check_open(&self) -> Result<(), Error> {
        match self.closing.load(Ordering::Acquire) {
            true => Err(Error::CompactionAbandoned {
                folder: self.folder.path().to_owned(),
            }),
            false => Ok(()),
        }
    }

    /// Removes the generations before the serving one; says whether there were any. None while the
    /// views are being replaced: what is older may still be read then.
    pub(crate) fn remove_before(self: &Arc<Self>) -> Result<bool, Error> {
        let Ok(_only) = Only::new(self) else {
            return Ok(false);
        };
        let serving = self.current().number();
        let mut before = self.folder.generations()?;
        before.retain(|&number| number < serving);
        before
            .iter()
            .try_for_each(|&number| self.folder.remove(number))?;
        Ok(!before.is_empty())
    }

    /// Removes all generations but the serving one, and the one that the pointer names should that
    /// be another since moving it failed half way.
    fn remove_others(&self) -> Result<(), Error> {
        let kept = [Some(self.current().number()), self.folder.pointer()?];
        for number in self.folder.generations()? {
            if !kept.contains(&Some(number)) {
                self.folder.remove(number)?;
            }
        }
        Ok(())
    }
}

/// The number of the generation that the one in this folder was copied from.
pub(crate) fn copied_from(folder: &Path) -> Option<u64> {
    fs::read_to_string(folder.join(COPIED_FROM))
        .ok()?
        .parse()
        .ok()
}

/// A copy that does not serve yet. Dropped before, it is removed.
struct Copy<'a> {
    inner: &'a Inner,
    generation: Arc<Generation>,
    kept: bool,
}

impl<'a> Copy<'a> {
    fn create(inner: &'a Arc<Inner>) -> Result<Self, Error> {
        let number = inner.folder.next_number()?;
        let generation = Generation::create(
            &inner.folder.generation(number),
            number,
            inner.schema,
            &inner.options,
            Role::Filling,
            Arc::clone(&inner.announce),
        )?;
        Ok(Self {
            inner,
            generation: Arc::new(generation),
            kept: false,
        })
    }

    /// Copies what is flushed, and hands it to the disk. All keys are put first, without values:
    /// while pages split, sled writes each entry about three times, and a value put into a finished
    /// page once.
    fn fill(
        &mut self,
        old: &Generation,
        flushed: &Flushed,
        reached: &mut impl FnMut(Step),
    ) -> Result<(), Error> {
        let copy = &self.generation;
        self.put_all(old, |key, _value| {
            copy.call(|| copy.database.insert(key, b"")).map(drop)
        })?;
        reached(Step::HalfCopied);
        let (mut seal, mut live) = (Seal::default(), 0);
        self.put_all(old, |key, value| {
            seal.add(key, value);
            live += (key.len() + value.len()) as u64;
            copy.call(|| copy.database.insert(key, value)).map(drop)
        })?;
        if seal != flushed.seal {
            return Err(old.found_corrupt("its entries are not the ones that were committed"));
        }
        for entry in own_entries(old) {
            let entry = entry?;
            copy.call(|| copy.database.insert(entry.key, entry.value))?;
        }
        copy.call(|| copy.database.flush())?;
        if sum(copy)? != flushed.seal || copy.stored(COMMITTED)? != old.stored(COMMITTED)? {
            return Err(corrupt(copy.folder(), "the copy is not what was copied"));
        }
        copy.written.set_live(live);
        copy.set_filling(false);
        let from = copy.folder().join(COPIED_FROM);
        fs::write(&from, old.number().to_string()).map_err(disk(&from))?;
        // The old generation, which is on the disk for long, is to be removed.
        sync_all(copy.folder()).map_err(disk(copy.folder()))
    }

    fn put_all(
        &self,
        old: &Generation,
        mut put: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for (number, entry) in all_entries(old).enumerate() {
            let entry = entry?;
            put(&entry.key, &entry.value)?;
            if number % ENTRIES_PER_FLUSH == ENTRIES_PER_FLUSH - 1 {
                self.inner.check_open()?;
                self.generation.turn_cleaner(TURNS_PER_FLUSH)?;
                self.generation.call(|| self.generation.database.flush())?;
            }
        }
        self.generation
            .call(|| self.generation.database.flush())
            .map(drop)
    }

    /// Lets the copy serve, with what was committed and not flushed.
    fn take_over(
        &mut self,
        old: &Generation,
        flushed: &Flushed,
        reached: &mut impl FnMut(Step),
    ) -> Result<(), Error> {
        let folder = &self.inner.folder;
        folder.write_next_pointer(self.generation.number())?;
        reached(Step::PointerWritten);
        *self.generation.between_flushes() = flushed.clone();
        let mut replaced = old.alone();
        // Before the move: should it fail half way, the pointer may count already, and what it
        // names must stay.
        self.kept = true;
        folder.move_pointer()?;
        reached(Step::PointerMoved);
        *self.generation.alone() = State::clone(&replaced);
        replaced.role = Role::Retired;
        *self
            .inner
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::clone(&self.generation);
        Ok(())
    }
}

impl Drop for Copy<'_> {
    fn drop(&mut self) {
        if !self.kept
            && let Err(refused) = self.inner.folder.remove(self.generation.number())
        {
            // The next compaction or opening removes it.
            tracing::warn!(%refused, "an abandoned copy of views could not be removed");
        }
    }
}

fn all_entries(generation: &Generation) -> StoredEntries<'_> {
    generation.stored_between(&data_bounds(&(..)))
}

/// The entries that the store keeps for itself.
fn own_entries(generation: &Generation) -> StoredEntries<'_> {
    generation.stored_between(&(Bound::Unbounded, Bound::Excluded(vec![RESERVED + 1])))
}

fn sum(generation: &Generation) -> Result<Seal, Error> {
    let mut seal = Seal::default();
    for entry in all_entries(generation) {
        let entry = entry?;
        seal.add(&entry.key, &entry.value);
    }
    Ok(seal)
}

/// Forces all files in a folder and below onto the disk.
fn sync_all(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => sync_all(&entry.path())?,
            false => File::open(entry.path())?.sync_all()?,
        }
    }
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use gridkeeper_proto::envelope::Position;

    use super::*;
    use crate::{Opened, Options, Schema};

    const SCHEMA: Schema = Schema {
        name: "compaction",
        version: 1,
    };

    #[test]
    fn views_that_lost_an_entry_are_found_corrupt_and_not_copied() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = ViewStore::open(folder.path(), SCHEMA, Options::default()).unwrap();
        let mut changes = store.changes();
        for key in ["a", "b", "c"] {
            changes.put(key, "value").unwrap();
        }
        changes.commit(Position(1)).unwrap();
        store.flush().unwrap();
        let serving = store.generation();
        serving.database.remove(b"b").unwrap();
        let found = store.compact(|| Ok(())).map(drop);
        assert!(matches!(found, Err(Error::Corrupt { .. })), "{found:?}");
        assert_eq!(store.generation().number(), serving.number());
        assert_eq!(store.disk_use().unwrap().others, 0, "the copy is gone");
        drop((store, serving));
        let (_, opened) = ViewStore::open(folder.path(), SCHEMA, Options::default()).unwrap();
        assert!(matches!(opened, Opened::Quarantined { .. }), "{opened:?}");
    }

    #[test]
    fn entries_of_the_store_itself_are_copied_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = ViewStore::open(folder.path(), SCHEMA, Options::default()).unwrap();
        let mut changes = store.changes();
        changes.put("a", "value").unwrap();
        changes.commit(Position(1)).unwrap();
        store.flush().unwrap();
        let unknown = [RESERVED, b'x'];
        let database = &store.generation().database;
        database.insert(unknown, vec![7; 500]).unwrap();
        let (compaction, ()) = store.compact(|| Ok(())).unwrap();
        assert_eq!(compaction.new.stored(&unknown).unwrap().unwrap(), [7; 500]);
        let committed = compaction.old.stored(COMMITTED).unwrap();
        assert_eq!(compaction.new.stored(COMMITTED).unwrap(), committed);
    }
}
