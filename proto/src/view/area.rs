//! The figures of an area.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CaseView, Histogram};
use crate::{
    case::Case,
    event::{CaseEvent, Recorded},
};

/// The figures of an area as of now: sums over the cases filed in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreaSummary {
    /// Cases ever reported.
    pub reported: u64,
    /// Cases by state, in the order of [`crate::case::CaseState::ALL`].
    pub by_state: [u64; 10],
    /// Open cases by the level that holds them, in the order of [`crate::area::Level::ALL`].
    pub open_by_level: [u64; 5],
    /// Open cases by severity, in the order of [`crate::case::Severity::ALL`].
    pub open_by_severity: [u64; 4],
    /// Open cases by category.
    pub open_by_category: BTreeMap<String, u64>,
    /// All cases by category.
    pub by_category: BTreeMap<String, u64>,
    /// Imported cases by the state they had in the other system.
    pub by_source_state: BTreeMap<String, u64>,
    /// Open cases whose due time passed.
    pub overdue: u64,
    /// Open cases that somebody above watches over.
    pub supervised: u64,
    /// Cases closed after their due time.
    pub closed_late: u64,
    /// Cases that the resident is satisfied with.
    pub satisfied: u64,
    /// Cases that the resident is not satisfied with.
    pub dissatisfied: u64,
}

/// Counts a case in or out.
#[derive(Clone, Copy, PartialEq)]
enum Sign {
    In,
    Out,
}

impl Sign {
    fn count(self, counter: &mut u64) {
        match self {
            Self::In => *counter += 1,
            Self::Out => {
                debug_assert!(
                    *counter > 0,
                    "a case is counted out only after it was counted in"
                );
                *counter = counter.saturating_sub(1);
            }
        }
    }

    fn count_key(self, counters: &mut BTreeMap<String, u64>, key: &str) {
        match counters.get_mut(key) {
            Some(counter) => {
                self.count(counter);
                if *counter == 0 {
                    counters.remove(key);
                }
            }
            None => {
                debug_assert!(
                    self == Self::In,
                    "a case is counted out only after it was counted in"
                );
                counters.insert(key.to_owned(), 1);
            }
        }
    }
}

impl AreaSummary {
    /// Counts a case as it is now instead of as it was.
    pub fn replace(&mut self, before: Option<&CaseView>, after: &CaseView) {
        if let Some(before) = before {
            self.count(before, Sign::Out);
        }
        self.count(after, Sign::In);
    }

    fn count(&mut self, view: &CaseView, sign: Sign) {
        let case = &view.case;
        sign.count(&mut self.reported);
        sign.count(&mut self.by_state[case.state as usize]);
        sign.count_key(&mut self.by_category, &case.category);
        if let Some(state) = view
            .source
            .as_ref()
            .and_then(|source| source.state.as_ref())
        {
            sign.count_key(&mut self.by_source_state, state);
        }
        if case.state.is_open() {
            sign.count(&mut self.open_by_level[case.holder.level.index()]);
            sign.count(&mut self.open_by_severity[case.severity as usize]);
            sign.count_key(&mut self.open_by_category, &case.category);
            if case.overdue {
                sign.count(&mut self.overdue);
            }
            if case.supervised {
                sign.count(&mut self.supervised);
            }
        }
        if view.closed_late {
            sign.count(&mut self.closed_late);
        }
        match case.satisfied {
            Some(true) => sign.count(&mut self.satisfied),
            Some(false) => sign.count(&mut self.dissatisfied),
            None => {}
        }
    }

    /// Adds the figures of another area.
    pub fn merge(&mut self, other: &Self) {
        let add = |to: &mut [u64], from: &[u64]| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        };
        let add_keys = |to: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>| {
            for (key, count) in from {
                *to.entry(key.clone()).or_default() += count;
            }
        };
        self.reported += other.reported;
        add(&mut self.by_state, &other.by_state);
        add(&mut self.open_by_level, &other.open_by_level);
        add(&mut self.open_by_severity, &other.open_by_severity);
        add_keys(&mut self.open_by_category, &other.open_by_category);
        add_keys(&mut self.by_category, &other.by_category);
        add_keys(&mut self.by_source_state, &other.by_source_state);
        self.overdue += other.overdue;
        self.supervised += other.supervised;
        self.closed_late += other.closed_late;
        self.satisfied += other.satisfied;
        self.dissatisfied += other.dissatisfied;
    }
}

