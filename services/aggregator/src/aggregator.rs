//! A running aggregator.

use gridkeeper_liveviews::LiveViews;
use gridkeeper_proto::area::AreaCode;

use crate::{Options, projection::Views};

/// What the parts of a running aggregator share.
pub(crate) struct Aggregator {
    pub(crate) district: AreaCode,
    pub(crate) options: Options,
    pub(crate) views: LiveViews<Views>,
}
