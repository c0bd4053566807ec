//! The first version of every event's payload.
//!
//! These structs are the storage format. Once released none of them changes: another field is another
//! version with a `From` of this one. postcard writes fields in order and without names, so that even
//! the order of fields, and of the variants of every enum in them, is part of the format; new variants
//! go to the end. `tests/golden.rs` holds the bytes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    area::Level,
    case::{
        CaseKind, Channel, EscalationReason, Holder, Measure, Outcome, Place, Rule, Severity,
        SourceRecord,
    },
    duty::{Member, Shift},
    envelope::Position,
    id::{CaseId, CommandId},
    limit::Limit,
    policy::Card,
    sealed::SealedParties,
    time::{Day, Timestamp},
    tree::TreeHash,
};

/// A case begins: somebody told of a dispute or an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReportedV1 {
    /// Dispute or incident.
    pub kind: CaseKind,
    /// Code of a category of the district's file.
    pub category: String,
    /// How bad.
    pub severity: Severity,
    /// How it came in.
    pub channel: Channel,
    /// What happened, in the reporter's words: 1 to 4,000 characters.
    pub description: String,
    /// Where.
    pub place: Place,
    /// How many people are involved, where known.
    pub people: Option<u32>,
    /// The parties' personal data, sealed with the case's key.
    pub parties: Option<SealedParties>,
    /// When the report was saved on the phone, by the phone's clock; what passed until `recorded_at`
    /// it waited for a signal.
    pub filed_at: Option<Timestamp>,
    /// The record of another system that this case was imported from.
    pub source: Option<SourceRecord>,
    /// Version of the policy that the case runs under.
    pub policy: u32,
    /// Who has to accept it.
    pub holder: Holder,
    /// By when it has to be accepted; an imported record's own due time where it has one.
    pub due_at: Timestamp,
}

/// Somebody took the case on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AcceptedV1 {
    /// Who holds it now.
    pub holder: Holder,
    /// By when it has to be settled.
    pub due_at: Timestamp,
    /// Remark; empty for none.
    pub note: String,
}

/// The case was given to a unit or a person to handle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AssignedV1 {
    /// Who holds it now.
    pub holder: Holder,
    /// By when it has to be settled; assigning does not move it.
    pub due_at: Timestamp,
    /// Remark; empty for none.
    pub note: String,
}

/// Something was done about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HandlingRecordedV1 {
    /// What was done.
    pub measure: Measure,
    /// How it went.
    pub note: String,
}

/// The handler is done with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResolvedV1 {
    /// With which outcome.
    pub outcome: Outcome,
    /// How it was settled.
    pub note: String,
    /// Who has to verify it.
    pub holder: Holder,
    /// By when it has to be verified.
    pub due_at: Timestamp,
}

/// Somebody other than the handler found it settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VerifiedV1 {
    /// Remark; empty for none.
    pub note: String,
    /// Who has to close it.
    pub holder: Holder,
    /// By when it has to be closed.
    pub due_at: Timestamp,
}

/// Somebody other than the handler found it not settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReworkOrderedV1 {
    /// What is missing.
    pub reason: String,
    /// Who has to handle it again.
    pub holder: Holder,
    /// By when it has to be settled.
    pub due_at: Timestamp,
}

/// The case is at its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClosedV1 {
    /// Remark; empty for none.
    pub note: String,
    /// False for an imported record that says that it was closed but not when; it then counts as closed
    /// and not in the times it took.
    pub moment_known: bool,
    /// Whether it was closed by its due time; none where that cannot be told: an imported record that
    /// names no due time of its own or no moment of closing.
    pub in_time: Option<bool>,
}

/// The unit gave it back to who assigned it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReturnedV1 {
    /// Why it is not the unit's.
    pub reason: String,
    /// Who holds it now.
    pub holder: Holder,
    /// By when it has to be settled; returning does not move it.
    pub due_at: Timestamp,
}

/// The clock stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SuspendedV1 {
    /// Why.
    pub reason: String,
    /// When it runs again at the latest, so that a suspended case is not forgotten.
    pub until: Timestamp,
}

/// The clock runs again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResumedV1 {
    /// The due time, later by the time the clock stood.
    pub due_at: Timestamp,
    /// Remark; empty for none.
    pub note: String,
}

/// The case was handed to another area or unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TransferredV1 {
    /// Why.
    pub reason: String,
    /// Who holds it now.
    pub holder: Holder,
    /// By when; handing over does not move it.
    pub due_at: Timestamp,
}

/// The due time passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadlineMissedV1 {
    /// The due time that passed.
    pub due_at: Timestamp,
    /// The level that held the case then.
    pub level: Level,
}

/// The case went up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EscalatedV1 {
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
}

/// Somebody above watches over it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SupervisedV1 {
    /// The level that supervises.
    pub level: Level,
    /// What it demands.
    pub note: String,
}

/// It repeats an older case and goes on as that one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MergedV1 {
    /// The older case.
    pub into: CaseId,
    /// Remark; empty for none.
    pub note: String,
}

