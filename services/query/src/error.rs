//! Why a question has no answer, and why the service stops.

use axum::http::StatusCode;
use gridkeeper_eventlog::LogError;
use gridkeeper_http::Problem;
use gridkeeper_proto::{
    access::AccessError,
    area::AreaCode,
    case::{EvolveError, Refusal},
    clock::ClockError,
    code::{Code, Coded},
    envelope::{EnvelopeError, Position},
    id::CaseId,
    rules::RulesError,
    time::{TimeError, Timestamp},
    view::ViewError,
};

/// Why a question has no answer, or why the service stops.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bearer may not see it.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// No such case, or none that the bearer may see.
    #[error("there is no case {case} in your areas")]
    NoSuchCase {
        /// The id asked for.
        case: CaseId,
    },
    /// The case was lost.
    #[error(
        "case {case} was lost: the event at position {position} was given up by the statement at position {statement}; file it again"
    )]
    Lost {
        /// The id asked for.
        case: CaseId,
        /// Where its event was.
        position: Position,
        /// The statement's position.
        statement: Position,
    },
    /// A moment that is still to come.
    #[error("'as_of={as_of}' is still to come: ask as of a past moment")]
    NotYet {
        /// The moment.
        as_of: Timestamp,
    },
    /// The case was reported later.
    #[error("case {case} was not reported yet at {as_of}")]
    NotReported {
        /// The case.
        case: CaseId,
        /// The moment.
        as_of: Timestamp,
    },
    /// No such area.
    #[error("{area} is no area of district {district}")]
    UnknownArea {
        /// The code asked for.
        area: AreaCode,
        /// The district.
        district: AreaCode,
    },
    /// The token is for several areas and the question names none.
    #[error("your token is for several areas: say which one with 'area='")]
    WhichArea,
    /// A cursor is not one that this service gave out.
    #[error(
        "'after={after}' is no cursor of this list: take the one that the last page gave as 'next'"
    )]
    Cursor {
        /// As sent, shortened.
        after: String,
    },
    /// A span of days makes no sense.
    #[error(
        "'from' to 'to' has to be 1 to {most} days of the years 1970 to 2199, the first day first"
    )]
    Span {
        /// The longest.
        most: u32,
    },
    /// A page of no or too many entries.
    #[error("'limit' has to be 1 to {most}, not {limit}")]
    Limit {
        /// As sent.
        limit: u32,
        /// The most.
        most: u32,
    },
    /// A position lies beyond the log.
    #[error("position {after} lies beyond the end of the log, which is at {last}")]
    Beyond {
        /// The position asked for.
        after: Position,
        /// The end.
        last: Position,
    },
    /// `Last-Event-ID` is no position.
    #[error("'Last-Event-ID' has to be a position, as the events' ids are")]
    LastEventId,
    /// More listen to live events than may.
    #[error("{most} listen to live events already; try again in a while")]
    TooManyListeners {
        /// The most.
        most: usize,
    },
    /// The views do not answer as asked.
    #[error(transparent)]
    View(#[from] ViewError),
    /// No aggregator answers, in this process or over the broker.
    #[error("no aggregator answers: {detail}")]
    NoAggregator {
        /// What was seen.
        detail: String,
    },
    /// An aggregator answered something else than was asked.
    #[error("the aggregator answered another question than the one asked")]
    OtherAnswer,
    /// The views lead to an event of something else.
    #[error("the event at position {position} is of something else than the views say")]
    OtherEvent {
        /// Its place.
        position: Position,
    },
    /// It is not there, or not within the bearer's reach.
    #[error(transparent)]
    Missing(Refusal),
    /// A day that the zone does not have.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// The rules of the log cannot be used.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An event of the log does not decode.
    #[error("event at position {position}: {source}")]
    Event {
        /// Its place.
        position: Position,
        /// What is wrong with it.
        source: EnvelopeError,
    },
    /// The events of a case do not follow from each other.
    #[error(transparent)]
    Evolve(#[from] EvolveError),
    /// The calendar does not know the moments of a case.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The feed of live events stopped.
    #[error("{detail}")]
    FeedStopped {
        /// The code of what stopped it.
        code: Code,
        /// What it said.
        detail: String,
    },
    /// The broker cannot be reached.
    #[error("the broker does not answer: {detail}")]
    Broker {
        /// What was said.
        detail: String,
    },
    /// An option makes no sense.
    #[error("option {option}: {why}")]
    Option {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The endpoint does not start.
    #[error("the endpoint does not start: {detail}")]
    Endpoint {
        /// What was said.
        detail: String,
        /// The code of the cause.
        code: Code,
    },
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Access(error) => error.code(),
            Self::View(error) => error.code(),
            Self::Log(error) => error.code(),
            Self::Event { source, .. } => source.code(),
            Self::FeedStopped { code, .. } | Self::Endpoint { code, .. } => *code,
            Self::NoSuchCase { .. } => Code(620),
            Self::Lost { .. } => Code(530),
            Self::UnknownArea { .. } => Code(621),
            Self::WhichArea => Code(622),
            Self::Cursor { .. } => Code(623),
            Self::Span { .. } => Code(624),
            Self::Beyond { .. } => Code(625),
            Self::LastEventId => Code(626),
            Self::TooManyListeners { .. } => Code(627),
            Self::NoAggregator { .. } => Code(628),
            Self::OtherAnswer | Self::OtherEvent { .. } => Code(629),
            Self::Rules(error) => error.code(),
            Self::Missing(refusal) => refusal.code(),
            Self::Time(error) => error.code(),
            Self::Broker { .. } => Code(630),
            Self::Option { .. } => Code(631),
            Self::Limit { .. } => Code(632),
            Self::NotYet { .. } => Code(633),
            Self::NotReported { .. } => Code(634),
            Self::Evolve(error) => error.code(),
            Self::Clock(error) => error.code(),
        }
    }
}

