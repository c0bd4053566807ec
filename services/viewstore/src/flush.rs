//! From memory to the database.

use std::{
    path::Path,
    sync::{Arc, MutexGuard, PoisonError},
};

use gridkeeper_proto::envelope::Position;

use crate::{
    Error, Generation,
    database::{classified, disk, guarded},
    generation::{COMMITTED, Role, State, committed},
    journal,
    memtable::Changed,
    seal::Seal,
};

/// After how many entries of a large flush they are handed to the disk where the file is cleaned:
/// before, sled uses no segment again.
const ENTRIES_AT_ONCE: usize = 512;

/// What the database holds.
#[derive(Clone, Debug)]
pub(crate) struct Flushed {
    pub(crate) position: Position,
    pub(crate) seal: Seal,
    /// Whether a flush began and did not end, so that the database holds a part of it.
    pub(crate) half_done: bool,
}

/// What a flush changes.
#[derive(Debug, Default)]
struct Difference {
    seal: Seal,
    /// Bytes of the keys and values that are replaced or removed.
    replaced: u64,
    /// Bytes of the keys and values that are put.
    written: u64,
}

/// The points that a flush passes; a crash after each leaves the views before or after it, whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The journal is written.
    JournalWritten,
    /// The database has no position.
    PositionRemoved,
    /// It has half of the changes.
    HalfWritten,
    /// It has all changes.
    AllWritten,
    /// It has the new position, and is handed to the disk.
    Handed,
}

impl Generation {
    /// Hands what is committed to the disk: without it a crash takes the generation back to an earlier position;
    /// the log then repeats the rest. Blocks for as long as writing takes; readers and commits go on meanwhile. A
    /// generation that was replaced is left as it is.
    ///
    /// # Errors
    /// [`Error::Stopped`] after a flush that failed, [`Error::Disk`] and [`Error::Corrupt`].
    pub fn flush(&self) -> Result<(), Error> {
        self.flush_observed(|_step| {})
    }

    pub(crate) fn flush_observed(&self, mut reached: impl FnMut(Step)) -> Result<(), Error> {
        let mut flushed = self.between_flushes();
        if flushed.half_done {
            return Err(Error::Stopped {
                position: self.position(),
            });
        }
        let Some((changed, position)) = self.begin_flush(flushed.position) else {
            return Ok(());
        };
        flushed.half_done = true;
        let difference = self.difference(&changed)?;
        let seal = flushed.seal.combined(difference.seal);
        self.write(&changed, committed(position, seal), &mut reached)?;
        self.written.count(difference.replaced, difference.written);
        self.call(|| self.database.flush())?;
        reached(Step::Handed);
        journal::remove(&self.folder).map_err(disk(&self.folder))?;
        self.alone().memtable.end_flush();
        *flushed = Flushed {
            position,
            seal,
            half_done: false,
        };
        Ok(())
    }

    /// How many entries are committed and wait for a flush, besides those of one under way.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared().memtable.waiting()
    }

    /// As long as this is held nothing is flushed.
    pub(crate) fn between_flushes(&self) -> MutexGuard<'_, Flushed> {
        self.flushed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be written, and the position that it leads to; none where nothing is.
    fn begin_flush(&self, flushed: Position) -> Option<(Arc<Changed>, Position)> {
        let anything = |state: &State| state.position != flushed && state.role != Role::Retired;
        // Whoever waits to be alone lets no reader in, so that is not done for nothing.
        if !anything(&self.shared()) {
            return None;
        }
        let mut state = self.alone();
        anything(&state).then(|| (state.memtable.begin_flush(), state.position))
    }

    /// What changes. What is replaced is what the database holds, since nobody writes there but the
    /// one flush at a time.
    fn difference(&self, changed: &Changed) -> Result<Difference, Error> {
        let mut difference = Difference::default();
        for (key, value) in changed {
            if let Some(replaced) = self.stored(key)? {
                difference.seal.subtract(key, &replaced);
                difference.replaced += (key.len() + replaced.len()) as u64;
            }
            if let Some(value) = value {
                difference.seal.add(key, value);
                difference.written += (key.len() + value.len()) as u64;
            }
        }
        Ok(difference)
    }

    /// Writes changes one by one, in the order of their keys: as one batch they would keep readers waiting, and sled
    /// frees no page that a batch replaces before it ends. The journal is there to do it again after a crash.
    fn write(
        &self,
        changed: &Changed,
        committed: [u8; 16],
        reached: &mut impl FnMut(Step),
    ) -> Result<(), Error> {
        journal::write(&self.folder, committed, changed).map_err(disk(&self.folder))?;
        reached(Step::JournalWritten);
        self.call(|| self.database.remove(COMMITTED))?;
        reached(Step::PositionRemoved);
        for (number, (key, value)) in changed.iter().enumerate() {
            if number == changed.len() / 2 {
                reached(Step::HalfWritten);
            }
            self.call(|| put(&self.database, key, value.as_deref()))?;
            if number % ENTRIES_AT_ONCE == ENTRIES_AT_ONCE - 1 && self.clean(ENTRIES_AT_ONCE)? {
                self.call(|| self.database.flush())?;
            }
        }
        self.clean(changed.len() % ENTRIES_AT_ONCE)?;
        reached(Step::AllWritten);
        self.call(|| self.database.insert(COMMITTED, &committed))?;
        Ok(())
    }
}

