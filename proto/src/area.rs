//! Levels and codes of areas: district 区 > street 街道 or town 镇 > community 社区 > grid 网格.
//!
//! Codes are the statistical codes of the areas: six digits for a district, three more for a street or
//! town, three more for a community, and two or three more for a grid, so that the code of an area
//! begins with the code of the area it lies in.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

use crate::code::{Code, Coded};

/// A rung of the administrative ladder, lowest first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// 网格
    Grid,
    /// 社区
    Community,
    /// 街道 or 镇
    Street,
    /// 区
    District,
    /// 市; cases go there, but a district's files hold no area of this level.
    City,
}

impl Level {
    /// All levels, lowest first.
    pub const ALL: [Self; 5] = [
        Self::Grid,
        Self::Community,
        Self::Street,
        Self::District,
        Self::City,
    ];

    /// The next rung up; none above the city.
    #[must_use]
    pub fn above(self) -> Option<Self> {
        Self::ALL.get(self.index() + 1).copied()
    }

    /// Place in [`Self::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// Last token of the subject of an area's own events: there is a centre 综治中心 at each level above the grid.
const CENTRE: &str = "centre";

/// The code of an area of a district: its digits, and through their number its level.
///
/// Codes order as their digits do, an area before all that lie in it: unused digits are zero bytes, which are below
/// every digit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AreaCode {
    digits: [u8; AreaCode::LONGEST],
    length: u8,
}

/// Why a text is not an area code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not an area code: 6 digits for a district, 9 for a street or town, 12 for a community, 14 or 15 for a grid"
)]
pub struct AreaCodeError {
    text: String,
}

impl Coded for AreaCodeError {
    fn code(&self) -> Code {
        Code(10)
    }
}

impl AreaCode {
    const LONGEST: usize = 15;
    const DISTRICT: usize = 6;
    const STREET: usize = 9;
    const COMMUNITY: usize = 12;

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits[..usize::from(self.length)])
            .expect("an area code holds ASCII digits only")
    }

    /// The rung that this area stands on.
    #[must_use]
    pub fn level(&self) -> Level {
        match usize::from(self.length) {
            Self::DISTRICT => Level::District,
            Self::STREET => Level::Street,
            Self::COMMUNITY => Level::Community,
            _ => Level::Grid,
        }
    }

    /// The district that this area lies in; a district lies in itself.
    #[must_use]
    pub fn district(&self) -> Self {
        self.prefix(Self::DISTRICT)
    }

    /// The area one rung up; none for a district.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        match self.level() {
            Level::Grid => Some(self.prefix(Self::COMMUNITY)),
            Level::Community => Some(self.prefix(Self::STREET)),
            Level::Street => Some(self.prefix(Self::DISTRICT)),
            Level::District | Level::City => None,
        }
    }

    /// This area and all that it lies in, from itself up to the district.
    pub fn and_ancestors(self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self), Self::parent)
    }

    /// The area of the given level that this area lies in, or itself. The city has no area of its own
    /// in a district, so the district stands for it. None for a level below this area's own.
    #[must_use]
    pub fn at(self, level: Level) -> Option<Self> {
        let level = level.min(Level::District);
        self.and_ancestors().find(|area| area.level() == level)
    }

    /// Whether the other area is this one or lies in it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.and_ancestors().any(|area| area == *self)
    }

    fn prefix(&self, length: usize) -> Self {
        let mut digits = [0; Self::LONGEST];
        digits[..length].copy_from_slice(&self.digits[..length]);
        Self {
            digits,
            length: u8::try_from(length).unwrap_or(u8::MAX),
        }
    }

    /// The subject of the area's own events: `evt.510402.002.005.07` for grid `51040200200507`, and
    /// `evt.510402.002.005.centre` for what is the matter of community `510402002005` itself. So a street is a
    /// wildcard that has its own events and those of all that lies in it.
    #[must_use]
    pub fn subject(&self) -> String {
        match self.level() {
            Level::Grid => self.subject_of_events(),
            _ => format!("{}.{CENTRE}", self.subject_of_events()),
        }
    }

    /// The subjects of all events of this area and those in it: for a grid its own, else a wildcard.
    #[must_use]
    pub fn subject_filter(&self) -> String {
        match self.level() {
            Level::Grid => self.subject_of_events(),
            _ => format!("{}.>", self.subject_of_events()),
        }
    }

    fn subject_of_events(&self) -> String {
        let code = self.as_str();
        let mut subject = format!("evt.{}", &code[..Self::DISTRICT]);
        let ends = [Self::STREET, Self::COMMUNITY, Self::LONGEST];
        let mut start = Self::DISTRICT;
        for end in ends {
            let end = end.min(code.len());
            if start < end {
                subject.push('.');
                subject.push_str(&code[start..end]);
            }
            start = end;
        }
        subject
    }

    /// The area whose own events have this subject; the inverse of [`Self::subject`].
    #[must_use]
    pub fn from_subject(subject: &str) -> Option<Self> {
        let rest = subject.strip_prefix("evt.")?;
        let rest = rest.strip_suffix(CENTRE).unwrap_or(rest);
        let code: Self = rest.replace('.', "").parse().ok()?;
        (code.subject() == subject).then_some(code)
    }
}