/// The limit of a page, if it is within bounds.
pub(crate) fn page_limit(limit: u32, most: u32) -> Result<u32, Error> {
    match (1..=most).contains(&limit) {
        true => Ok(limit),
        false => Err(Error::Limit { limit, most }),
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, title) = answer_to(&error);
        let problem = Self::of(status, title, &error);
        let problem = match &error {
            Error::View(ViewError::Behind { position }) => problem.with("position", position.0),
            Error::Beyond { last, .. } => problem.with("last_position", last.0),
            _ => problem,
        };
        match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                problem.retry_after(1)
            }
            _ => problem,
        }
    }
}

fn answer_to(error: &Error) -> (StatusCode, &'static str) {
    match error {
        Error::Access(_) => (StatusCode::FORBIDDEN, "area or right not yours"),
        Error::NoSuchCase { .. } => (StatusCode::NOT_FOUND, "no such case"),
        Error::Lost { .. } => (StatusCode::GONE, "lost"),
        Error::UnknownArea { .. } => (StatusCode::NOT_FOUND, "no such area"),
        Error::Rules(RulesError::UnknownPolicy { .. }) => (StatusCode::NOT_FOUND, "no such policy"),
        Error::Missing(_) => (StatusCode::NOT_FOUND, "not there"),
        Error::NotReported { .. } => (StatusCode::NOT_FOUND, "not reported yet"),
        Error::WhichArea
        | Error::Cursor { .. }
        | Error::Span { .. }
        | Error::Limit { .. }
        | Error::NotYet { .. }
        | Error::Beyond { .. }
        | Error::LastEventId => (StatusCode::BAD_REQUEST, "bad query"),
        Error::TooManyListeners { .. } => (StatusCode::TOO_MANY_REQUESTS, "too many listeners"),
        Error::View(ViewError::Behind { .. }) => {
            (StatusCode::SERVICE_UNAVAILABLE, "views are behind")
        }
        Error::View(ViewError::HistoryNotCompared) => {
            (StatusCode::SERVICE_UNAVAILABLE, "log not compared yet")
        }
        Error::View(_) => (StatusCode::SERVICE_UNAVAILABLE, "views are out of order"),
        Error::NoAggregator { .. } => (StatusCode::SERVICE_UNAVAILABLE, "views out of reach"),
        Error::Log(error) if error.is_unavailable() => {
            (StatusCode::SERVICE_UNAVAILABLE, "log out of reach")
        }
        Error::FeedStopped { .. } => (StatusCode::SERVICE_UNAVAILABLE, "log is broken"),
        Error::Broker { .. } => (StatusCode::SERVICE_UNAVAILABLE, "broker out of reach"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "query failed"),
    }
}
