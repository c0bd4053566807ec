//! From a row of another system to a report.

use std::{collections::BTreeMap, fs::File, path::Path};

use gridkeeper_proto::{
    api::{Location, ReportRequest},
    area::AreaCode,
    case::{CaseKind, SourceRecord},
    command::{Imported, ImportedClosing},
    id::CaseId,
    time::{Timestamp, Zone},
};
use jiff::{civil, fmt::strtime};

use super::{
    ImportError, RowError,
    mapping::{Closed, Mapping, Missing, Moment, PartRule, PointRule, WordRule, is_digits},
};

/// Longest word of a category's code, in characters.
const LONGEST_WORD: usize = 40;

/// The file's rows, read with a mapping.
pub(crate) struct Rows<'a> {
    mapping: &'a Mapping,
    zone: Zone,
    columns: BTreeMap<String, usize>,
    reader: csv::Reader<File>,
}

/// A row as it stands in the file.
pub(crate) struct Row {
    /// Its number, the first row below the names of the columns being 1.
    pub(crate) number: u64,
    /// The line of the file that it begins on.
    pub(crate) line: u64,
    fields: csv::StringRecord,
}

/// A code of three digits, and the name of what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) digits: String,
    pub(crate) name: String,
}

impl<'a> Rows<'a> {
    /// Opens the file and finds the columns.
    ///
    /// # Errors
    /// [`ImportError`]: the file, its first line, a column that is missing, the zone.
    pub(crate) fn open(mapping: &'a Mapping, path: &Path) -> Result<Self, ImportError> {
        let read = |source| ImportError::Read {
            path: path.to_owned(),
            source,
        };
        let zone = Zone::named(&mapping.zone).map_err(|error| ImportError::Mapping {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let delimiter = u8::try_from(mapping.delimiter).unwrap_or(b',');
        let file = File::open(path).map_err(read)?;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .from_reader(file);
        let header = reader.headers().map_err(|error| read(error.into()))?;
        let columns: BTreeMap<String, usize> = header
            .iter()
            .enumerate()
            .map(|(index, name)| (name.trim_start_matches('\u{feff}').to_owned(), index))
            .collect();
        if let Some(missing) = mapping
            .columns()
            .into_iter()
            .find(|name| !columns.contains_key(*name))
        {
            return Err(ImportError::NoColumn {
                path: path.to_owned(),
                column: missing.to_owned(),
            });
        }
        Ok(Self {
            mapping,
            zone,
            columns,
            reader,
        })
    }

    /// The next row; none after the last.
    pub(crate) fn next_row(&mut self) -> Option<(Row, Result<(), RowError>)> {
        let mut fields = csv::StringRecord::new();
        let line = self.reader.position().line();
        let number = self.reader.position().record();
        let read = match self.reader.read_record(&mut fields) {
            Ok(false) => return None,
            Ok(true) => Ok(()),
            Err(error) => Err(RowError::Broken {
                reason: error.to_string(),
            }),
        };
        Some((
            Row {
                number,
                line,
                fields,
            },
            read,
        ))
    }

    fn get<'r>(&self, row: &'r Row, column: &str) -> &'r str {
        let index = self.columns.get(column).copied();
        index
            .and_then(|index| row.fields.get(index))
            .unwrap_or_default()
            .trim()
    }

    /// The row's own id; empty where it has none.
    pub(crate) fn record_id(&self, row: &Row) -> String {
        self.get(row, &self.mapping.record).to_owned()
    }

