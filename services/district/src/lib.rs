//! A district as its folder describes it: areas, categories, the shapes of its grids.
//!
//! [`District::load`] reads and checks a folder (`docs/district-files.md` describes the files), and the
//! [`District`] then answers which grid a point lies in. [`generate`] makes a synthetic division into
//! grids for a district whose own is not public.

mod check;
pub mod coordinates;
mod error;
mod feature;
pub mod generate;
mod locate;
mod model;
mod plane;
mod policy;
mod shapes;
mod source;

pub use error::{DistrictError, LocateError};
pub use feature::{Features, Metadata};
pub use model::{Area, AreaKind, Category, District, Validity};
pub use source::{About, AreaRow, CategoryRow, Generation, Origin, Source};
