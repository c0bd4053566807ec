//! The shapes of the HTTP API: what phones, the centre and analysts send and get.
//!
//! Times are RFC 3339; answers give them in UTC. Unknown fields of a request are refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    access::Actor,
    area::{AreaCode, Level},
    calendar::CalendarYear,
    case::{
        CaseKind, CaseState, Channel, Holder, PartiesState, Place, Rule, Severity, SourceRecord,
        Stage, Suspension,
    },
    command::{Imported, Step},
    duty::{Absence, Gap, Held, Member, RosterCommand, Shift},
    envelope::Position,
    event::Event,
    id::{AggregateId, CaseId, CommandId, EventId, InquiryId},
    inquiry::{Inquiry, InquiryCommand},
    policy::Policy,
    rules::RulesCommand,
    sealed::Party,
    time::{Day, Timestamp},
    tree::TreeHash,
};

/// The reports of `POST /v1/reports`: one, or a batch.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportsRequest {
    /// 1 to 500 reports. Each is decided by itself: one that is refused does not stop the others.
    pub reports: Vec<ReportRequest>,
}

/// A report of a dispute or an incident.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportRequest {
    /// The case's id, a UUIDv7 made by the sender. Sent again, the same report gets the same answer.
    pub id: CaseId,
    /// Dispute or incident.
    pub kind: CaseKind,
    /// Code of a category of the district.
    pub category: String,
    /// How bad; 一般 when left out.
    #[serde(default = "general")]
    pub severity: Severity,
    /// How it came in.
    pub channel: Channel,
    /// What happened: 1 to 4,000 characters.
    pub description: String,
    /// Where, as a point. Either this or `grid` has to be given; with both the grid decides.
    #[serde(default)]
    pub location: Option<Location>,
    /// The grid it is filed in.
    #[serde(default)]
    pub grid: Option<AreaCode>,
    /// Address or description of the place: up to 300 characters.
    #[serde(default)]
    pub address: Option<String>,
    /// How many people are involved.
    #[serde(default)]
    pub people: Option<u32>,
    /// The parties: up to 50. Kept apart from the log's clear text.
    #[serde(default)]
    pub parties: Vec<Party>,
    /// When it happened; the time of the report when left out.
    #[serde(default)]
    pub occurred_at: Option<Timestamp>,
    /// When it was saved on the phone.
    #[serde(default)]
    pub filed_at: Option<Timestamp>,
    /// For the record of another system.
    #[serde(default)]
    pub imported: Option<Imported>,
}

fn general() -> Severity {
    Severity::General
}

/// A point as a phone knows it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// Degrees, -180 to 180.
    pub longitude: f64,
    /// Degrees, -90 to 90.
    pub latitude: f64,
    /// What the degrees are degrees of.
    #[serde(default)]
    pub system: CoordinateSystem,
}

/// Which map the coordinates belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum CoordinateSystem {
    /// As satellites give it.
    #[default]
    #[serde(rename = "WGS84")]
    Wgs84,
    /// As Chinese map services give it.
    #[serde(rename = "GCJ-02")]
    Gcj02,
}

/// A result per report, in the order sent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReportsAnswer {
    /// The results.
    pub results: Vec<ReportResult>,
}

/// What became of a report.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReportResult {
    /// The case's id, as sent.
    pub id: CaseId,
    /// What was recorded; none for a refused report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// Why it was refused; none for a recorded one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedItem>,
}

/// Proof that a command is recorded for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    /// The case.
    pub case_id: CaseId,
    /// The grid it is filed in.
    pub grid: AreaCode,
    /// The position of the command's last event in the log; `at_least` takes it.
    pub position: Position,
    /// The hash of that event's leaf in the tree over the log, by which `/v1/log/inclusion` proves that it is there;
    /// `None` in receipts of an older intake.
    #[serde(default)]
    pub leaf_hash: Option<TreeHash>,
    /// The case's version after it; `if_version` takes it.
    pub version: u32,
    /// Whether the same command was recorded before and this is the answer it got.
    pub repeated: bool,
}

/// Proof that a change of something else than a case is recorded for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeReceipt {
    /// The place in the log of the command's last event, or of the log's end where nothing had to change.
    pub position: Position,
    /// The hash of the leaf at that position; `None` for an empty log, and from an older intake.
    #[serde(default)]
    pub leaf_hash: Option<TreeHash>,
    /// The number of events of what was changed.
    pub version: u32,
    /// Whether the same command was recorded before and this is the answer it got.
    pub repeated: bool,
}

