//! Policies: limits by category and severity, by natural and by working time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use gridkeeper_proto::{
    area::Level,
    calendar::{Calendar, CalendarYear},
    case::{Severity, Stage},
    clock::ServiceClock,
    policy::{Concerned, Policy, PolicyError, Timetable},
    time::{Timestamp, Zone},
};
use proptest::prelude::*;

const POLICY: &str = r#"
version = 7

[service]
calendar = "../calendar"
[service.hours]
workday = [{ from = "08:30", to = "18:30" }]
weekend = [{ from = "09:00", to = "17:00" }]
holiday = []

[general]
starts_at = "grid"
accept = "4 service hours"
settle = { grid = "7 workdays", community = "7 workdays", street = "7 workdays", district = "15 workdays", city = "15 workdays" }
verify = "2 workdays"
close = "1 workday"

[larger]
starts_at = "community"
accept = "2 service hours"
settle = { grid = "5 workdays", community = "5 workdays", street = "5 workdays", district = "10 workdays", city = "10 workdays" }
verify = "2 workdays"
close = "1 workday"

[major]
starts_at = "street"
accept = "30 minutes"
settle = { grid = "24 hours", community = "24 hours", street = "24 hours", district = "72 hours", city = "72 hours" }
verify = "1 workday"
close = "1 workday"

[extreme]
starts_at = "district"
accept = "10 minutes"
settle = { grid = "2 hours", community = "2 hours", street = "2 hours", district = "12 hours", city = "12 hours" }
verify = "12 hours"
close = "12 hours"

# Wages do not wait.
[[category]]
code = "dispute.labour"
[category.general]
starts_at = "community"
accept = "1 service hour"
settle = { grid = "3 workdays", community = "3 workdays", street = "3 workdays", district = "3 workdays", city = "3 workdays" }
verify = "1 workday"
close = "1 workday"

[[category]]
code = "dispute.labour.injury"
[category.general]
starts_at = "street"
accept = "15 minutes"
settle = { grid = "1 day", community = "1 day", street = "1 day", district = "1 day", city = "1 day" }
verify = "1 workday"
close = "1 workday"
"#;

fn policy() -> Policy {
    toml::from_str(POLICY).unwrap()
}

fn timetable() -> Timetable {
    let year = |year: i16, holidays: &[&str], workdays: &[&str]| CalendarYear {
        year,
        holidays: holidays.iter().map(|day| day.parse().unwrap()).collect(),
        workdays: workdays.iter().map(|day| day.parse().unwrap()).collect(),
    };
    let golden_week = [
        "2026-10-01",
        "2026-10-02",
        "2026-10-03",
        "2026-10-04",
        "2026-10-05",
        "2026-10-06",
        "2026-10-07",
    ];
    let calendar = Calendar::of(&[year(2026, &golden_week, &["2026-10-10"])]).unwrap();
    let hours = policy().service.unwrap().hours;
    let zone = Zone::named("Asia/Shanghai").unwrap();
    let clock = ServiceClock::new(zone, &hours, calendar).unwrap();
    Timetable::new(policy(), Some(clock)).unwrap()
}

fn at(text: &str) -> Timestamp {
    format!("2026-{}:00+08:00", text.replace(' ', "T"))
        .parse()
        .unwrap()
}

fn of(category: &str, severity: Severity, stage: Stage) -> Concerned<'_> {
    Concerned {
        category,
        severity,
        stage,
        level: Level::Grid,
    }
}

#[test]
fn limits_run_by_the_clock_that_their_unit_names() {
    let timetable = timetable();
    for (severity, stage, from, due) in [
        // Four service hours over a night; a Friday evening.
        (
            Severity::General,
            Stage::Accept,
            "11-23 16:30",
            "11-24 10:30",
        ),
        (
            Severity::General,
            Stage::Accept,
            "11-27 18:00",
            "11-28 12:30",
        ),
        // Thirty minutes run through the night.
        (Severity::Major, Stage::Accept, "11-23 23:50", "11-24 00:20"),
        (Severity::Major, Stage::Settle, "10-01 12:00", "10-02 12:00"),
        // Seven workdays over the National Day: 8, 9, 10 and 12 to 15 October.
        (
            Severity::General,
            Stage::Settle,
            "09-30 10:00",
            "10-15 18:30",
        ),
        (
            Severity::General,
            Stage::Close,
            "11-27 10:00",
            "11-30 18:30",
        ),
    ] {
        let concerned = of("dispute.neighbour", severity, stage);
        assert_eq!(
            timetable.due(concerned, at(from)),
            Ok(at(due)),
            "{severity:?} {stage:?} {from}"
        );
    }
}

#[test]
fn the_longest_category_that_fits_goes_before_shorter_ones_and_the_general_limits() {
    let policy = policy();
    for (category, severity, level) in [
        ("dispute.neighbour", Severity::General, Level::Grid),
        ("dispute.labour", Severity::General, Level::Community),
        ("dispute.labour.wages", Severity::General, Level::Community),
        ("dispute.labourer", Severity::General, Level::Grid),
        ("dispute.labour.injury", Severity::General, Level::Street),
        (
            "dispute.labour.injury.fatal",
            Severity::General,
            Level::Street,
        ),
        // It has no limits of its own for the larger ones.
        ("dispute.labour.injury", Severity::Larger, Level::Community),
    ] {
        assert_eq!(
            policy.limits(category, severity).starts_at,
            level,
            "{category} {severity:?}"
        );
    }
}

