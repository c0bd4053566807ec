//! How long each step may take, and where a case begins.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    area::Level,
    case::{Severity, Stage},
    code::{Code, Coded},
    time::Timestamp,
};

/// A district's time limits, per severity. Read from the `policy.toml` of the district's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Counted up with each change; a case keeps the version it was reported under.
    pub version: u32,
    /// 一般
    pub general: Limits,
    /// 较大
    pub larger: Limits,
    /// 重大
    pub major: Limits,
    /// 特别重大
    pub extreme: Limits,
}

/// The time limits of one severity, in minutes that run day and night.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The level that a new case goes to at once.
    pub starts_at: Level,
    /// From the report, or from going up before acceptance, to acceptance.
    pub accept_minutes: u32,
    /// From acceptance, or from going up, to being resolved, at each level.
    pub settle_minutes: SettleLimits,
    /// From resolved to verified.
    pub verify_minutes: u32,
    /// From verified to closed.
    pub close_minutes: u32,
}

/// Minutes to settle a case, at the level that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettleLimits {
    /// 网格
    pub grid: u32,
    /// 社区
    pub community: u32,
    /// 街道 or 镇
    pub street: u32,
    /// 区
    pub district: u32,
    /// 市
    pub city: u32,
}

/// Why a policy cannot be adopted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy: {field} of {severity:?} has to be between 1 minute and 366 days")]
pub struct PolicyError {
    /// The severity whose limits are wrong.
    pub severity: Severity,
    /// The limit that is out of range.
    pub field: &'static str,
}

impl Coded for PolicyError {
    fn code(&self) -> Code {
        Code(190)
    }
}

const LONGEST_MINUTES: u32 = 366 * 24 * 60;

impl SettleLimits {
    fn at(&self, level: Level) -> u32 {
        match level {
            Level::Grid => self.grid,
            Level::Community => self.community,
            Level::Street => self.street,
            Level::District => self.district,
            Level::City => self.city,
        }
    }
}

impl Policy {
    /// The limits for a severity.
    #[must_use]
    pub fn limits(&self, severity: Severity) -> &Limits {
        match severity {
            Severity::General => &self.general,
            Severity::Larger => &self.larger,
            Severity::Major => &self.major,
            Severity::Extreme => &self.extreme,
        }
    }

    /// By when a case that comes to this stage and level now has to leave it.
    #[must_use]
    pub fn due(&self, severity: Severity, stage: Stage, level: Level, now: Timestamp) -> Timestamp {
        let limits = self.limits(severity);
        let minutes = match stage {
            Stage::Accept => limits.accept_minutes,
            Stage::Settle => limits.settle_minutes.at(level),
            Stage::Verify => limits.verify_minutes,
            Stage::Close => limits.close_minutes,
        };
        now.plus_millis(i64::from(minutes) * 60_000)
    }

    /// Checks every limit.
    ///
    /// # Errors
    /// The first limit that is out of range.
    pub fn check(&self) -> Result<(), PolicyError> {
        for severity in Severity::ALL {
            let limits = self.limits(severity);
            let settle = limits.settle_minutes;
            for (field, minutes) in [
                ("accept_minutes", limits.accept_minutes),
                ("settle_minutes.grid", settle.grid),
                ("settle_minutes.community", settle.community),
                ("settle_minutes.street", settle.street),
                ("settle_minutes.district", settle.district),
                ("settle_minutes.city", settle.city),
                ("verify_minutes", limits.verify_minutes),
                ("close_minutes", limits.close_minutes),
            ] {
                if !(1..=LONGEST_MINUTES).contains(&minutes) {
                    return Err(PolicyError { severity, field });
                }
            }
        }
        Ok(())
    }
}
