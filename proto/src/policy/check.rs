//! What a policy has to keep to.

use std::collections::BTreeSet;

use super::{Limits, Policy};
use crate::{
    area::Level,
    case::Severity,
    code::{Code, Coded},
    duty::StaffingError,
};

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
    /// A number of the oversight is out of range.
    #[error("policy: oversight{of}: {field} has to be {range}")]
    Oversight {
        /// The field.
        field: &'static str,
        /// What it has to be.
        range: &'static str,
        /// Of which severity and category, where it is not the policy's own way.
        of: String,
    },
    /// Assigning may take longer than settling, which it is a part of.
    #[error(
        "policy: assign of {severity:?}{of} is longer than settle.{level:?}, which it is a part of"
    )]
    AssignTooLong {
        /// The severity.
        severity: Severity,
        /// The level.
        level: Level,
        /// Of which category, where it is a category's own.
        of: String,
    },
    /// The name of a post is empty or too long.
    #[error("policy: the post of the ladder at {level:?} has to have 1 to 100 characters")]
    Post {
        /// The rung.
        level: Level,
    },
    /// A staffing rule is none.
    #[error(transparent)]
    Staffing(#[from] StaffingError),
    /// A staffing rule goes by the calendar, and there is none.
    #[error("policy: staffing rule '{name}' goes by the calendar: add [service]")]
    NoCalendar {
        /// The rule.
        name: String,
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
        match self {
            Self::Staffing(error) => error.code(),
            _ => Code(190),
        }
    }
}

impl Policy {
    pub(super) fn check(&self) -> Result<(), PolicyError> {
        let mut codes = BTreeSet::new();
        for limits in &self.categories {
            if !codes.insert(&limits.code) {
                let code = limits.code.clone();
                return Err(PolicyError::RepeatedCategory { code });
            }
        }
        for level in Level::ALL {
            let post = self.ladder.post(level);
            if post.trim().is_empty() || post.chars().count() > 100 {
                return Err(PolicyError::Post { level });
            }
        }
        self.oversight.check("")?;
        for rule in &self.staffing {
            rule.check()?;
            if rule.needs_calendar() && self.service.is_none() {
                let name = rule.name.clone();
                return Err(PolicyError::NoCalendar { name });
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
        for level in Level::ALL {
            let settle = limits.settle.at(level);
            if limits.assign.is_some_and(|assign| assign.exceeds(settle)) {
                return Err(PolicyError::AssignTooLong {
                    severity,
                    level,
                    of,
                });
            }
        }
        match &limits.oversight {
            Some(oversight) => oversight.check(&format!(" of {severity:?}{of}")),
            None => Ok(()),
        }
    }
}
