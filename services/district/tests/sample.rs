//! The sample district as it is committed: what it is made of, and that its ground is fully divided.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::LazyLock,
};

use geo::{
    Area as _, BooleanOps, BoundingRect, Contains, Coord, Intersects, MultiPolygon, unary_union,
};
use gridkeeper_district::{
    AreaKind, District, Source,
    coordinates::{degrees, to_wgs84, wgs84_to_gcj02},
    generate::{GenerateInput, generate},
};
use gridkeeper_proto::{
    api::CoordinateSystem,
    area::{AreaCode, Level},
    case::{CaseKind, Point},
};
use proptest::prelude::*;

/// Square metres of a square degree at the district's latitude (26.59 degrees north).
const SQUARE_METRES: f64 = 111_194.93 * 111_194.93 * 0.894_23;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn folder() -> PathBuf {
    root().join("deploy/districts/panzhihua-dongqu")
}

static SAMPLE: LazyLock<District> = LazyLock::new(|| District::load(folder()).unwrap());
static OUTLINE: LazyLock<MultiPolygon<f64>> = LazyLock::new(|| {
    Source::read(&folder())
        .unwrap()
        .outline
        .unwrap()
        .shapes
        .remove(0)
        .1
});

fn square_metres(shape: &MultiPolygon<f64>) -> f64 {
    shape.unsigned_area() * SQUARE_METRES
}

fn grids() -> Vec<(AreaCode, &'static MultiPolygon<f64>)> {
    SAMPLE
        .grids()
        .map(|grid| (grid.code(), SAMPLE.polygon(grid.code()).unwrap()))
        .collect()
}

#[test]
fn the_district_has_its_streets_communities_and_grids() {
    let of_kind = |kind| SAMPLE.areas().filter(|area| area.kind() == kind).count();
    assert_eq!(of_kind(AreaKind::Street), 9);
    assert_eq!(of_kind(AreaKind::Town), 1);
    assert_eq!(of_kind(AreaKind::Community), 60);
    assert_eq!(of_kind(AreaKind::Grid), 519);
    assert_eq!((SAMPLE.code().as_str(), SAMPLE.name()), ("510402", "东区"));
    assert_eq!(SAMPLE.polygons_are_synthetic(), Some(true));
    let grid = SAMPLE.area("51040200200507".parse().unwrap()).unwrap();
    assert_eq!((grid.name(), grid.level()), ("湖光第7网格", Level::Grid));
}

#[test]
fn shares_of_communities_are_even() {
    let communities = SAMPLE
        .areas()
        .filter(|area| area.level() == Level::Community);
    let shares: Vec<_> = communities
        .map(|area| SAMPLE.children(area.code()).count())
        .collect();
    assert!(
        shares.iter().all(|share| [8, 9].contains(share)),
        "{shares:?}"
    );
    let sizes: Vec<_> = grids()
        .into_iter()
        .map(|(_, shape)| square_metres(shape))
        .collect();
    let (least, most) = sizes
        .iter()
        .fold((f64::MAX, 0.0_f64), |(a, b), s| (a.min(*s), b.max(*s)));
    assert!(
        most < 2.0 * least,
        "the largest grid has {most} m2, the smallest {least}"
    );
}

#[test]
fn the_categories_are_a_tree_of_both_kinds() {
    for kind in [CaseKind::Dispute, CaseKind::Incident] {
        let of_kind = || {
            SAMPLE
                .categories()
                .filter(move |category| category.kind() == kind)
        };
        assert!(
            of_kind()
                .filter(|category| category.parent().is_none())
                .count()
                >= 13
        );
        assert!(of_kind().filter(|category| category.is_leaf()).count() >= 45);
    }
    assert!(
        SAMPLE
            .category("dispute.neighbour.noise")
            .unwrap()
            .is_leaf()
    );
    assert!(
        SAMPLE
            .categories()
            .all(|category| category.name_en().is_some())
    );
}

/// The committed grids are what the committed inputs give, to the byte.
#[test]
fn the_grids_are_generated_again_byte_for_byte() {
    let input = GenerateInput::from_source(&Source::read(&folder()).unwrap()).unwrap();
    let division = generate(&input).unwrap();
    let committed = |file: &str| fs::read_to_string(folder().join(file)).unwrap();
    assert!(
        division.grids_text().unwrap() == committed("grids.csv"),
        "grids.csv differs"
    );
    assert!(
        division.polygons_text() == committed("grids.geojson"),
        "grids.geojson differs"
    );
}

#[test]
fn the_grids_cover_the_outline_without_gap_or_overlap() {
    let grids = grids();
    let union = unary_union(grids.iter().map(|(_, shape)| *shape));
    assert!((square_metres(&union) - square_metres(&OUTLINE)).abs() < 1.0);
    assert!(square_metres(&OUTLINE.difference(&union)) < 1.0, "no gap");
    assert!(
        square_metres(&union.difference(&*OUTLINE)) < 1.0,
        "nothing outside"
    );
    for (index, (code, shape)) in grids.iter().enumerate() {
        let rect = shape.bounding_rect().unwrap();
        for (other_code, other) in &grids[index + 1..] {
            if rect.intersects(&other.bounding_rect().unwrap()) {
                let shared = square_metres(&shape.intersection(*other));
                assert!(shared < 1.0, "{code} and {other_code} share {shared} m2");
            }
        }
    }
}