/// The proof that a message is in the log: hashed with its leaf they give the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InclusionProof {
    /// The message's position.
    pub position: Position,
    /// The hash of its leaf, whose index is its position less one.
    pub leaf_hash: TreeHash,
    /// Up to which position the log is meant.
    pub to: Position,
    /// The root of the tree up to there.
    pub root: TreeHash,
    /// The hashes beside the path from the leaf to the root, from below.
    pub proof: Vec<TreeHash>,
}

/// The proof that the log up to one position is the beginning of the log up to a later one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsistencyProof {
    /// The earlier position.
    pub from: Position,
    /// The root there.
    pub from_root: TreeHash,
    /// The later position.
    pub to: Position,
    /// The root there.
    pub root: TreeHash,
    /// The hashes that lead from the one to the other.
    pub proof: Vec<TreeHash>,
}

/// A command to a district's rules, for `POST /v1/rules/commands`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RulesRequest {
    /// The command's id, a UUID made by the sender. Sent again, the same command gets the same answer.
    pub id: CommandId,
    /// The command and its fields.
    pub command: RulesCommand,
}

/// A command to an area's roster, for `POST /v1/rosters/{area}/commands`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RosterRequest {
    /// The command's id, a UUID made by the sender. Sent again, the same command gets the same answer.
    pub id: CommandId,
    /// The command and its fields.
    pub command: RosterCommand,
}

/// A command to a first inquiry, for `POST /v1/inquiries/{id}/commands`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InquiryRequest {
    /// The command's id, a UUID made by the sender. Sent again, the same command gets the same answer.
    pub id: CommandId,
    /// Where the question was asked; the bearer's own area when left out.
    #[serde(default)]
    pub area: Option<AreaCode>,
    /// The command and its fields.
    pub command: InquiryCommand,
}

/// A report of a batch that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedItem {
    /// Stable code, such as GK0212.
    pub code: String,
    /// What is wrong and what to do.
    pub detail: String,
    /// Whether the same report may be sent again unchanged later.
    pub retry: bool,
}

/// A step for `POST /v1/cases/{id}/commands`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandRequest {
    /// The command's id, a UUID made by the sender. Sent again, the same command gets the same answer.
    pub id: CommandId,
    /// The version of the case that the sender saw; refused when it is another by now.
    #[serde(default)]
    pub if_version: Option<u32>,
    /// When it happened; the time of the command when left out.
    #[serde(default)]
    pub occurred_at: Option<Timestamp>,
    /// The step and its fields.
    pub command: Step,
}

/// A case, whole.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CaseDetail {
    /// The views held all events up to this position.
    pub position: Position,
    /// The case in short.
    #[serde(flatten)]
    pub summary: CaseSummary,
    /// What happened.
    pub description: String,
    /// Where.
    pub place: Place,
    /// How it came in.
    pub channel: Channel,
    /// How many people are involved.
    pub people: Option<u32>,
    /// The parties, for those who may see them; none where there are none or they are forgotten.
    pub parties: Option<Vec<Party>>,
    /// Whether there are parties.
    pub parties_state: PartiesState,
    /// The code of the error for which sealed parties cannot be read, such as `GK0329`; none
    /// where they are shown, and for those who may not see them.
    pub parties_unreadable: Option<String>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it was saved on the phone.
    pub filed_at: Option<Timestamp>,
    /// How long it waited between being saved and being received, in milliseconds.
    pub waited_ms: Option<i64>,
    /// The record of another system it comes from.
    pub source: Option<SourceRecord>,
    /// The older case it goes on as.
    pub merged_into: Option<CaseId>,
    /// What the resident said.
    pub satisfied: Option<bool>,
    /// The stopped clock.
    pub suspension: Option<Suspension>,
}

/// A case in short, as lists show it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CaseSummary {
    /// The case.
    pub id: CaseId,
    /// Its version.
    pub version: u32,
    /// The grid it was filed in.
    pub grid: AreaCode,
    /// Dispute or incident.
    pub kind: CaseKind,
    /// Code of its category.
    pub category: String,
    /// How bad.
    pub severity: Severity,
    /// Where it stands.
    pub state: CaseState,
    /// Who has it.
    pub holder: Holder,
    /// By when the next step has to be done; none for a case at its end.
    pub due_at: Option<Timestamp>,
    /// Whether that time was found passed.
    pub overdue: bool,
    /// When it was recorded.
    pub reported_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}

