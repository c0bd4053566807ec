//! Folders that are refused, each for one thing that is wrong with it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod folder;

use std::fs;

use gridkeeper_district::District;
use gridkeeper_proto::code::{Code, Coded};

use folder::{edit, folder};

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
        "outline.geojson",
        "[[100,30],[100.03,30],[100.03,30.02],[100,30.02],[100,30]]",
        "[[110,30],[110.03,30],[110.03,30.02],[110,30.02],[110,30]]",
        108,
        &["99010100100101", "m2"],
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
