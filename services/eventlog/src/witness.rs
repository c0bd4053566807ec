//! What somebody else knows of the log: the intake of the same installation, which has acknowledged it.
//!
//! Views may lie behind the end that was lost: their own position then shows nothing, and what they answer from there
//! on would be wrong all the same.

use std::{fmt, sync::Arc};

use gridkeeper_proto::{anchor::Anchor, checkpoint::Checkpoint, tree::TreeHash};

use crate::EventLog;

/// What somebody else knows of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// The last position that they know.
    pub anchor: Anchor,
    /// The root of the log up to it.
    pub root: TreeHash,
}

impl Witnessed {
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            position: self.anchor.position,
            root: self.root,
        }
    }
}

/// Tells what somebody else knows of the log, as of now.
#[derive(Clone)]
pub(crate) struct Witness(Arc<dyn Fn() -> Option<Witnessed> + Send + Sync>);

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Witness").field(&self.known()).finish()
    }
}

impl Witness {
    pub(crate) fn known(&self) -> Option<Witnessed> {
        (self.0)()
    }
}

impl EventLog {
    /// The same log, which is compared at each confirmation also with what `known` tells then; `None` from it says
    /// that nothing is known.
    #[must_use]
    pub fn with_witness(
        mut self,
        known: impl Fn() -> Option<Witnessed> + Send + Sync + 'static,
    ) -> Self {
        self.witness = Some(Witness(Arc::new(known)));
        self
    }
}