/// A page of cases.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CaseList {
    /// The views held all events up to this position.
    pub position: Position,
    /// The cases.
    pub cases: Vec<CaseSummary>,
    /// For `after=`, when there are more.
    pub next: Option<String>,
}

/// One event of a case's timeline, or of a pull.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EventRecord {
    /// Its place in the log.
    pub position: Position,
    /// Its id.
    pub event_id: EventId,
    /// What it happened to: a case, or something else that the type of the event tells.
    pub aggregate: AggregateId,
    /// The grid that a case was filed in, or the area whose own matter it is.
    pub area: AreaCode,
    /// The command it answers.
    pub command_id: CommandId,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// What happened; sealed sections are left out.
    pub event: Event,
}

/// A case's events.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Timeline {
    /// The views held all events up to this position.
    pub position: Position,
    /// The case.
    pub case_id: CaseId,
    /// In the order of the log.
    pub events: Vec<EventRecord>,
}

/// Who holds a case now, by when, and where it goes next.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EscalationStatus {
    /// The views held all events up to this position.
    pub position: Position,
    /// The case.
    pub case_id: CaseId,
    /// Where it stands.
    pub state: CaseState,
    /// Who has it.
    pub holder: Holder,
    /// Since when.
    pub since: Timestamp,
    /// By when; none for a case at its end.
    pub due_at: Option<Timestamp>,
    /// How much of the time is gone, in thousandths of the limit's own time; above 1,000 when it is late.
    pub used_permille: Option<u64>,
    /// Whether the time runs; none for a case at its end.
    pub clock: Option<ClockState>,
    /// Whether something of this cannot be told, because it lies beyond the calendar's last year (GK0191).
    pub beyond_calendar: bool,
    /// Whether the due time was found passed.
    pub overdue: bool,
    /// What it waits for; none for a case at its end.
    pub stage: Option<Stage>,
    /// The post that holds it by the policy's ladder; none where the policy names none, or a unit or a person
    /// holds the case.
    pub post: Option<String>,
    /// Who answers for it now by the roster of the holding area, and who stands in; none where no roster tells.
    pub held_by: Option<Held>,
    /// The limit that runs, and where it stands in the policy; none for a case at its end.
    pub limit: Option<Rule>,
    /// Whether somebody above watches over it.
    pub supervised: bool,
    /// How often its due time was put off.
    pub extensions: u32,
    /// How often units gave it back.
    pub returns: u32,
    /// What happens next by itself, and when; none for a case at its end.
    pub next: Option<NextStep>,
    /// When its holder is reminded next; none where only the due time is left.
    pub reminder_at: Option<Timestamp>,
    /// Every step up so far, every due time that passed, reminder, supervision and extension, each with the
    /// rule that caused it.
    pub history: Vec<EventRecord>,
}

/// Whether the time of a case runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClockState {
    /// It runs.
    Runs,
    /// It stands until service begins again.
    Closed,
    /// It stands: the case is suspended.
    Suspended,
}

/// What happens by itself if nobody acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NextStep {
    /// What.
    pub action: NextAction,
    /// When.
    pub at: Timestamp,
    /// The level the case goes to.
    pub level: Level,
}

/// What happens by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NextAction {
    /// It goes up one level.
    Escalate,
    /// It stays at the city and is marked overdue.
    MarkOverdue,
    /// It stays at the city, overdue, and its holder is reminded again.
    Remind,
    /// Its clock runs again.
    Resume,
}

/// The open cases of an area by due time.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EscalationList {
    /// The views held all events up to this position.
    pub position: Position,
    /// The earliest due first.
    pub cases: Vec<CaseSummary>,
    /// For `after=`, when there are more.
    pub next: Option<String>,
}

