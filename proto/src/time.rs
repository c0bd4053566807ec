//! Moments, days and the district's zone. The core has no clock: whoever calls says what time it is.

use std::{fmt, str::FromStr};

use jiff::{civil, tz};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::code::{Code, Coded};

/// A moment, in milliseconds of UTC since 1970, from 1970 up to the year 2200. In JSON it is RFC 3339.
/// The default is the beginning of 1970.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Why something is not a moment or a day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not RFC 3339.
    #[error("'{text}' is not a time such as 2026-11-23T08:30:00+08:00")]
    Syntax {
        /// What was read, cut to 60 characters.
        text: String,
    },
    /// Before 1970 or after 2200.
    #[error("the time lies outside the years 1970 to 2200")]
    Range,
    /// Not a civil date.
    #[error("'{text}' is not a date such as 2026-11-23")]
    Date {
        /// What was read, cut to 60 characters.
        text: String,
    },
    /// Not a zone of the IANA database.
    #[error("'{name}' is not a time zone such as Asia/Shanghai")]
    Zone {
        /// The name given.
        name: String,
    },
}

impl Coded for TimeError {
    fn code(&self) -> Code {
        Code(12)
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(60).collect()
}

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// 2200-01-01T00:00:00Z.
    const END: i64 = 7_258_118_400_000;

    /// A moment from milliseconds since 1970 (UTC).
    ///
    /// # Errors
    /// Outside 1970 to 2200.
    pub fn from_millis(millis: i64) -> Result<Self, TimeError> {
        if (0..Self::END).contains(&millis) {
            Ok(Self(millis))
        } else {
            Err(TimeError::Range)
        }
    }

    /// Milliseconds since 1970 (UTC).
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970 (UTC), rounded down, as tokens count them.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0.unsigned_abs() / 1000
    }

    /// The moment so many milliseconds later; it stops at the ends of the range.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis).clamp(0, Self::END - 1))
    }

    /// Milliseconds from the other moment to this one; negative when the other is later.
    #[must_use]
    pub const fn since(self, other: Self) -> i64 {
        self.0 - other.0
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let parsed: jiff::Timestamp = text.parse().map_err(|_| TimeError::Syntax {
            text: excerpt(text),
        })?;
        Self::from_millis(parsed.as_millisecond())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => write!(f, "{moment:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Deserializes from a text in formats for people and from the number elsewhere.
struct TextVisitor<T>(std::marker::PhantomData<T>, &'static str);

impl<T: FromStr<Err = TimeError>> de::Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let expected = "a time such as 2026-11-23T08:30:00+08:00, as a string";
            deserializer.deserialize_str(TextVisitor(std::marker::PhantomData, expected))
        } else {
            Self::from_millis(i64::deserialize(deserializer)?).map_err(de::Error::custom)
        }
    }
}

/// A civil day of the district's zone. In JSON it is `2026-11-23`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(civil::Date);

impl Day {
    /// Days since 1970-01-01, as in the keys of views.
    #[must_use]
    pub fn number(self) -> i32 {
        let epoch = civil::date(1970, 1, 1);
        epoch.until(self.0).map_or(0, |span| span.get_days())
    }

    /// The day of this number; none outside the calendar.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        let span = jiff::Span::new().try_days(number).ok()?;
        civil::date(1970, 1, 1).checked_add(span).ok().map(Self)
    }
}

impl Day {
    /// The year it lies in.
    #[must_use]
    pub fn year(self) -> i16 {
        self.0.year()
    }

    /// Whether it is a Saturday or a Sunday.
    #[must_use]
    pub fn is_weekend(self) -> bool {
        matches!(
            self.0.weekday(),
            civil::Weekday::Saturday | civil::Weekday::Sunday
        )
    }

    /// The day of the week.
    #[must_use]
    pub fn weekday(self) -> Weekday {
        let monday = self.0.weekday().to_monday_zero_offset();
        let index = usize::try_from(monday).unwrap_or(0);
        Weekday::ALL[index % Weekday::ALL.len()]
    }

    /// The first and the last day of a year; none outside 1970 to 2199.
    #[must_use]
    pub fn of_year(year: i16) -> Option<(Self, Self)> {
        let known = (1970..=2199).contains(&year);
        known.then(|| {
            let (first, last) = (civil::date(year, 1, 1), civil::date(year, 12, 31));
            (Self(first), Self(last))
        })
    }

