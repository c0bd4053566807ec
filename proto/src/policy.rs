//! How long each step may take, where a case begins, and by which clock the time runs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    area::Level,
    case::{Severity, Stage},
    clock::{ClockError, ServiceClock, ServiceHours},
    code::{Code, Coded},
    limit::Limit,
    time::{Day, Timestamp},
};

/// A district's policy: the `policy.toml` of the district's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Counted up with each change; a case tells the version it was reported under.
    pub version: u32,
    /// The hours of service, where a limit runs by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// 一般
    pub general: Limits,
    /// 较大
    pub larger: Limits,
    /// 重大
    pub major: Limits,
    /// 特别重大
    pub extreme: Limits,
    /// Categories with limits of their own.
    #[serde(default, rename = "category", skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<CategoryLimits>,
}

/// When there is service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Folder of the calendar, from the district's folder.
    pub calendar: String,
    /// The hours.
    pub hours: ServiceHours,
}

/// The limits of one severity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The level that a new case goes to at once.
    pub starts_at: Level,
    /// From the report, or from going up before acceptance, to acceptance.
    pub accept: Limit,
    /// From acceptance, or from going up, to being resolved, at each level.
    pub settle: SettleLimits,
    /// From resolved to verified.
    pub verify: Limit,
    /// From verified to closed.
    pub close: Limit,
}

/// To settle a case, at the level that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettleLimits {
    /// 网格
    pub grid: Limit,
    /// 社区
    pub community: Limit,
    /// 街道 or 镇
    pub street: Limit,
    /// 区
    pub district: Limit,
    /// 市
    pub city: Limit,
}

/// The limits of a category and those below it, instead of the general ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryLimits {
    /// The category. The longest code that fits goes before shorter ones.
    pub code: String,
    /// 一般, where they are others than of all categories.
    pub general: Option<Limits>,
    /// 较大
    pub larger: Option<Limits>,
    /// 重大
    pub major: Option<Limits>,
    /// 特别重大
    pub extreme: Option<Limits>,
}

/// Why a policy cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A limit is nothing or longer than a year.
    #[error("policy: {field} of {severity:?}{of} has to be between 1 minute and 366 days")]
    Range {
        /// The severity whose limits are wrong.
        severity: Severity,
        /// The limit that is out of range.
        field: &'static str,
        /// Of which category, where it is a category's own.
        of: String,
    },
    /// A limit runs by hours of service, and there are none.
    #[error("policy: {field} of {severity:?}{of} runs by hours of service: add [service]")]
    NoService {
        /// The severity.
        severity: Severity,
        /// The limit.
        field: &'static str,
        /// Of which category, where it is a category's own.
        of: String,
    },
    /// A category is there twice.
    #[error("policy: category '{code}' is there twice")]
    RepeatedCategory {
        /// Its code.
        code: String,
    },
}

impl Coded for PolicyError {
    fn code(&self) -> Code {
        Code(190)
    }
}

impl SettleLimits {
    fn at(&self, level: Level) -> Limit {
        match level {
            Level::Grid => self.grid,
            Level::Community => self.community,
            Level::Street => self.street,
            Level::District => self.district,
            Level::City => self.city,
        }
    }
}

impl Limits {
    fn at(&self, stage: Stage, level: Level) -> Limit {
        match stage {
            Stage::Accept => self.accept,
            Stage::Settle => self.settle.at(level),
            Stage::Verify => self.verify,
            Stage::Close => self.close,
        }
    }

    fn named(&self) -> [(&'static str, Limit); 8] {
        [
            ("accept", self.accept),
            ("settle.grid", self.settle.grid),
            ("settle.community", self.settle.community),
            ("settle.street", self.settle.street),
            ("settle.district", self.settle.district),
            ("settle.city", self.settle.city),
            ("verify", self.verify),
            ("close", self.close),
        ]
    }
}

impl CategoryLimits {
    fn of(&self, severity: Severity) -> Option<&Limits> {
        match severity {
            Severity::General => self.general.as_ref(),
            Severity::Larger => self.larger.as_ref(),
            Severity::Major => self.major.as_ref(),
            Severity::Extreme => self.extreme.as_ref(),
        }
    }