/// The figures of an area.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AreaFigures {
    /// Its code.
    pub code: AreaCode,
    /// Its name.
    pub name: String,
    /// Its level.
    pub level: Level,
    /// Cases ever reported.
    pub reported: u64,
    /// Open cases.
    pub open: u64,
    /// Open cases whose due time passed.
    pub overdue: u64,
    /// Open cases that somebody above watches over.
    pub supervised: u64,
    /// Cases closed after their due time.
    pub closed_late: u64,
    /// Cases by state.
    pub by_state: BTreeMap<String, u64>,
    /// Open cases by the level that holds them.
    pub open_by_level: BTreeMap<String, u64>,
    /// Open cases by severity.
    pub open_by_severity: BTreeMap<String, u64>,
    /// Open cases by category.
    pub open_by_category: BTreeMap<String, u64>,
    /// All cases by category.
    pub by_category: BTreeMap<String, u64>,
    /// Imported cases by the state they had in the other system.
    pub by_source_state: BTreeMap<String, u64>,
    /// Cases that the resident is satisfied with.
    pub satisfied: u64,
    /// Cases that the resident is not satisfied with.
    pub dissatisfied: u64,
}

/// An area's figures, and as of when.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AreaAnswer {
    /// The views held all events up to this position.
    pub position: Position,
    /// The figures.
    #[serde(flatten)]
    pub figures: AreaFigures,
}

/// The figures of the areas right below one.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ChildrenAnswer {
    /// The views held all events up to this position.
    pub position: Position,
    /// By code.
    pub children: Vec<AreaFigures>,
}

/// An area's figures by day.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RollupsAnswer {
    /// The views held all events up to this position.
    pub position: Position,
    /// The area.
    pub code: AreaCode,
    /// Every day of the span in order; one on which nothing happened has zeros.
    pub days: Vec<DayFigures>,
}

/// What happened on a day.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DayFigures {
    /// The day, in the district's zone.
    pub day: Day,
    /// Cases reported.
    pub reported: u64,
    /// Cases accepted.
    pub accepted: u64,
    /// Cases resolved.
    pub resolved: u64,
    /// Cases closed.
    pub closed: u64,
    /// Cases opened again.
    pub reopened: u64,
    /// Steps up.
    pub escalated: u64,
    /// Due times that passed.
    pub deadlines_missed: u64,
    /// From the report to acceptance.
    pub time_to_accept: Took,
    /// From the report to being resolved.
    pub time_to_resolve: Took,
}

/// How an area and those right below it did over a span of days. 考核
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AssessmentAnswer {
    /// The views held all events up to this position.
    pub position: Position,
    /// The first day, in the district's zone.
    pub from: Day,
    /// The last day.
    pub to: Day,
    /// The area itself.
    pub area: Assessment,
    /// The areas right below it, by code.
    pub children: Vec<Assessment>,
}

/// How an area did over a span of days, by what was recorded in it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Assessment {
    /// Its code.
    pub code: AreaCode,
    /// Its name.
    pub name: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What was counted over a span of days.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Figures {
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
    /// Of these late; the rest of the closed ones had no due time or tell no moment.
    pub closed_late: u64,
    /// Cases that a unit gave back.
    pub returned: u64,
    /// Cases whose check failed.
    pub reworked: u64,
    /// Cases opened again.
    pub reopened: u64,
    /// Steps up.
    pub escalated: u64,
    /// Due times that passed.
    pub deadlines_missed: u64,
    /// Residents who said that they are satisfied.
    pub satisfied: u64,
    /// Residents who said that they are not.
    pub dissatisfied: u64,
    /// From the report to acceptance.
    pub time_to_accept: Took,
    /// From the report to being resolved.
    pub time_to_resolve: Took,
}

/// How long something took, in seconds, to about three per cent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Took {
    /// How many were measured.
    pub count: u64,
    /// The median.
    pub median_s: Option<u64>,
    /// The 90th percentile.
    pub p90_s: Option<u64>,
}

/// The policies that were adopted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyList {
    /// The views held all events up to this position.
    pub position: Position,
    /// In the order of their versions; the last is in force.
    pub policies: Vec<PolicySummary>,
}

/// A policy that was adopted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicySummary {
    /// Its version.
    pub version: u32,
    /// Since when it holds for new cases.
    pub since: Timestamp,
    /// Who adopted it.
    pub by: String,
    /// The event.
    pub event: Position,
    /// Whether new cases run under it.
    pub in_force: bool,
}

/// A policy, whole.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyDetail {
    /// The views held all events up to this position.
    pub position: Position,
    /// The policy, in the shape of `policy.toml`.
    #[schema(value_type = Object)]
    pub policy: Policy,
}

/// The years of the calendar that limits in working time run by.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CalendarYears {
    /// The views held all events up to this position.
    pub position: Position,
    /// In order.
    #[schema(value_type = Vec<Object>)]
    pub years: Vec<CalendarYear>,
}

