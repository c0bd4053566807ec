//! From the coordinates of Chinese map services (GCJ-02) to those of satellites (WGS84), and back.
//!
//! Map services on the mainland shift every point by some hundred metres with a smooth function of the
//! place. The function has no closed inverse; it changes so slowly that a fixed-point iteration from the
//! shifted point gains two digits per round.

use std::f64::consts::PI;

use gridkeeper_proto::{api::CoordinateSystem, case::Point};

use crate::error::LocateError;

/// Semi-major axis of the Krasovsky 1940 ellipsoid, in metres.
const AXIS: f64 = 6_378_245.0;
/// Square of its first eccentricity.
const ECCENTRICITY_SQUARED: f64 = 0.006_693_421_622_965_943;
/// The point from which the polynomial part of the shift is counted.
const CENTRE: (f64, f64) = (105.0, 35.0);
/// The rectangle outside of which map services shift nothing: west, south, east, north.
const SHIFTED: (f64, f64, f64, f64) = (72.004, 0.8293, 137.8347, 55.8271);
/// A millionth of a metre, in degrees of latitude.
const CLOSE_ENOUGH: f64 = 1e-11;
const ROUNDS: usize = 30;

/// The point of WGS84 for a longitude and latitude of the named system, in degrees.
///
/// # Errors
/// [`LocateError::NotOnEarth`].
pub fn to_wgs84(
    system: CoordinateSystem,
    longitude: f64,
    latitude: f64,
) -> Result<Point, LocateError> {
    if !(-180.0..=180.0).contains(&longitude) || !(-90.0..=90.0).contains(&latitude) {
        return Err(LocateError::NotOnEarth {
            longitude,
            latitude,
        });
    }
    let (longitude, latitude) = match system {
        CoordinateSystem::Wgs84 => (longitude, latitude),
        CoordinateSystem::Gcj02 => gcj02_to_wgs84(longitude, latitude),
    };
    Ok(Point {
        longitude_e7: ten_millionths(longitude),
        latitude_e7: ten_millionths(latitude),
    })
}

/// The longitude and latitude of a point, in degrees of WGS84.
#[must_use]
pub fn degrees(point: Point) -> (f64, f64) {
    (
        f64::from(point.longitude_e7) / 1e7,
        f64::from(point.latitude_e7) / 1e7,
    )
}

/// WGS84 to GCJ-02, both as longitude and latitude in degrees.
#[must_use]
pub fn wgs84_to_gcj02(longitude: f64, latitude: f64) -> (f64, f64) {
    let (east, north) = shift(longitude, latitude);
    (longitude + east, latitude + north)
}

/// GCJ-02 to WGS84, both as longitude and latitude in degrees; exact to far below a millimetre.
#[must_use]
pub fn gcj02_to_wgs84(longitude: f64, latitude: f64) -> (f64, f64) {
    let mut guess = (longitude, latitude);
    for _ in 0..ROUNDS {
        let (east, north) = shift(guess.0, guess.1);
        let next = (longitude - east, latitude - north);
        let step = (next.0 - guess.0).abs().max((next.1 - guess.1).abs());
        guess = next;
        if step < CLOSE_ENOUGH {
            break;
        }
    }
    guess
}

/// How far GCJ-02 moves a point of WGS84: degrees to the east and to the north.
fn shift(longitude: f64, latitude: f64) -> (f64, f64) {
    let (west, south, east, north) = SHIFTED;
    if !(west..=east).contains(&longitude) || !(south..=north).contains(&latitude) {
        return (0.0, 0.0);
    }
    let (x, y) = (longitude - CENTRE.0, latitude - CENTRE.1);
    let ripple = 20.0 * (6.0 * PI * x).sin() + 20.0 * (2.0 * PI * x).sin();
    let root = x.abs().sqrt();

    let metres_east = 300.0
        + x
        + 2.0 * y
        + 0.1 * (x * x + x * y + root)
        + 2.0 / 3.0 * (ripple + waves(x, [(20.0, 1.0), (40.0, 3.0), (150.0, 12.0), (300.0, 30.0)]));
    let metres_north = -100.0
        + 2.0 * x
        + 3.0 * y
        + 0.2 * (y * y + root)
        + 0.1 * x * y
        + 2.0 / 3.0 * (ripple + waves(y, [(20.0, 1.0), (40.0, 3.0), (160.0, 12.0), (320.0, 30.0)]));

    let sine = latitude.to_radians().sin();
    let flattening = 1.0 - ECCENTRICITY_SQUARED * sine * sine;
    let meridian_radius = AXIS * (1.0 - ECCENTRICITY_SQUARED) / flattening.powf(1.5);
    let parallel_radius = AXIS / flattening.sqrt() * latitude.to_radians().cos();
    (
        (metres_east / parallel_radius).to_degrees(),
        (metres_north / meridian_radius).to_degrees(),
    )
}

