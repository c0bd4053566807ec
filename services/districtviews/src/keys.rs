//! The keys of the views: one prefix byte for each kind, then parts of fixed width, numbers big-endian,
//! so that the order of the bytes is the order of what they stand for.
//!
//! | prefix | key after it | value |
//! |---|---|---|
//! | 1 | case (16) | `CaseView` |
//! | 2 | area (15) | `AreaSummary` |
//! | 3 | area (15), day (4) | `DayRollup` |
//! | 4 | grid (15), case (16) | [`Facets`] |
//! | 5 | next moment (8), case (16) | [`Due`], of open cases |
//! | 7 | | `Rules` |
//! | 8 | area (15) | `Roster` |
//! | 9 | inquiry (16) | `Inquiry` |
//! | 10 | owner, inquiry (16) | area, of open inquiries |
//! | 11 | unit, day (4) | `DayRollup` of what the unit held |
//!
//! An area is its digits, filled up with zero bytes to the longest code. A zero byte is below every
//! digit, so areas order as their codes do, a grid of two digits is no prefix of one of three, and the
//! digits of a street or community alone are the prefix of exactly the grids in it. An owner or
//! a unit is the length of its text plus one (4), then the text. Signed numbers have their sign bit turned, so that negative ones come first.

use gridkeeper_proto::{
    area::{AreaCode, Level},
    case::CaseState,
    id::{CaseId, InquiryId},
    time::{Day, Timestamp},
    view::{CaseView, Listed},
};
use serde::{Deserialize, Serialize};

const CASE: u8 = 1;
const SUMMARY: u8 = 2;
const DAY: u8 = 3;
const LIST: u8 = 4;
const DUE: u8 = 5;
const RULES: u8 = 7;
const ROSTER: u8 = 8;
const INQUIRY: u8 = 9;
const OWNER: u8 = 10;
const UNIT: u8 = 11;

/// The digits of the longest area code.
const AREA_WIDTH: usize = 15;
const CASE_WIDTH: usize = 16;

/// What lists of cases filter by, so that a filter need not decode whole cases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facets {
    /// Where the case stands.
    pub state: CaseState,
    /// The level that holds it.
    pub level: Level,
    /// Whether its due time was found passed.
    pub overdue: bool,
    /// Its category.
    pub category: String,
    /// The unit that holds it.
    pub unit: Option<String>,
    /// The person who holds it.
    pub person: Option<String>,
    /// The area that holds it.
    pub area: AreaCode,
    /// The policy that it runs under.
    pub policy: u32,
}

impl Facets {
    /// Those of a case.
    #[must_use]
    pub fn of(view: &CaseView) -> Self {
        let case = &view.case;
        Self {
            state: case.state,
            level: case.holder.level,
            overdue: case.overdue,
            category: case.category.clone(),
            unit: case.holder.unit.clone(),
            person: case.holder.person.clone(),
            area: case.holder.area,
            policy: case.policy,
        }
    }
}

impl Facets {
    /// What the case is listed by.
    #[must_use]
    pub fn listed(&self) -> Listed<'_> {
        Listed {
            state: self.state,
            level: self.level,
            overdue: self.overdue,
            category: &self.category,
            unit: self.unit.as_deref(),
            person: self.person.as_deref(),
            area: self.area,
            policy: self.policy,
        }
    }
}

/// What the due index filters by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// Where the case was filed.
    pub grid: AreaCode,
    /// The level that holds it.
    pub level: Level,
}

fn area_digits(area: AreaCode) -> [u8; AREA_WIDTH] {
    let mut digits = [0; AREA_WIDTH];
    let code = area.as_str().as_bytes();
    digits[..code.len()].copy_from_slice(code);
    digits
}

