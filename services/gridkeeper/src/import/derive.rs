//! The folder of a district, made from the areas and categories that a history itself names.
//!
//! Such a district has no polygons and one grid for each community, so that reports carry grid codes.

use std::{collections::BTreeMap, path::Path};

use gridkeeper_district::{About, AreaKind, AreaRow, CategoryRow, Origin, Source};
use gridkeeper_proto::policy::Policy;

use super::{
    ImportError, Mapping, RowError,
    rows::{Part, Rows},
};

/// The limits of a derived district until somebody sets its own.
const POLICY: &str = include_str!("../../../../deploy/districts/panzhihua-dongqu/policy.toml");

/// A derived district, and the rows that it could not be derived from.
pub(crate) struct Derived {
    /// The folder's content.
    pub(crate) source: Source,
    /// Rows read.
    pub(crate) rows: u64,
    /// Rows left out because their area or category cannot be read: number and reason.
    pub(crate) left_out: Vec<(u64, RowError)>,
}

/// Reads all rows and gathers their areas and categories.
///
/// # Errors
/// The file, the mapping, or two values that would get one code.
pub(crate) fn derive(mapping: &Mapping, file: &Path) -> Result<Derived, ImportError> {
    let mut rows = Rows::open(mapping, file)?;
    let mut areas = BTreeMap::new();
    let mut categories = BTreeMap::new();
    let (mut count, mut left_out) = (0, Vec::new());
    while let Some((row, read)) = rows.next_row() {
        count += 1;
        let both = read.and_then(|()| Ok((rows.area(&row)?, rows.category(&row)?)));
        let ((street, community), levels) = match both {
            Ok(both) => both,
            Err(reason) => {
                left_out.push((row.number, reason));
                continue;
            }
        };
        add_area(mapping, &mut areas, &street, &community)?;
        for (code, name) in levels {
            // A category's first name stays: histories rename them while the number goes on.
            categories.entry(code).or_insert(name);
        }
    }
    let source = source(mapping, areas, categories);
    Ok(Derived {
        source,
        rows: count,
        left_out,
    })
}

fn add_area(
    mapping: &Mapping,
    areas: &mut BTreeMap<String, (AreaKind, String)>,
    street: &Part,
    community: &Part,
) -> Result<(), ImportError> {
    let street_code = format!("{}{}", mapping.area.district, street.digits);
    let community_code = format!("{street_code}{}", community.digits);
    let found = [
        (street_code, AreaKind::Street, street),
        (community_code, AreaKind::Community, community),
    ];
    for (code, kind, part) in found {
        let (_, name) = areas
            .entry(code.clone())
            .or_insert((kind, part.name.clone()));
        if *name != part.name {
            return Err(ImportError::SameCode {
                code,
                first: name.clone(),
                second: part.name.clone(),
            });
        }
    }
    Ok(())
}

fn source(
    mapping: &Mapping,
    areas: BTreeMap<String, (AreaKind, String)>,
    categories: BTreeMap<String, String>,
) -> Source {
    let row = |code: String, kind, name: String| AreaRow {
        code,
        kind,
        name,
        short_name: None,
        valid_from: None,
        valid_to: None,
    };
    let grids = areas
        .iter()
        .filter(|(_, (kind, _))| *kind == AreaKind::Community)
        .map(|(code, (_, name))| {
            row(
                format!("{code}{}", mapping.area.grid),
                AreaKind::Grid,
                name.clone(),
            )
        })
        .collect();
    let rule = &mapping.district;
    Source {
        about: About {
            code: mapping.area.district.to_string(),
            name: rule.name.clone(),
            name_en: None,
            zone: mapping.zone.clone(),
            valid_from: rule.valid_from,
            valid_to: None,
            origin: Origin {
                areas: rule.origin.clone(),
                grids: "synthetic: one for each community".to_owned(),
                categories: rule.origin.clone(),
                outline: None,
            },
            generation: None,
        },
        areas: areas
            .into_iter()
            .map(|(code, (kind, name))| row(code, kind, name))
            .collect(),
        grids,
        // In the order of codes a category stands after the one that it is a kind of.
        categories: categories
            .into_iter()
            .map(|(code, zh)| CategoryRow { code, zh, en: None })
            .collect(),
        outline: None,
        polygons: None,
        policy: Some(policy()),
        calendar: Vec::new(),
    }
}

/// The sample district's limits, which run day and night: a derived district has neither a calendar nor a duty.
fn policy() -> String {
    let mut policy: Policy = toml::from_str(POLICY).expect("the sample's policy reads");
    policy.service = None;
    policy.staffing.clear();
    toml::to_string(&policy).expect("a policy is TOML")
}