    /// The civil time so many minutes after its midnight.
    #[must_use]
    pub fn at(self, minutes: i64) -> civil::DateTime {
        let midnight = self.0.to_datetime(civil::Time::midnight());
        midnight.saturating_add(jiff::SignedDuration::from_mins(minutes))
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weekday {
    /// 星期一
    Monday,
    /// 星期二
    Tuesday,
    /// 星期三
    Wednesday,
    /// 星期四
    Thursday,
    /// 星期五
    Friday,
    /// 星期六
    Saturday,
    /// 星期日
    Sunday,
}

impl Weekday {
    /// All of them, Monday first.
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    /// Its name, such as `monday`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Monday => "monday",
            Self::Tuesday => "tuesday",
            Self::Wednesday => "wednesday",
            Self::Thursday => "thursday",
            Self::Friday => "friday",
            Self::Saturday => "saturday",
            Self::Sunday => "sunday",
        }
    }
}

impl FromStr for Day {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        text.parse().map(Self).map_err(|_| TimeError::Date {
            text: excerpt(text),
        })
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.number().serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let expected = "a date such as 2026-11-23, as a string";
            deserializer.deserialize_str(TextVisitor(std::marker::PhantomData, expected))
        } else {
            Self::from_number(i32::deserialize(deserializer)?)
                .ok_or_else(|| de::Error::custom("day outside the calendar"))
        }
    }
}

macro_rules! string_schema {
    ($name:ident, $format:ident, $example:literal) => {
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(
                        utoipa::openapi::KnownFormat::$format,
                    )))
                    .examples([$example])
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
        }
    };
}

string_schema!(Timestamp, DateTime, "2026-11-23T08:30:00+08:00");
string_schema!(Day, Date, "2026-11-23");

/// The zone in which a district counts its days and shows its times.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(tz::TimeZone);

impl Zone {
    /// The zone of this IANA name.
    ///
    /// # Errors
    /// A name that the database does not hold.
    pub fn named(name: &str) -> Result<Self, TimeError> {
        tz::TimeZone::get(name)
            .map(Self)
            .map_err(|_| TimeError::Zone {
                name: excerpt(name),
            })
    }

    /// The civil day in which the moment falls.
    #[must_use]
    pub fn day_of(&self, moment: Timestamp) -> Day {
        let instant = jiff::Timestamp::from_millisecond(moment.0).unwrap_or_default();
        Day(self.0.to_datetime(instant).date())
    }

    /// The moment of a civil date and time of this zone; of a time that the clocks show twice the
    /// first, of one that they skip the one just as far after the gap.
    ///
    /// # Errors
    /// Outside 1970 to 2200.
    pub fn moment_of(&self, local: civil::DateTime) -> Result<Timestamp, TimeError> {
        let instant = self
            .0
            .to_ambiguous_timestamp(local)
            .compatible()
            .map_err(|_| TimeError::Range)?;
        Timestamp::from_millis(instant.as_millisecond())
    }

    /// The civil date and time that the zone's clocks show at the moment.
    #[must_use]
    pub fn local(&self, moment: Timestamp) -> civil::DateTime {
        self.0
            .to_datetime(jiff::Timestamp::from_millisecond(moment.0).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_the_districts_day() {
        let shanghai = Zone::named("Asia/Shanghai").unwrap();
        let before: Timestamp = "2026-11-22T15:59:59.999Z".parse().unwrap();
        assert_eq!(shanghai.day_of(before).to_string(), "2026-11-22");
        assert_eq!(
            shanghai.day_of(before.plus_millis(1)).to_string(),
            "2026-11-23"
        );
    }

    #[test]
    fn days_survive_their_number() {
        for text in ["1970-01-01", "2024-02-29", "2026-11-23", "2199-12-31"] {
            let day: Day = text.parse().unwrap();
            assert_eq!(Day::from_number(day.number()), Some(day));
        }
    }

    #[test]
    fn absurd_times_are_refused() {
        for text in ["2200-01-01T00:00:00Z", "1969-12-31T23:59:59Z"] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimeError::Range));
        }
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-11-23 08:30"] {
            assert!(
                matches!(text.parse::<Timestamp>(), Err(TimeError::Syntax { .. })),
                "{text}"
            );
        }
    }
}
