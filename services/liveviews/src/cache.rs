//! Values that nearly every batch changes, kept between batches.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
};

use foldhash::fast::RandomState;

/// Values by key, and which of them changed since they were last written.
///
/// What is kept is what the views hold, as long as nobody else changes them; so it belongs to the one who folds
/// into them.
#[derive(Clone, Debug)]
pub struct Cache<K, V> {
    values: HashMap<K, Value<V>, RandomState>,
    changed: Vec<K>,
}

#[derive(Clone, Debug)]
struct Value<V> {
    value: V,
    changed: bool,
}

impl<K: Copy + Eq + Hash, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Copy + Eq + Hash, V> Cache<K, V> {
    /// A cache without values.
    #[must_use]
    pub fn new() -> Self {
        Self {
            values: HashMap::default(),
            changed: Vec::new(),
        }
    }

    /// The value of a key, to be changed; read from the views where it is not kept.
    ///
    /// # Errors
    /// That of `read`.
    pub fn change<E>(&mut self, key: K, read: impl FnOnce() -> Result<V, E>) -> Result<&mut V, E> {
        let found = match self.values.entry(key) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(free) => free.insert(Value {
                value: read()?,
                changed: false,
            }),
        };
        if !found.changed {
            found.changed = true;
            self.changed.push(key);
        }
        Ok(&mut found.value)
    }

    /// Gives what changed to be written. Where more than `most` values are kept then, they are dropped.
    ///
    /// # Errors
    /// That of `write`.
    pub fn write<E>(
        &mut self,
        most: usize,
        mut write: impl FnMut(K, &V) -> Result<(), E>,
    ) -> Result<(), E> {
        for key in self.changed.drain(..) {
            if let Some(found) = self.values.get_mut(&key) {
                found.changed = false;
                write(key, &found.value)?;
            }
        }
        if self.values.len() > most {
            self.values = HashMap::default();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Infallible = Result<(), std::convert::Infallible>;

    fn written(cache: &mut Cache<u8, u32>, most: usize) -> Vec<(u8, u32)> {
        let mut written = Vec::new();
        let Ok(()) = cache.write(most, |key, value| {
            written.push((key, *value));
            Infallible::Ok(())
        });
        written
    }

    #[test]
    fn what_changed_is_written_once_and_what_is_kept_is_read_once() {
        let mut cache = Cache::new();
        let mut reads = 0;
        let mut add = |cache: &mut Cache<u8, u32>, key| {
            *cache
                .change(key, || {
                    reads += 1;
                    Ok::<_, ()>(10)
                })
                .unwrap() += 1;
        };
        add(&mut cache, 1);
        add(&mut cache, 2);
        add(&mut cache, 1);
        assert_eq!(written(&mut cache, 2), [(1, 12), (2, 11)]);
        assert_eq!(written(&mut cache, 2), []);
        add(&mut cache, 2);
        assert_eq!(written(&mut cache, 1), [(2, 12)], "and all is let go");
        add(&mut cache, 2);
        assert_eq!(written(&mut cache, 1), [(2, 11)]);
        assert_eq!(reads, 3);
    }
}