    /// The row as a report.
    ///
    /// # Errors
    /// The first thing about it that the mapping cannot read.
    pub(crate) fn report(&self, row: &Row) -> Result<ReportRequest, RowError> {
        let mapping = self.mapping;
        let record = self.get(row, &mapping.record);
        if record.is_empty() {
            return Err(RowError::value(
                &mapping.record,
                record,
                "the record has no id",
            ));
        }
        let reported = &mapping.reported_at;
        let reported_at = self.moment(row, reported)?.ok_or_else(|| {
            RowError::value(
                &reported.column,
                "",
                "a record needs the time of its report",
            )
        })?;
        let (street, community) = self.area(row)?;
        let grid = grid_code(
            mapping.area.district,
            &street,
            &community,
            &mapping.area.grid,
        )?;
        let category = self.category(row)?.into_iter().next_back();
        let (category, _) = category.unwrap_or_default();
        let due_at = match &mapping.due_at {
            Some(due) => self.moment(row, due)?,
            None => None,
        };
        let state = mapping.state.as_deref().map(|column| self.get(row, column));
        let channel = self.get(row, &mapping.channel.column);
        let channel = *mapping.channel.values.get(channel).ok_or_else(|| {
            let reason = "the mapping's table of channels does not know it";
            RowError::value(&mapping.channel.column, channel, reason)
        })?;
        let address = mapping
            .address
            .as_deref()
            .map(|template| self.fill(row, template));
        Ok(ReportRequest {
            id: CaseId::of_source(&mapping.system, record, reported_at),
            kind: mapping.kind,
            category,
            severity: mapping.severity,
            channel,
            description: self.fill(row, &mapping.description),
            location: mapping
                .point
                .as_ref()
                .map_or(Ok(None), |point| self.point(row, point))?,
            grid: Some(grid),
            address: address.filter(|address| !address.is_empty()),
            people: None,
            parties: Vec::new(),
            occurred_at: Some(reported_at),
            filed_at: None,
            imported: Some(Imported {
                source: SourceRecord {
                    system: mapping.system.clone(),
                    record: record.to_owned(),
                    state: state.filter(|state| !state.is_empty()).map(str::to_owned),
                },
                reported_at,
                due_at,
                closed: self.closing(row)?,
            }),
        })
    }

    fn closing(&self, row: &Row) -> Result<Option<ImportedClosing>, RowError> {
        match &self.mapping.closed {
            Closed::AllAtUnknownTime => Ok(Some(ImportedClosing { at: None })),
            Closed::WhereTimeIn(moment) => {
                let at = self.moment(row, moment)?;
                Ok(at.map(|at| ImportedClosing { at: Some(at) }))
            }
        }
    }

    /// A time; none where the column is empty.
    fn moment(&self, row: &Row, moment: &Moment) -> Result<Option<Timestamp>, RowError> {
        let value = self.get(row, &moment.column);
        if value.is_empty() {
            return Ok(None);
        }
        let local = moment
            .formats
            .iter()
            .find_map(|format| civil_time(format, value));
        let local = local.ok_or_else(|| {
            let reason = format!("not written as {}", moment.formats.join(" or "));
            RowError::value(&moment.column, value, reason)
        })?;
        let at = self.zone.moment_of(local);
        at.map(Some)
            .map_err(|error| RowError::time(&moment.column, value, &error))
    }

    /// Street and community of a row.
    pub(crate) fn area(&self, row: &Row) -> Result<(Part, Part), RowError> {
        let rule = &self.mapping.area;
        Ok((
            self.part(row, &rule.street)?,
            self.part(row, &rule.community)?,
        ))
    }

    fn part(&self, row: &Row, rule: &PartRule) -> Result<Part, RowError> {
        let value = self.get(row, &rule.column);
        if value.is_empty() || rule.missing_values.iter().any(|missing| missing == value) {
            return match &rule.missing {
                Missing::Refuse => Err(RowError::NoArea {
                    column: rule.column.clone(),
                    value: value.to_owned(),
                }),
                Missing::Area { digits, name } => Ok(Part {
                    digits: digits.clone(),
                    name: name.clone(),
                }),
            };
        }
        let digits = match &rule.table {
            Some(table) => table.get(value).cloned(),
            None => last_digits(value),
        };
        let digits = digits.ok_or_else(|| {
            let reason = match rule.table {
                Some(_) => "the mapping's table of areas does not know it",
                None => "it does not end with three digits",
            };
            RowError::value(&rule.column, value, reason)
        })?;
        let name = self
            .get(row, rule.name.as_ref().unwrap_or(&rule.column))
            .to_owned();
        Ok(Part { digits, name })
    }

    /// Code and name of a row's category and of those that it is a kind of, the widest first.
    pub(crate) fn category(&self, row: &Row) -> Result<Vec<(String, String)>, RowError> {
        let rule = &self.mapping.category;
        let mut code = match self.mapping.kind {
            CaseKind::Dispute => "dispute".to_owned(),
            CaseKind::Incident => "incident".to_owned(),
        };
        let mut levels = Vec::with_capacity(rule.levels.len());
        for level in &rule.levels {
            let value = self.get(row, &level.column);
            let word = match rule.words {
                WordRule::Verbatim => value.to_owned(),
                WordRule::Slug => slug(value),
            };
            let fits =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if word.is_empty() || word.len() > LONGEST_WORD || !word.bytes().all(fits) {
                return Err(RowError::value(
                    &level.column,
                    value,
                    "no word of a category's code",
                ));
            }
            code = format!("{code}.{word}");
            let name = self.get(row, level.name.as_ref().unwrap_or(&level.column));
            levels.push((code.clone(), name.to_owned()));
        }
        Ok(levels)
    }

