//! A case: what it is, who holds it, by when, and how events change it.
//!
//! The life of a case (GB/T 30428 and common practice): reported 上报, accepted 受理, assigned 派遣,
//! handling 处置, resolved 办结, verified 核查, closed 结案.

mod decide;
mod evolve;
mod moment;
mod refusal;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use decide::{Decided, Decision, Situation, decide};
pub use evolve::EvolveError;
pub use moment::{Happened, Moment, NextMoment};
pub use refusal::Refusal;

use crate::{
    answers::Answers,
    area::{AreaCode, Level},
    id::CaseId,
    time::Timestamp,
};

/// What a case is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CaseKind {
    /// 矛盾纠纷
    Dispute,
    /// 事件
    Incident,
}

/// How bad it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// 一般
    General,
    /// 较大
    Larger,
    /// 重大
    Major,
    /// 特别重大
    Extreme,
}

impl Severity {
    /// All severities, mildest first.
    pub const ALL: [Self; 4] = [Self::General, Self::Larger, Self::Major, Self::Extreme];
}

/// How a report came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// From a grid worker's phone.
    GridWorker,
    /// A resident told somebody on duty.
    Resident,
    /// 12345 and other hotlines.
    Hotline,
    /// A one-stop window.
    Window,
    /// Patrol, camera or sensor.
    Patrol,
    /// Another unit handed it over.
    OtherUnit,
    /// A record of another system.
    Import,
}

/// Where a case stands in its life.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CaseState {
    /// 上报: nobody has taken it on yet.
    Reported,
    /// 受理
    Accepted,
    /// 派遣
    Assigned,
    /// 处置
    Handling,
    /// 挂起: the clock stands.
    Suspended,
    /// 办结: to be verified.
    Resolved,
    /// 核查: to be closed.
    Verified,
    /// 结案
    Closed,
    /// Goes on as the older case that it repeats.
    Merged,
    /// Not gone on with.
    Cancelled,
}

/// What has to happen next, and so which limit runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Somebody has to take it on.
    Accept,
    /// It has to be settled.
    Settle,
    /// It has to be verified.
    Verify,
    /// It has to be closed.
    Close,
    /// Somebody has to be given it, or begin with it; its limit is that of settling where the policy has
    /// none for it.
    Assign,
}

impl CaseState {
    /// All states, in the order of a case's life.
    pub const ALL: [Self; 10] = [
        Self::Reported,
        Self::Accepted,
        Self::Assigned,
        Self::Handling,
        Self::Suspended,
        Self::Resolved,
        Self::Verified,
        Self::Closed,
        Self::Merged,
        Self::Cancelled,
    ];

    /// Whether the case still needs somebody.
    #[must_use]
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Closed | Self::Merged | Self::Cancelled)
    }
}

/// Who has the case: a level, the area of that level, and where named the unit and the person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct Holder {
    /// The rung of the ladder.
    pub level: Level,
    /// The area of that level; for the city the district's code.
    pub area: AreaCode,
    /// The unit, such as 司法所 or a department: 1 to 100 characters.
    pub unit: Option<String>,
    /// The person's id: 1 to 64 characters.
    pub person: Option<String>,
}

impl Holder {
    /// The holder that a level has by default: the area itself, nobody named.
    ///
    /// The grid is that of a case, so that it lies in an area of every level.
    #[must_use]
    pub fn of_level(level: Level, grid: AreaCode) -> Self {
        let area = grid.at(level).unwrap_or(grid);
        Self {
            level,
            area,
            unit: None,
            person: None,
        }
    }
}

/// A point of WGS84, in ten-millionths of a degree (about 1 cm), so that equal points are equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Point {
    /// Longitude, east positive.
    pub longitude_e7: i32,
    /// Latitude, north positive.
    pub latitude_e7: i32,
}

/// Where it happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Place {
    /// The point, where known.
    pub point: Option<Point>,
    /// Address or description: up to 300 characters.
    pub address: Option<String>,
}

/// A record of another system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceRecord {
    /// The system: 1 to 100 characters.
    pub system: String,
    /// The record's own id there: 1 to 100 characters.
    pub record: String,
    /// The state it had there, in that system's word: up to 100 characters.
    pub state: Option<String>,
}

