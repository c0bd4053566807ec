//! What others of the same installation know of the log: the intake that has acknowledged it, and whoever has read it.
//!
//! Views may lie behind the end that was lost: their own position then shows nothing, and what they answer from there
//! on would be wrong all the same. And where what intake keeps is older, the views may be the only ones that have seen
//! the end.

use std::{fmt, sync::Arc};

use gridkeeper_proto::{checkpoint::Checkpoint, id::LogId, tree::TreeHash};

use crate::{EventLog, Watermark};

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

impl From<Watermark> for Witnessed {
    fn from(watermark: Watermark) -> Self {
        let Watermark {
            log,
            checkpoint,
            leaf,
        } = watermark;
        Self {
            log,
            checkpoint,
            leaf: Some(leaf),
        }
    }
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

    /// What others know of the log, as of now.
    pub(crate) fn witnessed(&self) -> Vec<Witnessed> {
        let known = self.witness.as_ref().map(Witness::known);
        known.unwrap_or_default()
    }

    /// The roots that others know this log to have.
    #[must_use]
    pub fn witnessed_roots(&self, log: LogId) -> Vec<Checkpoint> {
        let all = self.witnessed().into_iter();
        let own = all.filter(|known| known.log == log);
        own.map(|known| known.checkpoint).collect()
    }
}
