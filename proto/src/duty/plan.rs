//! The plan of a span of days, as a roster file says it.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

use super::{Member, Shift};
use crate::{
    area::AreaCode,
    calendar::{Calendar, CalendarError, DayKind},
    clock::{ClockError, TimeOfDay, moment},
    code::{Code, Coded},
    id::CommandId,
    text::{names_person, names_post},
    time::{Day, Timestamp, Weekday, Zone},
};

/// Who is on duty in an area over a span of days. It replaces what was planned for them before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The area: a grid, a community, a street or town, or the district for its centre.
    pub area: AreaCode,
    /// The first day.
    pub from: Day,
    /// The last day; at most 366 days in all.
    pub to: Day,
    /// The team: 1 to 500. Where several may stand in, the first of them does.
    #[serde(rename = "member")]
    pub members: Vec<Member>,
    /// When they are on duty: up to 5,000.
    #[serde(rename = "shift", default)]
    pub shifts: Vec<PlannedShift>,
}

/// A member's shift on some of the days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedShift {
    /// Who.
    pub person: String,
    /// On which days.
    #[schema(value_type = Vec<String>, example = json!(["workday", "saturday", "2026-11-28"]))]
    pub on: Vec<On>,
    /// From this time of day.
    #[schema(value_type = String, example = "08:30")]
    pub from: TimeOfDay,
    /// Up to this time of day.
    #[schema(value_type = String, example = "17:30")]
    pub to: TimeOfDay,
}

/// A word for days. Written `workday`, `weekend`, `holiday` for what the calendar says they are, `monday` to
/// `sunday` whatever it says, or `2026-11-28`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Days of a kind.
    Kind(DayKind),
    /// A day of every week.
    Weekday(Weekday),
    /// One day.
    Day(Day),
}

/// What the days of a district are.
#[derive(Clone, Debug)]
pub struct Days {
    /// The zone of its times of day.
    pub zone: Zone,
    /// Which days are worked; none where its policy names no calendar.
    pub calendar: Option<Calendar>,
}

