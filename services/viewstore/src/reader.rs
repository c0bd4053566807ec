//! Reading at one position.

use std::{ops::RangeBounds, sync::RwLockReadGuard};

use gridkeeper_proto::envelope::Position;
use serde::de::DeserializeOwned;

use crate::{
    Error, Generation,
    bounds::{Bounds, data_bounds, prefix_bounds},
    generation::State,
    value::decode,
};

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Vec<u8>,
    /// The value's bytes.
    pub value: Vec<u8>,
}

/// Reads that all show the same position.
///
/// While it lives no commit lands, so keep it short; do not open a second one inside it, because a
/// writer that waits in between stops both.
pub struct Reader<'a> {
    generation: &'a Generation,
    state: RwLockReadGuard<'a, State>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(generation: &'a Generation, state: RwLockReadGuard<'a, State>) -> Self {
        Self { generation, state }
    }

    /// The position that everything read here is valid at.
    #[must_use]
    pub fn position(&self) -> Position {
        self.state.position
    }

    /// The bytes under a key.
    ///
    /// # Errors
    /// [`Error::Disk`] and [`Error::Corrupt`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.generation.fetch(&self.state, key)
    }

    /// The typed value under a key.
    ///
    /// # Errors
    /// [`Error::Undecodable`]; and as [`Reader::get`].
    pub fn value<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, Error> {
        self.generation.fetch_value(&self.state, key)
    }

    /// The entries of a range of keys, in order of their bytes.
    #[must_use]
    pub fn range<'k>(&self, range: impl RangeBounds<&'k [u8]>) -> Entries<'_> {
        self.between(&data_bounds(&range))
    }

    /// The entries whose keys begin with a prefix and stand after `after`, where one is given: the last
    /// key of the page before.
    #[must_use]
    pub fn prefix(&self, prefix: &[u8], after: Option<&[u8]>) -> Entries<'_> {
        self.between(&prefix_bounds(prefix, after))
    }

    fn between(&self, bounds: &Bounds) -> Entries<'_> {
        let stored = self.generation.stored_between(bounds);
        Entries {
            generation: self.generation,
            inner: Some(Box::new(self.state.memtable.over(bounds, stored))),
        }
    }
}

/// Entries in order of their keys. Ends after the first error.
pub struct Entries<'a> {
    generation: &'a Generation,
    // None once an error was given: what follows it is not trustworthy.
    inner: Option<Box<dyn Iterator<Item = Result<Entry, Error>> + 'a>>,
}

impl<'a> Entries<'a> {
    /// The same entries with their values decoded.
    pub fn values<T: DeserializeOwned>(
        self,
    ) -> impl Iterator<Item = Result<(Vec<u8>, T), Error>> + use<'a, T> {
        let generation = self.generation;
        self.map(move |entry| {
            let Entry { key, value } = entry?;
            let value = generation.checked(decode(generation.folder(), &key, &value))?;
            Ok((key, value))
        })
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.inner.as_mut()?.next()?;
        if entry.is_err() {
            self.inner = None;
        }
        Some(entry)
    }
}

/// The entries of the database alone.
pub(crate) struct StoredEntries<'a> {
    generation: &'a Generation,
    inner: Option<sled::Iter>,
}

impl<'a> StoredEntries<'a> {
    pub(crate) fn new(generation: &'a Generation, inner: Option<sled::Iter>) -> Self {
        Self { generation, inner }
    }
}

impl Iterator for StoredEntries<'_> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let inner = self.inner.as_mut()?;
        let entry = self.generation.call(|| inner.next().transpose());
        let entry = entry.transpose()?;
        Some(entry.map(|(key, value)| Entry {
            key: key.to_vec(),
            value: value.to_vec(),
        }))
    }
}
