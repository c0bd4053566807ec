//! What somebody else knows of the log: the intake of the same installation, which has acknowledged it.
//!
//! Views may lie behind the end that was lost: their own position then shows nothing, and what they answer from there
//! on would be wrong all the same.

use std::{fmt, sync::Arc};

use gridkeeper_proto::{checkpoint::Checkpoint, id::LogId, tree::TreeHash};

use crate::EventLog;

/// What somebody else knows of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// The log.
    pub log: LogId,
    /// A position that it has reached, and the root up to it.
    pub checkpoint: Checkpoint,
    /// The hash of the leaf there; `None` where they do not know it.
    pub leaf: Option<TreeHash>,
}

/// Tells what somebody else knows of the log, as of now.
#[derive(Clone)]
pub(crate) struct Witness(Arc<dyn Fn() -> Vec<Witnessed> + Send + Sync>);

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Witness").field(&self.known()).finish()
    }
}

impl Witness {
    pub(crate) fn known(&self) -> Vec<Witnessed> {
        (self.0)()
    }
}

impl EventLog {
    /// The same log, which is compared at each confirmation also with all that `known` tells then.
    #[must_use]
    pub fn with_witness(
        mut self,
        known: impl Fn() -> Vec<Witnessed> + Send + Sync + 'static,
    ) -> Self {
        self.witness = Some(Witness(Arc::new(known)));
        self
    }
}