/// Why a plan is none, or a roster is not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The plan is of another area than it was sent to.
    #[error("the plan is of area {planned} and was sent to {area}")]
    OtherArea {
        /// The plan's.
        planned: AreaCode,
        /// Where it was sent.
        area: AreaCode,
    },
    /// The span is reversed or too long.
    #[error("a plan covers 1 to 366 days, from its first to its last")]
    Span,
    /// Too few or too many members or shifts.
    #[error("a plan has 1 to 500 members and up to 5,000 shifts")]
    Size,
    /// A name is empty or too long.
    #[error("{what} has to have {allowed} characters, unlike '{name}'")]
    Name {
        /// Of a person or a post.
        what: &'static str,
        /// How long it may be.
        allowed: &'static str,
        /// The name, cut to 60 characters.
        name: String,
    },
    /// A person or a post is there twice.
    #[error("{what} '{name}' is there twice: each member has one A post, and nobody else has it")]
    Repeated {
        /// Person or post.
        what: &'static str,
        /// Which.
        name: String,
    },
    /// A member stands in for a post that the team does not have, or for the own one.
    #[error("'{person}' cannot stand in for '{post}': it is the own post, or nobody's")]
    StandsIn {
        /// The member.
        person: String,
        /// The post.
        post: String,
    },
    /// Somebody who is no member.
    #[error("'{person}' is no member of the team")]
    NoMember {
        /// Who.
        person: String,
    },
    /// A shift is on no day, on one outside the plan, or ends before it begins.
    #[error("the shift of '{person}' from {from} to {to} {why}")]
    Shift {
        /// Whose.
        person: String,
        /// From.
        from: TimeOfDay,
        /// To.
        to: TimeOfDay,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two shifts of a member overlap.
    #[error("two shifts of '{person}' on {day} overlap")]
    Overlap {
        /// Whose.
        person: String,
        /// The day.
        day: Day,
    },
    /// No such absence.
    #[error("there is no absence {absence}")]
    NoAbsence {
        /// The command named.
        absence: CommandId,
    },
    /// The days cannot be told.
    #[error(transparent)]
    Clock(#[from] ClockError),
}

impl Coded for PlanError {
    fn code(&self) -> Code {
        match self {
            Self::Clock(error) => error.code(),
            Self::NoAbsence { .. } | Self::NoMember { .. } => Code(197),
            _ => Code(195),
        }
    }
}

const LONGEST: i32 = 366;

impl Plan {
    /// Checks what can be checked without the calendar.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn check(&self) -> Result<(), PlanError> {
        if !(1..=LONGEST).contains(&(self.to.number() - self.from.number() + 1)) {
            return Err(PlanError::Span);
        }
        if !(1..=500).contains(&self.members.len()) || self.shifts.len() > 5_000 {
            return Err(PlanError::Size);
        }
        self.check_members()?;
        self.shifts
            .iter()
            .try_for_each(|shift| self.check_shift(shift))
    }

    fn check_members(&self) -> Result<(), PlanError> {
        let (mut persons, mut posts) = (BTreeSet::new(), BTreeSet::new());
        for member in &self.members {
            name("a person's id", &member.person, names_person, "1 to 64")?;
            name("a post", &member.post, names_post, "1 to 100")?;
            for (what, names, name) in [
                ("person", &mut persons, &member.person),
                ("post", &mut posts, &member.post),
            ] {
                if !names.insert(name) {
                    let name = name.clone();
                    return Err(PlanError::Repeated { what, name });
                }
            }
        }
        for member in &self.members {
            for post in member.stands_in_for.iter().flatten() {
                if *post == member.post || !posts.contains(post) {
                    return Err(PlanError::StandsIn {
                        person: member.person.clone(),
                        post: post.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    fn check_shift(&self, shift: &PlannedShift) -> Result<(), PlanError> {
        let PlannedShift {
            person,
            on,
            from,
            to,
        } = shift;
        if !self.members.iter().any(|member| member.person == *person) {
            let person = person.clone();
            return Err(PlanError::NoMember { person });
        }
        let outside = |on: &On| matches!(on, On::Day(day) if !(self.from..=self.to).contains(day));
        let why = match () {
            () if to <= from => "ends before it begins",
            () if on.is_empty() => "is on no day",
            () if on.iter().any(outside) => "is on a day outside the plan",
            () => return Ok(()),
        };
        Err(PlanError::Shift {
            person: person.clone(),
            from: *from,
            to: *to,
            why,
        })
    }

    /// The plan's span as moments: from the first one's midnight up to the midnight after the last.
    ///
    /// # Errors
    /// [`PlanError::Clock`] in a zone that skips that midnight.
    pub fn span(&self, days: &Days) -> Result<(Timestamp, Timestamp), PlanError> {
        let midnight = TimeOfDay::MIDNIGHT;
        let after = Day::from_number(self.to.number() + 1).ok_or(PlanError::Span)?;
        Ok((
            moment(&days.zone, self.from, midnight)?,
            moment(&days.zone, after, midnight)?,
        ))
    }

    /// The shifts, day by day, in order.
    ///
    /// # Errors
    /// Shifts that overlap, and [`PlanError::Clock`] where a shift goes by the calendar and the calendar does not
    /// know the year.
    pub fn laid_out(&self, days: &Days) -> Result<Vec<Shift>, PlanError> {
        let mut all = Vec::new();
        for day in (self.from.number()..=self.to.number()).filter_map(Day::from_number) {
            let mut of_day = Vec::new();
            for shift in &self.shifts {
                if days.any_is(&shift.on, day)? {
                    of_day.push(Shift {
                        from: moment(&days.zone, day, shift.from)?,
                        to: moment(&days.zone, day, shift.to)?,
                        person: shift.person.clone(),
                    });
                }
            }
            of_day.sort_by(|a, b| (&a.person, a.from).cmp(&(&b.person, b.from)));
            let mut pairs = of_day.iter().zip(of_day.iter().skip(1));
            if let Some((one, _)) = pairs.find(|(a, b)| a.person == b.person && b.from < a.to) {
                let person = one.person.clone();
                return Err(PlanError::Overlap { person, day });
            }
            all.extend(of_day);
        }
        all.sort();
        Ok(all)
    }
}

fn name(
    what: &'static str,
    name: &str,
    fine: fn(&str) -> bool,
    allowed: &'static str,
) -> Result<(), PlanError> {
    match fine(name) {
        true => Ok(()),
        false => Err(PlanError::Name {
            what,
            allowed,
            name: name.chars().take(60).collect(),
        }),
    }
}

impl Days {
    /// What a day is.
    ///
    /// # Errors
    /// [`CalendarError::UnknownYear`] when the calendar does not know it.
    pub fn kind(&self, day: Day) -> Result<DayKind, CalendarError> {
        match &self.calendar {
            Some(calendar) => calendar.kind(day),
            None => Err(CalendarError::UnknownYear { year: day.year() }),
        }
    }

    /// Whether one of the words fits a day. The calendar is only asked where a word goes by it.
    ///
    /// # Errors
    /// As [`Days::kind`].
    pub fn any_is(&self, on: &[On], day: Day) -> Result<bool, ClockError> {
        for on in on {
            let fits = match on {
                On::Kind(kind) => self.kind(day)? == *kind,
                On::Weekday(weekday) => day.weekday() == *weekday,
                On::Day(one) => day == *one,
            };
            if fits {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

const KINDS: [(&str, DayKind); 3] = [
    ("workday", DayKind::Workday),
    ("weekend", DayKind::Weekend),
    ("holiday", DayKind::Holiday),
];

impl FromStr for On {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == text) {
            return Ok(Self::Kind(*kind));
        }
        if let Some(weekday) = Weekday::ALL.iter().find(|day| day.name() == text) {
            return Ok(Self::Weekday(*weekday));
        }
        text.parse().map(Self::Day).map_err(|_| {
            format!(
                "'{text}' is none of workday, weekend, holiday, monday to sunday, or 2026-11-28"
            )
        })
    }
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => {
                let name = KINDS.iter().find(|(_, known)| known == kind);
                f.write_str(name.map_or("", |(name, _)| name))
            }
            Self::Weekday(weekday) => f.write_str(weekday.name()),
            Self::Day(day) => fmt::Display::fmt(day, f),
        }
    }
}

impl Serialize for On {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for On {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
