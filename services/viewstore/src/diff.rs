//! Comparing two generations.

use std::cmp::Ordering;

use crate::{Entry, Error, Generation};

/// How a key differs between two generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Only the first has it.
    OnlyLeft,
    /// Only the second has it.
    OnlyRight,
    /// Both have it with different values.
    Value,
}

/// How two generations differ at the same position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Keys with the same value in both.
    pub equal: u64,
    /// Keys that only the first has.
    pub only_left: u64,
    /// Keys that only the second has.
    pub only_right: u64,
    /// Keys with different values.
    pub different: u64,
    /// The first keys that differ, in order.
    pub first: Vec<(Vec<u8>, Difference)>,
}

impl Diff {
    /// Whether both hold the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.only_left + self.only_right + self.different == 0
    }

    fn note(&mut self, key: Vec<u8>, difference: Difference, limit: usize) {
        match difference {
            Difference::OnlyLeft => self.only_left += 1,
            Difference::OnlyRight => self.only_right += 1,
            Difference::Value => self.different += 1,
        }
        if self.first.len() < limit {
            self.first.push((key, difference));
        }
    }
}

impl Generation {
    /// Compares this generation (left) with another (right), key by key, and names the first `limit`
    /// keys that differ. Reads all of both; commits to both wait meanwhile.
    ///
    /// # Errors
    /// [`Error::PositionsDiffer`], [`Error::Disk`] and [`Error::Corrupt`].
    pub fn diff(&self, other: &Self, limit: usize) -> Result<Diff, Error> {
        if std::ptr::eq(self, other) {
            // Reading twice under one lock could wait for itself.
            return self.checksum().map(|sum| Diff {
                equal: sum.entries,
                ..Diff::default()
            });
        }
        // A flush that ended meanwhile would wait to be alone, and every new reader behind it.
        let _between_flushes = [self.between_flushes(), other.between_flushes()];
        self.read(|left| {
            other.read(|right| {
                if left.position() != right.position() {
                    return Err(Error::PositionsDiffer {
                        left: left.position(),
                        right: right.position(),
                    });
                }
                compare(left.range(..), right.range(..), limit)
            })
        })
    }
}

fn compare(
    mut lefts: impl Iterator<Item = Result<Entry, Error>>,
    mut rights: impl Iterator<Item = Result<Entry, Error>>,
    limit: usize,
) -> Result<Diff, Error> {
    let mut diff = Diff::default();
    let (mut left, mut right) = (lefts.next().transpose()?, rights.next().transpose()?);
    loop {
        let order = match (&left, &right) {
            (Some(left), Some(right)) => left.key.cmp(&right.key),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok(diff),
        };
        // The one with the smaller key is behind; at equal keys both go on.
        let from_left = if order.is_le() {
            std::mem::replace(&mut left, lefts.next().transpose()?)
        } else {
            None
        };
        let from_right = if order.is_ge() {
            std::mem::replace(&mut right, rights.next().transpose()?)
        } else {
            None
        };
        match (from_left, from_right) {
            (Some(one), Some(other)) if one.value == other.value => diff.equal += 1,
            (Some(one), Some(_)) => diff.note(one.key, Difference::Value, limit),
            (Some(one), None) => diff.note(one.key, Difference::OnlyLeft, limit),
            (None, Some(one)) => diff.note(one.key, Difference::OnlyRight, limit),
            (None, None) => {}
        }
    }
}
