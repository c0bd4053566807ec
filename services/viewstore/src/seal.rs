//! A running sum over all entries, to notice entries that were lost or are older than they should be.

/// The sum of the hashes of all entries. Entries are added and subtracted one by one, in any order, so
/// that a commit costs what it touches. It guards against accidents of the disk and of the database, not
/// against anybody who forges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seal(u64);

impl Seal {
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.0 = self.0.wrapping_add(hash(key, value));
    }

    pub(crate) fn subtract(&mut self, key: &[u8], value: &[u8]) {
        self.0 = self.0.wrapping_sub(hash(key, value));
    }

    pub(crate) fn combined(self, difference: Self) -> Self {
        Self(self.0.wrapping_add(difference.0))
    }

    pub(crate) fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }
}

/// 64 bits of key and value, eight bytes a step. The hash lies on the disk: it never changes.
fn hash(key: &[u8], value: &[u8]) -> u64 {
    let keyed = mixed(0x243f_6a88_85a3_08d3, key);
    let hash = mixed(keyed, value);
    // The sum adds hashes up; without this its low bits would depend on low bits only.
    (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

fn mixed(start: u64, bytes: &[u8]) -> u64 {
    let step = |state: u64, word: u64| {
        let product = (state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        product ^ (product >> 29)
    };
    let (words, rest) = bytes.as_chunks::<8>();
    let state = words
        .iter()
        .fold(start, |state, word| step(state, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    // The length tells a short end from one filled up with zeros.
    step(step(state, u64::from_le_bytes(last)), bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(entries: &[(&[u8], &[u8])]) -> Seal {
        let mut seal = Seal::default();
        for (key, value) in entries {
            seal.add(key, value);
        }
        seal
    }

    #[test]
    fn order_does_not_count_and_everything_else_does() {
        let one = seal(&[(b"a", b"1"), (b"b", b"2")]);
        assert_eq!(one, seal(&[(b"b", b"2"), (b"a", b"1")]));
        for other in [
            seal(&[(b"a", b"2"), (b"b", b"1")]),
            seal(&[(b"a", b"1")]),
            seal(&[(b"a", b"1"), (b"b", b"2\0")]),
            seal(&[(b"a", b""), (b"b", b"2")]),
            seal(&[(b"a1", b""), (b"b", b"2")]),
            Seal::default(),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn what_is_subtracted_leaves_no_trace() {
        let mut sum = seal(&[(b"a", b"1"), (b"b", b"0123456789")]);
        sum.subtract(b"b", b"0123456789");
        assert_eq!(sum, seal(&[(b"a", b"1")]));
    }

    #[test]
    fn the_hash_on_the_disk_stays_what_it_is() {
        assert_eq!(
            seal(&[(b"key", b"a value of some length")]).0,
            7_880_576_168_993_721_266
        );
    }
}
