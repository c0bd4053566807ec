//! What somebody else knows of the log: the intake of the same installation, which has acknowledged it.
//!
//! Views may lie behind the end that was lost: their own position then shows nothing, and what they answer from there
//! on would be wrong all the same.

use std::{fmt, sync::Arc};

use gridkeeper_proto::anchor::Anchor;

use crate::EventLog;

/// Tells up to where the log is known to somebody else, as of now.
#[derive(Clone)]
pub(crate) struct Witness(Arc<dyn Fn() -> Option<Anchor> + Send + Sync>);

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Witness").field(&self.known()).finish()
    }
}

impl Witness {
    pub(crate) fn known(&self) -> Option<Anchor> {
        (self.0)()
    }
}

impl EventLog {
    /// The same log, which is compared at each confirmation also with what `known` tells then; `None` from it says
    /// that nothing is known.
    #[must_use]
    pub fn with_witness(
        mut self,
        known: impl Fn() -> Option<Anchor> + Send + Sync + 'static,
    ) -> Self {
        self.witness = Some(Witness(Arc::new(known)));
        self
    }
}
