//! The rules of a district: the policies that were adopted, and the calendar that they run by. Both are events of
//! the log, so that whoever follows it knows by which rules each case runs, then and now.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    access::{Claims, Role},
    answers::Answers,
    area::AreaCode,
    calendar::{Calendar, CalendarError, CalendarYear},
    case::Refusal,
    clock::{ClockError, ServiceClock},
    code::{Code, Coded},
    duty::Days,
    envelope::Position,
    event::{CalendarAdopted, PolicyAdopted, Recorded, RulesEvent},
    id::AggregateId,
    policy::{Policy, PolicyError, Timetable},
    time::{TimeError, Timestamp, Zone},
};

/// What the log says of a district's rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    policies: BTreeMap<u32, Adopted>,
    calendar: BTreeMap<i16, CalendarYear>,
    /// Number of its events.
    pub version: u32,
    /// The commands it answered.
    pub answered: Answers,
}

/// A policy, as it was adopted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// Since when it holds for new cases.
    pub since: Timestamp,
    /// Who adopted it.
    pub by: String,
    /// The event.
    pub position: Position,
    zone: String,
    policy: String,
}

/// What changes the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
pub enum RulesCommand {
    /// Let a policy hold for the cases reported from now on.
    AdoptPolicy {
        /// Name of the zone of its hours.
        zone: String,
        /// The policy, in the shape of `policy.toml`.
        #[schema(value_type = Object)]
        policy: Box<Policy>,
        /// Years of the calendar that it goes by: those that are not known yet, or otherwise, are adopted with it.
        #[schema(value_type = Vec<Object>)]
        #[serde(default)]
        calendar: Vec<CalendarYear>,
    },
    /// Add a year to the calendar, or correct one.
    AdoptCalendar {
        /// The year.
        #[schema(value_type = Object)]
        year: CalendarYear,
    },
}

/// Why rules cannot be used, or not be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// No policy was adopted yet.
    #[error("no policy was adopted: without limits no case has a due time")]
    NoPolicy,
    /// A case runs under a policy that was never adopted.
    #[error("policy {version} was never adopted")]
    UnknownPolicy {
        /// Its version.
        version: u32,
    },
    /// The version was used, or a later one was.
    #[error(
        "a policy of version {version} cannot be adopted: {newest} is in force; count the version up"
    )]
    OldVersion {
        /// The version offered.
        version: u32,
        /// The newest one adopted.
        newest: u32,
    },
    /// The policy contradicts itself.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Its hours or the calendar contradict themselves.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// Its zone is none.
    #[error(transparent)]
    Zone(#[from] TimeError),
    /// The policy in the log does not read.
    #[error("policy {version} of the log does not read: {detail}")]
    Unreadable {
        /// Its version.
        version: u32,
        /// What is wrong with it.
        detail: String,
    },
}

impl Coded for RulesError {
    fn code(&self) -> Code {
        match self {
            Self::NoPolicy => Code(220),
            Self::UnknownPolicy { .. } => Code(221),
            Self::OldVersion { .. } => Code(222),
            Self::Unreadable { .. } => Code(223),
            Self::Policy(error) => error.code(),
            Self::Clock(error) => error.code(),
            Self::Zone(error) => error.code(),
        }
    }
}

impl Rules {
    /// The aggregate of a district's rules.
    #[must_use]
    pub fn id(district: AreaCode) -> AggregateId {
        AggregateId::of_area(district, "rules")
    }

    /// The rules after an event.
    pub fn evolve(&mut self, recorded: &Recorded<RulesEvent>) {
        match &recorded.event {
            RulesEvent::PolicyAdopted(event) => {
                let adopted = Adopted {
                    since: recorded.header.recorded_at,
                    by: recorded.header.actor.id.clone(),
                    position: recorded.position,
                    zone: event.zone.clone(),
                    policy: event.policy.clone(),
                };
                self.policies.insert(event.version, adopted);
            }
            RulesEvent::CalendarAdopted(event) => {
                let year = CalendarYear {
                    year: event.year,
                    holidays: event.holidays.clone(),
                    workdays: event.workdays.clone(),
                };
                self.calendar.insert(event.year, year);
            }
        }
        self.version += 1;
        self.answered
            .remember(recorded.position, &recorded.header, self.version);
    }