/// What happened in an area on one day of the district's zone, by recorded time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayRollup {
    /// Cases reported.
    pub reported: u64,
    /// Cases accepted.
    pub accepted: u64,
    /// Of these before any due time passed.
    pub accepted_in_time: u64,
    /// Cases resolved.
    pub resolved: u64,
    /// Of these before any due time of their handling passed.
    pub resolved_in_time: u64,
    /// Cases closed.
    pub closed: u64,
    /// Of these in time from beginning to end; an imported record by its own due time.
    pub closed_in_time: u64,
    /// Of these late.
    pub closed_late: u64,
    /// Cases that a unit gave back.
    pub returned: u64,
    /// Cases whose check failed.
    pub reworked: u64,
    /// Cases opened again.
    pub reopened: u64,
    /// Residents who said that they are satisfied.
    pub satisfied: u64,
    /// Residents who said that they are not.
    pub dissatisfied: u64,
    /// Steps up.
    pub escalated: u64,
    /// Due times that passed.
    pub deadlines_missed: u64,
    /// From the report to acceptance.
    pub time_to_accept: Histogram,
    /// From the report to being resolved; for an imported record to being closed.
    pub time_to_resolve: Histogram,
}

impl DayRollup {
    /// Counts an event. `before` is the case as the event found it.
    pub fn count(&mut self, before: Option<&Case>, recorded: &Recorded<CaseEvent>) {
        let at = recorded.header.recorded_at;
        let since_report = before.map(|case| at.since(case.reported_at));
        let in_time = u64::from(before.is_some_and(|case| case.in_time(at)));
        match &recorded.event {
            CaseEvent::Reported(_) => self.reported += 1,
            CaseEvent::Accepted(_) => {
                self.accepted += 1;
                self.accepted_in_time += in_time;
                since_report
                    .into_iter()
                    .for_each(|took| self.time_to_accept.record(took));
            }
            CaseEvent::Resolved(_) => {
                self.resolved += 1;
                self.resolved_in_time += in_time;
                since_report
                    .into_iter()
                    .for_each(|took| self.time_to_resolve.record(took));
            }
            CaseEvent::Closed(event) => {
                self.closed += 1;
                self.closed_in_time += u64::from(event.in_time == Some(true));
                self.closed_late += u64::from(event.in_time == Some(false));
                let resolved_before = before.is_some_and(|case| case.resolved_at.is_some());
                if event.moment_known && !resolved_before {
                    since_report
                        .into_iter()
                        .for_each(|took| self.time_to_resolve.record(took));
                }
            }
            CaseEvent::Returned(_) => self.returned += 1,
            CaseEvent::ReworkOrdered(_) => self.reworked += 1,
            CaseEvent::Reopened(_) => self.reopened += 1,
            CaseEvent::Rated(event) => match event.satisfied {
                true => self.satisfied += 1,
                false => self.dissatisfied += 1,
            },
            CaseEvent::Escalated(_) => self.escalated += 1,
            CaseEvent::DeadlineMissed(_) => self.deadlines_missed += 1,
            _ => {}
        }
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds another area's or day's figures.
    pub fn merge(&mut self, other: &Self) {
        self.reported += other.reported;
        self.accepted += other.accepted;
        self.accepted_in_time += other.accepted_in_time;
        self.resolved += other.resolved;
        self.resolved_in_time += other.resolved_in_time;
        self.closed += other.closed;
        self.closed_in_time += other.closed_in_time;
        self.closed_late += other.closed_late;
        self.returned += other.returned;
        self.reworked += other.reworked;
        self.reopened += other.reopened;
        self.satisfied += other.satisfied;
        self.dissatisfied += other.dissatisfied;
        self.escalated += other.escalated;
        self.deadlines_missed += other.deadlines_missed;
        self.time_to_accept.merge(&other.time_to_accept);
        self.time_to_resolve.merge(&other.time_to_resolve);
    }
}
