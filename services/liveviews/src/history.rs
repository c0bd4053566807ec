//! Compares the log before the views' position with what they were folded from.
//!
//! Following shows only that the event at the views' own position is the same. Once with each run
//! of the server that gives the log, all of it is read again, beside everything else.

use gridkeeper_viewstore::Projection;
use tokio::{sync::watch, time::sleep};

use crate::{
    Error, LiveViews, State,
    log::{Log, LogError, LogEvent},
};

impl<P: Projection<LogEvent> + Clone + 'static> LiveViews<P> {
    /// Sees whether the log, as it is given now, has the history that the views were folded from:
    /// false until it is read again.
    #[must_use]
    pub fn history_compared(&self) -> watch::Receiver<bool> {
        self.history_compared.subscribe()
    }

    /// Compares for as long as it is polled, as soon as the views have caught up. Gives what
    /// differs.
    pub(crate) async fn compare_histories<L: Log>(&self, log: &L) -> Error {
        let mut compared_with = None;
        let mut states = self.states();
        loop {
            // The sender lives as long as the views.
            let _ = states.wait_for(|state| *state == State::Following).await;
            let run = log.server_run();
            if compared_with.as_ref() != Some(&run) {
                self.history_compared.send_replace(false);
                let compared = match self.progress() {
                    Ok(progress) => log.compare_history(progress.checkpoint()).await,
                    Err(error) => return error,
                };
                match compared {
                    Ok(()) => {
                        self.history_compared.send_replace(log.server_run() == run);
                        compared_with = Some(run);
                    }
                    Err(LogError::Unavailable(detail)) => {
                        tracing::warn!(detail, "the log's history is not compared yet");
                    }
                    Err(broken @ LogError::Broken { .. }) => return broken.into(),
                }
            }
            sleep(self.options.retry()).await;
        }
    }
}
