//! Turns the content of a folder into a district, or says what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};

use gridkeeper_proto::{
    area::{AreaCode, Level},
    case::CaseKind,
    time::Zone,
};

use crate::{
    error::DistrictError,
    locate::Locator,
    model::{Area, AreaKind, Category, District, Validity},
    policy, shapes,
    source::{self, About, AreaRow, CategoryRow, Source},
};

/// Levels of categories below `dispute` and `incident`.
const DEEPEST_CATEGORY: usize = 4;
/// Longest word of a category's code, in bytes.
const LONGEST_WORD: usize = 40;

pub(crate) fn district(source: &Source) -> Result<District, DistrictError> {
    let head = head(&source.about)?;
    let code = head.code;
    let areas = areas(head, source)?;
    if source.grids.is_empty() {
        let reason = "it has no grids: list them, or generate them".to_owned();
        return Err(area_error(source::GRIDS, code.as_str(), reason));
    }
    let mut children: BTreeMap<AreaCode, Vec<AreaCode>> = BTreeMap::new();
    for area in areas.keys() {
        if let Some(parent) = area.parent() {
            children.entry(parent).or_default().push(*area);
        }
    }
    let categories = categories(&source.categories)?;
    let category_index = categories
        .iter()
        .enumerate()
        .map(|(index, category)| (category.code.clone(), index))
        .collect();
    let shapes = shapes::checked(code, &areas, source)?;
    let zone = Zone::named(&source.about.zone)
        .map_err(|error| area_error(source::DISTRICT, &source.about.code, error.to_string()))?;
    let timetable = policy::timetable(source, &zone, &categories)?;
    let mut calendar = source.calendar.clone();
    calendar.sort_by_key(|year| year.year);
    Ok(District {
        code,
        name_en: source.about.name_en.clone(),
        zone,
        origin: source.about.origin.clone(),
        areas,
        children,
        categories,
        category_index,
        locator: shapes.map(Locator::new),
        timetable,
        calendar,
        zone_name: source.about.zone.clone(),
    })
}

/// The district as an area of its own.
pub(crate) fn head(about: &About) -> Result<Area, DistrictError> {
    let row = AreaRow {
        code: about.code.clone(),
        kind: AreaKind::District,
        name: about.name.clone(),
        short_name: None,
        valid_from: Some(about.valid_from),
        valid_to: about.valid_to,
    };
    area(source::DISTRICT, &row)
}

/// The district and all areas of both files, each with its parent among them.
pub(crate) fn areas(
    district: Area,
    source: &Source,
) -> Result<BTreeMap<AreaCode, Area>, DistrictError> {
    let code = district.code;
    let mut areas = BTreeMap::from([(code, district)]);
    let files = [
        (source::AREAS, &source.areas),
        (source::GRIDS, &source.grids),
    ];
    for (file, rows) in files {
        for row in rows {
            let area = area(file, row)?;
            check_file(file, code, &area)?;
            let code = area.code;
            if areas.insert(code, area).is_some() {
                return Err(DistrictError::AreaTwice { file, area: code });
            }
        }
    }
    for area in areas.values() {
        let Some(parent) = area.parent() else {
            continue;
        };
        if !areas.contains_key(&parent) {
            let file = if area.kind == AreaKind::Grid {
                source::GRIDS
            } else {
                source::AREAS
            };
            return Err(DistrictError::NoParent {
                file,
                area: area.code,
                parent,
            });
        }
    }
    Ok(areas)
}

