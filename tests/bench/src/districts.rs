//! Districts of any size, in folders of their own: areas without shapes, which take no time to make.

use std::path::Path;

use gridkeeper_district::{AreaKind, AreaRow, Source};
use gridkeeper_tests::{repository, sample_district};

const STREETS: usize = 10;
/// Most grids of a community: their numbers have three digits.
const MOST: usize = 1_000;

/// Writes a district with so many grids, and the categories and policy of the sample.
pub(crate) fn write(folder: &Path, grids: usize) {
    let mut source = Source::read(&sample_district()).unwrap();
    source.about.generation = None;
    (source.outline, source.polygons) = (None, None);
    source.areas.clear();
    source.grids.clear();
    let district = source.about.code.clone();
    let in_street = grids.div_ceil(STREETS * MOST).max(10);
    let communities = STREETS * in_street;
    for number in 0..communities {
        let street = format!("{district}{:03}", number / in_street + 1);
        if number % in_street == 0 {
            source.areas.push(row(&street, AreaKind::Street));
        }
        let community = format!("{street}{:03}", number % in_street + 1);
        source.areas.push(row(&community, AreaKind::Community));
        let share = (number + 1) * grids / communities - number * grids / communities;
        let codes = (0..share).map(|grid| row(&format!("{community}{grid:03}"), AreaKind::Grid));
        source.grids.extend(codes);
    }
    // The calendar lies beside the sample, and not beside this folder.
    let calendar = repository().join("deploy/calendars/china");
    let policy = source.policy.map(|policy| {
        let calendar = calendar.canonicalize().unwrap();
        policy.replace("../../calendars/china", calendar.to_str().unwrap())
    });
    source.policy = policy;
    source.write(folder).unwrap();
}

/// An area that has always been there, named by its code.
pub(crate) fn row(code: &str, kind: AreaKind) -> AreaRow {
    AreaRow {
        code: code.to_owned(),
        kind,
        name: format!("{code}号"),
        short_name: None,
        valid_from: None,
        valid_to: None,
    }
}
