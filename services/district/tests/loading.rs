//! What a folder is answered from once it is loaded.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod folder;

use std::fs;

use gridkeeper_district::{Area, Category, District, DistrictError, LocateError, Source};
use gridkeeper_proto::{
    area::Level,
    case::{CaseKind, Point},
    code::{Code, Coded},
};
use tempfile::TempDir;

use folder::{edit, folder};

fn point(longitude_e7: i32, latitude_e7: i32) -> Point {
    Point {
        longitude_e7,
        latitude_e7,
    }
}

#[test]
fn an_overlap_of_half_a_square_metre_is_accepted() {
    let folder = folder();
    edit(
        folder.path(),
        "grids.geojson",
        "[100.02,30],[100.02,30.01]",
        "[100.02000001,30],[100.02,30.01]",
    );
    District::load(folder.path()).unwrap();
}

#[test]
fn the_folder_is_answered_from() {
    let folder = folder();
    fs::write(folder.path().join("policy.toml"), without_service()).unwrap();
    let district = District::load(folder.path()).unwrap();
    assert_eq!(
        (district.code().as_str(), district.name()),
        ("990101", "示例区")
    );
    let timetable = district.timetable().unwrap();
    assert_eq!(timetable.policy().version, 1);
    assert_eq!(district.polygons_are_synthetic(), Some(true));
    let code = |text: &str| text.parse().unwrap();
    let community = district.area(code("990101001002")).unwrap();
    assert_eq!(community.short_name(), "西社区居民委员会");
    assert_eq!(
        (community.level(), community.parent()),
        (Level::Community, Some(code("990101001")))
    );
    assert!(community.validity().contains("2024-12-31".parse().unwrap()));
    assert!(!community.validity().contains("2025-01-01".parse().unwrap()));
    let children: Vec<_> = district
        .children(code("990101001001"))
        .map(Area::name)
        .collect();
    assert_eq!(children, ["东第1网格", "东第2网格"]);
    assert_eq!(district.grids().count(), 3);
    assert!(district.area(code("990101001009")).is_none());
}

#[test]
fn categories_form_a_tree_of_up_to_four_levels() {
    let district = District::load(folder().path()).unwrap();
    let deepest = district.category("incident.1.18.428.a").unwrap();
    assert_eq!(
        (deepest.kind(), deepest.parent()),
        (CaseKind::Incident, Some("incident.1.18.428"))
    );
    assert!(deepest.is_leaf());
    let top = district.category("dispute.neighbour").unwrap();
    assert_eq!(
        (top.kind(), top.parent(), top.is_leaf()),
        (CaseKind::Dispute, None, false)
    );
    assert_eq!(
        (top.name(), top.name_en()),
        ("邻里纠纷", Some("Neighbours"))
    );
    assert!(district.category("dispute").is_none());
    let codes: Vec<_> = district.categories().map(Category::code).collect();
    assert_eq!(
        codes[..3],
        ["dispute.neighbour", "dispute.neighbour.noise", "incident.1"]
    );
}

#[test]
fn a_point_on_borders_lies_in_the_grid_with_the_lowest_code() {
    let district = District::load(folder().path()).unwrap();
    let cases = [
        (point(1_000_050_000, 300_050_000), "99010100100101"),
        (point(1_000_150_000, 300_050_000), "99010100100102"),
        // The two parts of a grid.
        (point(1_000_250_000, 300_050_000), "990101001002001"),
        (point(1_000_050_000, 300_150_000), "990101001002001"),
        // Borders and corners.
        (point(1_000_100_000, 300_050_000), "99010100100101"),
        (point(1_000_200_000, 300_050_000), "99010100100102"),
        (point(1_000_050_000, 300_100_000), "99010100100101"),
        (point(1_000_100_000, 300_100_000), "99010100100101"),
        (point(1_000_200_000, 300_100_000), "99010100100102"),
        (point(1_000_000_000, 300_000_000), "99010100100101"),
    ];
    for (point, grid) in cases {
        assert_eq!(district.locate(point).unwrap().as_str(), grid, "{point:?}");
    }
    for outside in [
        point(1_000_250_000, 300_150_000),
        point(999_999_999, 300_050_000),
        point(0, 0),
    ] {
        let error = district.locate(outside).unwrap_err();
        assert_eq!(error.code(), Code(121), "{outside:?}");
    }
}

