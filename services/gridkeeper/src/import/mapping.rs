//! The file that says what the columns of another system mean.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use gridkeeper_proto::{
    api::CoordinateSystem,
    area::{AreaCode, Level},
    case::{CaseKind, Channel, Severity},
    time::Day,
};
use serde::Deserialize;

use super::ImportError;

/// What the columns of a file mean. Columns are named as in the file's first line.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mapping {
    /// The system the records come from, as cases keep it: 1 to 100 characters.
    pub(crate) system: String,
    /// IANA name of the zone in which the file's times are meant.
    pub(crate) zone: String,
    /// The character between columns.
    #[serde(default = "comma")]
    pub(crate) delimiter: char,
    /// The column with the record's own id, unique in the system.
    pub(crate) record: String,
    /// When the record was made.
    pub(crate) reported_at: Moment,
    /// By when it had to be done, where the file tells.
    pub(crate) due_at: Option<Moment>,
    /// Which records are closed, and when they were.
    pub(crate) closed: Closed,
    /// The column with the record's state, kept in that system's word.
    pub(crate) state: Option<String>,
    /// Dispute or incident.
    pub(crate) kind: CaseKind,
    /// How bad a record is taken to be.
    pub(crate) severity: Severity,
    /// The description: text with columns in braces.
    pub(crate) description: String,
    /// The address: text with columns in braces.
    pub(crate) address: Option<String>,
    /// How the report came in.
    pub(crate) channel: ChannelRule,
    /// Where it was filed.
    pub(crate) area: AreaRule,
    /// What it is about.
    pub(crate) category: CategoryRule,
    /// Where it was, as a point.
    pub(crate) point: Option<PointRule>,
    /// What `gridkeeper district derive` writes of the district.
    pub(crate) district: DistrictRule,
}

fn comma() -> char {
    ','
}

/// A column with a time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Moment {
    /// The column.
    pub(crate) column: String,
    /// How it is written, in `strftime` letters; the first that fits. A date alone is its midnight.
    pub(crate) formats: Vec<String>,
}

/// Which records are closed.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Closed {
    /// All of them, at moments that the file does not tell.
    AllAtUnknownTime,
    /// Those that have a time in this column.
    WhereTimeIn(Moment),
}

/// How a report came in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChannelRule {
    /// The column.
    pub(crate) column: String,
    /// What its values mean. A value that is not here refuses the row.
    pub(crate) values: BTreeMap<String, Channel>,
}

/// From columns to the code of a grid: district, street, community, and the one grid of a community.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AreaRule {
    /// The district's code.
    pub(crate) district: AreaCode,
    /// The street or town.
    pub(crate) street: PartRule,
    /// The community.
    pub(crate) community: PartRule,
    /// The two digits that every community's only grid ends with.
    pub(crate) grid: String,
}

/// From a column to three digits of a code.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartRule {
    /// The column.
    pub(crate) column: String,
    /// The column with the area's name; the same column when left out.
    pub(crate) name: Option<String>,
    /// The digits of each value. Without a table, the last three digits of the value itself.
    pub(crate) table: Option<BTreeMap<String, String>>,
    /// Values that mean that there is none; an empty value always does.
    #[serde(default)]
    pub(crate) missing_values: Vec<String>,
    /// What becomes of a row without a value.
    pub(crate) missing: Missing,
}

/// What becomes of a row without a value.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Missing {
    /// It is refused.
    Refuse,
    /// It goes to an area made for such rows.
    Area {
        /// Its three digits.
        digits: String,
        /// Its name.
        name: String,
    },
}

/// From columns to the code of a category: `dispute` or `incident`, and a word for each level.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CategoryRule {
    /// How a value becomes a word.
    pub(crate) words: WordRule,
    /// One to four levels, the widest first.
    pub(crate) levels: Vec<LevelRule>,
}

/// How a value becomes a word of a category's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WordRule {
    /// As it is: lower-case letters, digits and hyphens already.
    Verbatim,
    /// Letters in lower case, each run of anything but letters and digits a hyphen, cut to 40 characters.
    Slug,
}

/// A level of the tree of categories.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LevelRule {
    /// The column with what the word is made from.
    pub(crate) column: String,
    /// The column with the name; the same column when left out.
    pub(crate) name: Option<String>,
}

/// Where a record was.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PointRule {
    /// The column with degrees east.
    pub(crate) longitude: String,
    /// The column with degrees north.
    pub(crate) latitude: String,
    /// What the degrees are degrees of.
    pub(crate) system: CoordinateSystem,
    /// Points that stand for no point, as longitude and latitude. An empty column always does.
    #[serde(default)]
    pub(crate) placeholders: Vec<(f64, f64)>,
}

/// What the district's file says of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DistrictRule {
    /// Its name.
    pub(crate) name: String,
    /// The first day of its map.
    pub(crate) valid_from: Day,
    /// Where its areas and categories come from.
    pub(crate) origin: String,
}

impl Mapping {
    /// Reads and checks a mapping.
    ///
    /// # Errors
    /// [`ImportError::Mapping`].
    pub(crate) fn read(path: &Path) -> Result<Self, ImportError> {
        let text = fs::read_to_string(path).map_err(|source| ImportError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ImportError> {
        let wrong = |reason: String| ImportError::Mapping {
            path: PathBuf::from(path),
            reason,
        };
        let mapping: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        mapping.check().map_err(wrong)?;
        Ok(mapping)
    }

    fn check(&self) -> Result<(), String> {
        if self.area.district.level() != Level::District {
            return Err(format!(
                "area.district: {} is not a district",
                self.area.district
            ));
        }
        if !is_digits(&self.area.grid, 2) {
            return Err("area.grid: two digits are needed".to_owned());
        }
        for (name, part) in [
            ("street", &self.area.street),
            ("community", &self.area.community),
        ] {
            let made = match &part.missing {
                Missing::Refuse => None,
                Missing::Area { digits, .. } => Some(digits),
            };
            let mut digits = part.table.iter().flat_map(BTreeMap::values).chain(made);
            if let Some(wrong) = digits.find(|digits| !is_digits(digits, 3)) {
                return Err(format!("area.{name}: '{wrong}' is not three digits"));
            }
        }
        if !(1..=4).contains(&self.category.levels.len()) {
            return Err("category.levels: one to four are possible".to_owned());
        }
        if !self.delimiter.is_ascii() {
            return Err("delimiter: an ASCII character is needed".to_owned());
        }
        Ok(())
    }

    /// All columns that it names, so that a missing one shows before the first row.
    pub(crate) fn columns(&self) -> Vec<&str> {
        let mut columns = vec![
            self.record.as_str(),
            &self.reported_at.column,
            &self.channel.column,
        ];
        columns.extend(self.due_at.iter().map(|moment| moment.column.as_str()));
        if let Closed::WhereTimeIn(moment) = &self.closed {
            columns.push(&moment.column);
        }
        columns.extend(self.state.as_deref());
        for part in [&self.area.street, &self.area.community] {
            columns.push(&part.column);
            columns.extend(part.name.as_deref());
        }
        for level in &self.category.levels {
            columns.push(&level.column);
            columns.extend(level.name.as_deref());
        }
        if let Some(point) = &self.point {
            columns.extend([point.longitude.as_str(), &point.latitude]);
        }
        for template in std::iter::once(&self.description).chain(&self.address) {
            columns.extend(placeholders(template));
        }
        columns
    }
}

pub(super) fn is_digits(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The columns in braces of a template.
fn placeholders(template: &str) -> impl Iterator<Item = &str> {
    template
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}').map(|(column, _)| column))
}