    fn point(&self, row: &Row, rule: &PointRule) -> Result<Option<Location>, RowError> {
        let texts = [&rule.longitude, &rule.latitude].map(|column| (column, self.get(row, column)));
        if texts.iter().any(|(_, text)| text.is_empty()) {
            return Ok(None);
        }
        let mut degrees = [0.0; 2];
        for (degrees, (column, text)) in degrees.iter_mut().zip(texts) {
            *degrees = text
                .parse()
                .map_err(|_| RowError::value(column, text, "not degrees"))?;
        }
        let [longitude, latitude] = degrees;
        // Placeholders are written, not computed: they are equal or something else.
        let placeholder = rule.placeholders.contains(&(longitude, latitude));
        Ok((!placeholder).then_some(Location {
            longitude,
            latitude,
            system: rule.system,
        }))
    }

    /// A template with the row's values in place of the columns in braces.
    fn fill(&self, row: &Row, template: &str) -> String {
        let mut text = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let Some((column, after)) = after.split_once('}') else {
                text.push('{');
                rest = after;
                continue;
            };
            text.push_str(self.get(row, column));
            rest = after;
        }
        text.push_str(rest);
        text.trim().to_owned()
    }
}

/// The code of the only grid of a community.
fn grid_code(
    district: AreaCode,
    street: &Part,
    community: &Part,
    grid: &str,
) -> Result<AreaCode, RowError> {
    let code = format!("{district}{}{}{grid}", street.digits, community.digits);
    code.parse()
        .map_err(|_| RowError::value("area", &code, "not the code of a grid"))
}

fn last_digits(value: &str) -> Option<String> {
    let digits = value.get(value.len().checked_sub(3)?..)?;
    is_digits(digits, 3).then(|| digits.to_owned())
}

/// A value as a word of a category's code.
pub(super) fn slug(value: &str) -> String {
    let mut word = String::new();
    for character in value.chars().flat_map(char::to_lowercase) {
        if character.is_ascii_lowercase() || character.is_ascii_digit() {
            word.push(character);
        } else if !word.is_empty() && !word.ends_with('-') {
            word.push('-');
        }
    }
    word.truncate(LONGEST_WORD);
    word.trim_end_matches('-').to_owned()
}

/// A civil time in this format; a date alone is its midnight.
fn civil_time(format: &str, value: &str) -> Option<civil::DateTime> {
    let parsed = strtime::parse(format, value).ok()?;
    if parsed.hour().is_none() {
        return Some(parsed.to_date().ok()?.to_datetime(civil::Time::midnight()));
    }
    parsed.to_datetime().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_categories_are_lower_case_hyphenated_and_short() {
        assert_eq!(
            slug("TRT-Traffic Signal Repairs"),
            "trt-traffic-signal-repairs"
        );
        assert_eq!(slug("DPW - Calendar  or  Water"), "dpw-calendar-or-water");
        assert_eq!(slug("(x)"), "x");
        let long = slug("HLTH-Animal Failure to Restrain Animal, Known Owner/Known Address");
        assert_eq!(long, "hlth-animal-failure-to-restrain-animal-k");
    }

    #[test]
    fn a_twelve_hour_clock_and_a_date_alone_are_read() {
        let format = "%m/%d/%Y %I:%M:%S %p";
        let read = |text| civil_time(format, text).map(|time| time.to_string());
        assert_eq!(
            read("04/12/2018 12:45:48 PM").as_deref(),
            Some("2018-04-12T12:45:48")
        );
        assert_eq!(
            read("04/12/2018 12:45:48 AM").as_deref(),
            Some("2018-04-12T00:45:48")
        );
        assert_eq!(read("2018-04-12"), None);
        let midnight = civil_time("%Y-%m-%d", "2018-02-08").map(|time| time.to_string());
        assert_eq!(midnight.as_deref(), Some("2018-02-08T00:00:00"));
    }

    #[test]
    fn the_last_three_digits_are_the_part() {
        assert_eq!(last_digits("10014").as_deref(), Some("014"));
        assert_eq!(last_digits("100").as_deref(), Some("100"));
        assert_eq!(last_digits("10"), None);
        assert_eq!(last_digits("1a14"), None);
        assert_eq!(last_digits("社区"), None);
    }
}
