//! The service clock on the real calendars.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and reads its files"
)]

use std::path::{Path, PathBuf};

use gridkeeper_proto::{
    calendar::{Calendar, CalendarError, CalendarYear, DayKind},
    clock::{ClockError, ServiceClock, ServiceHours},
    time::{Day, Timestamp, Zone},
};
use proptest::prelude::*;

const MINUTE: i64 = 60_000;

/// "8+2" on workdays, "5+2" on weekends.
const HOURS: &str = r#"
workday = [{ from = "08:30", to = "18:30" }]
weekend = [{ from = "09:00", to = "17:00" }]
holiday = []
"#;

/// A lunch break, a day that ends at midnight, and holidays with an hour of their own.
const BROKEN_HOURS: &str = r#"
workday = [{ from = "08:30", to = "12:00" }, { from = "14:00", to = "24:00" }]
weekend = []
holiday = [{ from = "10:00", to = "11:00" }]
"#;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn calendar() -> Calendar {
    let years: Vec<CalendarYear> = (2018..=2026)
        .map(|year| {
            let path = repository().join(format!("deploy/calendars/china/{year}.toml"));
            toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
        })
        .collect();
    Calendar::of(&years).unwrap()
}

fn clock(hours: &str) -> ServiceClock {
    let hours: ServiceHours = toml::from_str(hours).unwrap();
    ServiceClock::new(Zone::named("Asia/Shanghai").unwrap(), &hours, calendar()).unwrap()
}

/// A moment of the East District, such as `2026-11-23 08:30`.
fn at(text: &str) -> Timestamp {
    format!("{}:00+08:00", text.replace(' ', "T"))
        .parse()
        .unwrap()
}

#[test]
fn every_day_from_2018_to_2026_is_what_the_oracle_says() {
    let oracle = repository().join("../shared/data/calendar/workdays_2018_2026.csv");
    let Ok(text) = std::fs::read_to_string(&oracle) else {
        eprintln!("skipped: there is no {}", oracle.display());
        return;
    };
    let calendar = calendar();
    let mut days = 0;
    for line in text.lines().skip(1) {
        let (day, worked) = line.split_once(',').unwrap();
        let kind = calendar.kind(day.parse().unwrap()).unwrap();
        assert_eq!(kind == DayKind::Workday, worked == "1", "{day}");
        days += 1;
    }
    assert_eq!(days, 3_287);
}

#[test]
fn limits_run_over_nights_weekends_and_holidays() {
    let clock = clock(HOURS);
    let hours = |hours: i64| hours * 60 * MINUTE;
    for (from, millis, due) in [
        // Within a Monday.
        ("2026-11-23 09:00", hours(4), "2026-11-23 13:00"),
        // Up to the very end of the day, and past it.
        ("2026-11-23 14:30", hours(4), "2026-11-23 18:30"),
        ("2026-11-23 14:31", hours(4), "2026-11-24 08:31"),
        // At night it begins with the morning.
        ("2026-11-23 22:00", hours(1), "2026-11-24 09:30"),
        // Weekends have their own hours.
        ("2026-11-27 18:00", hours(1), "2026-11-28 09:30"),
        // The National Day stands still; the Saturday after it is worked.
        ("2026-09-30 18:00", hours(1), "2026-10-08 09:00"),
        ("2026-10-10 18:00", hours(1), "2026-10-11 09:30"),
        ("2026-11-23 09:00", 0, "2026-11-23 09:00"),
        ("2026-11-23 03:00", 0, "2026-11-23 08:30"),
    ] {
        assert_eq!(clock.after(at(from), millis), Ok(at(due)), "{from}");
        let from_opening = clock.after(at(from), 0).unwrap();
        assert_eq!(clock.between(from_opening, at(due)), Ok(millis), "{from}");
    }
}

#[test]
fn a_limit_in_working_days_ends_with_the_service_of_its_last_day() {
    let clock = clock(HOURS);
    for (from, days, due) in [
        ("2026-11-23 09:00", 1, "2026-11-24 18:30"),
        ("2026-11-23 23:59", 1, "2026-11-24 18:30"),
        ("2026-11-27 09:00", 1, "2026-11-30 18:30"),
        ("2026-11-28 09:00", 1, "2026-11-30 18:30"),
        // Seven holidays, and a Saturday worked in exchange.
        ("2026-09-30 09:00", 1, "2026-10-08 18:30"),
        ("2026-09-30 09:00", 3, "2026-10-10 18:30"),
        ("2026-09-30 09:00", 4, "2026-10-12 18:30"),
    ] {
        assert_eq!(
            clock.after_workdays(at(from), days),
            Ok(at(due)),
            "{from} {days}"
        );
    }
}

