//! What changes seldom and is needed for many answers: kept as it was asked for last, until the feed tells of a
//! change.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use gridkeeper_proto::envelope::Position;

/// What is known, by key.
pub(crate) struct Known<K, V>(Mutex<HashMap<K, Kept<V>>>);

/// A value, and the position that it is of.
pub(crate) struct Kept<V> {
    pub(crate) position: Position,
    pub(crate) value: Arc<V>,
}

/// What the feed tells: the position up to which it has seen all events, and the last change among them. Read in
/// this order, so that every change up to the position is told.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) position: Position,
    pub(crate) changed: Position,
}

impl<K, V> Default for Known<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V> Clone for Kept<V> {
    fn clone(&self) -> Self {
        Self {
            position: self.position,
            value: Arc::clone(&self.value),
        }
    }
}

impl<K: Eq + Hash, V> Known<K, V> {
    /// What is known under a key and up to where it holds, if no change of it was seen since and it holds as of a
    /// position of the views.
    pub(crate) fn as_of(&self, key: &K, position: Position, seen: Seen) -> Option<Kept<V>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = known.get(key)?;
        let holds = kept.position.max(seen.position);
        (seen.changed <= kept.position && holds >= position).then(|| Kept {
            position: holds,
            value: Arc::clone(&kept.value),
        })
    }

    /// What is known under a key, if it is still so as of a later position; it then holds up to there.
    pub(crate) fn still(
        &self,
        key: &K,
        position: Position,
        is_so: impl FnOnce(&V) -> bool,
    ) -> Option<Kept<V>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = known.get_mut(key)?;
        let still = kept.position <= position && is_so(&kept.value);
        still.then(|| {
            kept.position = position;
            kept.clone()
        })
    }

    /// Keeps a value, unless a newer one is known.
    pub(crate) fn keep(&self, key: K, position: Position, value: V) -> Kept<V> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let value = Arc::new(value);
        let kept = Kept { position, value };
        let newer = known
            .get(&key)
            .is_some_and(|other| other.position > position);
        if !newer {
            known.insert(key, kept.clone());
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(position: u64, changed: u64) -> Seen {
        Seen {
            position: Position(position),
            changed: Position(changed),
        }
    }

    #[test]
    fn a_value_holds_until_a_change_was_seen_or_may_have_been_missed() {
        let known = Known::default();
        known.keep("a", Position(10), 1);
        for (position, seen, holds) in [
            (10, seen(0, 0), Some(10)),
            (11, seen(11, 5), Some(11)),
            (0, seen(30, 10), Some(30)),
            (11, seen(11, 11), None),
            (12, seen(11, 5), None),
            // Whoever asks for nothing newer gets what changed all the same.
            (0, seen(20, 20), None),
        ] {
            let found = known.as_of(&"a", Position(position), seen);
            let found = found.map(|kept| kept.position.0);
            assert_eq!(found, holds, "{position}");
        }
        assert!(known.as_of(&"b", Position(1), seen(0, 0)).is_none());
    }

    #[test]
    fn a_value_that_is_still_so_is_not_made_again() {
        let known = Known::default();
        let made = known.keep("a", Position(10), 1).value;
        assert!(
            known
                .still(&"a", Position(12), |&value| value == 2)
                .is_none()
        );
        assert!(
            known
                .still(&"a", Position(9), |&value| value == 1)
                .is_none()
        );
        let kept = known
            .still(&"a", Position(12), |&value| value == 1)
            .unwrap();
        assert!(Arc::ptr_eq(&made, &kept.value));
        let held = known.as_of(&"a", Position(12), seen(11, 11)).unwrap();
        assert_eq!(held.position, Position(12));
    }

    #[test]
    fn an_older_value_does_not_take_the_place_of_a_newer_one() {
        let known = Known::default();
        known.keep("a", Position(10), 1);
        known.keep("a", Position(9), 2);
        let kept = known.as_of(&"a", Position(1), seen(0, 0)).unwrap();
        assert_eq!((kept.position, *kept.value), (Position(10), 1));
    }
}
