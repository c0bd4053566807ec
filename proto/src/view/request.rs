//! Questions to an aggregator and its answers, as they travel over NATS (postcard).
//!
//! Subject: [`ViewRequest::subject`]; aggregators of one district share a queue group. Both sides are of
//! one release: the first byte names it, and another one is refused.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{AreaSummary, CaseView, DayRollup};
use crate::{
    area::{AreaCode, Level},
    case::{Case, CaseState},
    code::{Code, Coded},
    duty::Roster,
    envelope::{Position, decode_exact},
    id::{CaseId, InquiryId},
    inquiry::Inquiry,
    rules::Rules,
    time::{Day, Timestamp},
};

/// First byte of requests and replies.
const RELEASE: u8 = 6;

/// A question, and how fresh the answer has to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViewRequest {
    /// Answer from views that hold at least this position.
    pub at_least: Position,
    /// How long to wait for it, in milliseconds; then the answer is [`ViewError::Behind`].
    pub wait_ms: u32,
    /// The question.
    pub question: ViewQuestion,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ViewQuestion {
    /// One case.
    Case(CaseId),
    /// Cases of an area, by grid and id.
    Cases(CaseFilter),
    /// Open cases by due time.
    Escalations(EscalationFilter),
    /// The figures of areas; one that never had a case has all zeros.
    Summaries(Vec<AreaCode>),
    /// The figures of areas by day.
    Days(Vec<AreaCode>, Day, Day),
    /// The figures of areas over a span of days.
    Spans(Vec<AreaCode>, Day, Day),
    /// The district's rules.
    Rules,
    /// An area's roster; one without any is empty.
    Roster(AreaCode),
    /// One inquiry.
    Inquiry(InquiryId),
    /// Inquiries of an area, by owner where only open ones are asked for, else by id.
    Inquiries(InquiryFilter),
    /// The figures of all units over a span of days.
    Units(Day, Day),
    /// Only the position.
    Position,
    /// Whether the log has the history that the views were folded from.
    History,
}

impl ViewQuestion {
    /// Whether the answer takes a few reads at most, however large the views are.
    #[must_use]
    pub fn is_short(&self) -> bool {
        const FEW: usize = 16;
        match self {
            Self::Case(_)
            | Self::Rules
            | Self::Roster(_)
            | Self::Inquiry(_)
            | Self::Position
            | Self::History => true,
            Self::Summaries(areas) => areas.len() <= FEW,
            Self::Cases(_)
            | Self::Escalations(_)
            | Self::Days(..)
            | Self::Spans(..)
            | Self::Inquiries(_)
            | Self::Units(..) => false,
        }
    }
}

/// Which cases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseFilter {
    /// Filed in this area.
    pub area: AreaCode,
    /// In this state.
    pub state: Option<CaseState>,
    /// Held at this level.
    pub level: Option<Level>,
    /// Overdue or not.
    pub overdue: Option<bool>,
    /// Of this category or one below it.
    pub category: Option<String>,
    /// Held by this unit.
    pub unit: Option<String>,
    /// Held by this person.
    pub person: Option<String>,
    /// Open, and held by one of these.
    pub served: Option<Served>,
    /// After this case, in the order of grid and id.
    pub after: Option<(AreaCode, CaseId)>,
    /// At most so many.
    pub limit: u32,
}

/// For whom somebody answers by the roster of an area: members of its team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// The area that holds the cases.
    pub area: AreaCode,
    /// The persons.
    pub persons: Vec<String>,
    /// Their posts: those of units, where no person is named.
    pub posts: Vec<String>,
    /// The policies whose ladder has one of the posts on the area's rung, where nobody is named.
    pub policies: Vec<u32>,
}

impl Served {
    /// Whether one of them holds the case.
    #[must_use]
    pub fn hold(&self, listed: &Listed<'_>) -> bool {
        let among = |all: &[String], one: &str| all.iter().any(|other| other == one);
        let theirs = match (listed.person, listed.unit) {
            (Some(person), _) => among(&self.persons, person),
            (None, Some(unit)) => among(&self.posts, unit),
            (None, None) => self.policies.contains(&listed.policy),
        };
        theirs && listed.area == self.area && listed.state.is_open()
    }
}

/// What lists of cases filter by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Where the case stands.
    pub state: CaseState,
    /// The level that holds it.
    pub level: Level,
    /// Whether its due time was found passed.
    pub overdue: bool,
    /// Its category.
    pub category: &'a str,
    /// The unit that holds it.
    pub unit: Option<&'a str>,
    /// The person who holds it.
    pub person: Option<&'a str>,
    /// The area that holds it.
    pub area: AreaCode,
    /// The policy that it runs under.
    pub policy: u32,
}

impl<'a> Listed<'a> {
    /// What a case is listed by.
    #[must_use]
    pub fn of(case: &'a Case) -> Self {
        Self {
            state: case.state,
            level: case.holder.level,
            overdue: case.overdue,
            category: &case.category,
            unit: case.holder.unit.as_deref(),
            person: case.holder.person.as_deref(),
            area: case.holder.area,
            policy: case.policy,
        }
    }
}

