//! Folders that are refused, each for one thing that is wrong with it, and what is accepted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use gridkeeper_district::{District, DistrictError, LocateError, Source};
use gridkeeper_proto::{
    area::Level,
    case::{CaseKind, Point},
    code::{Code, Coded},
};
use tempfile::TempDir;

const DISTRICT: &str = r#"
code = "990101"
name = "示例区"
zone = "Asia/Shanghai"
valid_from = "2020-01-01"

[origin]
areas = "made up"
grids = "made up"
categories = "made up"
"#;

const AREAS: &str = "\
code,kind,name,short_name,valid_from,valid_to
990101001,street,第一街道办事处,第一,,
990101001001,community,东社区居民委员会,东,,
990101001002,community,西社区居民委员会,,2020-01-01,2024-12-31
";

const GRIDS: &str = "\
code,kind,name
99010100100101,grid,东第1网格
99010100100102,grid,东第2网格
990101001002001,grid,西第1网格
";

const CATEGORIES: &str = r#"
categories = [
  { code = "dispute.neighbour", zh = "邻里纠纷", en = "Neighbours" },
  { code = "dispute.neighbour.noise", zh = "噪声" },
  { code = "incident.1", zh = "安全隐患" },
  { code = "incident.1.18", zh = "安全生产" },
  { code = "incident.1.18.428", zh = "证照" },
  { code = "incident.1.18.428.a", zh = "过期" },
]
"#;

const OUTLINE: &str = r#"{"type":"FeatureCollection","metadata":{"synthetic":true,"origin":"made up"},"features":[
{"type":"Feature","properties":{"code":"990101"},"geometry":{"type":"Polygon","coordinates":[[[100,30],[100.03,30],[100.03,30.02],[100,30.02],[100,30]]]}}
]}"#;

const POLYGONS: &str = r#"{"type":"FeatureCollection","metadata":{"synthetic":true,"origin":"made up"},"features":[
{"type":"Feature","properties":{"code":"99010100100101"},"geometry":{"type":"Polygon","coordinates":[[[100,30],[100.01,30],[100.01,30.01],[100,30.01],[100,30]]]}},
{"type":"Feature","properties":{"code":"99010100100102"},"geometry":{"type":"Polygon","coordinates":[[[100.01,30],[100.02,30],[100.02,30.01],[100.01,30.01],[100.01,30]]]}},
{"type":"Feature","properties":{"code":"990101001002001"},"geometry":{"type":"MultiPolygon","coordinates":[[[[100.02,30],[100.03,30],[100.03,30.01],[100.02,30.01],[100.02,30]]],[[[100,30.01],[100.01,30.01],[100.01,30.02],[100,30.02],[100,30.01]]]]}}
]}"#;

const FILES: [(&str, &str); 6] = [
    ("district.toml", DISTRICT),
    ("areas.csv", AREAS),
    ("grids.csv", GRIDS),
    ("categories.toml", CATEGORIES),
    ("outline.geojson", OUTLINE),
    ("grids.geojson", POLYGONS),
];

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    for (file, text) in FILES {
        fs::write(folder.path().join(file), text).unwrap();
    }
    folder
}

/// Replaces the first occurrence of a text in a file.
fn edit(folder: &Path, file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(folder.join(file)).unwrap();
    assert!(text.contains(from), "{file} holds '{from}'");
    fs::write(folder.join(file), text.replacen(from, to, 1)).unwrap();
}

fn point(longitude_e7: i32, latitude_e7: i32) -> Point {
    Point {
        longitude_e7,
        latitude_e7,
    }
}

/// What is changed (file, text, its replacement), and the code and words of the refusal.
type Refusal = (
    &'static str,
    &'static str,
    &'static str,
    u16,
    &'static [&'static str],
);

