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

impl Calendar {
    /// Tells how many days are left of the calendar that the policy in force runs by, and once a day that it ends
    /// soon. A policy whose limits run day and night needs none.
    pub(crate) fn look(&self, timetables: &Timetables, now: Timestamp) {
        let (Ok(timetable), Ok(days)) = (timetables.current(), timetables.days()) else {
            // Without rules intake is not ready, and says so.
            return;
        };
        let today = days.zone.day_of(now);
        let left = match timetable.days_left(today) {
            Ok(None) => return,
            Ok(Some(left)) => left,
            Err(_) => 0,
        };
        metrics::gauge!(LEFT).set(f64::from(left));
        let mut said = self.0.lock().expect("no holder of the lock panics");
        if left < AHEAD_DAYS && *said != Some(today) {
            *said = Some(today);
            tracing::error!(
                left,
                "the calendar ends soon: adopt the year after, or cases that run by it cannot go on (GK0191)"
            );
        }
    }
}