#[test]
fn a_district_without_polygons_loads_and_says_that_it_has_none() {
    let folder = folder();
    fs::remove_file(folder.path().join("grids.geojson")).unwrap();
    fs::remove_file(folder.path().join("outline.geojson")).unwrap();
    let district = District::load(folder.path()).unwrap();
    assert!(!district.has_polygons());
    assert_eq!(district.grids().count(), 3);
    let error = district
        .locate(point(1_000_050_000, 300_050_000))
        .unwrap_err();
    assert!(matches!(error, LocateError::NoPolygons { .. }));
    assert_eq!(error.code(), Code(120));
}

#[test]
fn a_folder_is_written_as_it_was_read() {
    let source = Source::read(folder().path()).unwrap();
    let copy = TempDir::new().unwrap();
    let copy = copy.path().join("new").join("folder");
    source.write(&copy).unwrap();
    assert_eq!(Source::read(&copy).unwrap(), source);
    let blocked = copy.join("areas.csv");
    let error = source.write(&blocked).unwrap_err();
    assert!(matches!(error, DistrictError::Write { .. }));
    assert_eq!(error.code(), Code(111));
}

const POLICY: &str = include_str!("../../../deploy/districts/panzhihua-dongqu/policy.toml");

/// The sample's policy without hours of service and without what goes by its calendar.
fn without_service() -> String {
    let ladder = POLICY.find("[ladder]").unwrap();
    format!("version = 1\n{}", &POLICY[ladder..])
}

#[test]
fn a_policy_with_hours_of_service_is_loaded_with_its_calendar_or_refused() {
    let folder = folder();
    let years = folder.path().join("years");
    fs::create_dir(&years).unwrap();
    let text = POLICY.replace("../../calendars/china", "years");
    let load = |text: &str| {
        fs::write(folder.path().join("policy.toml"), text).unwrap();
        District::load(folder.path())
    };
    // No year, a year, one that contradicts itself.
    assert_eq!(load(&text).unwrap_err().code(), Code(192));
    fs::write(
        years.join("2026.toml"),
        "year = 2026\nholidays = []\nworkdays = []\n",
    )
    .unwrap();
    assert!(load(&text).unwrap().timetable().unwrap().clock().is_some());
    fs::write(
        years.join("2027.toml"),
        "year = 2027\nholidays = [\"2026-01-01\"]\nworkdays = []\n",
    )
    .unwrap();
    assert_eq!(load(&text).unwrap_err().code(), Code(192));
    fs::remove_file(years.join("2027.toml")).unwrap();

    let other_folder = text.replace("\"years\"", "\"nowhere\"");
    assert_eq!(load(&other_folder).unwrap_err().code(), Code(100));
    let upside_down = text.replace("08:30", "19:30");
    assert_eq!(load(&upside_down).unwrap_err().code(), Code(193));
    let day_and_night = without_service();
    assert!(load(&day_and_night).unwrap().timetable().is_some());
    let without = day_and_night.replacen("\"4 hours\"", "\"4 service hours\"", 1);
    assert_eq!(load(&without).unwrap_err().code(), Code(190));
    let longer = day_and_night.replacen("settle =", "assign = \"8 days\"\nsettle =", 1);
    assert_eq!(load(&longer).unwrap_err().code(), Code(190));
    let limits = POLICY[POLICY.find("[general]").unwrap()..POLICY.find("# 较大").unwrap()]
        .replace("[general]", "[category.general]");
    let unknown = format!("{day_and_night}\n[[category]]\ncode = \"dispute.ufo\"\n{limits}");
    assert_eq!(load(&unknown).unwrap_err().code(), Code(112));
}
