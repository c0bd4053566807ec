//! The views of a district: how events fold into cases, the figures of areas and the indexes over them,
//! and how questions are answered from them.
//!
//! Whoever keeps such views follows the log with [`DistrictViews`]: the aggregator, which answers over
//! the broker, and the query service where it keeps them itself.

pub mod answer;
mod district_views;
mod error;
mod kept_here;
pub mod keys;
mod known_events;
pub mod projection;

pub use district_views::DistrictViews;
pub use error::Error;
pub use kept_here::{KeptHere, Offered};
pub use known_events::known_events;
