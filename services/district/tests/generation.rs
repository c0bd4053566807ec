//! Divisions of other grounds than the sample's, and grounds that cannot be divided.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use geo::{MultiPolygon, polygon, unary_union};
use gridkeeper_district::{
    About, AreaKind, AreaRow, CategoryRow, District, Features, Generation, Metadata, Origin,
    Source,
    generate::{GenerateInput, generate},
};
use gridkeeper_proto::{
    area::{AreaCode, Level},
    code::{Code, Coded},
};

/// A ground with arms so thin that cells reach from one into the next.
fn comb() -> MultiPolygon<f64> {
    MultiPolygon(vec![polygon![
        (x: 100.0, y: 30.0), (x: 100.1, y: 30.0), (x: 100.1, y: 30.06), (x: 100.08, y: 30.06),
        (x: 100.08, y: 30.02), (x: 100.079, y: 30.02), (x: 100.079, y: 30.06), (x: 100.05, y: 30.06),
        (x: 100.05, y: 30.02), (x: 100.049, y: 30.021), (x: 100.048, y: 30.06), (x: 100.02, y: 30.06),
        (x: 100.02, y: 30.01), (x: 100.018, y: 30.06), (x: 100.0, y: 30.06),
    ]])
}

/// A ground whose shortest cut into halves goes through both arms, and leaves them apart.
fn horseshoe() -> MultiPolygon<f64> {
    MultiPolygon(vec![polygon![
        (x: 100.0, y: 30.0), (x: 100.1, y: 30.0), (x: 100.1, y: 30.21), (x: 100.08, y: 30.21),
        (x: 100.08, y: 30.06), (x: 100.02, y: 30.06), (x: 100.02, y: 30.21), (x: 100.0, y: 30.21),
    ]])
}

fn square() -> MultiPolygon<f64> {
    MultiPolygon(vec![polygon![
        (x: 100.0, y: 30.0), (x: 100.1, y: 30.0), (x: 100.1, y: 30.1), (x: 100.0, y: 30.1),
    ]])
}

fn communities(streets: u32, each: u32) -> BTreeMap<AreaCode, String> {
    let codes =
        (1..=streets).flat_map(|street| (1..=each).map(move |community| (street, community)));
    codes
        .map(|(street, community)| {
            (
                format!("990101{street:03}{community:03}").parse().unwrap(),
                format!("社区{community}"),
            )
        })
        .collect()
}

fn input(outline: MultiPolygon<f64>, streets: u32, each: u32, grids: usize) -> GenerateInput {
    let generation = Generation {
        grids,
        first_point: 1,
        rounds: 20,
    };
    GenerateInput {
        outline,
        communities: communities(streets, each),
        generation,
    }
}

fn source(outline: MultiPolygon<f64>, communities: &BTreeMap<AreaCode, String>) -> Source {
    let row = |code: AreaCode, kind, name: &str| AreaRow {
        code: code.to_string(),
        kind,
        name: name.to_owned(),
        short_name: None,
        valid_from: None,
        valid_to: None,
    };
    let mut areas: Vec<_> = communities
        .iter()
        .map(|(code, name)| row(*code, AreaKind::Community, name))
        .collect();
    let streets: std::collections::BTreeSet<_> = communities
        .keys()
        .filter_map(|code| code.at(Level::Street))
        .collect();
    areas.extend(
        streets
            .into_iter()
            .map(|code| row(code, AreaKind::Street, "街道")),
    );
    let made_up = || "made up".to_owned();
    Source {
        about: About {
            code: "990101".to_owned(),
            name: "示例区".to_owned(),
            name_en: None,
            zone: "Asia/Shanghai".to_owned(),
            valid_from: "2020-01-01".parse().unwrap(),
            valid_to: None,
            origin: Origin {
                areas: made_up(),
                grids: made_up(),
                categories: made_up(),
                outline: None,
            },
            generation: None,
        },
        areas,
        grids: Vec::new(),
        categories: vec![CategoryRow {
            code: "incident.other".to_owned(),
            zh: "其他".to_owned(),
            en: None,
        }],
        outline: Some(Features {
            metadata: Metadata {
                synthetic: true,
                origin: made_up(),
            },
            shapes: vec![("990101".to_owned(), outline)],
        }),
        polygons: None,
        policy: None,
        calendar: Vec::new(),
    }
}

