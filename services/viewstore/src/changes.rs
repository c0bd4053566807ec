//! The changes of a batch, seen as if they were committed.

use std::{ops::RangeBounds, sync::Arc};

use gridkeeper_proto::envelope::Position;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Entry, Error, Generation,
    bounds::{Bounds, data_bounds, prefix_bounds},
    memtable::{Changed, between, over},
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
    overlay: Changed,
    scratch: Vec<u8>,
}

impl Changes {
    pub(crate) fn new(generation: Arc<Generation>, based_on: Position) -> Self {
        Self {
            generation,
            based_on,
            overlay: Changed::new(),
            scratch: Vec::new(),
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
            None => self.generation.fetch(&self.generation.shared(), key),
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
            None => self.generation.fetch_value(&self.generation.shared(), key),
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
        let bytes = encode(&key, value, &mut self.scratch)?;
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

    /// Lets all changes count, and the position of the last event folded, all at once. They are in memory until
    /// [`Generation::flush`].
    ///
    /// # Errors
    /// [`Error::Stale`] when somebody else committed in between or the position is not a later one,
    /// [`Error::Retired`] when the generation was replaced.
    pub fn commit(self, position: Position) -> Result<(), Error> {
        self.generation
            .commit(self.overlay, (self.based_on, position))
    }

    fn merged(&self, bounds: Bounds) -> impl Iterator<Item = Result<Entry, Error>> {
        // The memtable is copied, since a flush may end meanwhile; what it has written is what is copied.
        let recent = self.generation.shared().memtable.copy(&bounds);
        let stored = self.generation.stored_between(&bounds);
        let changed = between(&self.overlay, &bounds);
        over(changed, over(recent.into_iter(), stored))
    }
}