fn area(file: &'static str, row: &AreaRow) -> Result<Area, DistrictError> {
    let wrong = |reason: String| area_error(file, &row.code, reason);
    let code: AreaCode = row
        .code
        .parse()
        .map_err(|_| wrong("not a code of 6, 9, 12, 14 or 15 digits".to_owned()))?;
    if code.level() != row.kind.level() {
        let (kind, digits) = (row.kind.as_str(), row.code.len());
        return Err(wrong(format!(
            "a {kind} does not have a code of {digits} digits"
        )));
    }
    if row.name.trim().is_empty() {
        return Err(wrong("it has no name".to_owned()));
    }
    let validity = Validity {
        from: row.valid_from,
        to: row.valid_to,
    };
    if let (Some(from), Some(to)) = (validity.from, validity.to)
        && to < from
    {
        return Err(wrong(format!(
            "its last day {to} lies before its first day {from}"
        )));
    }
    let short_name = row.short_name.clone().filter(|name| !name.is_empty());
    Ok(Area {
        code,
        kind: row.kind,
        name: row.name.clone(),
        short_name,
        validity,
    })
}

/// Whether the area is one that this file of this district may hold.
fn check_file(file: &'static str, district: AreaCode, area: &Area) -> Result<(), DistrictError> {
    let wrong = |reason: String| Err(area_error(file, area.code.as_str(), reason));
    let grids_belong_here = file == source::GRIDS;
    if area.level() == Level::District || (area.level() == Level::Grid) != grids_belong_here {
        return wrong(format!(
            "a {} does not belong into this file",
            area.kind.as_str()
        ));
    }
    if !district.contains(&area.code) {
        return wrong(format!("it does not lie in district {district}"));
    }
    Ok(())
}

fn area_error(file: &'static str, area: &str, reason: String) -> DistrictError {
    DistrictError::Area {
        file,
        area: area.to_owned(),
        reason,
    }
}

/// The code before the last dot, unless that is `dispute` or `incident` alone.
pub(crate) fn parent_category(code: &str) -> Option<&str> {
    let (parent, _) = code.rsplit_once('.')?;
    parent.contains('.').then_some(parent)
}

fn categories(rows: &[CategoryRow]) -> Result<Vec<Category>, DistrictError> {
    let mut seen = BTreeSet::new();
    let mut categories = Vec::with_capacity(rows.len());
    for row in rows {
        let wrong = |reason: String| DistrictError::Category {
            category: row.code.clone(),
            reason,
        };
        let kind = category_kind(&row.code).map_err(wrong)?;
        if row.zh.trim().is_empty() {
            return Err(wrong("it has no name".to_owned()));
        }
        if let Some(parent) = parent_category(&row.code)
            && !seen.contains(parent)
        {
            return Err(wrong(format!("no '{parent}' stands before it")));
        }
        if !seen.insert(row.code.as_str()) {
            return Err(DistrictError::CategoryTwice {
                category: row.code.clone(),
            });
        }
        let (zh, en) = (row.zh.clone(), row.en.clone());
        categories.push(Category {
            code: row.code.clone(),
            kind,
            zh,
            en,
            leaf: true,
        });
    }
    let parents: BTreeSet<_> = rows
        .iter()
        .filter_map(|row| parent_category(&row.code))
        .collect();
    for category in &mut categories {
        category.leaf = !parents.contains(category.code.as_str());
    }
    Ok(categories)
}

fn category_kind(code: &str) -> Result<CaseKind, String> {
    let mut words = code.split('.');
    let kind = match words.next() {
        Some("dispute") => CaseKind::Dispute,
        Some("incident") => CaseKind::Incident,
        _ => return Err("it has to begin with 'dispute.' or 'incident.'".to_owned()),
    };
    let mut depth = 0;
    for word in words {
        depth += 1;
        let written_well =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if word.is_empty() || word.len() > LONGEST_WORD || !word.bytes().all(written_well) {
            return Err(format!(
                "'{word}' is not a word of 1 to {LONGEST_WORD} lower-case letters, digits and hyphens"
            ));
        }
    }
    if (1..=DEEPEST_CATEGORY).contains(&depth) {
        Ok(kind)
    } else {
        Err(format!(
            "{depth} levels below its kind; 1 to {DEEPEST_CATEGORY} are possible"
        ))
    }
}