#[test]
fn grounds_with_arms_and_bays_are_divided_too() {
    for (outline, streets, each, grids) in [
        (square(), 1, 1, 1),
        (square(), 3, 4, 30),
        (comb(), 2, 3, 40),
        (comb(), 4, 3, 150),
        (horseshoe(), 1, 2, 60),
    ] {
        let input = input(outline, streets, each, grids);
        let division = generate(&input).unwrap();
        let mut source = source(input.outline, &input.communities);
        source.grids = division.grids;
        source.polygons = Some(division.polygons);
        let district = District::from_source(&source).unwrap();
        assert_eq!(district.grids().count(), grids);
        let least = grids / input.communities.len();
        for community in input.communities.keys() {
            let share = district.children(*community).count();
            assert!(
                (least..=least + 1).contains(&share),
                "{community} has {share} grids"
            );
            let grids = district.children(*community);
            let shapes = grids.filter_map(|grid| district.polygon(grid.code()));
            assert_eq!(unary_union(shapes).0.len(), 1, "{community} is one piece");
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bytes_and_another_first_point_others() {
    let one = generate(&input(comb(), 2, 3, 40)).unwrap();
    let again = generate(&input(comb(), 2, 3, 40)).unwrap();
    assert_eq!(one.polygons_text(), again.polygons_text());
    let mut other = input(comb(), 2, 3, 40);
    other.generation.first_point = 2;
    assert_ne!(
        one.polygons_text(),
        generate(&other).unwrap().polygons_text()
    );
}

#[test]
fn more_than_99_grids_in_a_community_have_codes_of_15_digits() {
    let division = generate(&input(square(), 1, 2, 201)).unwrap();
    assert!(division.grids.iter().all(|grid| grid.code.len() == 15));
    assert_eq!(division.grids.last().unwrap().code, "990101001002101");
}

#[test]
fn what_cannot_be_divided_is_refused() {
    let two_parts = MultiPolygon(vec![square().0.remove(0), comb().0.remove(0)]);
    let fine = MultiPolygon(vec![polygon![
        (x: 100.0, y: 30.0), (x: 100.123_456_789, y: 30.0), (x: 100.1, y: 30.1),
    ]]);
    let hole = polygon![
        exterior: [(x: 100.0, y: 30.0), (x: 100.1, y: 30.0), (x: 100.1, y: 30.1), (x: 100.0, y: 30.1)],
        interiors: [[(x: 100.01, y: 30.01), (x: 100.02, y: 30.01), (x: 100.02, y: 30.02)]],
    ];
    let cases = [
        (input(two_parts, 1, 2, 10), "parts"),
        (input(fine, 1, 2, 10), "seven decimals"),
        (input(MultiPolygon(vec![hole]), 1, 2, 10), "holes"),
        (input(square(), 1, 5, 4), "4 grids"),
        (input(square(), 1, 1, 1000), "1000 grids"),
        (input(square(), 0, 0, 10), "0 communities"),
    ];
    for (input, word) in cases {
        let error = generate(&input).unwrap_err();
        assert_eq!(error.code(), Code(130), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
    let error = GenerateInput::from_source(&source(square(), &communities(1, 1))).unwrap_err();
    assert_eq!(error.code(), Code(130));
    assert!(error.to_string().contains("[generation]"), "{error}");
}

/// Ten thousand grids: twenty times the sample. Comparing each with each would take hours.
#[test]
fn loading_does_not_compare_each_grid_with_each() {
    const SIDE: u32 = 100;
    let communities = communities(4, 25);
    let mut source = source(square(), &communities);
    let step = |index: u32| f64::from(index) / f64::from(10 * SIDE);
    let mut shapes = Vec::new();
    for (column, community) in (0..SIDE).zip(communities.keys()) {
        for row in 0..SIDE {
            let code = format!("{community}{row:03}");
            let (west, east) = (100.0 + step(column), 100.0 + step(column + 1));
            let (south, north) = (30.0 + step(row), 30.0 + step(row + 1));
            let cell = polygon![
                (x: west, y: south), (x: east, y: south), (x: east, y: north), (x: west, y: north),
            ];
            shapes.push((code.clone(), MultiPolygon(vec![cell])));
            source.grids.push(AreaRow {
                code,
                kind: AreaKind::Grid,
                name: "网格".to_owned(),
                short_name: None,
                valid_from: None,
                valid_to: None,
            });
        }
    }
    let metadata = Metadata {
        synthetic: true,
        origin: "made up".to_owned(),
    };
    source.polygons = Some(Features { metadata, shapes });
    let start = Instant::now();
    let district = District::from_source(&source).unwrap();
    let took = start.elapsed();
    println!(
        "{} grids were checked in {took:?}",
        district.grids().count()
    );
    assert!(took < Duration::from_secs(20), "{took:?}");
}
