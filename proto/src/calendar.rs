//! Which days are worked: public holidays and the weekends worked in exchange, year by year.
//!
//! In China the State Council publishes both each autumn for the year after. A year that is not loaded is
//! not known, and nothing is guessed from weekends.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    code::{Code, Coded},
    time::Day,
};

/// The days of one year that are not what their weekday says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarYear {
    /// The year.
    pub year: i16,
    /// Days off, Saturdays and Sundays within a holiday among them.
    pub holidays: Vec<Day>,
    /// Saturdays and Sundays that are worked in exchange.
    pub workdays: Vec<Day>,
}

impl CalendarYear {
    /// Every year has holidays; one without any was not published, and would pass for plain weekends.
    ///
    /// # Errors
    /// [`CalendarError::NoHolidays`].
    pub fn check_published(&self) -> Result<(), CalendarError> {
        match self.holidays.is_empty() {
            true => Err(CalendarError::NoHolidays { year: self.year }),
            false => Ok(()),
        }
    }
}

/// What a day is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayKind {
    /// Worked: Monday to Friday, or a weekend worked in exchange.
    Workday,
    /// A Saturday or Sunday.
    Weekend,
    /// A public holiday.
    Holiday,
}

/// Why a calendar does not tell what a day is, or is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// The year is not loaded.
    #[error("the calendar does not know {year}: add the year's file")]
    UnknownYear {
        /// The year.
        year: i16,
    },
    /// A year outside 1970 to 2199.
    #[error("{year} is no year of a calendar: 1970 to 2199 are")]
    Range {
        /// The year.
        year: i16,
    },
    /// No year at all.
    #[error("the calendar has no year")]
    Empty,
    /// The years do not follow each other.
    #[error("the calendar has no {year} between years that it has")]
    MissingYear {
        /// The first year that is missing.
        year: i16,
    },
    /// A year without any holiday.
    #[error("the calendar of {year} has no holiday: give the days that were published for it")]
    NoHolidays {
        /// The year.
        year: i16,
    },
    /// A year is there twice.
    #[error("the calendar has {year} twice")]
    RepeatedYear {
        /// The year.
        year: i16,
    },
    /// A day is in the file of another year.
    #[error("{day} stands in the calendar of {year}")]
    OtherYear {
        /// The day.
        day: Day,
        /// The year whose file it stands in.
        year: i16,
    },
    /// A day is a holiday and worked, or named twice.
    #[error("{day} is named twice in the calendar")]
    RepeatedDay {
        /// The day.
        day: Day,
    },
    /// A day that is worked anyway is named as worked in exchange.
    #[error("{day} is no Saturday or Sunday, and is named as worked in exchange")]
    NoWeekend {
        /// The day.
        day: Day,
    },
}

impl Coded for CalendarError {
    fn code(&self) -> Code {
        match self {
            Self::UnknownYear { .. } => Code(191),
            _ => Code(192),
        }
    }
}

/// Which days are worked, over a span of whole years.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    first: Day,
    last: Day,
    exceptions: BTreeMap<Day, DayKind>,
}

impl Calendar {
    /// A calendar of years that follow each other, given in any order.
    ///
    /// # Errors
    /// Any [`CalendarError`] but an unknown year.
    pub fn of(years: &[CalendarYear]) -> Result<Self, CalendarError> {
        let mut numbers: Vec<_> = years.iter().map(|year| year.year).collect();
        numbers.sort_unstable();
        let (Some(&first), Some(&last)) = (numbers.first(), numbers.last()) else {
            return Err(CalendarError::Empty);
        };
        for (year, next) in numbers.iter().zip(numbers.iter().skip(1)) {
            if next == year {
                return Err(CalendarError::RepeatedYear { year: *year });
            }
            if *next != year + 1 {
                return Err(CalendarError::MissingYear { year: year + 1 });
            }
        }
        let whole = |year| Day::of_year(year).ok_or(CalendarError::Range { year });
        let ((first, _), (_, last)) = (whole(first)?, whole(last)?);
        let mut exceptions = BTreeMap::new();
        for year in years {
            let holidays = year.holidays.iter().map(|day| (*day, DayKind::Holiday));
            let workdays = year.workdays.iter().map(|day| (*day, DayKind::Workday));
            for (day, kind) in holidays.chain(workdays) {
                if day.year() != year.year {
                    let year = year.year;
                    return Err(CalendarError::OtherYear { day, year });
                }
                if kind == DayKind::Workday && !day.is_weekend() {
                    return Err(CalendarError::NoWeekend { day });
                }
                if exceptions.insert(day, kind).is_some() {
                    return Err(CalendarError::RepeatedDay { day });
                }
            }
        }
        Ok(Self {
            first,
            last,
            exceptions,
        })
    }