/// Sines of the given amplitudes whose half periods are the given numbers of degrees.
fn waves(at: f64, terms: [(f64, f64); 4]) -> f64 {
    terms
        .iter()
        .map(|(amplitude, half_period)| amplitude * (PI * at / half_period).sin())
        .sum()
}

/// Ten-millionths of a degree; the caller has made sure that it is one of a circle.
#[expect(
    clippy::cast_possible_truncation,
    reason = "180 degrees are 1.8e9 ten-millionths"
)]
fn ten_millionths(degrees: f64) -> i32 {
    (degrees * 1e7).round() as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Metres between two points that lie near each other.
    fn metres(a: (f64, f64), b: (f64, f64)) -> f64 {
        let east = (a.0 - b.0) * 111_320.0 * a.1.to_radians().cos();
        let north = (a.1 - b.1) * 111_320.0;
        east.hypot(north)
    }

    #[test]
    fn a_point_of_the_district_is_shifted_by_some_hundred_metres() {
        let shifted = wgs84_to_gcj02(101.73, 26.589);
        let distance = metres((101.73, 26.589), shifted);
        assert!((100.0..800.0).contains(&distance), "{distance} m");
    }

    #[test]
    fn the_shift_is_the_one_of_the_map_services() {
        // Beijing, Shanghai, Panzhihua, Shenzhen, Urumqi, as PyPI eviltransform 0.1.1 converts them.
        for (wgs84, gcj02) in [
            ((116.397, 39.909), (116.403_243_6, 39.910_403_4)),
            ((121.473_7, 31.230_4), (121.478_223_1, 31.228_457_7)),
            ((101.73, 26.589), (101.731_584_5, 26.585_441_9)),
            ((114.34, 22.69), (114.344_907_1, 22.687_275_5)),
            ((87.6, 43.8), (87.602_839_0, 43.801_212_1)),
        ] {
            let shifted = wgs84_to_gcj02(wgs84.0, wgs84.1);
            assert!(
                metres(shifted, gcj02) < 0.02,
                "{wgs84:?} gives {shifted:?}, not {gcj02:?}"
            );
        }
    }

    #[test]
    fn outside_the_mainland_nothing_moves() {
        let baltimore = (-76.61, 39.29);
        assert_eq!(wgs84_to_gcj02(baltimore.0, baltimore.1), baltimore);
        assert_eq!(gcj02_to_wgs84(baltimore.0, baltimore.1), baltimore);
    }

    #[test]
    fn what_is_not_on_earth_is_refused() {
        for (longitude, latitude) in [
            (180.1, 0.0),
            (-181.0, 0.0),
            (0.0, 90.5),
            (0.0, -91.0),
            (f64::NAN, 0.0),
            (0.0, f64::INFINITY),
        ] {
            for system in [CoordinateSystem::Wgs84, CoordinateSystem::Gcj02] {
                assert!(matches!(
                    to_wgs84(system, longitude, latitude),
                    Err(LocateError::NotOnEarth { .. })
                ));
            }
        }
    }

    proptest! {
        #[test]
        fn there_and_back_is_below_a_millimetre(longitude in 74.0..135.0, latitude in 4.0..53.0) {
            let (east, north) = wgs84_to_gcj02(longitude, latitude);
            let back = gcj02_to_wgs84(east, north);
            prop_assert!(metres((longitude, latitude), back) < 0.001);
            let forth = wgs84_to_gcj02(back.0, back.1);
            prop_assert!(metres((east, north), forth) < 0.001);
        }
    }
}
