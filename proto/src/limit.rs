//! How long something may take, and by which clock.
//!
//! Digital city management counts in three units (GB/T 30428, as the field uses it): emergency hours that run
//! day and night, working hours, and working days.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A limit. Written `30 minutes`, `4 hours`, `2 days` for time that runs day and night, `30 service minutes`,
/// `4 service hours` for time that runs during the hours of service, and `7 workdays`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// 紧急工作时: day and night, in minutes.
    Natural(u32),
    /// 工作时: during the hours of service, in minutes.
    Service(u32),
    /// 工作日: up to the end of service of the workday so many after the day it begins on.
    Workdays(u32),
}

const HOUR: u32 = 60;
const DAY: u32 = 24 * HOUR;

impl Limit {
    /// Whether it needs to know the hours of service.
    #[must_use]
    pub fn needs_service(self) -> bool {
        !matches!(self, Self::Natural(_))
    }

    /// Whether it runs by the same clock as another one.
    #[must_use]
    pub fn runs_as(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// Whether it is longer than another one that runs by the same clock.
    #[must_use]
    pub fn exceeds(self, other: Self) -> bool {
        match (self, other) {
            (Self::Natural(one), Self::Natural(other))
            | (Self::Service(one), Self::Service(other))
            | (Self::Workdays(one), Self::Workdays(other)) => one > other,
            _ => false,
        }
    }

    /// Whether it is more than nothing and at most 366 days long.
    #[must_use]
    pub fn is_sensible(self) -> bool {
        match self {
            Self::Natural(minutes) | Self::Service(minutes) => (1..=366 * DAY).contains(&minutes),
            Self::Workdays(days) => (1..=366).contains(&days),
        }
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "'{text}' is no limit, such as 30 minutes, 4 hours, 2 days, 4 service hours or 7 workdays"
            )
        };
        let mut words = text.split(' ');
        let number: u32 = words
            .next()
            .and_then(|word| word.parse().ok())
            .ok_or_else(wrong)?;
        let minutes = |unit: &str| match unit {
            "minute" | "minutes" => Some(1),
            "hour" | "hours" => Some(HOUR),
            "day" | "days" => Some(DAY),
            _ => None,
        };
        let times = |unit: &str| number.checked_mul(minutes(unit)?);
        let limit = match (words.next(), words.next(), words.next()) {
            (Some("workday" | "workdays"), None, None) => Some(Self::Workdays(number)),
            (Some("service"), Some(unit), None) if !unit.starts_with("day") => {
                times(unit).map(Self::Service)
            }
            (Some(unit), None, None) => times(unit).map(Self::Natural),
            _ => None,
        };
        limit.ok_or_else(wrong)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match *self {
            Self::Natural(minutes) if minutes % DAY == 0 => (minutes / DAY, "day"),
            Self::Natural(minutes) if minutes % HOUR == 0 => (minutes / HOUR, "hour"),
            Self::Natural(minutes) => (minutes, "minute"),
            Self::Service(minutes) if minutes % HOUR == 0 => (minutes / HOUR, "service hour"),
            Self::Service(minutes) => (minutes, "service minute"),
            Self::Workdays(days) => (days, "workday"),
        };
        let plural = if number == 1 { "" } else { "s" };
        write!(f, "{number} {unit}{plural}")
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_they_are_written() {
        for (text, limit) in [
            ("30 minutes", Limit::Natural(30)),
            ("4 hours", Limit::Natural(240)),
            ("2 days", Limit::Natural(2_880)),
            ("90 service minutes", Limit::Service(90)),
            ("4 service hours", Limit::Service(240)),
            ("7 workdays", Limit::Workdays(7)),
        ] {
            assert_eq!(text.parse(), Ok(limit));
            assert_eq!(limit.to_string(), text);
        }
        for text in ["1 hour", "1 day", "1 workday", "1 service hour"] {
            assert_eq!(text.parse::<Limit>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for text in [
            "",
            "4",
            "hours",
            "4 weeks",
            "-4 hours",
            "4  hours",
            "4 service days",
            "1.5 hours",
            "4 hours long",
            "4294967295 days",
        ] {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
        for limit in [
            Limit::Natural(0),
            Limit::Service(600_000),
            Limit::Workdays(0),
            Limit::Workdays(367),
        ] {
            assert!(!limit.is_sensible(), "{limit:?}");
        }
    }
}