    /// The version of the policy in force; none before the first.
    #[must_use]
    pub fn newest(&self) -> Option<u32> {
        self.policies.keys().next_back().copied()
    }

    /// The policies adopted, by version.
    pub fn policies(&self) -> impl Iterator<Item = (u32, &Adopted)> {
        self.policies
            .iter()
            .map(|(version, adopted)| (*version, adopted))
    }

    /// The years of the calendar.
    pub fn calendar(&self) -> impl Iterator<Item = &CalendarYear> {
        self.calendar.values()
    }

    /// A policy.
    ///
    /// # Errors
    /// [`RulesError::UnknownPolicy`] and [`RulesError::Unreadable`].
    pub fn policy(&self, version: u32) -> Result<Policy, RulesError> {
        let adopted = self.policies.get(&version);
        let adopted = adopted.ok_or(RulesError::UnknownPolicy { version })?;
        adopted.read(version)
    }

    /// All policies at work.
    ///
    /// # Errors
    /// [`RulesError`].
    pub fn timetables(&self) -> Result<Timetables, RulesError> {
        let years = latest_years(&self.calendar);
        let timetable = |(version, adopted): (&u32, &Adopted)| {
            let policy = adopted.read(*version)?;
            Ok((*version, timetable(policy, &adopted.zone, &years)?))
        };
        let by_version: Result<_, RulesError> = self.policies.iter().map(timetable).collect();
        let newest = self.policies.values().next_back();
        let zone = newest
            .map(|adopted| Zone::named(&adopted.zone))
            .transpose()?;
        let calendar = match years.is_empty() {
            true => None,
            false => Some(Calendar::of(&years).map_err(ClockError::from)?),
        };
        Ok(Timetables {
            by_version: by_version?,
            days: zone.map(|zone| Days { zone, calendar }),
        })
    }