/// The duty in an area at a moment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DutyAnswer {
    /// The views held all events up to this position.
    pub position: Position,
    /// The area.
    pub area: AreaCode,
    /// The moment.
    pub at: Timestamp,
    /// The team, in the order in which its members stand in.
    pub members: Vec<Member>,
    /// Who is on duty.
    pub on_duty: Vec<String>,
    /// Who answers for each post.
    pub posts: Vec<Held>,
}

/// The roster of an area over a span of days.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RosterAnswer {
    /// The views held all events up to this position.
    pub position: Position,
    /// The area.
    pub area: AreaCode,
    /// The first day, in the district's zone.
    pub from: Day,
    /// The last day.
    pub to: Day,
    /// The team.
    pub members: Vec<Member>,
    /// The shifts, in order.
    pub shifts: Vec<Shift>,
    /// The absences.
    pub absences: Vec<Absence>,
    /// The hours in which fewer are on duty than the policy's staffing rules say.
    pub gaps: Vec<Gap>,
    /// Whether days lie beyond the calendar's years, so that rules that go by it were not looked at on them.
    pub unchecked: bool,
}

/// The hours in which too few are on duty, in an area and all that lie in it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GapsAnswer {
    /// The views held all events up to this position.
    pub position: Position,
    /// The first day, in the district's zone.
    pub from: Day,
    /// The last day.
    pub to: Day,
    /// By area, rule and time. Areas without any plan are left out and named in `unplanned`.
    pub gaps: Vec<Gap>,
    /// Areas that a staffing rule is for and that have no plan at all.
    pub unplanned: Vec<AreaCode>,
    /// Whether days lie beyond the calendar's years, so that rules that go by it were not looked at on them.
    pub unchecked: bool,
}

/// A first inquiry.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct InquiryDetail {
    /// Its id.
    pub id: InquiryId,
    /// Where it was asked.
    pub area: AreaCode,
    /// The question.
    pub question: String,
    /// How it came in.
    pub channel: Channel,
    /// Who owns it.
    pub owner: String,
    /// Since when.
    pub owned_since: Timestamp,
    /// Who was asked to take it over, and has not said yet.
    pub offered_to: Option<String>,
    /// When it was asked.
    pub taken_at: Timestamp,
    /// Who was asked first.
    pub taken_by: String,
    /// How often it was handed over.
    pub handovers: u32,
    /// When it was answered; none while the resident waits.
    pub answered_at: Option<Timestamp>,
    /// The answer.
    pub answer: Option<String>,
    /// The case that it became.
    pub case: Option<CaseId>,
    /// Number of its events.
    pub version: u32,
    /// Its events, in order.
    pub events: Vec<Position>,
}

/// First inquiries.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct InquiryList {
    /// The views held all events up to this position.
    pub position: Position,
    /// Open ones by owner, else by id.
    pub inquiries: Vec<InquiryDetail>,
    /// For `after=`, when there are more.
    pub next: Option<String>,
}

/// A first inquiry, as of a position.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct InquiryAnswer {
    /// The views held all events up to this position.
    pub position: Position,
    /// The inquiry.
    #[serde(flatten)]
    pub inquiry: InquiryDetail,
}

/// How the units did over a span of days, side by side.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UnitsAssessment {
    /// The views held all events up to this position.
    pub position: Position,
    /// The first day, in the district's zone.
    pub from: Day,
    /// The last day.
    pub to: Day,
    /// By name.
    pub units: Vec<UnitAssessment>,
}

/// How a unit did, by what was recorded of the cases that it held.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UnitAssessment {
    /// Its name.
    pub unit: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

impl From<Inquiry> for InquiryDetail {
    fn from(inquiry: Inquiry) -> Self {
        Self {
            id: inquiry.id,
            area: inquiry.area,
            question: inquiry.question,
            channel: inquiry.channel,
            owner: inquiry.owner,
            owned_since: inquiry.owned_since,
            offered_to: inquiry.offered_to,
            taken_at: inquiry.taken_at,
            taken_by: inquiry.taken_by,
            handovers: inquiry.handovers,
            answered_at: inquiry.answered_at,
            answer: inquiry.answer,
            case: inquiry.case,
            version: inquiry.version,
            events: inquiry.events,
        }
    }
}
