//! How long each step may take, who watches over it, where a case begins, and by which clock the time runs.

mod check;
mod oversight;
mod timetable;

use serde::{Deserialize, Serialize};

pub use check::PolicyError;
pub use oversight::{Card, Extensions, Oversight, Reminder};
pub use timetable::{Concerned, Timetable};

use crate::{
    area::Level,
    case::{Severity, Stage},
    clock::ServiceHours,
    duty::StaffingRule,
    limit::Limit,
};

/// A district's policy: the `policy.toml` of the district's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Counted up with each change; a case tells the version it was reported under.
    pub version: u32,
    /// The hours of service, where a limit or a staffing rule goes by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// The post that holds each rung.
    #[serde(default)]
    pub ladder: Ladder,
    /// Who watches over cases, where their limits have nothing of their own.
    #[serde(default)]
    pub oversight: Oversight,
    /// How many have to be on duty when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub staffing: Vec<StaffingRule>,
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
    /// From acceptance, or from going up before, to being given to somebody or begun with; where left out,
    /// only settling has a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assign: Option<Limit>,
    /// From acceptance, or from going up, to being resolved, at each level.
    pub settle: SettleLimits,
    /// From resolved to verified.
    pub verify: Limit,
    /// From verified to closed.
    pub close: Limit,
    /// Who watches over these cases, where it is not the policy's own way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oversight: Option<Oversight>,
}

/// 阶梯: the post that holds each rung of the ladder, such as 网格员 or 街道综治中心. A case that goes to a
/// level goes to its post there; who serves in the post tells the area's roster. A rung that is left out has the
/// post that it commonly has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ladder {
    /// 网格
    pub grid: String,
    /// 社区
    pub community: String,
    /// 街道 or 镇
    pub street: String,
    /// 区
    pub district: String,
    /// 市
    pub city: String,
}

impl Default for Ladder {
    fn default() -> Self {
        let [grid, community, street, district, city] = [
            "网格员",
            "社区党组织书记",
            "街道综治中心",
            "区综治中心",
            "市综治中心",
        ]
        .map(str::to_owned);
        Self {
            grid,
            community,
            street,
            district,
            city,
        }
    }
}

impl Ladder {
    /// The post that holds a rung.
    #[must_use]
    pub fn post(&self, level: Level) -> &str {
        match level {
            Level::Grid => &self.grid,
            Level::Community => &self.community,
            Level::Street => &self.street,
            Level::District => &self.district,
            Level::City => &self.city,
        }
    }
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
            Stage::Assign => self.assign.unwrap_or_else(|| self.settle.at(level)),
            Stage::Settle => self.settle.at(level),
            Stage::Verify => self.verify,
            Stage::Close => self.close,
        }
    }

    /// The name in the policy's file of the limit for a stage and level.
    fn name(&self, stage: Stage, level: Level) -> &'static str {
        match (stage, level) {
            (Stage::Accept, _) => "accept",
            (Stage::Assign, _) if self.assign.is_some() => "assign",
            (Stage::Assign | Stage::Settle, Level::Grid) => "settle.grid",
            (Stage::Assign | Stage::Settle, Level::Community) => "settle.community",
            (Stage::Assign | Stage::Settle, Level::Street) => "settle.street",
            (Stage::Assign | Stage::Settle, Level::District) => "settle.district",
            (Stage::Assign | Stage::Settle, Level::City) => "settle.city",
            (Stage::Verify, _) => "verify",
            (Stage::Close, _) => "close",
        }
    }

    fn named(&self) -> [(&'static str, Limit); 9] {
        [
            ("accept", self.accept),
            ("assign", self.assign.unwrap_or(self.accept)),
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
        match self.own_limits(category, severity) {
            Some((_, limits)) => limits,
            None => self.general_limits(severity),
        }
    }

    /// Whether a limit runs by the calendar, so that no due time can be told beyond its end.
    #[must_use]
    pub fn limits_need_calendar(&self) -> bool {
        let general = Severity::ALL.map(|severity| self.general_limits(severity));
        let own = self.categories.iter();
        let own = own.flat_map(|own| Severity::ALL.into_iter().filter_map(|it| own.of(it)));
        let mut all = general.into_iter().chain(own);
        all.any(|limits| {
            limits
                .named()
                .iter()
                .any(|(_, limit)| limit.needs_service())
        })
    }

    /// Who watches over cases of a category and severity.
    #[must_use]
    pub fn oversight(&self, category: &str, severity: Severity) -> &Oversight {
        let limits = self.limits(category, severity);
        limits.oversight.as_ref().unwrap_or(&self.oversight)
    }

    /// Where in the policy's file the limits for a category and severity stand.
    fn path(&self, category: &str, severity: Severity) -> String {
        let severity_name = severity_name(severity);
        match self.own_limits(category, severity) {
            Some((own, _)) => format!("category[{}].{severity_name}", own.code),
            None => severity_name.to_owned(),
        }
    }

    /// The limits of the longest category that fits, where one has its own.
    fn own_limits(&self, category: &str, severity: Severity) -> Option<(&CategoryLimits, &Limits)> {
        self.categories
            .iter()
            .filter(|limits| limits.holds(category))
            .filter_map(|limits| Some((limits, limits.of(severity)?)))
            .max_by_key(|(limits, _)| limits.code.len())
    }

    fn general_limits(&self, severity: Severity) -> &Limits {
        match severity {
            Severity::General => &self.general,
            Severity::Larger => &self.larger,
            Severity::Major => &self.major,
            Severity::Extreme => &self.extreme,
        }
    }
}

fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::General => "general",
        Severity::Larger => "larger",
        Severity::Major => "major",
        Severity::Extreme => "extreme",
    }
}