impl FromStr for AreaCode {
    type Err = AreaCodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = matches!(
            text.len(),
            Self::DISTRICT | Self::STREET | Self::COMMUNITY | 14 | 15
        );
        if !known || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(AreaCodeError {
                text: text.chars().take(40).collect(),
            });
        }
        let mut digits = [0; Self::LONGEST];
        digits[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self {
            digits,
            length: u8::try_from(text.len()).unwrap_or(u8::MAX),
        })
    }
}

impl fmt::Display for AreaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AreaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Hash for AreaCode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The length follows from the digits.
        let mut bytes = [0; 16];
        bytes[..Self::LONGEST].copy_from_slice(&self.digits);
        state.write_u128(u128::from_ne_bytes(bytes));
    }
}

impl Serialize for AreaCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AreaCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = AreaCode;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an area code of 6, 9, 12, 14 or 15 digits, as a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<AreaCode, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

impl utoipa::PartialSchema for AreaCode {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some("Statistical code of an area: 6 digits district, 9 street or town, 12 community, 14 or 15 grid"))
            .pattern(Some("^[0-9]{6}([0-9]{3}([0-9]{3}([0-9]{2,3})?)?)?$"))
            .examples(["51040200200507"])
            .into()
    }
}

impl ToSchema for AreaCode {
    fn name() -> std::borrow::Cow<'static, str> {
        "AreaCode".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(text: &str) -> AreaCode {
        text.parse().unwrap()
    }

    #[test]
    fn a_code_knows_its_level_and_ancestors() {
        let grid = area("51040200200507");
        assert_eq!(grid.level(), Level::Grid);
        let all: Vec<_> = grid.and_ancestors().map(|a| a.to_string()).collect();
        assert_eq!(
            all,
            ["51040200200507", "510402002005", "510402002", "510402"]
        );
        assert_eq!(grid.at(Level::Street), Some(area("510402002")));
        assert_eq!(grid.at(Level::City), Some(area("510402")));
        assert_eq!(area("510402002").at(Level::Grid), None);
    }

    #[test]
    fn codes_order_as_their_digits_and_an_area_before_what_lies_in_it() {
        let texts = [
            "510402",
            "510402002",
            "510402002000",
            "51040200200000",
            "510402002000000",
            "51040200200001",
            "510402002005",
            "510402003",
            "510403",
        ];
        assert!(texts.is_sorted());
        assert!(texts.map(area).is_sorted());
    }

    #[test]
    fn a_grid_of_two_digits_does_not_contain_one_of_three() {
        assert!(!area("51040200200507").contains(&area("510402002005071")));
        assert!(area("510402002").contains(&area("510402002005071")));
        assert!(!area("510402002").contains(&area("510402")));
    }

    #[test]
    fn subjects_make_a_street_a_wildcard() {
        assert_eq!(area("51040200200507").subject(), "evt.510402.002.005.07");
        assert_eq!(area("510402002005071").subject(), "evt.510402.002.005.071");
        assert_eq!(area("510402002").subject_filter(), "evt.510402.002.>");
        assert_eq!(area("510402").subject_filter(), "evt.510402.>");
        assert_eq!(area("510402").subject(), "evt.510402.centre");
        let codes = [
            "51040200200507",
            "510402002005071",
            "510402002005",
            "510402002",
            "510402",
        ];
        for area in codes.map(area) {
            assert_eq!(AreaCode::from_subject(&area.subject()), Some(area));
        }
        for foreign in [
            "evt.510402.00.2005.07",
            "evt.510402.002",
            "evt.510402.002centre",
            "evt.510402.002.005.07.centre",
        ] {
            assert_eq!(AreaCode::from_subject(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn what_is_not_a_code_is_refused() {
        for text in [
            "",
            "5104",
            "51040x",
            "510402002005",
            "５１０４０２",
            "5104020020050",
            "-51040",
        ] {
            let parsed = text.parse::<AreaCode>();
            assert_eq!(parsed.is_ok(), text == "510402002005", "{text}");
        }
    }
}
