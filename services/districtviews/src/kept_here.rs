//! The way of a service to the views that another part of its process keeps.

use std::sync::Arc;

use gridkeeper_proto::view::{ViewReply, ViewRequest};
use tokio::sync::watch;

use crate::{DistrictViews, answer::LONGEST_REPLY};

/// The views that are kept in this process, for the services in it: as good as a question over the
/// broker, and without the way there and back.
///
/// There are none until they are open and have caught up, and none once they are closed. All copies
/// are one.
#[derive(Clone, Default)]
pub struct KeptHere(watch::Sender<Option<Arc<DistrictViews>>>);

/// While it lives, the views may be asked.
#[must_use = "dropped, the views may no longer be asked"]
pub struct Offered(KeptHere);

impl KeptHere {
    /// Lets the services of this process ask these views.
    pub fn offer(&self, views: Arc<DistrictViews>) -> Offered {
        self.0.send_replace(Some(views));
        Offered(self.clone())
    }

    /// The reply, its pages at most [`LONGEST_REPLY`] long, as soon as the views hold what is asked for; none when
    /// no views are kept here, or when they are closed before they have answered.
    pub async fn reply(&self, request: ViewRequest) -> Option<ViewReply> {
        let views = self.0.borrow().clone()?;
        if let Some(reply) = views.reply_at_once(&request, LONGEST_REPLY) {
            return Some(reply);
        }
        let mut kept = self.0.subscribe();
        tokio::select! {
            biased;
            reply = views.reply(request, LONGEST_REPLY) => Some(reply),
            // Nothing is folded any more: what it waits for would not come.
            _ = kept.wait_for(Option::is_none) => None,
        }
    }
}

impl Drop for Offered {
    fn drop(&mut self) {
        self.0.0.send_replace(None);
    }
}