const REFUSALS: &[Refusal] = &[
    // district.toml
    (
        "district.toml",
        "code = ",
        "kode = ",
        101,
        &["district.toml", "kode"],
    ),
    (
        "district.toml",
        "[origin]",
        "[origin]\nsurvey = \"x\"",
        101,
        &["district.toml", "survey"],
    ),
    (
        "district.toml",
        "name = \"示例区\"",
        "",
        101,
        &["district.toml", "name"],
    ),
    (
        "district.toml",
        "\"2020-01-01\"",
        "\"2020-02-30\"",
        101,
        &["2020-02-30"],
    ),
    (
        "district.toml",
        "Asia/Shanghai",
        "Asia/Panzhihua",
        102,
        &["district.toml", "Asia/Panzhihua"],
    ),
    (
        "district.toml",
        "\"990101\"",
        "\"9901\"",
        102,
        &["9901", "digits"],
    ),
    (
        "district.toml",
        "\"990101\"",
        "\"990101001\"",
        102,
        &["990101001", "district"],
    ),
    (
        "district.toml",
        "\"2020-01-01\"",
        "\"2020-01-01\"\nvalid_to = \"2019-12-31\"",
        102,
        &["990101", "2019-12-31"],
    ),
    // areas.csv and grids.csv
    (
        "areas.csv",
        "short_name",
        "nickname",
        101,
        &["areas.csv", "nickname"],
    ),
    (
        "areas.csv",
        "street,",
        "road,",
        101,
        &["areas.csv", "line: 2"],
    ),
    (
        "areas.csv",
        "第一街道办事处,第一,,",
        "第一街道办事处",
        101,
        &["areas.csv", "line: 2"],
    ),
    (
        "areas.csv",
        "990101001001,",
        "99010100100x,",
        102,
        &["99010100100x"],
    ),
    (
        "areas.csv",
        "990101001001,community",
        "990101001001,street",
        102,
        &["990101001001", "street"],
    ),
    (
        "areas.csv",
        "东社区居民委员会",
        " ",
        102,
        &["990101001001", "name"],
    ),
    (
        "areas.csv",
        "2024-12-31",
        "2019-12-31",
        102,
        &["990101001002", "2019-12-31"],
    ),
    (
        "areas.csv",
        "990101001001,",
        "990102001001,",
        102,
        &["990102001001", "990101"],
    ),
    (
        "areas.csv",
        "990101001001,community",
        "99010100100107,grid",
        102,
        &["99010100100107", "file"],
    ),
    (
        "grids.csv",
        "99010100100101,grid",
        "990101001003,community",
        102,
        &["990101001003", "file"],
    ),
    (
        "areas.csv",
        "990101001002,",
        "990101001001,",
        103,
        &["areas.csv", "990101001001"],
    ),
    (
        "grids.csv",
        "99010100100102,",
        "99010100100101,",
        103,
        &["grids.csv", "99010100100101"],
    ),
    (
        "areas.csv",
        "990101001,",
        "990101002,",
        104,
        &["990101001001", "'990101001'"],
    ),
    (
        "grids.csv",
        "99010100100102,",
        "99010100100902,",
        104,
        &["99010100100902", "'990101001009'"],
    ),
    // categories.toml
    (
        "categories.toml",
        "en =",
        "fr =",
        101,
        &["categories.toml", "fr"],
    ),
    (
        "categories.toml",
        "\"dispute.neighbour\"",
        "\"quarrel.neighbour\"",
        105,
        &["quarrel.neighbour"],
    ),
    (
        "categories.toml",
        "\"incident.1\"",
        "\"incident\"",
        105,
        &["'incident'"],
    ),
    (
        "categories.toml",
        "18.428.a",
        "19.428.a",
        105,
        &["incident.1.19.428.a", "before"],
    ),
    (
        "categories.toml",
        "428.a",
        "428.a.b.c",
        105,
        &["incident.1.18.428.a.b.c", "levels"],
    ),
    (
        "categories.toml",
        "neighbour.noise",
        "neighbour.Noise",
        105,
        &["Noise"],
    ),
    (
        "categories.toml",
        "neighbour.noise",
        "neighbour..noise",
        105,
        &["dispute.neighbour..noise"],
    ),
    (
        "categories.toml",
        "neighbour.noise",
        "family.noise",
        105,
        &["dispute.family.noise", "'dispute.family'"],
    ),
    (
        "categories.toml",
        "噪声",
        "",
        105,
        &["dispute.neighbour.noise", "name"],
    ),
    (
        "categories.toml",
        "neighbour.noise",
        "neighbour",
        106,
        &["dispute.neighbour"],
    ),
    // outline.geojson and grids.geojson
    (
        "grids.geojson",
        "\"synthetic\":true,",
        "",
        101,
        &["grids.geojson", "synthetic"],
    ),
    (
        "grids.geojson",
        "{\"code\"",
        "{\"note\":1,\"code\"",
        101,
        &["grids.geojson", "note", "line 2"],
    ),
    (
        "grids.geojson",
        "\"Polygon\"",
        "\"LineString\"",
        101,
        &["grids.geojson", "LineString"],
    ),
    (
        "grids.geojson",
        "[100,30]",
        "[100,30,5]",
        101,
        &["grids.geojson", "line 2"],
    ),
    (
        "grids.geojson",
        "[100,30.01],[100,30]]",
        "[100,30.01],[100,30.001]]",
        107,
        &["99010100100101", "closed"],
    ),
    (
        "grids.geojson",
        "[100.01,30.01],[100,30.01]",
        "[100,30.01],[100.01,30.01]",
        107,
        &["99010100100101", "itself"],
    ),
    (
        "grids.geojson",
        "[100.01,30],[100.02,30],",
        "[100.01,30],[100.02,30],[100.015,30],",
        107,
        &["99010100100102", "itself"],
    ),
    (
        "grids.geojson",
        "[100.01,30],[100.01,30.01],[100,30.01]",
        "[100.01,30],[100,30]",
        107,
        &["99010100100101"],
    ),
    (
        "grids.geojson",
        "[100,30],",
        "[190,30],",
        107,
        &["99010100100101", "190"],
    ),
    (
        "outline.geojson",
        "[100.03,30.02],[100,30.02]",
        "[100,30.02],[100.03,30.02]",
        107,
        &["outline.geojson", "990101"],
    ),
    (
        "outline.geojson",
        "[100.03,30],[100.03,30.02]",
        "[100.025,30],[100.025,30.02]",
        108,
        &["990101001002001", "m2"],
    ),
    (
        "grids.geojson",
        "[100,30],[100.01,30]",
        "[100,30],[100.005,29.999],[100.01,30]",
        108,
        &["99010100100101", "m2"],
    ),
    (
        "grids.geojson",
        "[100.02,30],[100.02,30.01]",
        "[100.0201,30],[100.02,30.01]",
        109,
        &["99010100100102", "990101001002001"],
    ),
    (
        "grids.geojson",
        "[100.02,30.01],[100.02,30]]]",
        "[100.02,30.01],[100.01,30.005],[100.02,30]]]",
        109,
        &["99010100100102", "990101001002001"],
    ),
    (
        "grids.geojson",
        "\"99010100100102\"",
        "\"99010100100107\"",
        110,
        &["99010100100107"],
    ),
    (
        "grids.geojson",
        "\"99010100100102\"",
        "\"990101001001\"",
        110,
        &["990101001001"],
    ),
    (
        "grids.geojson",
        "\"99010100100102\"",
        "\"99010100100101\"",
        110,
        &["99010100100101", "twice"],
    ),
    (
        "grids.csv",
        "990101001002001,grid,西第1网格",
        "990101001002001,grid,西第1网格\n990101001002002,grid,西第2网格",
        110,
        &["990101001002002", "no polygon"],
    ),
    (
        "outline.geojson",
        "\"990101\"",
        "\"990102\"",
        110,
        &["outline.geojson", "990102"],
    ),
];

