//! Errors as answers of the endpoint.

use axum::http::StatusCode;
use gridkeeper_http::Problem;
use gridkeeper_proto::{case::Refusal, rules::RulesError};

use crate::Error;

/// When to come back to a full disk, in seconds: it takes somebody to make room.
const FULL_DISK_SECONDS: u32 = 30;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, title) = match &error {
            Error::Refused(refusal) => of_refusal(refusal),
            _ => of_error(&error),
        };
        let problem = Self::of(status, title, &error);
        match &error {
            Error::Refused(Refusal::StaleVersion { actual, .. }) => {
                problem.with("version", *actual)
            }
            Error::DiskFull { .. } => problem.retry_after(FULL_DISK_SECONDS),
            error if error.retry() => problem.retry_after(1),
            _ => problem,
        }
    }
}

fn of_refusal(refusal: &Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::NoSuchCase { .. } => (StatusCode::NOT_FOUND, "no such case"),
        Refusal::IdReused => (StatusCode::CONFLICT, "id used for something else"),
        Refusal::WrongState { .. } => (StatusCode::CONFLICT, "step does not fit the state"),
        Refusal::StaleVersion { .. } => (StatusCode::CONFLICT, "case has changed"),
        Refusal::HeldAbove { .. } => (StatusCode::FORBIDDEN, "held above your level"),
        Refusal::RoleMayNot { .. } => (StatusCode::FORBIDDEN, "role may not take the step"),
        Refusal::OwnWork => (StatusCode::FORBIDDEN, "own work is not verified"),
        Refusal::WrongAssignee { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "wrong assignee"),
        Refusal::ReturnedBefore { .. } => (StatusCode::CONFLICT, "returned before"),
        Refusal::TopLevel => (StatusCode::CONFLICT, "no level above"),
        Refusal::WrongMerge { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "wrong merge"),
        Refusal::NotPassed { .. } => (StatusCode::CONFLICT, "moment not passed"),
        Refusal::AbsurdTime { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "absurd time"),
        Refusal::TextLength { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "wrong length of a text"),
        Refusal::NoSuchInquiry { .. } => (StatusCode::NOT_FOUND, "no such inquiry"),
        Refusal::InquiryAnswered { .. } => (StatusCode::CONFLICT, "answered"),
        Refusal::OwnAlready { .. } => (StatusCode::CONFLICT, "owned already"),
        Refusal::NotAsked { .. } => (StatusCode::FORBIDDEN, "not asked to take it over"),
        Refusal::NotOwner { .. } => (StatusCode::FORBIDDEN, "somebody else owns it"),
        Refusal::Plan(_) => (StatusCode::UNPROCESSABLE_ENTITY, "wrong plan"),
        Refusal::ExtendedBefore { .. } => (StatusCode::CONFLICT, "extended before"),
        Refusal::GrantedAbove { .. } => (StatusCode::FORBIDDEN, "granted above your level"),
        Refusal::ExtensionTooLong { .. }
        | Refusal::WrongExtension { .. }
        | Refusal::ExtensionOver { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "wrong extension"),
        Refusal::Rules(RulesError::OldVersion { .. }) => (StatusCode::CONFLICT, "version used"),
        Refusal::Rules(RulesError::NoPolicy) => (StatusCode::SERVICE_UNAVAILABLE, "no policy"),
        Refusal::Rules(RulesError::UnknownPolicy { .. } | RulesError::Unreadable { .. }) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "policy not to be read")
        }
        Refusal::Rules(_) => (StatusCode::UNPROCESSABLE_ENTITY, "wrong rules"),
        Refusal::Clock(_) => (StatusCode::SERVICE_UNAVAILABLE, "calendar has ended"),
        Refusal::Access(_) => (StatusCode::FORBIDDEN, "area or right not yours"),
    }
}

fn of_error(error: &Error) -> (StatusCode, &'static str) {
    match error {
        Error::Busy { .. } | Error::AreaBusy { .. } => {
            (StatusCode::TOO_MANY_REQUESTS, "too many commands at once")
        }
        Error::Unacknowledged { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "log does not acknowledge")
        }
        Error::Contended { .. } => (StatusCode::SERVICE_UNAVAILABLE, "grid changes too fast"),
        Error::NotReady { .. } => (StatusCode::SERVICE_UNAVAILABLE, "takes no commands now"),
        Error::Keys { .. } => (StatusCode::SERVICE_UNAVAILABLE, "keys out of reach"),
        Error::KeyRemains { .. } => (StatusCode::SERVICE_UNAVAILABLE, "key not destroyed yet"),
        Error::Evidence { .. } => (StatusCode::SERVICE_UNAVAILABLE, "cannot be noted down"),
        Error::DiskFull { .. } => (StatusCode::SERVICE_UNAVAILABLE, "disk nearly full"),
        Error::Clock(_) => (StatusCode::SERVICE_UNAVAILABLE, "time in doubt"),
        Error::Lost { .. } => (StatusCode::GONE, "lost"),
        Error::AnotherLeaf { .. } => (StatusCode::CONFLICT, "another event"),
        Error::BeyondEnd { .. } | Error::NotWithin { .. } => {
            (StatusCode::NOT_FOUND, "no such position")
        }
        Error::Locate(_)
        | Error::IdVersion
        | Error::UnknownCategory { .. }
        | Error::CategoryKind { .. }
        | Error::NoPlace
        | Error::UnknownGrid { .. }
        | Error::UnknownArea { .. }
        | Error::People { .. }
        | Error::TooManyParties { .. }
        | Error::BatchSize { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "refused"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "intake failed"),
    }
}
