//! Views that keep up with the log, and answer.

use std::{ops::Deref, time::Duration};

use gridkeeper_liveviews::{LiveViews, State, blocking};
use gridkeeper_proto::view::{ViewError, ViewReply, ViewRequest};

use crate::{
    answer::{answer, refusal},
    projection::Views,
};

/// Views that keep up with the log, and answer.
pub struct DistrictViews {
    live: LiveViews<Views>,
    wait_limit_ms: u32,
}

impl DistrictViews {
    /// A question waits for the position that it names for at most `wait_limit_ms`, whatever it asks for.
    #[must_use]
    pub fn new(live: LiveViews<Views>, wait_limit_ms: u32) -> Self {
        Self {
            live,
            wait_limit_ms,
        }
    }

    /// The answer, where it takes no more than a few reads of views that hold what is asked for: handing it
    /// over to another thread would take longer than answering it.
    #[must_use]
    pub fn reply_at_once(&self, request: &ViewRequest, max_bytes: usize) -> Option<ViewReply> {
        let holds = request.at_least <= self.store().position() && self.stopped().is_none();
        let at_once = holds && request.question.is_short();
        at_once.then(|| answer(self.store(), &request.question, max_bytes))
    }

    /// The answer, at most `max_bytes` long, as soon as the views hold what is asked for.
    pub async fn reply(&self, request: ViewRequest, max_bytes: usize) -> ViewReply {
        if let Some(reply) = self.reply_at_once(&request, max_bytes) {
            return reply;
        }
        if let Err(error) = self.wait(&request).await {
            return refusal(self.store().position(), error);
        }
        let store = self.store().clone();
        blocking(move || answer(&store, &request.question, max_bytes)).await
    }

    /// Waits until the views hold what the question asks for; ends as soon as an error stops them.
    async fn wait(&self, request: &ViewRequest) -> Result<(), ViewError> {
        let limit = Duration::from_millis(request.wait_ms.min(self.wait_limit_ms).into());
        let mut states = self.states();
        let stopped = states.wait_for(|state| matches!(state, State::Stopped { .. }));
        let reached = tokio::select! {
            biased;
            _ = stopped => None,
            reached = self.store().wait_for(request.at_least, limit) => Some(reached),
        };
        if let Some(error) = self.stopped() {
            return Err(crate::answer::stopped(&error));
        }
        match reached {
            Some(Err(_not_reached)) => Err(ViewError::Behind {
                position: self.store().position(),
            }),
            _ => Ok(()),
        }
    }
}

impl Deref for DistrictViews {
    type Target = LiveViews<Views>;

    fn deref(&self) -> &Self::Target {
        &self.live
    }
}