#[test]
fn communities_and_streets_are_connected_pieces() {
    let mut pieces: BTreeMap<AreaCode, Vec<&MultiPolygon<f64>>> = BTreeMap::new();
    for (grid, shape) in grids() {
        for area in grid.and_ancestors().skip(1) {
            pieces.entry(area).or_default().push(shape);
        }
    }
    assert_eq!(pieces.len(), 71);
    for (area, shapes) in pieces {
        let union = unary_union(shapes);
        assert_eq!(union.0.len(), 1, "{area} is one piece");
    }
}

#[test]
fn a_point_inside_each_grid_is_found_there() {
    for grid in SAMPLE.grids() {
        let point = SAMPLE.point_inside(grid.code()).unwrap();
        assert_eq!(SAMPLE.locate(point).unwrap(), grid.code());
    }
}

#[test]
fn each_corner_lies_in_the_lowest_of_its_grids() {
    let mut at: BTreeMap<(i32, i32), BTreeSet<AreaCode>> = BTreeMap::new();
    for (grid, shape) in grids() {
        for corner in &shape.0[0].exterior().0 {
            let position = to_wgs84(CoordinateSystem::Wgs84, corner.x, corner.y).unwrap();
            let key = (position.longitude_e7, position.latitude_e7);
            at.entry(key).or_default().insert(grid);
        }
    }
    assert!(
        at.values().any(|grids| grids.len() == 3),
        "grids have corners in common"
    );
    for ((longitude_e7, latitude_e7), grids) in at {
        let point = Point {
            longitude_e7,
            latitude_e7,
        };
        assert_eq!(
            SAMPLE.locate(point).ok(),
            grids.first().copied(),
            "{point:?} of {grids:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_point_of_the_outline_lies_in_exactly_one_grid(
        longitude_e7 in 1_016_600_000..1_018_250_000_i32,
        latitude_e7 in 265_150_000..266_650_000_i32,
    ) {
        let point = Point { longitude_e7, latitude_e7 };
        let (x, y) = degrees(point);
        let at = Coord { x, y };
        let holders: Vec<_> =
            grids().into_iter().filter(|(_, shape)| shape.contains(&at)).map(|(code, _)| code).collect();
        let located = SAMPLE.locate(point).ok();
        if holders.is_empty() {
            let on_a_border = grids().iter().any(|(_, shape)| shape.intersects(&at));
            prop_assert_eq!(located.is_some(), on_a_border);
            prop_assert!(on_a_border || !OUTLINE.contains(&at));
        } else {
            prop_assert_eq!(&holders[..], &[located.unwrap()]);
            prop_assert!(OUTLINE.intersects(&at));
        }
    }

    #[test]
    fn a_phone_of_either_system_is_located_in_one_grid(
        longitude in 101.70..101.76, latitude in 26.57..26.63,
    ) {
        let satellite = to_wgs84(CoordinateSystem::Wgs84, longitude, latitude).unwrap();
        let (x, y) = wgs84_to_gcj02(longitude, latitude);
        let map = to_wgs84(CoordinateSystem::Gcj02, x, y).unwrap();
        prop_assert!((satellite.longitude_e7 - map.longitude_e7).abs() <= 1);
        prop_assert!((satellite.latitude_e7 - map.latitude_e7).abs() <= 1);
    }
}

/// The names and codes come from a package; a second copy of the same publication has to agree.
#[test]
fn codes_and_names_are_those_of_2018() {
    let folder = root().join("../shared/data/admin");
    if !folder.is_dir() {
        println!("skipped: no {} to compare with", folder.display());
        return;
    }
    let mut expected = BTreeMap::new();
    for line in fs::read_to_string(folder.join("510402_streets_2018.csv"))
        .unwrap()
        .lines()
        .skip(1)
    {
        let fields: Vec<_> = line.split(',').collect();
        expected.insert(fields[0].to_owned(), (fields[1].to_owned(), None));
    }
    let text = fs::read_to_string(folder.join("510402_communities_2018.csv")).unwrap();
    for line in text
        .lines()
        .skip(1)
        .filter(|line| line.contains("社区居民委员会"))
    {
        let fields: Vec<_> = line.split(',').collect();
        expected.insert(
            fields[0].to_owned(),
            (fields[1].to_owned(), Some(fields[2].to_owned())),
        );
    }
    assert_eq!(expected.len(), 70);
    let ours = SAMPLE
        .areas()
        .filter(|area| [Level::Street, Level::Community].contains(&area.level()));
    let mut seen = 0;
    for area in ours {
        let (name, short_name) = &expected[area.code().as_str()];
        assert_eq!(area.name(), name);
        assert!(
            short_name
                .as_ref()
                .is_none_or(|short_name| area.short_name() == short_name)
        );
        seen += 1;
    }
    assert_eq!(seen, 70);
}

#[test]
fn the_policy_by_service_hours_has_the_calendar_beside_it() {
    let text = fs::read_to_string(folder().join("policy-by-service-hours.toml")).unwrap();
    let district = District::load_with_policy(folder(), &text).unwrap();
    let timetable = district.timetable().unwrap();
    assert!(timetable.clock().is_some() && timetable.policy().limits_need_calendar());
    assert!(timetable.policy().version > SAMPLE.timetable().unwrap().policy().version);
    let last = district.rules().len() - 1;
    assert_eq!(last, 9, "the years 2018 to 2026, and then the policy");
}
