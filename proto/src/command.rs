//! What somebody wants to happen. Intake decides it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    area::{AreaCode, Level},
    case::{CaseKind, Channel, Holder, Measure, Outcome, Place, Severity, SourceRecord},
    duty::RosterCommand,
    envelope::EventHash,
    id::CaseId,
    inquiry::InquiryCommand,
    limit::Limit,
    rules::RulesCommand,
    sealed::SealedParties,
    time::Timestamp,
};

/// A command, after its sender, its shape and its area were checked.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every command is one to a case: boxing it saves nothing"
)]
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// To a case.
    Case(CaseCommand),
    /// To the district's rules.
    Rules(RulesCommand),
    /// To an area's roster.
    Roster(RosterCommand),
    /// To a first inquiry.
    Inquiry(InquiryCommand),
}

/// A command to a case.
#[derive(Clone, Debug, PartialEq)]
pub enum CaseCommand {
    /// Open a case.
    Report(Report),
    /// Change one.
    Step(Step),
}

/// Opens a case in a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Dispute or incident.
    pub kind: CaseKind,
    /// A category of the district.
    pub category: String,
    /// How bad.
    pub severity: Severity,
    /// How it came in.
    pub channel: Channel,
    /// What happened.
    pub description: String,
    /// Where.
    pub place: Place,
    /// How many people are involved.
    pub people: Option<u32>,
    /// The sealed personal data.
    pub parties: Option<SealedParties>,
    /// When it was saved on the phone.
    pub filed_at: Option<Timestamp>,
    /// The record of another system it comes from.
    pub imported: Option<Imported>,
}

/// What the record of another system says of a case. Only an import may say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Imported {
    /// Which record.
    pub source: SourceRecord,
    /// When that system recorded the report.
    pub reported_at: Timestamp,
    /// The due time it had there.
    #[serde(default)]
    pub due_at: Option<Timestamp>,
    /// Whether it was closed there.
    #[serde(default)]
    pub closed: Option<ImportedClosing>,
}

/// An imported record was closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportedClosing {
    /// When; none where the record does not tell.
    #[serde(default)]
    pub at: Option<Timestamp>,
}

/// Changes a case. In JSON the field `step` names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// 受理: take the case on.
    Accept {
        /// Remark.
        #[serde(default)]
        note: String,
    },
    /// 派遣: give it to a unit or a person of an area at or below the holder's.
    Assign {
        /// Who is to handle it.
        to: Assignee,
        /// Remark.
        #[serde(default)]
        note: String,
    },
    /// 处置: record what was done.
    RecordHandling {
        /// What was done.
        measure: Measure,
        /// How it went: 1 to 4,000 characters.
        note: String,
    },
    /// 办结: the handler is done.
    Resolve {
        /// With which outcome.
        outcome: Outcome,
        /// How: 1 to 4,000 characters.
        note: String,
    },
    /// 核查: it is settled indeed. Not by its handler.
    Verify {
        /// Remark.
        #[serde(default)]
        note: String,
    },
    /// 返工: the check failed. Not by its handler.
    OrderRework {
        /// What is missing: 1 to 4,000 characters.
        reason: String,
    },
    /// 结案
    Close {
        /// Remark.
        #[serde(default)]
        note: String,
    },
    /// 退回: the unit gives it back to who assigned it; once.
    Return {
        /// Why: 1 to 4,000 characters.
        reason: String,
    },
    /// 挂起: stop its clock.
    Suspend {
        /// Why: 1 to 4,000 characters.
        reason: String,
        /// When it runs again at the latest; at most 366 days ahead.
        until: Timestamp,
    },
    /// Let its clock run again.
    Resume {
        /// Remark.
        #[serde(default)]
        note: String,
    },
    /// 移交: hand it to another area or unit of the same level.
    Transfer {
        /// To whom.
        to: Assignee,
        /// Why: 1 to 4,000 characters.
        reason: String,
    },
    /// 升级: send it one level up.
    Escalate {
        /// Why: 1 to 4,000 characters.
        reason: String,
    },
    /// 督办: watch over it from above.
    Supervise {
        /// What is demanded: 1 to 4,000 characters.
        note: String,
    },
    /// It repeats an older case.
    Merge {
        /// The older case.
        into: CaseId,
        /// Remark.
        #[serde(default)]
        note: String,
    },
    /// It is not over.
    Reopen {
        /// Why: 1 to 4,000 characters.
        reason: String,
    },
    /// Do not go on with it.
    Cancel {
        /// Why: 1 to 4,000 characters.
        reason: String,
    },
    /// 回访: what the resident says of it.
    Rate {
        /// Whether the resident is satisfied.
        satisfied: bool,
        /// In the resident's words.
        #[serde(default)]
        note: String,
    },
    /// Destroy the key to the parties' personal data.
    ForgetParties {
        /// On which ground: 1 to 4,000 characters.
        reason: String,
    },
    /// 延期: put the due time off.
    Extend {
        /// By how much, such as `3 workdays`.
        #[schema(value_type = String, example = "3 workdays")]
        by: Limit,
        /// Why: 1 to 4,000 characters.
        reason: String,
    },
    /// A moment passed at which something happens to the case by itself. Sent by the escalator; whatever has
    /// happened is recorded ahead of any command.
    PassMoment {
        /// The moment.
        at: Timestamp,
    },
}

/// To whom a case is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Assignee {
    /// The area; it names the level too.
    pub area: AreaCode,
    /// The unit: 1 to 100 characters.
    #[serde(default)]
    pub unit: Option<String>,
    /// The person's id: 1 to 64 characters.
    #[serde(default)]
    pub person: Option<String>,
}

impl Assignee {
    /// As a holder.
    #[must_use]
    pub fn holder(&self) -> Holder {
        let Self { area, unit, person } = self.clone();
        Holder {
            level: area.level(),
            area,
            unit,
            person,
        }
    }

    /// The level it stands on.
    #[must_use]
    pub fn level(&self) -> Level {
        self.area.level()
    }
}

impl Step {
    /// The step's name, as `step` in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accept { .. } => "accept",
            Self::Assign { .. } => "assign",
            Self::RecordHandling { .. } => "record_handling",
            Self::Resolve { .. } => "resolve",
            Self::Verify { .. } => "verify",
            Self::OrderRework { .. } => "order_rework",
            Self::Close { .. } => "close",
            Self::Return { .. } => "return",
            Self::Suspend { .. } => "suspend",
            Self::Resume { .. } => "resume",
            Self::Transfer { .. } => "transfer",
            Self::Escalate { .. } => "escalate",
            Self::Supervise { .. } => "supervise",
            Self::Merge { .. } => "merge",
            Self::Reopen { .. } => "reopen",
            Self::Cancel { .. } => "cancel",
            Self::Rate { .. } => "rate",
            Self::ForgetParties { .. } => "forget_parties",
            Self::Extend { .. } => "extend",
            Self::PassMoment { .. } => "pass_moment",
        }
    }
}

/// Digest of a command's content, by which a repetition is told from another command under the same id.
/// `content` is the request as it came, in a canonical form without personal data.
#[must_use]
pub fn digest(content: &[u8]) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&EventHash::of(content).0[..8]);
    short
}
