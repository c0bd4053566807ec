//! A policy at work: due times, moments of reminders, and how much of a limit's time is gone.

use super::{Oversight, Policy, PolicyError};
use crate::{
    area::Level,
    case::{Rule, Severity, Stage},
    clock::{ClockError, ServiceClock},
    limit::Limit,
    time::{Day, Timestamp},
};

/// What a limit is for.
#[derive(Clone, Copy, Debug)]
pub struct Concerned<'a> {
    /// The case's category.
    pub category: &'a str,
    /// Its severity.
    pub severity: Severity,
    /// What has to happen.
    pub stage: Stage,
    /// The level that holds it.
    pub level: Level,
}

/// A policy, with the clock that its limits run by.
#[derive(Clone, Debug)]
pub struct Timetable {
    policy: Policy,
    clock: Option<ServiceClock>,
    /// The same on workdays only.
    workdays: Option<ServiceClock>,
}

impl Timetable {
    /// Checks the policy. `clock` is the one of its hours of service, where it has any.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn new(policy: Policy, clock: Option<ServiceClock>) -> Result<Self, PolicyError> {
        policy.check()?;
        let workdays = clock.as_ref().map(ServiceClock::on_workdays);
        Ok(Self {
            policy,
            clock,
            workdays,
        })
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The clock of the hours of service.
    #[must_use]
    pub fn clock(&self) -> Option<&ServiceClock> {
        self.clock.as_ref()
    }

    /// How many days of its calendar are left; none for a policy whose limits run day and night.
    ///
    /// # Errors
    /// [`ClockError`] when the calendar does not know today: the policy cannot be used.
    pub fn days_left(&self, today: Day) -> Result<Option<i32>, ClockError> {
        let clock = self.clock.as_ref();
        clock
            .filter(|_| self.policy.limits_need_calendar())
            .map(|clock| clock.days_left(today))
            .transpose()
    }

    /// By when a case that comes to this stage and level at this moment has to leave it.
    ///
    /// # Errors
    /// [`ClockError`] when that lies beyond the calendar.
    pub fn due(&self, of: Concerned<'_>, from: Timestamp) -> Result<Timestamp, ClockError> {
        self.due_by(self.limit(of), from)
    }

    /// The end of a limit that begins at a moment.
    ///
    /// # Errors
    /// [`ClockError`] when that lies beyond the calendar.
    pub fn due_by(&self, limit: Limit, from: Timestamp) -> Result<Timestamp, ClockError> {
        match (limit, &self.clock) {
            (Limit::Service(minutes), Some(clock)) => clock.after(from, millis(minutes)),
            (Limit::Workdays(days), Some(clock)) => clock.after_workdays(from, days),
            (Limit::Natural(minutes) | Limit::Service(minutes), _) => {
                Ok(from.plus_millis(millis(minutes)))
            }
            // A policy with such a limit and without hours of service is refused.
            (Limit::Workdays(days), None) => {
                Ok(from.plus_millis(i64::from(days) * 24 * millis(60)))
            }
        }
    }

    /// The due time of a case whose clock stood from `since` to `until`: what was left of its time is left.
    /// One that had passed stays where it was.
    ///
    /// # Errors
    /// [`ClockError`] when that lies beyond the calendar.
    pub fn moved(
        &self,
        of: Concerned<'_>,
        due_at: Timestamp,
        (since, until): (Timestamp, Timestamp),
    ) -> Result<Timestamp, ClockError> {
        match self.clock_of(of) {
            _ if due_at <= since => Ok(due_at),
            None => Ok(due_at.plus_millis(until.since(since).max(0))),
            Some(clock) => {
                let left = clock.between(since, due_at)?;
                match left > 0 {
                    true => clock.after(until, left),
                    false => Ok(due_at),
                }
            }
        }
    }

    /// The moment at which so many milliseconds of a limit's own time have passed since `from`.
    ///
    /// # Errors
    /// [`ClockError`] when that lies beyond the calendar.
    pub fn after(
        &self,
        of: Concerned<'_>,
        from: Timestamp,
        passed: i64,
    ) -> Result<Timestamp, ClockError> {
        match self.clock_of(of) {
            None => Ok(from.plus_millis(passed)),
            Some(clock) => clock.after(from, passed),
        }
    }

    /// How much of a limit's own time passes between two moments, in milliseconds. Limits in workdays are
    /// measured in the service time of workdays.
    ///
    /// # Errors
    /// [`ClockError`] when one of the moments lies beyond the calendar.
    pub fn elapsed(
        &self,
        of: Concerned<'_>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<i64, ClockError> {
        match self.clock_of(of) {
            None => Ok(to.since(from)),
            Some(clock) => clock.between(from, to),
        }
    }

    /// Whether a limit's time runs at the moment.
    ///
    /// # Errors
    /// [`ClockError`] when the moment lies beyond the calendar.
    pub fn runs(&self, of: Concerned<'_>, at: Timestamp) -> Result<bool, ClockError> {
        self.clock_of(of)
            .map_or(Ok(true), |clock| clock.is_open(at))
    }

    /// The clock that a limit runs by; none for one that runs day and night.
    fn clock_of(&self, of: Concerned<'_>) -> Option<&ServiceClock> {
        match self.limit(of) {
            Limit::Natural(_) => None,
            Limit::Service(_) => self.clock.as_ref(),
            Limit::Workdays(_) => self.workdays.as_ref(),
        }
    }

    /// The rule that a limit stands for.
    #[must_use]
    pub fn rule(&self, of: Concerned<'_>) -> Rule {
        let limits = self.policy.limits(of.category, of.severity);
        let path = self.policy.path(of.category, of.severity);
        Rule {
            policy: self.policy.version,
            path: format!("{path}.{}", limits.name(of.stage, of.level)),
            limit: self.limit(of).to_string(),
        }
    }

    /// Who watches over the case.
    #[must_use]
    pub fn oversight(&self, of: Concerned<'_>) -> &Oversight {
        self.policy.oversight(of.category, of.severity)
    }

    /// Whether assigning has a limit of its own.
    #[must_use]
    pub fn limits_assigning(&self, of: Concerned<'_>) -> bool {
        let limits = self.policy.limits(of.category, of.severity);
        limits.assign.is_some()
    }

    /// The limit.
    #[must_use]
    pub fn limit(&self, of: Concerned<'_>) -> Limit {
        let limits = self.policy.limits(of.category, of.severity);
        limits.at(of.stage, of.level)
    }
}

fn millis(minutes: u32) -> i64 {
    i64::from(minutes) * 60_000
}