/// What was done about a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// First contact with the resident.
    Contact,
    /// 上门走访
    Visit,
    /// 调解
    Mediation,
    /// Work on site.
    OnSite,
    /// 执法
    Enforcement,
    /// Anything else; the note says what.
    Other,
}

/// How a case was resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Settled: an agreement, or the danger is gone.
    Settled,
    /// Settled in part.
    Partial,
    /// Not settled.
    Failed,
    /// Referred to court, arbitration or another authority.
    Referred,
}

/// What sent a case up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EscalationReason {
    /// Its due time passed.
    Deadline,
    /// Its holder asked for it.
    Request,
}

/// The rule of a policy that caused something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rule {
    /// Version of the policy.
    pub policy: u32,
    /// The limit's place in the policy's file, such as `general.settle.grid`.
    pub path: String,
    /// The limit, such as `7 workdays`.
    pub limit: String,
}

/// What the log says of one case, as far as deciding needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Its id.
    pub id: CaseId,
    /// The grid it was filed in.
    pub grid: AreaCode,
    /// Dispute or incident.
    pub kind: CaseKind,
    /// How bad.
    pub severity: Severity,
    /// Code of its category.
    pub category: String,
    /// Version of the policy it runs under.
    pub policy: u32,
    /// Where it stands.
    pub state: CaseState,
    /// What has to happen next; none for a case at its end.
    pub stage: Option<Stage>,
    /// For a suspended case the state it goes back to, since when, and until when at the latest.
    pub suspension: Option<Suspension>,
    /// Who has it.
    pub holder: Holder,
    /// Since when.
    pub held_since: Timestamp,
    /// Who had it before it was assigned, to give it back to.
    pub assigned_by: Option<Holder>,
    /// By when the next step has to be done.
    pub due_at: Timestamp,
    /// Since when this due time runs.
    pub due_since: Timestamp,
    /// When the clock of this due time stood: since when, until when.
    pub stood: Vec<(Timestamp, Timestamp)>,
    /// The share of this due time's limit, in per cent, that its holder was last reminded at; 100 when it
    /// passed.
    pub reminded: u32,
    /// Whether this due time was found passed.
    pub overdue: bool,
    /// Whether a due time passed since it came to its present stage.
    pub late_in_stage: bool,
    /// Whoever last handled or resolved it, and so may not verify it.
    pub handler: Option<String>,
    /// The unit that held it when it was last resolved.
    pub resolved_by_unit: Option<String>,
    /// Recorded time of the report.
    pub reported_at: Timestamp,
    /// Recorded time of the latest acceptance.
    pub accepted_at: Option<Timestamp>,
    /// Recorded time of the latest resolution.
    pub resolved_at: Option<Timestamp>,
    /// Recorded time of the latest closing; none also where an imported record does not tell.
    pub closed_at: Option<Timestamp>,
    /// How often its due time passed.
    pub deadlines_missed: u32,
    /// How often it went up.
    pub escalations: u32,
    /// How often its holders were reminded.
    pub reminders: u32,
    /// How often it was given back by a unit.
    pub returns: u32,
    /// How often its due time was put off.
    pub extensions: u32,
    /// How often it was opened again.
    pub reopenings: u32,
    /// Whether somebody above watches over it.
    pub supervised: bool,
    /// The older case that it goes on as.
    pub merged_into: Option<CaseId>,
    /// What the resident said last.
    pub satisfied: Option<bool>,
    /// Whether it holds parties' data, and whether that can still be read.
    pub parties: PartiesState,
    /// Recorded time of its latest event.
    pub last_recorded_at: Timestamp,
    /// Number of its events.
    pub version: u32,
    /// The commands it answered.
    pub answered: Answers,
}

/// The clock of a case stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Suspension {
    /// The state it goes back to.
    pub resumes_as: CaseState,
    /// Since when.
    pub since: Timestamp,
    /// Until when at the latest.
    pub until: Timestamp,
}

/// Whether a case holds parties' data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartiesState {
    /// None were given.
    None,
    /// Sealed in the log.
    Sealed,
    /// Their key is destroyed.
    Forgotten,
}
