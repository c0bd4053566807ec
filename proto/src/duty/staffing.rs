//! Whether enough are on duty.
//!
//! The district promises "8+2" on workdays, two hours at midday with at least one on duty, and "5+2" on weekends,
//! 9:00 to 17:00 with at least two in the hall; a community may promise more (domain notes of the district).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Days, On, Roster};
use crate::{
    area::{AreaCode, Level},
    clock::{ClockError, TimeOfDay, moment},
    code::{Code, Coded},
    time::{Day, Timestamp},
};

/// How many have to be on duty in some hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaffingRule {
    /// What it is called, such as `8+2`: 1 to 100 characters.
    pub name: String,
    /// On which days.
    pub on: Vec<On>,
    /// From this time of day.
    pub from: TimeOfDay,
    /// Up to this time of day.
    pub to: TimeOfDay,
    /// How many at least: 1 to 100.
    pub at_least: u32,
    /// For all areas of this level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// For these areas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<AreaCode>,
}

/// Too few are on duty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gap {
    /// Where.
    pub area: AreaCode,
    /// The rule that is not kept.
    pub rule: String,
    /// From this moment.
    pub from: Timestamp,
    /// Up to this moment, without it.
    pub to: Timestamp,
    /// How many have to be there.
    pub at_least: u32,
    /// Who is.
    pub on_duty: Vec<String>,
}

/// Why a rule is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("staffing rule '{name}': {why}")]
pub struct StaffingError {
    name: String,
    why: &'static str,
}

impl Coded for StaffingError {
    fn code(&self) -> Code {
        Code(196)
    }
}

impl StaffingRule {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// [`StaffingError`].
    pub fn check(&self) -> Result<(), StaffingError> {
        let named = !self.name.trim().is_empty() && self.name.chars().count() <= 100;
        let why = match () {
            () if !named => "its name has to have 1 to 100 characters",
            () if self.on.is_empty() => "it is on no day",
            () if self.to <= self.from => "it ends before it begins",
            () if !(1..=100).contains(&self.at_least) => "at_least has to be 1 to 100",
            () if self.level.is_none() == self.areas.is_empty() => {
                "it has to name either a level or areas"
            }
            () => return Ok(()),
        };
        let name = self.name.chars().take(60).collect();
        Err(StaffingError { name, why })
    }

    /// Whether it goes by what the calendar says of days.
    #[must_use]
    pub fn needs_calendar(&self) -> bool {
        self.on.iter().any(|on| matches!(on, On::Kind(_)))
    }

    /// Whether it is for an area.
    #[must_use]
    pub fn is_for(&self, area: AreaCode) -> bool {
        self.level == Some(area.level()) || self.areas.contains(&area)
    }
}

/// The hours of a span of days in which fewer are on duty in an area than rules say, in order of the rules and
/// then of time. Neighbouring hours are one gap while the same persons are on duty.
///
/// # Errors
/// [`ClockError`] where a rule goes by the calendar and the calendar does not know a day.
pub fn gaps(
    (area, roster): (AreaCode, &Roster),
    rules: &[StaffingRule],
    days: &Days,
    (first, last): (Day, Day),
) -> Result<Vec<Gap>, ClockError> {
    let mut gaps = Vec::new();
    for rule in rules.iter().filter(|rule| rule.is_for(area)) {
        for day in (first.number()..=last.number()).filter_map(Day::from_number) {
            if days.any_is(&rule.on, day)? {
                let from = moment(&days.zone, day, rule.from)?;
                let to = moment(&days.zone, day, rule.to)?;
                add_gaps(&mut gaps, (area, roster), rule, (from, to));
            }
        }
    }
    Ok(gaps)
}

fn add_gaps(
    gaps: &mut Vec<Gap>,
    (area, roster): (AreaCode, &Roster),
    rule: &StaffingRule,
    (from, to): (Timestamp, Timestamp),
) {
    let mut edges = vec![from];
    edges.extend(roster.edges(from).into_iter().take_while(|at| *at < to));
    let ends = edges.iter().skip(1).copied().chain([to]);
    let mut open: Option<Gap> = None;
    for (start, end) in edges.iter().copied().zip(ends) {
        let on_duty: Vec<_> = roster
            .on_duty(start)
            .map(|member| member.person.clone())
            .collect();
        let enough = on_duty.len() >= rule.at_least as usize;
        match &mut open {
            Some(gap) if !enough && gap.on_duty == on_duty => gap.to = end,
            _ => {
                gaps.extend(open.take());
                open = (!enough).then(|| Gap {
                    area,
                    rule: rule.name.clone(),
                    from: start,
                    to: end,
                    at_least: rule.at_least,
                    on_duty,
                });
            }
        }
    }
    gaps.extend(open);
}