#[test]
fn what_was_left_of_a_limit_is_left_after_the_clock_stood() {
    let timetable = timetable();
    let service = of("dispute.neighbour", Severity::General, Stage::Accept);
    let natural = of("dispute.neighbour", Severity::Major, Stage::Accept);
    // Reported at 9:00, due at 13:00; stood from 10:00 on Monday to 17:30 on Friday: three hours are left.
    let stood = (at("11-23 10:00"), at("11-27 17:30"));
    let moved = timetable.moved(service, at("11-23 13:00"), stood);
    assert_eq!(
        moved,
        Ok(at("11-28 11:00")),
        "one hour on Friday, two on Saturday"
    );
    let moved = timetable.moved(natural, at("11-23 10:20"), stood);
    assert_eq!(moved, Ok(at("11-27 17:50")));
    // What had passed before has passed.
    let late = timetable.moved(service, at("11-23 09:30"), stood);
    assert_eq!(late, Ok(at("11-23 09:30")));
}

#[test]
fn a_limit_in_workdays_stands_still_on_weekends() {
    let timetable = timetable();
    let settle = of("dispute.neighbour", Severity::General, Stage::Settle);
    // Suspended for just one workday, from evening to evening.
    let stood = (at("11-26 18:30"), at("11-27 18:30"));
    let moved = timetable.moved(settle, at("11-27 18:30"), stood);
    assert_eq!(moved, Ok(at("11-30 18:30")));
    assert_eq!(timetable.runs(settle, at("11-28 10:00")), Ok(false));
    let accept = of("dispute.neighbour", Severity::General, Stage::Accept);
    assert_eq!(timetable.runs(accept, at("11-28 10:00")), Ok(true));
}

proptest! {
    /// Whatever the limit and however often its clock stood: it is due while its clock runs, after just the time
    /// that it had.
    #[test]
    fn a_due_time_lies_in_the_limits_own_hours_and_moves_by_just_the_time_that_stood(
        (severity, stage) in (
            prop::sample::select(vec![Severity::General, Severity::Major]),
            prop::sample::select(vec![Stage::Accept, Stage::Settle, Stage::Close]),
        ),
        from in 0..150_i64 * 24 * 60,
        pauses in prop::collection::vec((1..3 * 24 * 60_i64, 1..5 * 24 * 60_i64), 0..4),
    ) {
        let timetable = timetable();
        let of = of("dispute.neighbour", severity, stage);
        let minutes = |moment: Timestamp, count: i64| moment.plus_millis(count * 60_000);
        let from = minutes(at("05-01 00:00"), from);
        let mut due_at = timetable.due(of, from).unwrap();
        let had = timetable.elapsed(of, from, due_at).unwrap();
        let (mut now, mut stood) = (from, 0);
        for (runs, stands) in pauses {
            let since = minutes(now, runs);
            let until = minutes(since, stands);
            if since >= due_at {
                break;
            }
            due_at = timetable.moved(of, due_at, (since, until)).unwrap();
            stood += timetable.elapsed(of, since, until).unwrap();
            now = until;
        }
        prop_assert_eq!(timetable.elapsed(of, from, due_at).unwrap() - stood, had);
        prop_assert!(timetable.runs(of, due_at.plus_millis(-1)).unwrap(), "{}", due_at);
    }
}

#[test]
fn beyond_the_calendar_there_is_no_due_time_and_its_end_is_known_ahead() {
    let timetable = timetable();
    let settle = of("dispute.neighbour", Severity::General, Stage::Settle);
    assert!(timetable.due(settle, at("12-21 10:00")).is_ok());
    assert!(timetable.due(settle, at("12-28 10:00")).is_err());
    let day = |text: &str| text.parse().unwrap();
    assert_eq!(timetable.days_left(day("2026-12-01")), Ok(Some(30)));
    assert!(timetable.days_left(day("2027-01-01")).is_err());
}

#[test]
fn policies_that_cannot_run_are_refused() {
    let mut without = policy();
    without.service = None;
    assert!(matches!(
        Timetable::new(without, None),
        Err(PolicyError::NoService { .. })
    ));
    let text = POLICY.replace("15 minutes", "0 minutes");
    let refused = Timetable::new(toml::from_str(&text).unwrap(), None).unwrap_err();
    assert!(
        refused.to_string().contains("dispute.labour.injury"),
        "{refused}"
    );
    let mut twice = policy();
    twice.categories.push(twice.categories[0].clone());
    assert!(matches!(
        Timetable::new(twice, None),
        Err(PolicyError::RepeatedCategory { .. })
    ));
    for wrong in ["accept = \"soon\"", "accept = 4", "acept = \"4 hours\""] {
        let text = POLICY.replacen("accept = \"4 service hours\"", wrong, 1);
        assert!(toml::from_str::<Policy>(&text).is_err(), "{wrong}");
    }
}