fn key(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut key = Vec::with_capacity(length);
    key.push(kind);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

const fn ordered_i32(number: i32) -> [u8; 4] {
    (number.cast_unsigned() ^ (1 << 31)).to_be_bytes()
}

const fn ordered_i64(number: i64) -> [u8; 8] {
    (number.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// A case.
#[must_use]
pub fn case(id: CaseId) -> Vec<u8> {
    key(CASE, &[id.as_bytes()])
}

/// The prefix of all cases.
#[must_use]
pub fn all_cases() -> Vec<u8> {
    key(CASE, &[])
}

/// The figures of an area.
#[must_use]
pub fn summary(area: AreaCode) -> Vec<u8> {
    key(SUMMARY, &[&area_digits(area)])
}

/// The figures of an area's day.
#[must_use]
pub fn day(area: AreaCode, day: Day) -> Vec<u8> {
    key(DAY, &[&area_digits(area), &ordered_i32(day.number())])
}

/// The day at the end of a key of [`day`].
#[must_use]
pub fn day_of(key: &[u8]) -> Option<Day> {
    let bits = u32::from_be_bytes(*key.last_chunk()?);
    Day::from_number((bits ^ (1 << 31)).cast_signed())
}

/// A case in the list of its grid.
#[must_use]
pub fn listed(grid: AreaCode, case: CaseId) -> Vec<u8> {
    key(LIST, &[&area_digits(grid), case.as_bytes()])
}

/// The prefix of the listed cases of all grids of an area.
#[must_use]
pub fn listed_in(area: AreaCode) -> Vec<u8> {
    match area.level() {
        Level::Grid => key(LIST, &[&area_digits(area)]),
        _ => key(LIST, &[area.as_str().as_bytes()]),
    }
}

/// An open case by its next moment.
#[must_use]
pub fn due(moment: Timestamp, case: CaseId) -> Vec<u8> {
    key(DUE, &[&ordered_i64(moment.millis()), case.as_bytes()])
}

/// The prefix of all open cases by their next moment.
#[must_use]
pub fn all_due() -> Vec<u8> {
    vec![DUE]
}

/// The end of all keys of [`due`].
#[must_use]
pub fn after_all_due() -> Vec<u8> {
    vec![DUE + 1]
}

/// The first key of [`due`] that is not before the moment.
#[must_use]
pub fn due_from(moment: Timestamp) -> Vec<u8> {
    key(DUE, &[&ordered_i64(moment.millis())])
}

/// The length of a name plus one, then the name: no name is the beginning of another one.
fn named(name: &str) -> Vec<u8> {
    // An event is at most a few kilobytes long, so a text in it fits by far.
    let mark = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
    let mut named = mark.to_be_bytes().to_vec();
    named.extend_from_slice(name.as_bytes());
    named
}

/// An area's roster.
#[must_use]
pub fn roster(area: AreaCode) -> Vec<u8> {
    key(ROSTER, &[&area_digits(area)])
}

/// An inquiry.
#[must_use]
pub fn inquiry(id: InquiryId) -> Vec<u8> {
    key(INQUIRY, &[id.as_bytes()])
}

/// The prefix of all inquiries.
#[must_use]
pub fn all_inquiries() -> Vec<u8> {
    vec![INQUIRY]
}

/// An open inquiry by its owner.
#[must_use]
pub fn owned(owner: &str, id: InquiryId) -> Vec<u8> {
    key(OWNER, &[&named(owner), id.as_bytes()])
}

/// The prefix of open inquiries, those of one owner or all.
#[must_use]
pub fn owned_by(owner: Option<&str>) -> Vec<u8> {
    match owner {
        Some(owner) => key(OWNER, &[&named(owner)]),
        None => vec![OWNER],
    }
}

/// The inquiry at the end of a key.
#[must_use]
pub fn inquiry_of(key: &[u8]) -> Option<InquiryId> {
    let id: &[u8; CASE_WIDTH] = key.last_chunk()?;
    Some(InquiryId::from_bytes(*id))
}

/// The figures of a unit's day.
#[must_use]
pub fn unit_day(unit: &str, day: Day) -> Vec<u8> {
    key(UNIT, &[&named(unit), &ordered_i32(day.number())])
}

/// The prefix of all days of all units.
#[must_use]
pub fn all_unit_days() -> Vec<u8> {
    vec![UNIT]
}

/// The unit in a key of [`unit_day`].
#[must_use]
pub fn unit_of(key: &[u8]) -> Option<&str> {
    let name = key.get(5..key.len().checked_sub(4)?)?;
    std::str::from_utf8(name).ok()
}

/// The district's rules.
#[must_use]
pub fn rules() -> Vec<u8> {
    vec![RULES]
}

/// The case at the end of a key.
#[must_use]
pub fn case_of(key: &[u8]) -> Option<CaseId> {
    let id: &[u8; CASE_WIDTH] = key.last_chunk()?;
    Some(CaseId::from_bytes(*id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(code: &str) -> AreaCode {
        code.parse().unwrap()
    }

    fn id(last: u8) -> CaseId {
        CaseId::from_bytes([last; 16])
    }

    #[test]
    fn listed_cases_order_by_grid_and_id_and_an_area_is_a_prefix_of_exactly_its_grids() {
        let grids = [
            "51040200200507",
            "510402002005071",
            "51040200200508",
            "51040200200601",
            "51040200300101",
        ]
        .map(area);
        let keys: Vec<_> = grids
            .iter()
            .flat_map(|grid| [listed(*grid, id(0)), listed(*grid, id(255))])
            .collect();
        assert!(keys.is_sorted());
        let areas = ["510402", "510402002", "510402002005", "510402003"].map(area);
        for area in areas.iter().chain(&grids) {
            for grid in &grids {
                let inside = listed(*grid, id(0)).starts_with(&listed_in(*area));
                assert_eq!(inside, area.contains(grid), "{grid} in {area}");
            }
        }
    }

    #[test]
    fn moments_and_days_order_as_they_follow_each_other() {
        let at = |millis| Timestamp::from_millis(millis).unwrap();
        let keys = [0, 1, 255, 256, 1_795_000_000_000].map(|millis| due(at(millis), id(9)));
        assert!(keys.is_sorted());
        assert_eq!(case_of(&keys[0]), Some(id(9)));
        let grid = area("51040200200507");
        let days = [-1, 0, 1, 300, 20_000].map(|number| Day::from_number(number).unwrap());
        let keys = days.map(|of| day(grid, of));
        assert!(keys.is_sorted());
        assert_eq!(keys.map(|key| day_of(&key).unwrap()), days);
    }
}