/// Puts a value under a key of the database, or removes the key.
fn put(database: &sled::Db, key: &[u8], value: Option<&[u8]>) -> sled::Result<()> {
    match value {
        Some(value) => database.insert(key, value)?,
        None => database.remove(key)?,
    };
    Ok(())
}

/// Does a flush again that was interrupted; says whether there was one.
pub(crate) fn finish_interrupted(database: &sled::Db, folder: &Path) -> Result<bool, Error> {
    let Some(journal) = journal::read(folder).map_err(disk(folder))? else {
        return Ok(false);
    };
    let redone = || {
        for (key, value) in &journal.changed {
            put(database, key, value.as_deref())?;
        }
        database.insert(COMMITTED, &journal.committed)?;
        database.flush()
    };
    guarded(folder, || {
        redone().map_err(|failed| classified(folder, failed))
    })?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use super::*;
    use crate::{Opened, Options, Schema, ViewStore};

    const SCHEMA: Schema = Schema {
        name: "flush",
        version: 1,
    };

    /// Entries by number: what a reader sees of them.
    fn seen(store: &ViewStore) -> (Position, Vec<(u8, u8)>) {
        store.read(|reader| {
            let all = reader.range(..).map(|entry| {
                let entry = entry.unwrap();
                let value = reader.get(&entry.key).unwrap().unwrap();
                assert_eq!(value, entry.value);
                (entry.key[1], entry.value[0])
            });
            let all: Vec<_> = all.collect();
            let above = reader.prefix(b"k", Some(b"k\x04"));
            let above: Vec<_> = above.map(|entry| entry.unwrap().key[1]).collect();
            let expected = all.iter().map(|(number, _)| *number);
            let expected: Vec<_> = expected.filter(|number| *number > 4).collect();
            assert_eq!(above, expected);
            let first = (Bound::Unbounded, Bound::Included(b"k\x04".as_slice()));
            assert_eq!(reader.range(first).count(), all.len() - above.len());
            assert!(reader.get(b"k\x63").unwrap().is_none());
            (reader.position(), all)
        })
    }

    fn put(store: &ViewStore, position: u64, values: [Option<u8>; 8]) {
        let mut changes = store.changes();
        for (number, value) in (0..).zip(values) {
            match value {
                Some(0) => changes.remove([b'k', number]).unwrap(),
                Some(value) => changes.put([b'k', number], [value]).unwrap(),
                None => {}
            }
        }
        changes.commit(Position(position)).unwrap();
    }

    #[test]
    fn readers_see_what_is_committed_at_every_step_of_a_flush_and_so_do_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = ViewStore::open(folder.path(), SCHEMA, Options::default()).unwrap();
        let some = Some;
        put(&store, 1, [1, 1, 1, 1, 1, 1, 1, 1].map(some));
        store.flush().unwrap();
        let (x, n) = (some(0), None);
        put(&store, 2, [n, some(2), x, n, some(2), some(2), x, x]);
        let second = vec![(0, 1), (1, 2), (3, 1), (4, 2), (5, 2)];
        let third = vec![(0, 1), (1, 3), (2, 3), (3, 1), (5, 3), (7, 3)];
        let generation = store.generation();
        generation
            .flush_observed(|step| {
                if step == Step::HalfWritten {
                    assert_eq!(seen(&store), (Position(2), second.clone()));
                    put(&store, 3, [n, some(3), some(3), n, x, some(3), n, some(3)]);
                }
                let (position, expected) = match step {
                    Step::JournalWritten | Step::PositionRemoved => (2, &second),
                    _ => (3, &third),
                };
                assert_eq!(
                    seen(&store),
                    (Position(position), expected.clone()),
                    "{step:?}"
                );
                let changes = store.changes();
                let merged = changes.prefix(b"k", None).map(|entry| {
                    let entry = entry.unwrap();
                    (entry.key[1], entry.value[0])
                });
                assert_eq!(merged.collect::<Vec<_>>(), *expected, "{step:?}");
            })
            .unwrap();
        assert_eq!(seen(&store), (Position(3), third.clone()));
        store.flush().unwrap();
        assert_eq!(seen(&store), (Position(3), third.clone()));
        drop((store, generation));
        let (store, opened) = ViewStore::open(folder.path(), SCHEMA, Options::default()).unwrap();
        assert_eq!(opened, Opened::Continued);
        assert_eq!(seen(&store), (Position(3), third));
    }

    #[test]
    fn a_flush_that_ends_while_views_are_compared_keeps_no_reader_out() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = ViewStore::open(folder.path(), SCHEMA, Options::default()).unwrap();
        put(&store, 1, [Some(1); 8]);
        let generation = store.generation();
        let comparing = generation.between_flushes();
        std::thread::scope(|scope| {
            let flushing = scope.spawn(|| generation.flush());
            generation.read(|first| {
                // Were the flush waiting to be alone, nobody else could begin to read now.
                let second = generation.try_read(|second| {
                    let entry = second.get(b"k\x00").unwrap();
                    (second.position(), entry.is_some())
                });
                assert_eq!(second, Some((first.position(), true)));
            });
            drop(comparing);
            flushing.join().unwrap().unwrap();
        });
        assert_eq!(generation.waiting(), 0);
    }

    #[test]
    fn scans_see_every_entry_while_pages_split_and_merge() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = ViewStore::open(folder.path(), SCHEMA, Options::default()).unwrap();
        let key = |number: u32| [&b"m"[..], &number.to_be_bytes()].concat();
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(std::sync::atomic::Ordering::Relaxed) {
                        store.read(|reader| {
                            // Each position has the entries of one half only, all of them.
                            let half = reader.position().0 % 2;
                            let mut entries = 0;
                            for entry in reader.prefix(b"m", None) {
                                assert_eq!(u64::from(entry.unwrap().value[0]), half);
                                entries += 1;
                            }
                            assert!(entries == 0 || entries == 2_000, "{entries}");
                        });
                    }
                });
            }
            for position in 1..=30_u64 {
                let mut changes = store.changes();
                for number in 0..4_000 {
                    match u64::from(number % 2) == position % 2 {
                        true => changes
                            .put(key(number), [u8::from(position % 2 == 1)])
                            .unwrap(),
                        false => changes.remove(key(number)).unwrap(),
                    }
                }
                changes.commit(Position(position)).unwrap();
                store.flush().unwrap();
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        let sum = store.checksum().unwrap();
        drop(store);
        let (store, opened) = ViewStore::open(folder.path(), SCHEMA, Options::default()).unwrap();
        assert_eq!(
            (opened, store.checksum().unwrap()),
            (Opened::Continued, sum)
        );
    }

    #[test]
    fn after_a_flush_that_failed_nothing_more_is_flushed() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = ViewStore::open(folder.path(), SCHEMA, Options::default()).unwrap();
        put(&store, 1, [Some(1); 8]);
        // In the place of the journal.
        let taken = store.generation().folder().join("journal");
        std::fs::create_dir(&taken).unwrap();
        assert!(matches!(store.flush(), Err(Error::Disk { .. })));
        std::fs::remove_dir(&taken).unwrap();
        assert!(matches!(store.flush(), Err(Error::Stopped { .. })));
        assert_eq!(seen(&store).1.len(), 8, "it can still be read");
        drop(store);
        let (store, opened) = ViewStore::open(folder.path(), SCHEMA, Options::default()).unwrap();
        assert_eq!((opened, store.position()), (Opened::Continued, Position(0)));
    }
}
