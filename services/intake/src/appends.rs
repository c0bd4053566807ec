//! How appends go: for health, and for the notary, which probes a log that does not take them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gridkeeper_http::Check;

use crate::Error;

/// How appends go. Clones are handles on the same.
#[derive(Clone, Debug)]
pub(crate) struct Appends {
    check: Check,
    troubles: Arc<Mutex<Troubles>>,
}

#[derive(Debug, Default)]
struct Troubles {
    /// The log does not acknowledge.
    unacknowledged: Option<Error>,
    /// What has landed cannot be noted down.
    unrecorded: Option<Error>,
}

impl Appends {
    pub(crate) fn new(check: Check) -> Self {
        check.ready();
        Self {
            check,
            troubles: Arc::default(),
        }
    }

    /// Takes in that an append has landed, or would.
    pub(crate) fn acknowledged(&self) {
        self.change(|troubles| troubles.unacknowledged = None);
    }

    /// Takes in that the log does not acknowledge an append.
    pub(crate) fn unacknowledged(&self, error: &Error) {
        self.change(|troubles| troubles.unacknowledged = Some(error.clone()));
    }

    /// Takes in that everything that has landed is noted down.
    pub(crate) fn recorded(&self) {
        self.change(|troubles| troubles.unrecorded = None);
    }

    /// Takes in that something that has landed cannot be noted down.
    pub(crate) fn unrecorded(&self, error: &Error) {
        self.change(|troubles| troubles.unrecorded = Some(error.clone()));
    }

    /// Whether the log does not acknowledge appends.
    pub(crate) fn are_unacknowledged(&self) -> bool {
        self.troubles().unacknowledged.is_some()
    }

    fn change(&self, change: impl FnOnce(&mut Troubles)) {
        let mut troubles = self.troubles();
        change(&mut troubles);
        let Troubles {
            unacknowledged,
            unrecorded,
        } = &*troubles;
        match unrecorded.as_ref().or(unacknowledged.as_ref()) {
            None => self.check.ready(),
            Some(error) => self.check.failed(error),
        }
    }

    fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
