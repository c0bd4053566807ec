//! Areas in square metres.
//!
//! Within a district a degree of longitude and one of latitude are taken to have the same length
//! everywhere. That keeps straight borders straight and equal borders equal, which matters more here
//! than the tenth of a percent by which areas at the district's edges are off.

use geo::{Area as _, BoundingRect, Coord, MultiPolygon};

/// Metres of a degree of latitude, on the sphere with the area of the Earth.
const METRES_PER_DEGREE: f64 = 6_371_007.2 * std::f64::consts::PI / 180.0;

/// The plane of a district.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plane {
    /// Length of a degree of longitude over that of a degree of latitude.
    narrowing: f64,
}

impl Plane {
    /// The plane whose scale is right in the middle of an outline in degrees.
    pub(crate) fn of(outline: &MultiPolygon<f64>) -> Self {
        let latitude = outline
            .bounding_rect()
            .map_or(0.0, |bounds| bounds.center().y);
        // Rounded, so that a cosine whose last bit differs between machines gives the same map.
        Self {
            narrowing: (latitude.to_radians().cos() * 1e6).round() / 1e6,
        }
    }

    /// Length of a degree of longitude over that of a degree of latitude.
    pub(crate) fn narrowing(self) -> f64 {
        self.narrowing
    }

    /// Square metres of a shape in degrees.
    pub(crate) fn square_metres(self, shape: &MultiPolygon<f64>) -> f64 {
        shape.unsigned_area() * self.narrowing * METRES_PER_DEGREE * METRES_PER_DEGREE
    }

    /// Square metres of the rectangle with these corners, in degrees.
    pub(crate) fn square_metres_between(self, low: Coord<f64>, high: Coord<f64>) -> f64 {
        let (width, height) = ((high.x - low.x).max(0.0), (high.y - low.y).max(0.0));
        width * height * self.narrowing * METRES_PER_DEGREE * METRES_PER_DEGREE
    }
}
