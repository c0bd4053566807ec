//! Looks ahead to the end of the calendar, beyond which no due time can be told.

use std::sync::Mutex;

use gridkeeper_proto::{
    rules::Timetables,
    time::{Day, Timestamp},
};

/// How many days before its end a calendar is said to end.
const AHEAD_DAYS: i32 = 90;
const LEFT: &str = "gridkeeper_calendar_days_left";

/// On which day it was last said that the calendar ends.
#[derive(Debug, Default)]
pub(crate) struct Calendar(Mutex<Option<Day>>);

/// How much of the calendar is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    /// The days after today that every policy knows which goes by the calendar.
    days: i32,
    /// Whether a policy's limits run by it, also one that only older cases run under: beyond its end they have no
    /// due time.
    limits: bool,
}

impl Calendar {
    /// Tells how many days are left of the calendar that policies go by, and once a day that it ends soon.
    pub(crate) fn look(&self, timetables: &Timetables, now: Timestamp) {
        let Ok(days) = timetables.days() else {
            // Without rules intake is not ready, and says so.
            return;
        };
        let today = days.zone.day_of(now);
        let Some(Left { days, limits }) = left(timetables, today) else {
            return;
        };
        metrics::gauge!(LEFT).set(f64::from(days));
        let mut said = self.0.lock().expect("no holder of the lock panics");
        if days >= AHEAD_DAYS || *said == Some(today) {
            return;
        }
        *said = Some(today);
        match limits {
            true => tracing::error!(
                days,
                "the calendar ends soon: adopt the year after, or cases that run by it cannot go on (GK0191)"
            ),
            false => tracing::warn!(
                days,
                "the calendar ends soon: adopt the year after, or staffing cannot be checked beyond it (GK0191)"
            ),
        }
    }
}

/// None where no policy goes by a calendar.
fn left(timetables: &Timetables, today: Day) -> Option<Left> {
    let with_clock = timetables.all().filter_map(|timetable| {
        let clock = timetable.clock()?;
        Some(Left {
            days: clock.days_left(today).unwrap_or(0),
            limits: timetable.policy().limits_need_calendar(),
        })
    });
    with_clock.reduce(|one, other| Left {
        days: one.days.min(other.days),
        limits: one.limits || other.limits,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use gridkeeper_district::District;
    use gridkeeper_proto::{policy::Policy, rules::RulesCommand};
    use gridkeeper_tests::{WrittenLog, sample_district, short_policy};

    use super::*;

    /// The rules after these policies, with the calendars of 2018 to 2026.
    fn adopted(policies: &[Policy]) -> Timetables {
        let folder = sample_district();
        let text = fs::read_to_string(folder.join("policy-by-service-hours.toml")).unwrap();
        let district = District::load_with_policy(&folder, &text).unwrap();
        let mut years = district.rules();
        years.retain(|rule| matches!(rule, RulesCommand::AdoptCalendar { .. }));
        let (first, others) = policies.split_first().unwrap();
        let mut log = WrittenLog::under(district.code(), &years, first.clone());
        for policy in others {
            let adopt = RulesCommand::AdoptPolicy {
                zone: "Asia/Shanghai".into(),
                policy: Box::new(policy.clone()),
                calendar: Vec::new(),
            };
            log.change_rules(district.code(), &adopt);
        }
        log.timetables().clone()
    }

    fn by_service_hours() -> Policy {
        let path = sample_district().join("policy-by-service-hours.toml");
        toml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    }

    fn at(day: &str) -> Day {
        day.parse().unwrap()
    }

    #[test]
    fn what_is_left_counts_down_to_the_last_day_and_stays_at_nothing() {
        let timetables = adopted(&[by_service_hours()]);
        for (day, days) in [
            ("2026-10-02", 90),
            ("2026-10-03", 89),
            ("2026-12-31", 0),
            ("2027-01-01", 0),
        ] {
            let limits = true;
            assert_eq!(
                left(&timetables, at(day)),
                Some(Left { days, limits }),
                "{day}"
            );
        }
    }

    #[test]
    fn a_policy_that_only_older_cases_run_under_counts_too() {
        let day_and_night = Policy {
            version: 3,
            ..short_policy()
        };
        let timetables = adopted(&[by_service_hours(), day_and_night.clone()]);
        let found = left(&timetables, at("2026-12-01"));
        assert_eq!(
            found,
            Some(Left {
                days: 30,
                limits: true
            })
        );
        assert_eq!(left(&adopted(&[day_and_night]), at("2026-12-01")), None);
    }

    #[test]
    fn staffing_by_the_calendar_counts_and_stops_no_case() {
        let own = sample_district().join("policy.toml");
        let own: Policy = toml::from_str(&fs::read_to_string(own).unwrap()).unwrap();
        let found = left(&adopted(&[own]), at("2026-12-01"));
        assert_eq!(
            found,
            Some(Left {
                days: 30,
                limits: false
            })
        );
    }

    #[test]
    fn it_is_said_once_a_day_and_only_from_ninety_days_ahead_on() {
        let (calendar, timetables) = (Calendar::default(), adopted(&[by_service_hours()]));
        let said_at = |text: &str| {
            calendar.look(&timetables, text.parse().unwrap());
            *calendar.0.lock().unwrap()
        };
        assert_eq!(said_at("2026-10-02T04:00:00Z"), None);
        assert_eq!(said_at("2026-10-03T04:00:00Z"), Some(at("2026-10-03")));
        assert_eq!(said_at("2026-10-03T05:00:00Z"), Some(at("2026-10-03")));
        assert_eq!(said_at("2026-10-04T04:00:00Z"), Some(at("2026-10-04")));
    }
}