#[test]
fn each_broken_folder_is_refused_by_code_and_name() {
    for (file, from, to, code, words) in REFUSALS {
        let folder = folder();
        edit(folder.path(), file, from, to);
        let case = format!("{file}: '{from}' -> '{to}'");
        let error = District::load(folder.path())
            .err()
            .unwrap_or_else(|| panic!("{case} is accepted"));
        let message = error.to_string();
        assert_eq!(error.code(), Code(*code), "{case}: {message}");
        for word in *words {
            assert!(
                message.contains(word),
                "{case}: '{word}' is not in: {message}"
            );
        }
    }
}

#[test]
fn missing_files_are_named() {
    for file in ["district.toml", "areas.csv", "categories.toml"] {
        let folder = folder();
        fs::remove_file(folder.path().join(file)).unwrap();
        let error = District::load(folder.path()).unwrap_err();
        assert_eq!(error.code(), Code(100));
        assert!(error.to_string().contains(file), "{error}");
    }
    let folder = folder();
    fs::remove_file(folder.path().join("outline.geojson")).unwrap();
    let error = District::load(folder.path()).unwrap_err();
    assert_eq!(error.code(), Code(110));
    fs::remove_file(folder.path().join("grids.csv")).unwrap();
    let error = District::load(folder.path()).unwrap_err();
    assert_eq!(error.code(), Code(102));
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
    fs::write(folder.path().join("policy.toml"), "version = 1\n").unwrap();
    let district = District::load(folder.path()).unwrap();
    assert_eq!(
        (district.code().as_str(), district.name()),
        ("990101", "示例区")
    );
    assert_eq!(district.policy_text(), Some("version = 1\n"));
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
        .map(|area| area.name())
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
    let codes: Vec<_> = district
        .categories()
        .map(|category| category.code())
        .collect();
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
