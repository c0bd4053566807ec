//! The service clock: it runs while somebody is on duty, and limits in working time are counted by it.
//!
//! The hours follow the kind of the day. In the East District of Panzhihua they are "8+2" on workdays, eight
//! fixed hours and two at midday, and "5+2" on weekends, 9:00 to 17:00 (domain notes of the district).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    calendar::{Calendar, CalendarError, DayKind},
    code::{Code, Coded},
    time::{Day, Timestamp, Zone},
};

/// A time of day, in minutes from midnight: 0 to 1,440. Written `08:30`; the end of a day is `24:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// 00:00
    pub const MIDNIGHT: Self = Self(0);
}

/// Hours of a day: from, and up to but not with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// The first minute.
    pub from: TimeOfDay,
    /// The first minute after.
    pub to: TimeOfDay,
}

/// The hours of service, by kind of day, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceHours {
    /// On workdays.
    pub workday: Vec<Hours>,
    /// On Saturdays and Sundays.
    pub weekend: Vec<Hours>,
    /// On public holidays.
    pub holiday: Vec<Hours>,
}

/// Why a clock is none, or does not tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// The calendar ends before the moment asked for.
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    /// Hours that end before they begin, overlap, or are not in order.
    #[error("the hours of a {day} are not in order: {from} to {to}")]
    Disorder {
        /// The kind of day.
        day: &'static str,
        /// The hours at fault: from.
        from: TimeOfDay,
        /// To.
        to: TimeOfDay,
    },
    /// Nobody is ever on duty on workdays.
    #[error("no hours of service on workdays")]
    NoHours,
    /// The zone skips a time.
    #[error("the zone has no {from} on {day}")]
    Zone {
        /// The day.
        day: Day,
        /// The time.
        from: TimeOfDay,
    },
}

impl Coded for ClockError {
    fn code(&self) -> Code {
        match self {
            Self::Calendar(error) => error.code(),
            _ => Code(193),
        }
    }
}

/// A stretch of service time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    /// When it begins and ends, in milliseconds since 1970.
    from: i64,
    to: i64,
    /// Service time of all stretches before, in milliseconds.
    before: i64,
}

/// A clock that runs during the hours of service.
///
/// All stretches of the calendar's years are laid out once, about one a day: reading the clock is a search
/// among them.
#[derive(Clone, Debug)]
pub struct ServiceClock {
    zone: Zone,
    calendar: Calendar,
    open: Vec<Open>,
    /// For each day of the calendar the end of its service, and how many workdays there are up to it.
    days: Vec<DayEnd>,
    /// The days before the first and after the last are not known.
    first: Day,
}

/// How a day ends.
#[derive(Clone, Copy, Debug)]
struct DayEnd {
    /// The last moment of service; none on days without.
    closes: Option<Timestamp>,
    /// Workdays up to it and with it, from the calendar's first day on.
    workdays: u32,
}

impl ServiceClock {
    /// Lays out the hours over the calendar.
    ///
    /// # Errors
    /// Hours out of order, none on workdays, or a time that the zone skips.
    pub fn new(zone: Zone, hours: &ServiceHours, calendar: Calendar) -> Result<Self, ClockError> {
        hours.check()?;
        let (first, last) = calendar.span();
        let (mut open, mut days) = (Vec::new(), Vec::new());
        let (mut before, mut workdays) = (0, 0);
        for day in (first.number()..=last.number()).filter_map(Day::from_number) {
            let kind = calendar.kind(day)?;
            if kind == DayKind::Workday {
                workdays += 1;
            }
            let mut closes = None;
            for stretch in hours.of(kind) {
                let from = moment(&zone, day, stretch.from)?;
                let to = moment(&zone, day, stretch.to)?;
                open.push(Open {
                    from: from.millis(),
                    to: to.millis(),
                    before,
                });
                before += to.since(from);
                closes = Some(to);
            }
            days.push(DayEnd { closes, workdays });
        }
        Ok(Self {
            zone,
            calendar,
            open,
            days,
            first,
        })
    }

    /// The same clock, standing still on every day that is not worked: what limits in workdays run by.
    #[must_use]
    pub fn on_workdays(&self) -> Self {
        let mut before = 0;
        let worked = |open: &&Open| {
            let from = Timestamp::from_millis(open.from);
            let kind = from.map(|from| self.calendar.kind(self.zone.day_of(from)));
            matches!(kind, Ok(Ok(DayKind::Workday)))
        };
        let open = self.open.iter().filter(worked).map(|open| {
            let open = Open { before, ..*open };
            before = open.end();
            open
        });
        Self {
            open: open.collect(),
            ..self.clone()
        }
    }

    /// Whether service runs at the moment.
    ///
    /// # Errors
    /// [`CalendarError::UnknownYear`].
    pub fn is_open(&self, moment: Timestamp) -> Result<bool, ClockError> {
        self.known(moment)?;
        let at = moment.millis();
        let next = self.open.partition_point(|open| open.to <= at);
        Ok(self.open.get(next).is_some_and(|open| open.from <= at))
    }