/// It turned out not to be over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReopenedV1 {
    /// Why.
    pub reason: String,
    /// Who holds it now.
    pub holder: Holder,
    /// By when it has to be settled.
    pub due_at: Timestamp,
}

/// It is not gone on with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CancelledV1 {
    /// Why.
    pub reason: String,
}

/// The resident was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RatedV1 {
    /// Whether the resident is satisfied.
    pub satisfied: bool,
    /// In the resident's words; empty for none.
    pub note: String,
}

/// The key to the parties' personal data was destroyed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PartiesForgottenV1 {
    /// On which ground.
    pub reason: String,
}

/// The holder was reminded that the due time is near, or has passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RemindedV1 {
    /// How urgently.
    pub card: Card,
    /// The share of the limit that was gone, in per cent; above 100 the case is overdue.
    pub share: u32,
    /// The moment at which that share was gone.
    pub at: Timestamp,
    /// The due time.
    pub due_at: Timestamp,
    /// The limit.
    pub rule: Rule,
}

/// Intake's clock and the broker's, or its clock and the log, did not agree when the command's events were recorded:
/// their time is the broker's, and time alone decided nothing before them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClockDifferedV1 {
    /// What intake's clock said.
    pub own: Timestamp,
    /// What the broker's clock said.
    pub broker: Timestamp,
}

/// The due time was put off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExtendedV1 {
    /// Why.
    pub reason: String,
    /// By how much.
    #[schema(value_type = String, example = "3 workdays")]
    pub by: Limit,
    /// The due time now.
    pub due_at: Timestamp,
    /// The share of the limit up to it that was gone, in per cent: reminders up to it are past.
    pub share: u32,
    /// The lowest level that may grant it.
    pub granted_by: Level,
}

/// A policy holds for cases reported from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyAdoptedV1 {
    /// Its version.
    pub version: u32,
    /// Name of the zone that its hours are of.
    pub zone: String,
    /// The policy as JSON, which later versions of it still read.
    pub policy: String,
}

/// A year of the calendar is known, or known better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CalendarAdoptedV1 {
    /// The year.
    pub year: i16,
    /// Days off.
    pub holidays: Vec<Day>,
    /// Saturdays and Sundays that are worked in exchange.
    pub workdays: Vec<Day>,
}

/// The duty in an area was planned for a span of days, in place of what was planned for them before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RosterPlannedV1 {
    /// The span's first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
    /// The team.
    pub members: Vec<Member>,
    /// The shifts, in order.
    pub shifts: Vec<Shift>,
}

/// A member is away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AbsenceRecordedV1 {
    /// Who.
    pub person: String,
    /// From this moment.
    pub from: Timestamp,
    /// Up to this moment, without it.
    pub to: Timestamp,
    /// Why.
    pub reason: String,
}

/// A member is not away after all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AbsenceWithdrawnV1 {
    /// The command that recorded the absence.
    pub absence: CommandId,
}

/// Somebody took a resident's question: 首问.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InquiryTakenV1 {
    /// The question.
    pub question: String,
    /// How it came in.
    pub channel: Channel,
    /// Who owns it: whoever was asked.
    pub owner: String,
}

/// Its owner asked somebody else to take it over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InquiryOfferedV1 {
    /// Whom.
    pub to: String,
    /// Why: empty for no remark.
    pub note: String,
}

/// Whoever was asked did not take it over; it stays with its owner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InquiryDeclinedV1 {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Whoever was asked took it over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InquiryHandedOverV1 {
    /// Who owned it.
    pub from: String,
    /// Who owns it now.
    pub to: String,
}

/// The resident was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InquiryAnsweredV1 {
    /// The answer.
    pub answer: String,
    /// The case that the question became.
    pub case: Option<CaseId>,
}

/// Messages were lost and nothing better is left than to go on without them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LossAcceptedV1 {
    /// The first position that was lost.
    pub from: Position,
    /// The last position that was lost. One before `from` where another history than the log's is
    /// given up: nothing that is in the log is lost then.
    pub to: Position,
    /// Up to which position the log is known to have reached before: what was read or signed from `from` to here is
    /// of the history that was given up.
    pub known_to: Position,
    /// Events that are there and cannot be folded, since one that they need was lost.
    pub set_aside: Vec<Position>,
    /// What is known of the lost events, at most 20,000 of them.
    pub lost: Vec<LostEventV1>,
    /// Why: 1 to 4,000 characters.
    pub reason: String,
}

/// What is known of an event that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LostEventV1 {
    /// Where it was.
    pub position: Position,
    /// The case that it happened to; `None` for another kind of aggregate, or where nobody knows.
    pub case: Option<CaseId>,
}

/// The keys of sealed sections were lost, so that nobody can read these any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeysLostV1 {
    /// The cases whose parties cannot be read, at most 20,000 of them.
    pub cases: Vec<CaseId>,
    /// Why: 1 to 4,000 characters.
    pub reason: String,
}

/// A message on a subject of the log is no event of it, and readers pass it over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessageQuarantinedV1 {
    /// Its position.
    pub position: Position,
    /// The hash of its leaf in the tree.
    pub leaf: TreeHash,
    /// Why: 1 to 4,000 characters.
    pub reason: String,
}