    /// What the day is.
    ///
    /// # Errors
    /// [`CalendarError::UnknownYear`].
    pub fn kind(&self, day: Day) -> Result<DayKind, CalendarError> {
        if !(self.first..=self.last).contains(&day) {
            let year = day.year();
            return Err(CalendarError::UnknownYear { year });
        }
        Ok(match self.exceptions.get(&day) {
            Some(kind) => *kind,
            None if day.is_weekend() => DayKind::Weekend,
            None => DayKind::Workday,
        })
    }

    /// The first and the last day that it knows.
    #[must_use]
    pub fn span(&self) -> (Day, Day) {
        (self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn year(year: i16, holidays: &[&str], workdays: &[&str]) -> CalendarYear {
        let days = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        CalendarYear {
            year,
            holidays: days(holidays),
            workdays: days(workdays),
        }
    }

    #[test]
    fn holidays_and_weekends_worked_in_exchange_go_before_weekdays() {
        let calendar = Calendar::of(&[
            year(2027, &[], &[]),
            year(2026, &["2026-10-01", "2026-10-03"], &["2026-10-10"]),
        ])
        .unwrap();
        for (day, kind) in [
            ("2026-09-30", DayKind::Workday),
            ("2026-10-01", DayKind::Holiday),
            ("2026-10-03", DayKind::Holiday),
            ("2026-10-04", DayKind::Weekend),
            ("2026-10-10", DayKind::Workday),
            ("2027-01-01", DayKind::Workday),
        ] {
            assert_eq!(calendar.kind(day.parse().unwrap()), Ok(kind), "{day}");
        }
        let (first, last) = calendar.span();
        assert_eq!(
            (first.to_string(), last.to_string()),
            ("2026-01-01".into(), "2027-12-31".into())
        );
    }

    #[test]
    fn a_year_that_is_not_loaded_is_not_guessed() {
        let calendar = Calendar::of(&[year(2026, &[], &[])]).unwrap();
        for day in ["2025-12-31", "2027-01-01"] {
            let day: Day = day.parse().unwrap();
            let year = day.year();
            assert_eq!(calendar.kind(day), Err(CalendarError::UnknownYear { year }));
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let day = |text: &str| text.parse::<Day>().unwrap();
        for (years, error) in [
            (vec![], CalendarError::Empty),
            (
                vec![year(i16::MAX, &[], &[])],
                CalendarError::Range { year: i16::MAX },
            ),
            (
                vec![year(2024, &[], &[]), year(2026, &[], &[])],
                CalendarError::MissingYear { year: 2025 },
            ),
            (
                vec![year(2026, &[], &[]), year(2026, &[], &[])],
                CalendarError::RepeatedYear { year: 2026 },
            ),
            (
                vec![year(2026, &["2025-12-31"], &[])],
                CalendarError::OtherYear {
                    day: day("2025-12-31"),
                    year: 2026,
                },
            ),
            (
                vec![year(2026, &["2026-10-10"], &["2026-10-10"])],
                CalendarError::RepeatedDay {
                    day: day("2026-10-10"),
                },
            ),
            (
                vec![year(2026, &[], &["2026-10-09"])],
                CalendarError::NoWeekend {
                    day: day("2026-10-09"),
                },
            ),
        ] {
            assert_eq!(Calendar::of(&years), Err(error));
        }
    }
}
