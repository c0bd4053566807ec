//! The second version of events that a rule of the policy causes: they name it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::v1::{DeadlineMissedV1, EscalatedV1, SupervisedV1};
use crate::{
    area::Level,
    case::{EscalationReason, Holder, Rule},
    time::Timestamp,
};

/// The due time passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadlineMissedV2 {
    /// The due time that passed.
    pub due_at: Timestamp,
    /// The level that held the case then.
    pub level: Level,
    /// The limit that the due time came from; none of an imported record's own due time, and of events of the
    /// first version.
    pub rule: Option<Rule>,
}

/// The case went up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EscalatedV2 {
    /// The level it came from.
    pub from: Level,
    /// What sent it up.
    pub reason: EscalationReason,
    /// Remark; empty for none.
    pub note: String,
    /// Who holds it now.
    pub holder: Holder,
    /// By when at this level.
    pub due_at: Timestamp,
    /// Since when this due time runs: the due time that was missed, however late that was found. None for as
    /// of the recording.
    pub due_since: Option<Timestamp>,
    /// The limit that was missed; none for a request.
    pub rule: Option<Rule>,
}

/// Somebody above watches over it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SupervisedV2 {
    /// The level that supervises.
    pub level: Level,
    /// What it demands; empty where a rule is the cause.
    pub note: String,
    /// The limit whose missing brought it about; none where somebody ordered it.
    pub rule: Option<Rule>,
}

impl From<DeadlineMissedV1> for DeadlineMissedV2 {
    fn from(DeadlineMissedV1 { due_at, level }: DeadlineMissedV1) -> Self {
        let rule = None;
        Self {
            due_at,
            level,
            rule,
        }
    }
}

impl From<EscalatedV1> for EscalatedV2 {
    fn from(event: EscalatedV1) -> Self {
        Self {
            from: event.from,
            reason: event.reason,
            note: event.note,
            holder: event.holder,
            due_at: event.due_at,
            due_since: None,
            rule: None,
        }
    }
}

impl From<SupervisedV1> for SupervisedV2 {
    fn from(SupervisedV1 { level, note }: SupervisedV1) -> Self {
        let rule = None;
        Self { level, note, rule }
    }
}
