//! The district's policy, and the calendar that it names.

use std::{fs, path::Path};

use gridkeeper_proto::{
    calendar::{Calendar, CalendarYear},
    clock::{ClockError, ServiceClock},
    policy::{Policy, Timetable},
    time::Zone,
};

use crate::{
    error::DistrictError,
    model::Category,
    source::{POLICY, Source, from_toml},
};

/// The name of a calendar's files, for messages.
const CALENDAR: &str = "calendar";

/// The years of the calendar that a policy names; none where it names none.
pub(crate) fn calendar(folder: &Path, policy: &str) -> Result<Vec<CalendarYear>, DistrictError> {
    let policy: Policy = from_toml(POLICY, policy)?;
    let Some(service) = policy.service else {
        return Ok(Vec::new());
    };
    let calendar = folder.join(service.calendar);
    let unreadable = |source| DistrictError::Read {
        path: calendar.clone(),
        source,
    };
    let mut years = Vec::new();
    for entry in fs::read_dir(&calendar).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let text = fs::read_to_string(&path).map_err(|source| DistrictError::Read {
                path: path.clone(),
                source,
            })?;
            years.push(from_toml(CALENDAR, &text)?);
        }
    }
    Ok(years)
}

/// The policy with the clock that its limits run by; none in a folder without policy.
pub(crate) fn timetable(
    source: &Source,
    zone: &Zone,
    categories: &[Category],
) -> Result<Option<Timetable>, DistrictError> {
    let Some(text) = &source.policy else {
        return Ok(None);
    };
    let policy: Policy = from_toml(POLICY, text)?;
    for limits in &policy.categories {
        if !categories.iter().any(|known| known.code() == limits.code) {
            let category = limits.code.clone();
            return Err(DistrictError::PolicyCategory { category });
        }
    }
    let clock = match &policy.service {
        None => None,
        Some(service) => {
            let calendar = Calendar::of(&source.calendar).map_err(ClockError::from)?;
            Some(ServiceClock::new(zone.clone(), &service.hours, calendar)?)
        }
    };
    Ok(Some(Timetable::new(policy, clock)?))
}
