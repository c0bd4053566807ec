//! What is committed and not yet in the database.

use std::{collections::BTreeMap, iter::Peekable, mem, sync::Arc};

use crate::{
    Entry, Error,
    bounds::{Bounds, is_empty_range},
};

/// Keys with their values; no value for one that was removed.
pub(crate) type Changed = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The changes that are committed and not yet in the database: those since the last flush began, and those that
/// are being flushed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memtable {
    since: Changed,
    flushing: Option<Arc<Changed>>,
}

impl Memtable {
    /// What became of a key: none when it is as the database has it, and within it none when it was removed.
    #[expect(
        clippy::option_option,
        reason = "unchanged and removed are not the same"
    )]
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let flushing = || self.flushing.as_ref()?.get(key);
        let changed = self.since.get(key).or_else(flushing);
        changed.map(Option::as_deref)
    }

    /// Takes over what a commit changes.
    pub(crate) fn take_in(&mut self, changes: Changed) {
        if changes.len() < self.since.len() {
            self.since.extend(changes);
            return;
        }
        // The fewer are moved, since readers wait.
        for (key, value) in mem::replace(&mut self.since, changes) {
            self.since.entry(key).or_insert(value);
        }
    }

    /// How many entries wait for a flush; those of one under way are not counted.
    pub(crate) fn waiting(&self) -> usize {
        self.since.len()
    }

    /// Puts aside what waits, for a flush; there is one at a time.
    pub(crate) fn begin_flush(&mut self) -> Arc<Changed> {
        let flushing = Arc::new(mem::take(&mut self.since));
        self.flushing = Some(Arc::clone(&flushing));
        flushing
    }

    /// Lets go of what is in the database now.
    pub(crate) fn end_flush(&mut self) {
        self.flushing = None;
    }

    /// The entries between bounds, seen over those of the database.
    pub(crate) fn over<'a>(
        &'a self,
        bounds: &Bounds,
        stored: impl Iterator<Item = Result<Entry, Error>> + 'a,
    ) -> impl Iterator<Item = Result<Entry, Error>> + 'a {
        over(
            between(&self.since, bounds),
            over(self.flushing_between(bounds), stored),
        )
    }

    /// A copy of the entries between bounds.
    pub(crate) fn copy(&self, bounds: &Bounds) -> Changed {
        let since = between(&self.since, bounds);
        self.flushing_between(bounds).chain(since).collect()
    }

    fn flushing_between<'a>(
        &'a self,
        bounds: &Bounds,
    ) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> + use<'a> {
        let flushing = self.flushing.as_deref();
        let flushing = flushing.map(|table| between(table, bounds));
        flushing.into_iter().flatten()
    }
}

/// The changes between bounds, in order.
pub(crate) fn between<'a>(
    changed: &'a Changed,
    bounds: &Bounds,
) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> + use<'a> {
    let range = (!is_empty_range(bounds)).then(|| changed.range(bounds.clone()));
    let range = range.into_iter().flatten();
    range.map(|(key, value)| (key.clone(), value.clone()))
}

/// Entries as they are with changes over them; both in order of their keys.
pub(crate) fn over<C, S>(changes: C, below: S) -> Over<C, S>
where
    C: Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
    S: Iterator<Item = Result<Entry, Error>>,
{
    Over {
        changes: changes.peekable(),
        below: below.peekable(),
    }
}

/// Entries with changes over them.
pub(crate) struct Over<C: Iterator, S: Iterator> {
    changes: Peekable<C>,
    below: Peekable<S>,
}

impl<C, S> Iterator for Over<C, S>
where
    C: Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
    S: Iterator<Item = Result<Entry, Error>>,
{
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let takes_change = match (self.changes.peek(), self.below.peek()) {
                (Some((key, _)), Some(Ok(entry))) => *key <= entry.key,
                (Some(_), None) => true,
                (_, Some(Err(_))) | (None, _) => false,
            };
            if !takes_change {
                return self.below.next();
            }
            let (key, value) = self.changes.next()?;
            // The change stands for the entry under the same key.
            self.below
                .next_if(|entry| entry.as_ref().is_ok_and(|entry| entry.key == key));
            if let Some(value) = value {
                return Some(Ok(Entry { key, value }));
            }
        }
    }
}
