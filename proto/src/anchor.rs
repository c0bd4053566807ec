//! What ties a reader to the log that it has read.

use serde::{Deserialize, Serialize};

use crate::{envelope::Position, id::LogId, time::Timestamp, tree::TreeHash};

/// A position, and what shows whether a log is the one that it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The log; `None` before anything of one was read.
    pub log: Option<LogId>,
    /// The last position read; zero before the first.
    pub position: Position,
    /// The hash of the leaf at that position; that of the empty tree before the first.
    pub leaf: TreeHash,
    /// When the last statement on the log ([`crate::integrity`]) was made that was known when it
    /// was read; 1970 for none. Logs that began alike may have different statements at one
    /// position.
    pub stated: Timestamp,
}

impl Default for Anchor {
    fn default() -> Self {
        Self {
            log: None,
            position: Position(0),
            leaf: TreeHash::EMPTY,
            stated: Timestamp::EPOCH,
        }
    }
}

impl Anchor {
    /// The anchor after reading the next message.
    #[must_use]
    pub fn after(self, leaf: TreeHash) -> Self {
        Self {
            position: Position(self.position.0 + 1),
            leaf,
            ..self
        }
    }
}
