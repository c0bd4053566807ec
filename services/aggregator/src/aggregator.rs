//! A running aggregator.

use std::sync::Arc;

use gridkeeper_districtviews::DistrictViews;
use gridkeeper_proto::area::AreaCode;

use crate::Options;

/// What the parts of a running aggregator share.
pub(crate) struct Aggregator {
    pub(crate) district: AreaCode,
    pub(crate) options: Options,
    pub(crate) views: Arc<DistrictViews>,
}