    /// What follows from a command.
    ///
    /// # Errors
    /// [`Refusal`]; nothing changes.
    pub fn decide(
        &self,
        command: &RulesCommand,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<Vec<RulesEvent>, Refusal> {
        if !matches!(claims.role, Role::Admin | Role::Service) {
            return Err(Refusal::RoleMayNot {
                step: "adopt",
                role: claims.role,
            });
        }
        Ok(match command {
            RulesCommand::AdoptPolicy {
                zone,
                policy,
                calendar,
            } => {
                let (years, mut events) = self.adopt_years(calendar)?;
                events.extend(self.adopt_policy((zone, policy), &years, now)?);
                events
            }
            RulesCommand::AdoptCalendar { year } => self.adopt_years(std::slice::from_ref(year))?.1,
        })
    }

    /// Nothing for the policy that is in force already. One whose calendar does not know today is refused: no due
    /// time could be told.
    fn adopt_policy(
        &self,
        (zone, policy): (&str, &Policy),
        years: &BTreeMap<i16, CalendarYear>,
        now: Timestamp,
    ) -> Result<Option<RulesEvent>, RulesError> {
        let version = policy.version;
        let years = latest_years(years);
        let today = Zone::named(zone)?.day_of(now);
        timetable(policy.clone(), zone, &years)?.days_left(today)?;
        if let Some(newest) = self.newest().filter(|newest| version <= *newest) {
            let zone_kept = self
                .policies
                .get(&newest)
                .is_some_and(|old| old.zone == zone);
            let same = version == newest && zone_kept && self.policy(newest)? == *policy;
            return match same {
                true => Ok(None),
                false => Err(RulesError::OldVersion { version, newest }),
            };
        }
        let text = serde_json::to_string(policy).map_err(|error| RulesError::Unreadable {
            version,
            detail: error.to_string(),
        })?;
        Ok(Some(RulesEvent::PolicyAdopted(PolicyAdopted {
            version,
            zone: zone.to_owned(),
            policy: text,
        })))
    }

    /// The calendar with these years, and the events for those that are not known already. Older years may be added
    /// in any order; a year ahead follows the newest, so that what is known never gets out of reach behind a gap.
    fn adopt_years(
        &self,
        years: &[CalendarYear],
    ) -> Result<(BTreeMap<i16, CalendarYear>, Vec<RulesEvent>), RulesError> {
        let mut known = self.calendar.clone();
        let mut events = Vec::new();
        let mut ordered: Vec<_> = years.iter().collect();
        ordered.sort_by_key(|year| year.year);
        for year in ordered {
            if known.get(&year.year) == Some(year) {
                continue;
            }
            year.check_published().map_err(ClockError::from)?;
            Calendar::of(std::slice::from_ref(year)).map_err(ClockError::from)?;
            if let Some((newest, _)) = known.last_key_value()
                && year.year > newest + 1
            {
                let year = newest + 1;
                return Err(ClockError::from(CalendarError::MissingYear { year }).into());
            }
            known.insert(year.year, year.clone());
            events.push(RulesEvent::CalendarAdopted(CalendarAdopted {
                year: year.year,
                holidays: year.holidays.clone(),
                workdays: year.workdays.clone(),
            }));
        }
        Ok((known, events))
    }
}

/// The years up to the newest that follow each other: what lies behind a gap is not known.
fn latest_years(years: &BTreeMap<i16, CalendarYear>) -> Vec<CalendarYear> {
    let mut latest: Vec<CalendarYear> = Vec::new();
    for year in years.values().rev() {
        if latest
            .last()
            .is_some_and(|after| after.year != year.year + 1)
        {
            break;
        }
        latest.push(year.clone());
    }
    latest.reverse();
    latest
}

impl Adopted {
    fn read(&self, version: u32) -> Result<Policy, RulesError> {
        serde_json::from_str(&self.policy).map_err(|error| RulesError::Unreadable {
            version,
            detail: error.to_string(),
        })
    }
}

fn timetable(policy: Policy, zone: &str, years: &[CalendarYear]) -> Result<Timetable, RulesError> {
    let clock = match &policy.service {
        None => None,
        Some(service) => {
            let calendar = Calendar::of(years).map_err(ClockError::from)?;
            let zone = Zone::named(zone)?;
            Some(ServiceClock::new(zone, &service.hours, calendar)?)
        }
    };
    Ok(Timetable::new(policy, clock)?)
}

/// The policies of a district at work: the one in force, and those that older cases run under.
#[derive(Clone, Debug, Default)]
pub struct Timetables {
    by_version: BTreeMap<u32, Timetable>,
    days: Option<Days>,
}

impl Timetables {
    /// What the district's days are.
    ///
    /// # Errors
    /// [`RulesError::NoPolicy`].
    pub fn days(&self) -> Result<&Days, RulesError> {
        self.days.as_ref().ok_or(RulesError::NoPolicy)
    }

    /// The one in force.
    ///
    /// # Errors
    /// [`RulesError::NoPolicy`].
    pub fn current(&self) -> Result<&Timetable, RulesError> {
        let newest = self.by_version.values().next_back();
        newest.ok_or(RulesError::NoPolicy)
    }

    /// All of them, by version.
    pub fn all(&self) -> impl Iterator<Item = &Timetable> {
        self.by_version.values()
    }

    /// The one that a case runs under.
    ///
    /// # Errors
    /// [`RulesError::UnknownPolicy`].
    pub fn of(&self, version: u32) -> Result<&Timetable, RulesError> {
        let timetable = self.by_version.get(&version);
        timetable.ok_or(RulesError::UnknownPolicy { version })
    }
}