    fn holds(&self, category: &str) -> bool {
        let rest = category.strip_prefix(self.code.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl Policy {
    /// The limits for a category and severity.
    #[must_use]
    pub fn limits(&self, category: &str, severity: Severity) -> &Limits {
        let own = self
            .categories
            .iter()
            .filter(|limits| limits.holds(category))
            .filter_map(|limits| Some((limits.code.len(), limits.of(severity)?)))
            .max_by_key(|(length, _)| *length);
        match own {
            Some((_, limits)) => limits,
            None => self.general_limits(severity),
        }
    }

    fn general_limits(&self, severity: Severity) -> &Limits {
        match severity {
            Severity::General => &self.general,
            Severity::Larger => &self.larger,
            Severity::Major => &self.major,
            Severity::Extreme => &self.extreme,
        }
    }

    fn check(&self) -> Result<(), PolicyError> {
        let mut codes = BTreeSet::new();
        for limits in &self.categories {
            if !codes.insert(&limits.code) {
                let code = limits.code.clone();
                return Err(PolicyError::RepeatedCategory { code });
            }
        }
        for severity in Severity::ALL {
            self.check_limits(severity, self.general_limits(severity), String::new())?;
            for category in &self.categories {
                if let Some(limits) = category.of(severity) {
                    let of = format!(" of category '{}'", category.code);
                    self.check_limits(severity, limits, of)?;
                }
            }
        }
        Ok(())
    }

    fn check_limits(
        &self,
        severity: Severity,
        limits: &Limits,
        of: String,
    ) -> Result<(), PolicyError> {
        for (field, limit) in limits.named() {
            if !limit.is_sensible() {
                return Err(PolicyError::Range {
                    severity,
                    field,
                    of,
                });
            }
            if limit.needs_service() && self.service.is_none() {
                return Err(PolicyError::NoService {
                    severity,
                    field,
                    of,
                });
            }
        }
        Ok(())
    }
}

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
}

impl Timetable {
    /// Checks the policy. `clock` is the one of its hours of service, where it has any.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn new(policy: Policy, clock: Option<ServiceClock>) -> Result<Self, PolicyError> {
        policy.check()?;
        Ok(Self { policy, clock })
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
        self.clock
            .as_ref()
            .map(|clock| clock.days_left(today))
            .transpose()
    }

    /// By when a case that comes to this stage and level at this moment has to leave it.
    ///
    /// # Errors
    /// [`ClockError`] when that lies beyond the calendar.
    pub fn due(&self, of: Concerned<'_>, from: Timestamp) -> Result<Timestamp, ClockError> {
        match (self.limit(of), &self.clock) {
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
    ///
    /// # Errors
    /// [`ClockError`] when that lies beyond the calendar.
    pub fn moved(
        &self,
        of: Concerned<'_>,
        due_at: Timestamp,
        (since, until): (Timestamp, Timestamp),
    ) -> Result<Timestamp, ClockError> {
        match (self.limit(of), &self.clock) {
            (Limit::Natural(_), _) | (_, None) => Ok(due_at.plus_millis(until.since(since).max(0))),
            (_, Some(clock)) => {
                let left = clock.between(since, due_at)?;
                match left > 0 {
                    true => clock.after(until, left),
                    false => Ok(due_at),
                }
            }
        }
    }

    /// How much of a limit's own time passes between two moments, in milliseconds. Limits in workdays are
    /// measured in service time.
    ///
    /// # Errors
    /// [`ClockError`] when one of the moments lies beyond the calendar.
    pub fn elapsed(
        &self,
        of: Concerned<'_>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<i64, ClockError> {
        match (self.limit(of), &self.clock) {
            (Limit::Natural(_), _) | (_, None) => Ok(to.since(from)),
            (_, Some(clock)) => clock.between(from, to),
        }
    }

    /// Whether a limit's time runs at the moment.
    ///
    /// # Errors
    /// [`ClockError`] when the moment lies beyond the calendar.
    pub fn runs(&self, of: Concerned<'_>, at: Timestamp) -> Result<bool, ClockError> {
        match (self.limit(of), &self.clock) {
            (Limit::Natural(_), _) | (_, None) => Ok(true),
            (_, Some(clock)) => clock.is_open(at),
        }
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