#[test]
fn beyond_the_calendar_nothing_is_guessed() {
    let clock = clock(HOURS);
    let unknown = |year| Err(ClockError::Calendar(CalendarError::UnknownYear { year }));
    let last = at("2026-12-31 18:00");
    assert_eq!(clock.last_day().to_string(), "2026-12-31");
    assert!(clock.after(last, 30 * MINUTE).is_ok());
    assert_eq!(clock.after(last, 31 * MINUTE), unknown(2027));
    assert_eq!(clock.after_workdays(last, 1), unknown(2027));
    assert_eq!(
        clock.between(last, at("2027-01-01 00:00")),
        unknown(2027).map(|_: Timestamp| 0)
    );
    assert_eq!(
        clock.is_open(at("2017-12-31 23:59")),
        unknown(2017).map(|_: Timestamp| false)
    );
}

#[test]
fn hours_that_make_no_sense_are_refused() {
    let zone = || Zone::named("Asia/Shanghai").unwrap();
    for (hours, told) in [
        ("workday = []", "no hours"),
        (
            r#"workday = [{ from = "12:00", to = "08:00" }]"#,
            "not in order",
        ),
        (
            r#"workday = [{ from = "08:00", to = "08:00" }]"#,
            "not in order",
        ),
        (
            r#"workday = [{ from = "08:00", to = "12:00" }, { from = "11:00", to = "13:00" }]"#,
            "not in order",
        ),
    ] {
        let hours: ServiceHours =
            toml::from_str(&format!("{hours}\nweekend = []\nholiday = []")).unwrap();
        let refused = ServiceClock::new(zone(), &hours, calendar()).unwrap_err();
        assert!(refused.to_string().contains(told), "{refused}");
    }
    for time in ["8:30", "08:60", "24:01", "25:00", "08-30", ""] {
        let text = format!(
            "workday = [{{ from = \"{time}\", to = \"24:00\" }}]\nweekend = []\nholiday = []"
        );
        assert!(toml::from_str::<ServiceHours>(&text).is_err(), "{time}");
    }
}

/// Counts service time minute by minute, by what the calendar and the hours say of each.
fn minute_by_minute(hours: &str, from: Timestamp, to: Timestamp) -> i64 {
    let spans = |kind: DayKind| match (hours == HOURS, kind) {
        (true, DayKind::Workday) => vec![(510, 1_110)],
        (true, DayKind::Weekend) => vec![(540, 1_020)],
        (true, DayKind::Holiday) | (false, DayKind::Weekend) => vec![],
        (false, DayKind::Workday) => vec![(510, 720), (840, 1_440)],
        (false, DayKind::Holiday) => vec![(600, 660)],
    };
    let (calendar, zone) = (calendar(), Zone::named("Asia/Shanghai").unwrap());
    let mut open = 0;
    let mut moment = from;
    let mut known: Option<(Day, Vec<(i64, i64)>)> = None;
    while moment < to {
        let local = zone.local(moment);
        let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
        let day = zone.day_of(moment);
        if known.as_ref().is_none_or(|(of, _)| *of != day) {
            known = Some((day, spans(calendar.kind(day).unwrap())));
        }
        let (_, spans) = known.as_ref().unwrap();
        if spans
            .iter()
            .any(|(from, to)| (*from..*to).contains(&minute))
        {
            open += MINUTE;
        }
        moment = moment.plus_millis(MINUTE);
    }
    open
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn spans_agree_with_counting_minute_by_minute(
        start in 0_i64..3_200 * 1_440,
        length in 0_i64..40 * 1_440,
        broken in any::<bool>(),
    ) {
        let hours = if broken { BROKEN_HOURS } else { HOURS };
        let clock = clock(hours);
        let from = at("2018-01-01 00:00").plus_millis(start * MINUTE);
        let to = from.plus_millis(length * MINUTE);
        let counted = minute_by_minute(hours, from, to);
        prop_assert_eq!(clock.between(from, to).unwrap(), counted);
        prop_assert_eq!(clock.between(to, from).unwrap(), -counted);
        prop_assert_eq!(clock.is_open(from).unwrap(), minute_by_minute(hours, from, from.plus_millis(MINUTE)) > 0);
    }

    #[test]
    fn what_is_due_after_some_time_never_falls_into_closed_hours(
        start in 0_i64..3_000 * 86_400_000,
        millis in 1_i64..100 * 86_400_000,
        broken in any::<bool>(),
    ) {
        let clock = clock(if broken { BROKEN_HOURS } else { HOURS });
        let from = at("2018-01-01 00:00").plus_millis(start);
        let due = clock.after(from, millis).unwrap();
        prop_assert_eq!(clock.between(from, due).unwrap(), millis);
        // The last moment of service is the first at which the limit is over.
        prop_assert!(clock.is_open(due.plus_millis(-1)).unwrap());
        // Stopped and started again: what was left is left.
        let half = clock.after(from, millis / 2).unwrap();
        let left = clock.between(half, due).unwrap();
        prop_assert_eq!(clock.after(half, left).unwrap(), due);
    }
}