    /// Service time between two moments, in milliseconds; negative when `to` comes before `from`.
    ///
    /// # Errors
    /// [`CalendarError::UnknownYear`].
    pub fn between(&self, from: Timestamp, to: Timestamp) -> Result<i64, ClockError> {
        Ok(self.reading(to)? - self.reading(from)?)
    }

    /// The moment at which so many milliseconds of service time have passed since `from`: never within
    /// closed hours, at most their beginning. Of zero the moment itself, or the next opening.
    ///
    /// # Errors
    /// [`CalendarError::UnknownYear`] when that moment lies beyond the calendar.
    pub fn after(&self, from: Timestamp, millis: i64) -> Result<Timestamp, ClockError> {
        let reading = self.reading(from)?;
        let wanted = reading + millis.max(0);
        let found = match millis > 0 {
            true => self.open.partition_point(|open| open.end() < wanted),
            false => self.open.partition_point(|open| open.to <= from.millis()),
        };
        let Some(open) = self.open.get(found) else {
            let year = self.calendar.span().1.year() + 1;
            return Err(CalendarError::UnknownYear { year }.into());
        };
        let at = open.from + (wanted - open.before);
        // Within the range of timestamps, since the stretch is.
        Ok(from.plus_millis(at - from.millis()))
    }

    /// The end of service on the workday that is so many workdays after the day of `from`: a limit in
    /// working days does not count the day on which it begins.
    ///
    /// # Errors
    /// [`CalendarError::UnknownYear`] when that day lies beyond the calendar.
    pub fn after_workdays(&self, from: Timestamp, count: u32) -> Result<Timestamp, ClockError> {
        let day = self.known(from)?;
        let number = i64::from(day.number()) - i64::from(self.first.number());
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        let wanted = self.days.get(index).map_or(0, |day| day.workdays) + count.max(1);
        let found = self.days.partition_point(|day| day.workdays < wanted);
        match self.days.get(found).and_then(|day| day.closes) {
            Some(closes) => Ok(closes),
            None => {
                let year = self.calendar.span().1.year() + 1;
                Err(CalendarError::UnknownYear { year }.into())
            }
        }
    }

    /// How many days after today the calendar knows.
    ///
    /// # Errors
    /// [`CalendarError::UnknownYear`] when it does not know today.
    pub fn days_left(&self, today: Day) -> Result<i32, ClockError> {
        self.calendar.kind(today)?;
        Ok(self.last_day().number() - today.number())
    }

    /// The last day that the clock knows.
    #[must_use]
    pub fn last_day(&self) -> Day {
        self.calendar.span().1
    }

    /// Service time from the calendar's first day up to the moment, in milliseconds.
    fn reading(&self, moment: Timestamp) -> Result<i64, ClockError> {
        self.known(moment)?;
        let at = moment.millis();
        let found = self.open.partition_point(|open| open.to <= at);
        Ok(match self.open.get(found) {
            Some(open) => open.before + (at - open.from).max(0),
            None => self.open.last().map_or(0, Open::end),
        })
    }

    fn known(&self, moment: Timestamp) -> Result<Day, ClockError> {
        let day = self.zone.day_of(moment);
        self.calendar.kind(day)?;
        Ok(day)
    }
}

impl Open {
    /// Service time up to its end.
    fn end(&self) -> i64 {
        self.before + self.to - self.from
    }
}

impl ServiceHours {
    fn of(&self, kind: DayKind) -> &[Hours] {
        match kind {
            DayKind::Workday => &self.workday,
            DayKind::Weekend => &self.weekend,
            DayKind::Holiday => &self.holiday,
        }
    }

    fn check(&self) -> Result<(), ClockError> {
        if self.workday.is_empty() {
            return Err(ClockError::NoHours);
        }
        for (day, hours) in [
            ("workday", &self.workday),
            ("weekend", &self.weekend),
            ("holiday", &self.holiday),
        ] {
            let mut free_from = TimeOfDay(0);
            for Hours { from, to } in hours {
                if *from < free_from || to <= from {
                    let (from, to) = (*from, *to);
                    return Err(ClockError::Disorder { day, from, to });
                }
                free_from = *to;
            }
        }
        Ok(())
    }
}

pub(crate) fn moment(zone: &Zone, day: Day, time: TimeOfDay) -> Result<Timestamp, ClockError> {
    let skipped = |_| ClockError::Zone { day, from: time };
    let local = day.at(i64::from(time.0));
    zone.moment_of(local).map_err(skipped)
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl std::str::FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(hour, minute)| {
            let whole = hour.len() == 2 && minute.len() == 2;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            let minutes = hour * 60 + minute;
            (whole && minute < 60 && minutes <= 24 * 60).then_some(Self(minutes))
        });
        parsed.ok_or_else(|| format!("'{text}' is no time of day, such as 08:30"))
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
