//! The folder of a small district, correct as it stands.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "part of tests")]

use std::{fs, path::Path};

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

/// A district of one street, two communities and three grids, one of them in two parts.
pub fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    for (file, text) in FILES {
        fs::write(folder.path().join(file), text).unwrap();
    }
    folder
}

/// Replaces the first occurrence of a text in a file.
pub fn edit(folder: &Path, file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(folder.join(file)).unwrap();
    assert!(text.contains(from), "{file} holds '{from}'");
    fs::write(folder.join(file), text.replacen(from, to, 1)).unwrap();
}
