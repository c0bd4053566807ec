//! Whether the log that another run of the broker gives is still the one that was read.

use std::sync::PoisonError;

use gridkeeper_proto::code::Coded as _;
use tokio::time::sleep;

use super::Decider;
use crate::{
    Error,
    log::{Keys, Log, ReadError},
};

impl<L: Log, K: Keys> Decider<L, K> {
    /// Compares the log from its start with what was read of it, whenever another run of the
    /// server gives it than the one that it was read from; beside everything else, and for as
    /// long as it is polled. What differs ends the work with the next look at the log.
    pub(crate) async fn compare_histories(&self, read_from: L::Run) {
        let mut compared_with = read_from;
        loop {
            let run = self.log.server_run();
            if run != compared_with {
                let known = self.read().checkpoint();
                match self.log.compare_history(known).await {
                    Ok(()) => compared_with = run,
                    Err(ReadError::Unavailable(detail)) => {
                        tracing::warn!(detail, "the log's history is not compared yet");
                    }
                    Err(ReadError::Broken(error)) => {
                        tracing::error!(code = %error.code(), %error, "the log is another one");
                        *self.history() = Some(error);
                        return std::future::pending().await;
                    }
                }
            }
            sleep(self.options.follow_every()).await;
        }
    }

    /// What the comparison found.
    pub(super) fn differing_history(&self) -> Result<(), Error> {
        self.history().take().map_or(Ok(()), Err)
    }

    fn history(&self) -> std::sync::MutexGuard<'_, Option<Error>> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
