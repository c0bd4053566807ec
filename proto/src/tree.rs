//! The Merkle tree over the log, as RFC 6962, section 2.1, defines it: the leaf at index `n` is the message at
//! position `n + 1`, its data the bytes of the event. Two trees with one root are of the same events in the same
//! order.
//!
//! A [`Frontier`] is all that has to be known of a log to go on with its tree: a hash for each complete subtree, a
//! few hundred bytes.

use std::fmt;

use base16ct::lower;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use tlog_tiles::tlog::{EMPTY_HASH, Hash, node_hash, record_hash};

use crate::envelope::Position;

/// Digits of a hash as text.
const TEXT: usize = 64;

/// A hash of the tree: of a leaf, a node or a root. SHA-256; 64 lowercase hexadecimal digits in text
/// and in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TreeHash(pub [u8; 32]);

impl TreeHash {
    /// The root of a tree without leaves.
    pub const EMPTY: Self = Self(EMPTY_HASH.0);

    /// The hash of the leaf that stands for a message.
    #[must_use]
    pub fn of_leaf(bytes: &[u8]) -> Self {
        Self(record_hash(bytes).0)
    }

    /// The hash of the leaf that stands for a message that is lost: that of no bytes, since nobody knows its own.
    #[must_use]
    pub fn of_lost_leaf() -> Self {
        Self::of_leaf(&[])
    }

    /// The hash of the node above two others.
    #[must_use]
    pub fn of_node(left: Self, right: Self) -> Self {
        Self(node_hash(Hash(left.0), Hash(right.0)).0)
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(lower::encode_str(&self.0, &mut [0; TEXT])?)
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is not a hash of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash of the tree has 64 lowercase hexadecimal digits")]
pub struct TreeHashError;

impl std::str::FromStr for TreeHash {
    type Err = TreeHashError;

    fn from_str(text: &str) -> Result<Self, TreeHashError> {
        let mut hash = [0; 32];
        if text.len() != TEXT {
            return Err(TreeHashError);
        }
        lower::decode(text, &mut hash).map_err(|_| TreeHashError)?;
        Ok(Self(hash))
    }
}

impl Serialize for TreeHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            let mut text = [0; TEXT];
            let text = lower::encode_str(&self.0, &mut text).map_err(ser::Error::custom)?;
            serializer.serialize_str(text)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for TreeHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            return text.parse().map_err(de::Error::custom);
        }
        <[u8; 32]>::deserialize(deserializer).map(Self)
    }
}

impl utoipa::PartialSchema for TreeHash {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^[0-9a-f]{64}$"))
            .into()
    }
}

impl utoipa::ToSchema for TreeHash {}

/// The complete subtrees of a tree, from the largest to the smallest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frontier {
    size: u64,
    subtrees: Vec<TreeHash>,
}

impl Frontier {
    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The position of the last message that is a leaf of the tree; zero for none.
    #[must_use]
    pub fn position(&self) -> Position {
        Position(self.size)
    }

    /// Adds a leaf.
    pub fn append(&mut self, leaf: TreeHash) {
        self.append_observed(leaf, |_| {});
    }

    /// Adds a leaf, and hands out the leaf and the node of each subtree that it completes, in the order in which a
    /// store of hashes keeps them (`tlog_tiles::stored_hash_index`).
    pub fn append_observed(&mut self, leaf: TreeHash, mut observe: impl FnMut(TreeHash)) {
        let mut node = leaf;
        observe(node);
        let mut complete = self.size;
        while complete & 1 == 1
            && let Some(left) = self.subtrees.pop()
        {
            node = TreeHash::of_node(left, node);
            observe(node);
            complete >>= 1;
        }
        self.subtrees.push(node);
        self.size += 1;
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> TreeHash {
        let mut subtrees = self.subtrees.iter().rev();
        let Some(&smallest) = subtrees.next() else {
            return TreeHash::EMPTY;
        };
        subtrees.fold(smallest, |root, &left| TreeHash::of_node(left, root))
    }

    /// Whether the number of subtrees fits the number of leaves, as bytes from a disk may not.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.subtrees.len() == self.size.count_ones() as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tlog_tiles::tlog::{Error, HashReader, stored_hash_count, tree_hash};

    use super::*;

    struct Stored(Vec<Hash>);

    impl HashReader for Stored {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
            let at = |index: &u64| self.0[usize::try_from(*index).unwrap()];
            Ok(indexes.iter().map(at).collect())
        }
    }

    #[test]
    fn a_tree_without_leaves_has_the_hash_of_nothing() {
        assert_eq!(
            Frontier::default().root().to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn the_hash_of_a_leaf_is_that_of_the_rfc() {
        let leaf = TreeHash::of_leaf(&[]);
        let text = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(leaf.to_string(), text);
        assert_eq!(text.parse(), Ok(leaf));
        for wrong in [
            "",
            "6e34",
            &text.replace('6', "g"),
            &text.replace("6e", "+e"),
            &text.to_uppercase(),
            &format!("{text}00"),
        ] {
            assert_eq!(wrong.parse::<TreeHash>(), Err(TreeHashError), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn roots_and_stored_hashes_are_those_of_the_tile_library(leaves in 0_u64..300) {
            let mut frontier = Frontier::default();
            let mut stored = Stored(Vec::new());
            for leaf in 0..leaves {
                let leaf = TreeHash::of_leaf(&leaf.to_be_bytes());
                frontier.append_observed(leaf, |hash| stored.0.push(Hash(hash.0)));
                prop_assert_eq!(stored.0.len() as u64, stored_hash_count(frontier.size()));
            }
            let root = tree_hash(leaves, &stored).unwrap();
            prop_assert_eq!(frontier.root().0, root.0);
            prop_assert!(frontier.is_sound());
            let bytes = postcard::to_allocvec(&frontier).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Frontier>(&bytes).unwrap(), frontier);
        }
    }
}
