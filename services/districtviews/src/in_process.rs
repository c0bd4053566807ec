//! Views for others in the same process.

use std::sync::{Arc, OnceLock};

use crate::DistrictViews;

/// The views that this process keeps, from when they are open: whoever keeps them puts them there, and whoever has a
/// clone reads them.
#[derive(Clone, Default)]
pub struct InProcess(Arc<OnceLock<Arc<DistrictViews>>>);

impl InProcess {
    /// Puts the views there. The first ones stay.
    pub fn open(&self, views: Arc<DistrictViews>) {
        // Whoever opens a second one finds its folder locked before it comes here.
        let _the_first_stay = self.0.set(views);
    }

    /// The views; none before they are open, and until they have caught up with the log or an error stopped them.
    #[must_use]
    pub fn views(&self) -> Option<&DistrictViews> {
        let views = self.0.get()?;
        (!views.is_catching_up()).then_some(views)
    }
}
