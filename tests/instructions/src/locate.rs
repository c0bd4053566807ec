//! Points to grids; one operation is one point.

use std::hint::black_box;

use gridkeeper_district::{Area, District};
use gridkeeper_proto::case::Point;
use gridkeeper_tests::sample_district;

use crate::work::Work;

/// About a hundred metres: far enough that some points lie across a border.
const AWAY: i32 = 10_000;

/// Points in and around the middle of each of the sample district's grids; a few lie outside.
pub(crate) fn locate() -> Work {
    let district = District::load(sample_district()).unwrap();
    let middles = district
        .grids()
        .filter_map(|grid| district.point_inside(Area::code(grid)));
    let points: Vec<_> = middles
        .flat_map(|middle| {
            [(0, 0), (AWAY, AWAY / 2), (-AWAY / 3, AWAY)].map(|(east, north)| Point {
                longitude_e7: middle.longitude_e7 + east,
                latitude_e7: middle.latitude_e7 + north,
            })
        })
        .collect();
    Work::of(points.len(), points.len(), move |number| {
        let _ = black_box(district.locate(black_box(points[number])));
    })
}
