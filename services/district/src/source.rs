//! A district's folder as it is written: parsed, and not yet checked.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use gridkeeper_proto::{calendar::CalendarYear, time::Day};
use serde::{Deserialize, Serialize};

use crate::{error::DistrictError, feature::Features, model::AreaKind, policy};

pub(crate) const DISTRICT: &str = "district.toml";
pub(crate) const AREAS: &str = "areas.csv";
pub(crate) const GRIDS: &str = "grids.csv";
pub(crate) const CATEGORIES: &str = "categories.toml";
pub(crate) const OUTLINE: &str = "outline.geojson";
pub(crate) const POLYGONS: &str = "grids.geojson";
pub(crate) const POLICY: &str = "policy.toml";

/// The content of a district's folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// `district.toml`
    pub about: About,
    /// `areas.csv`: streets, towns and communities.
    pub areas: Vec<AreaRow>,
    /// `grids.csv`; empty while a folder whose grids are still to be generated has no such file.
    pub grids: Vec<AreaRow>,
    /// `categories.toml`
    pub categories: Vec<CategoryRow>,
    /// `outline.geojson`, where there is one.
    pub outline: Option<Features>,
    /// `grids.geojson`, where there is one.
    pub polygons: Option<Features>,
    /// The text of `policy.toml`, where there is one.
    pub policy: Option<String>,
    /// The years of the calendar that the policy names; they belong to no district and are not written.
    pub calendar: Vec<CalendarYear>,
}

/// `district.toml`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The district's code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Its name in English, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_en: Option<String>,
    /// IANA name of the zone in which it counts its days.
    pub zone: String,
    /// First day on which this map holds.
    pub valid_from: Day,
    /// Last day on which this map holds; none while it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<Day>,
    /// Where the parts come from.
    pub origin: Origin,
    /// How the grids are generated, where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
}

/// Where the parts of a district come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Of the streets, towns and communities.
    pub areas: String,
    /// Of the grids.
    pub grids: String,
    /// Of the categories.
    pub categories: String,
    /// Of the outline, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outline: Option<String>,
}

/// How the synthetic grids of a district are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// How many grids.
    pub grids: usize,
    /// Where in the sequence of scattered points the first is taken: another number, another map.
    pub first_point: u32,
    /// How often the points move to the middle of their grids.
    pub rounds: u32,
}

/// A line of `areas.csv` or `grids.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AreaRow {
    /// The area's code.
    pub code: String,
    /// What it is.
    pub kind: AreaKind,
    /// Its official name.
    pub name: String,
    /// What people call it, where that differs.
    #[serde(default)]
    pub short_name: Option<String>,
    /// First day on which it exists; the map's own when left out.
    #[serde(default)]
    pub valid_from: Option<Day>,
    /// Last day on which it exists.
    #[serde(default)]
    pub valid_to: Option<Day>,
}

/// A line of `categories.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryRow {
    /// `dispute` or `incident`, and one to four more words, joined by dots; all but the last word name
    /// the parent.
    pub code: String,
    /// Name in Chinese.
    pub zh: String,
    /// Name in English, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub en: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Categories {
    categories: Vec<CategoryRow>,
}

impl Source {
    /// Reads a folder.
    ///
    /// # Errors
    /// A file that is missing, cannot be read or is not what its format says.
    pub fn read(folder: &Path) -> Result<Self, DistrictError> {
        let optional_features = |file| {
            read_if_there(folder, file)?
                .map(|text| Features::parse(file, &text))
                .transpose()
        };
        let categories: Categories = from_toml(CATEGORIES, &read(folder, CATEGORIES)?)?;
        let grids = read_if_there(folder, GRIDS)?;
        let policy = read_if_there(folder, POLICY)?;
        Ok(Self {
            about: from_toml(DISTRICT, &read(folder, DISTRICT)?)?,
            areas: rows(AREAS, &read(folder, AREAS)?)?,
            grids: grids
                .map(|text| rows(GRIDS, &text))
                .transpose()?
                .unwrap_or_default(),
            categories: categories.categories,
            outline: optional_features(OUTLINE)?,
            polygons: optional_features(POLYGONS)?,
            calendar: match &policy {
                Some(text) => policy::calendar(folder, text)?,
                None => Vec::new(),
            },
            policy,
        })
    }

