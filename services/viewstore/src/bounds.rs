//! Where ranges of keys begin and end.

use std::ops::{Bound, RangeBounds};

use crate::value::{RESERVED, prefix_end};

/// Where a range of keys begins and ends.
pub(crate) type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The bounds of a range, never below the first key that is not the store's own.
pub(crate) fn data_bounds<'k>(range: &impl RangeBounds<&'k [u8]>) -> Bounds {
    let first = vec![RESERVED + 1];
    let start = match range.start_bound() {
        Bound::Included(&key) if key >= first.as_slice() => Bound::Included(key.to_vec()),
        Bound::Excluded(&key) if key >= first.as_slice() => Bound::Excluded(key.to_vec()),
        _ => Bound::Included(first),
    };
    (start, range.end_bound().map(|key| key.to_vec()))
}

/// The bounds of the keys with a prefix that stand after a key.
pub(crate) fn prefix_bounds(prefix: &[u8], after: Option<&[u8]>) -> Bounds {
    let start = match after {
        Some(key) if key >= prefix => Bound::Excluded(key.to_vec()),
        _ if prefix.is_empty() => Bound::Included(vec![RESERVED + 1]),
        _ => Bound::Included(prefix.to_vec()),
    };
    let end = prefix_end(prefix).map_or(Bound::Unbounded, Bound::Excluded);
    (start, end)
}

/// Whether no key can lie between the bounds: ordered maps refuse such ranges by panicking.
pub(crate) fn is_empty_range(bounds: &Bounds) -> bool {
    match bounds {
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (
            Bound::Included(start) | Bound::Excluded(start),
            Bound::Excluded(end) | Bound::Included(end),
        ) => start >= end,
        _ => false,
    }
}
