//! The changes of a batch, seen as if they were committed.

use std::{
    collections::BTreeMap,
    ops::{Bound, RangeBounds},
    sync::Arc,
};

use gridkeeper_proto::envelope::Position;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Entry, Error, Generation, Way,
    reader::{data_bounds, is_empty_range, prefix_bounds},
    value::{check_key, decode, encode},
};

/// What a batch of events changes, kept in memory above the committed views.
///
/// Reads see the changes first, then the store; however often a key is put, it is written once. Dropped
/// without [`Changes::commit`] they leave nothing behind.
#[derive(Debug)]
pub struct Changes {
    generation: Arc<Generation>,
    based_on: Position,
    overlay: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Changes {
    pub(crate) fn new(generation: Arc<Generation>, based_on: Position) -> Self {
        Self {
            generation,
            based_on,
            overlay: BTreeMap::new(),
        }
    }

    /// The position of the views that these changes stand on.
    #[must_use]
    pub fn based_on(&self) -> Position {
        self.based_on
    }

    /// How many keys were put or removed.
    #[must_use]
    pub fn touched(&self) -> usize {
        self.overlay.len()
    }

    /// The bytes under a key.
    ///
    /// # Errors
    /// [`Error::ReservedKey`], [`Error::Disk`] and [`Error::Corrupt`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self.overlay.get(key) {
            Some(changed) => Ok(changed.clone()),
            None => self.generation.fetch(key),
        }
    }

    /// The typed value under a key.
    ///
    /// # Errors
    /// [`Error::Undecodable`]; and as [`Changes::get`].
    pub fn value<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, Error> {
        match self.overlay.get(key) {
            Some(Some(bytes)) => decode(self.generation.folder(), key, bytes).map(Some),
            Some(None) => Ok(None),
            None => self.generation.fetch_value(key),
        }
    }

    /// The entries of a range of keys, in order of their bytes, changes included.
    pub fn range<'k>(
        &self,
        range: impl RangeBounds<&'k [u8]>,
    ) -> impl Iterator<Item = Result<Entry, Error>> {
        self.merged(data_bounds(&range))
    }

    /// The entries whose keys begin with a prefix and stand after `after`, changes included.
    pub fn prefix(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = Result<Entry, Error>> {
        self.merged(prefix_bounds(prefix, after))
    }

    /// Puts bytes under a key.
    ///
    /// # Errors
    /// [`Error::ReservedKey`].
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Result<(), Error> {
        let key = key.into();
        check_key(&key)?;
        self.overlay.insert(key, Some(value.into()));
        Ok(())
    }

    /// Puts a typed value under a key.
    ///
    /// # Errors
    /// [`Error::ReservedKey`] and [`Error::Unencodable`].
    pub fn put_value<T: Serialize + ?Sized>(
        &mut self,
        key: impl Into<Vec<u8>>,
        value: &T,
    ) -> Result<(), Error> {
        let key = key.into();
        let bytes = encode(&key, value)?;
        self.put(key, bytes)
    }

    /// Removes a key; nothing happens when it is not there.
    ///
    /// # Errors
    /// [`Error::ReservedKey`].
    pub fn remove(&mut self, key: impl Into<Vec<u8>>) -> Result<(), Error> {
        let key = key.into();
        check_key(&key)?;
        self.overlay.insert(key, None);
        Ok(())
    }

    /// Writes all changes and the position of the last event folded, all or nothing. Readers wait for it.
    ///
    /// # Errors
    /// [`Error::Stale`] when somebody else committed in between or the position is not a later one,
    /// [`Error::Retired`] when the generation was replaced, [`Error::Disk`] and [`Error::Corrupt`].
    pub fn commit(self, position: Position) -> Result<(), Error> {
        self.commit_as(position, Way::Whole)
    }

    /// Writes all changes and the position of the last event folded, whole or in parts. Readers wait for it.
    ///
    /// # Errors
    /// As [`Changes::commit`].
    pub fn commit_as(self, position: Position, way: Way) -> Result<(), Error> {
        self.generation
            .commit(self.overlay, (self.based_on, position), way)
    }

    fn merged(
        &self,
        bounds: (Bound<Vec<u8>>, Bound<Vec<u8>>),
    ) -> impl Iterator<Item = Result<Entry, Error>> {
        let changed = (!is_empty_range(&bounds)).then(|| self.overlay.range(bounds.clone()));
        let mut changed = changed.into_iter().flatten().peekable();
        let mut stored = self.generation.entries_between(bounds).peekable();
        std::iter::from_fn(move || {
            loop {
                let take_changed = match (changed.peek(), stored.peek()) {
                    (Some((key, _)), Some(Ok(entry))) => **key <= entry.key,
                    (Some(_), None) => true,
                    (_, Some(Err(_))) | (None, _) => false,
                };
                if !take_changed {
                    return stored.next();
                }
                let (key, value) = changed.next()?;
                // The change stands for the stored entry under the same key.
                stored.next_if(|entry| entry.as_ref().is_ok_and(|entry| entry.key == *key));
                if let Some(value) = value {
                    return Some(Ok(Entry {
                        key: key.clone(),
                        value: value.clone(),
                    }));
                }
            }
        })
    }
}
