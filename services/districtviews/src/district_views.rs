//! Views that keep up with the log, and answer.

use std::{ops::Deref, time::Duration};

use gridkeeper_liveviews::{LiveViews, State, blocking};
use gridkeeper_proto::view::{ViewError, ViewQuestion, ViewReply, ViewRequest};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    answer::{answer, refusal, try_answer},
    projection::Views,
};

/// Views that keep up with the log, and answer.
pub struct DistrictViews {
    live: LiveViews<Views>,
    wait_limit_ms: u32,
    /// Places for those who read at once.
    reading: Semaphore,
}

/// How many questions are read at once that are not short; more wait their turn, since they would take the threads by
/// which views are folded and flushed.
const READING: usize = 32;

impl DistrictViews {
    /// A question waits for the position that it names for at most `wait_limit_ms`, whatever it asks for.
    #[must_use]
    pub fn new(live: LiveViews<Views>, wait_limit_ms: u32) -> Self {
        Self {
            live,
            wait_limit_ms,
            reading: Semaphore::new(READING),
        }
    }

    /// The answer, where it takes no more than a few reads of views that hold what is asked for and can be read at
    /// once: handing it over to another thread would take longer than answering it.
    #[must_use]
    pub fn reply_at_once(&self, request: &ViewRequest, max_bytes: usize) -> Option<ViewReply> {
        if !request.question.is_short() || self.stopped().is_some() || self.must_compare(request) {
            return None;
        }
        try_answer(self.store(), request, max_bytes)
    }

    /// The answer, at most `max_bytes` long, as soon as the views hold what is asked for: where
    /// [`DistrictViews::reply_at_once`] has none.
    pub async fn reply(&self, request: ViewRequest, max_bytes: usize) -> ViewReply {
        if let Err(error) = self.wait(&request).await {
            return refusal(self.store().position(), error);
        }
        let turn = self.reading.acquire().await;
        let _turn = turn.expect("the semaphore is never closed");
        let store = self.store().clone();
        blocking(move || answer(&store, &request.question, max_bytes)).await
    }

    /// Whether the log has to be compared with the views before this is answered, and is not.
    fn must_compare(&self, request: &ViewRequest) -> bool {
        request.question == ViewQuestion::History && !*self.history_compared().borrow()
    }

    /// Waits until the views hold what the question asks for; ends as soon as an error stops them.
    async fn wait(&self, request: &ViewRequest) -> Result<(), ViewError> {
        let limit = Duration::from_millis(request.wait_ms.min(self.wait_limit_ms).into());
        let mut states = self.states();
        let reached = tokio::select! {
            biased;
            () = async { drop(states.wait_for(|state| matches!(state, State::Stopped { .. })).await) } => Ok(()),
            reached = self.reach(request, limit) => reached,
        };
        match self.stopped() {
            Some(error) => Err(crate::answer::stopped(&error)),
            None => reached,
        }
    }

    /// Waits for each of the two things that a question can be in need of for at most `limit`.
    async fn reach(&self, request: &ViewRequest, limit: Duration) -> Result<(), ViewError> {
        if self
            .store()
            .wait_for(request.at_least, limit)
            .await
            .is_err()
        {
            return Err(ViewError::Behind {
                position: self.store().position(),
            });
        }
        if !self.must_compare(request) {
            return Ok(());
        }
        let mut compared = self.history_compared();
        // The sender lives as long as the views.
        timeout(limit, async {
            drop(compared.wait_for(|compared| *compared).await);
        })
        .await
        .map_err(|_| ViewError::HistoryNotCompared)
    }
}

impl Deref for DistrictViews {
    type Target = LiveViews<Views>;

    fn deref(&self) -> &Self::Target {
        &self.live
    }
}