impl CaseFilter {
    /// Whether a case is wanted; its area is not looked at.
    #[must_use]
    pub fn wants(&self, listed: Listed<'_>) -> bool {
        let below = |wanted: &String| {
            let rest = listed.category.strip_prefix(wanted.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.state.is_none_or(|state| state == listed.state)
            && self.level.is_none_or(|level| level == listed.level)
            && self.overdue.is_none_or(|overdue| overdue == listed.overdue)
            && self.category.as_ref().is_none_or(below)
            && (self.unit.is_none() || self.unit.as_deref() == listed.unit)
            && (self.person.is_none() || self.person.as_deref() == listed.person)
            && self
                .served
                .as_ref()
                .is_none_or(|served| served.hold(&listed))
    }
}

/// Which open cases, by due time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EscalationFilter {
    /// Filed in this area.
    pub area: AreaCode,
    /// Held at this level.
    pub level: Option<Level>,
    /// Due before this moment.
    pub due_before: Option<Timestamp>,
    /// After this one.
    pub after: Option<DueCase>,
    /// At most so many.
    pub limit: u32,
}

/// Which inquiries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InquiryFilter {
    /// Asked in this area.
    pub area: AreaCode,
    /// Only open ones.
    pub open: bool,
    /// Of this owner.
    pub owner: Option<String>,
    /// That this person was asked to take over, and has not said yet.
    pub offered_to: Option<String>,
    /// After this one.
    pub after: Option<(String, InquiryId)>,
    /// At most so many.
    pub limit: u32,
}

/// Inquiries, and whether there are more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InquiryPage {
    /// In the order asked for.
    pub inquiries: Vec<Inquiry>,
    /// Whether more follow.
    pub more: bool,
}

/// A case by its due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DueCase {
    /// When.
    pub due_at: Timestamp,
    /// Which.
    pub case: CaseId,
}

/// Cases, and whether there are more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CasePage {
    /// In the order asked for.
    pub cases: Vec<CaseView>,
    /// Whether more follow.
    pub more: bool,
}

/// An area's days.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AreaDays {
    /// The area.
    pub area: AreaCode,
    /// Days on which anything happened, in order.
    pub days: Vec<(Day, DayRollup)>,
}

/// What an aggregator answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViewReply {
    /// The views hold all events up to this one, and no later one.
    pub position: Position,
    /// The answer.
    pub answer: Result<ViewAnswer, ViewError>,
}

/// An answer, in the shape of its question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ViewAnswer {
    /// To [`ViewQuestion::Case`].
    Case(Option<Box<CaseView>>),
    /// To [`ViewQuestion::Cases`] and [`ViewQuestion::Escalations`].
    Cases(CasePage),
    /// To [`ViewQuestion::Summaries`], in the order asked.
    Summaries(Vec<(AreaCode, AreaSummary)>),
    /// To [`ViewQuestion::Days`].
    Days(Vec<AreaDays>),
    /// To [`ViewQuestion::Spans`], in the order asked.
    Spans(Vec<(AreaCode, DayRollup)>),
    /// To [`ViewQuestion::Rules`].
    Rules(Box<Rules>),
    /// To [`ViewQuestion::Roster`].
    Roster(Box<Roster>),
    /// To [`ViewQuestion::Inquiry`].
    Inquiry(Option<Box<Inquiry>>),
    /// To [`ViewQuestion::Inquiries`].
    Inquiries(InquiryPage),
    /// To [`ViewQuestion::Units`], by name.
    Units(Vec<(String, DayRollup)>),
    /// To [`ViewQuestion::Position`].
    Position,
    /// To [`ViewQuestion::History`]: it has.
    History,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ViewError {
    /// The views did not reach the position in time.
    #[error("the views are at position {position} and did not reach the one asked for in time")]
    Behind {
        /// Where they are.
        position: Position,
    },
    /// The projection stopped at an error, or the store did not answer.
    #[error("the views are out of order ({}): {detail}", Code(*code))]
    Stopped {
        /// Code of the error that stopped them.
        code: u16,
        /// What it said.
        detail: String,
    },
    /// The request does not decode: another release asked.
    #[error("the request is not one of this release")]
    Release,
    /// The log, as the broker gives it now, is not compared with the views to its start yet.
    #[error("the log is not yet compared with what the views were folded from")]
    HistoryNotCompared,
}

impl Coded for ViewError {
    fn code(&self) -> Code {
        match self {
            Self::Behind { .. } => Code(600),
            Self::Stopped { .. } => Code(601),
            Self::Release => Code(602),
            Self::HistoryNotCompared => Code(603),
        }
    }
}

impl ViewRequest {
    /// The subject on which aggregators of a district listen.
    #[must_use]
    pub fn subject(district: AreaCode) -> String {
        format!("view.{}", district.as_str())
    }

    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// From bytes.
    ///
    /// # Errors
    /// [`ViewError::Release`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ViewError> {
        decode(bytes)
    }
}

impl ViewReply {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// From bytes.
    ///
    /// # Errors
    /// [`ViewError::Release`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ViewError> {
        decode(bytes)
    }
}

fn encode(message: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(message, vec![RELEASE]).expect("a message always encodes")
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ViewError> {
    match bytes.split_first() {
        Some((&RELEASE, rest)) => decode_exact(rest).map_err(|_| ViewError::Release),
        _ => Err(ViewError::Release),
    }
}