    /// Writes a folder; the folder is made where it is missing. A file that this content has no part for
    /// is left as it is.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), DistrictError> {
        fs::create_dir_all(folder).map_err(|source| DistrictError::Write {
            path: folder.to_owned(),
            source,
        })?;
        write(folder, DISTRICT, &to_toml(DISTRICT, &self.about)?)?;
        write(folder, AREAS, &rows_text(AREAS, &self.areas)?)?;
        if !self.grids.is_empty() {
            write(folder, GRIDS, &rows_text(GRIDS, &self.grids)?)?;
        }
        let categories = Categories {
            categories: self.categories.clone(),
        };
        write(folder, CATEGORIES, &to_toml(CATEGORIES, &categories)?)?;
        let features = [(OUTLINE, &self.outline), (POLYGONS, &self.polygons)];
        for (file, features) in features {
            if let Some(features) = features {
                write(folder, file, &features.text())?;
            }
        }
        self.policy
            .as_deref()
            .map_or(Ok(()), |text| write(folder, POLICY, text))
    }
}

fn read(folder: &Path, file: &str) -> Result<String, DistrictError> {
    let path: PathBuf = folder.join(file);
    fs::read_to_string(&path).map_err(|source| DistrictError::Read { path, source })
}

fn read_if_there(folder: &Path, file: &str) -> Result<Option<String>, DistrictError> {
    match read(folder, file) {
        Ok(text) => Ok(Some(text)),
        Err(DistrictError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

pub(crate) fn write(folder: &Path, file: &str, text: &str) -> Result<(), DistrictError> {
    let path = folder.join(file);
    fs::write(&path, text).map_err(|source| DistrictError::Write { path, source })
}

pub(crate) fn from_toml<T: serde::de::DeserializeOwned>(
    file: &'static str,
    text: &str,
) -> Result<T, DistrictError> {
    toml::from_str(text).map_err(|error| DistrictError::Syntax {
        file,
        reason: error.to_string().trim().to_owned(),
    })
}

fn to_toml(file: &'static str, value: &impl Serialize) -> Result<String, DistrictError> {
    toml::to_string(value).map_err(|error| DistrictError::Syntax {
        file,
        reason: error.to_string(),
    })
}

fn rows(file: &'static str, text: &str) -> Result<Vec<AreaRow>, DistrictError> {
    csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes())
        .deserialize()
        .map(|row| {
            row.map_err(|error| DistrictError::Syntax {
                file,
                reason: error.to_string(),
            })
        })
        .collect()
}

/// The text of `areas.csv` or `grids.csv`; columns that no line uses are left out.
pub(crate) fn rows_text(file: &'static str, rows: &[AreaRow]) -> Result<String, DistrictError> {
    let used = [
        rows.iter().any(|row| row.short_name.is_some()),
        rows.iter().any(|row| row.valid_from.is_some()),
        rows.iter().any(|row| row.valid_to.is_some()),
    ];
    let day = |day: Option<Day>| day.map(|day| day.to_string()).unwrap_or_default();
    let record = |always: [String; 3], optional: [String; 3]| {
        let optional = optional
            .into_iter()
            .zip(used)
            .filter_map(|(text, used)| used.then_some(text));
        always.into_iter().chain(optional).collect::<Vec<_>>()
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = record(
        ["code", "kind", "name"].map(str::to_owned),
        ["short_name", "valid_from", "valid_to"].map(str::to_owned),
    );
    let lines = rows.iter().map(|row| {
        record(
            [
                row.code.clone(),
                row.kind.as_str().to_owned(),
                row.name.clone(),
            ],
            [
                row.short_name.clone().unwrap_or_default(),
                day(row.valid_from),
                day(row.valid_to),
            ],
        )
    });
    let written = std::iter::once(head)
        .chain(lines)
        .try_for_each(|line| writer.write_record(line))
        .map_err(|error| error.to_string())
        .and_then(|()| writer.into_inner().map_err(|error| error.to_string()))
        .and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()));
    written.map_err(|reason| DistrictError::Syntax { file, reason })
}
