//! Intake's door, as the escalator comes through it.

use std::time::Duration;

use gridkeeper_identity::SigningKey;
use gridkeeper_proto::{
    access::{Claims, Role},
    api::{CommandRequest, Receipt},
    area::AreaCode,
    case::Refusal,
    envelope::Position,
    time::Timestamp,
};
use reqwest::{Client, Response, StatusCode, header::RETRY_AFTER};
use serde::Deserialize;

use crate::{Error, Options, timers::Due};

/// How long a token holds, in seconds. Each request has a new one: none gets too old, and one that was
/// refused is not sent again.
const TOKEN_SECONDS: u64 = 300;

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is recorded; the log shows it soon.
    Recorded {
        /// Where.
        position: Position,
        /// Whether it was recorded before.
        repeated: bool,
    },
    /// The case moved on by itself; the log shows how.
    MovedOn { detail: String },
    /// Intake cannot be reached, cannot take it now, or does not believe who sends it.
    Unavailable {
        detail: String,
        /// When intake asks to come back.
        after: Option<Duration>,
    },
    /// It was refused for a reason that should not occur.
    Refused { detail: String },
}

/// The way to intake.
pub(crate) struct Intake {
    client: Client,
    url: String,
    district: AreaCode,
    key: SigningKey,
}

/// What of a problem (RFC 9457) matters here.
#[derive(Deserialize)]
struct Problem {
    code: String,
    #[serde(default)]
    detail: String,
}

impl Intake {
    pub(crate) fn new(
        options: &Options,
        district: AreaCode,
        key: SigningKey,
    ) -> Result<Self, Error> {
        let client = Client::builder()
            .timeout(options.http.request_timeout())
            .build()
            .map_err(|error| Error::Client {
                district,
                detail: error.to_string(),
            })?;
        let url = options.intake_url.trim_end_matches('/').to_owned();
        Ok(Self {
            client,
            url,
            district,
            key,
        })
    }

    /// Sends the step of a case.
    pub(crate) async fn send(&self, due: Due, now: Timestamp) -> Result<Outcome, Error> {
        let areas = vec![self.district];
        let claims = Claims::lasting(
            "escalator".to_owned(),
            Role::Service,
            areas,
            now,
            TOKEN_SECONDS,
        );
        let token = self.key.issue(&claims)?;
        let request = CommandRequest {
            id: due.command_id(),
            if_version: None,
            occurred_at: None,
            command: due.step(),
        };
        let sent = self
            .client
            .post(format!("{}/v1/cases/{}/commands", self.url, due.case))
            .bearer_auth(token)
            .json(&request)
            .send()
            .await;
        Ok(match sent {
            Ok(answer) => outcome(answer).await,
            Err(error) => unavailable(reason(&error)),
        })
    }
}

/// The error with its causes: by itself it only says that sending failed.
fn reason(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn unavailable(detail: String) -> Outcome {
    Outcome::Unavailable {
        detail,
        after: None,
    }
}

async fn outcome(answer: Response) -> Outcome {
    let status = answer.status();
    let after = answer
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let body = match answer.bytes().await {
        Ok(body) => body,
        Err(error) => return unavailable(format!("{status}: {error}")),
    };
    if status.is_success() {
        // Whatever else stands at this address takes no steps.
        return match serde_json::from_slice(&body) {
            Ok(Receipt {
                position, repeated, ..
            }) => Outcome::Recorded { position, repeated },
            Err(error) => unavailable(format!("{status} without a receipt: {error}")),
        };
    }
    // What stands between may answer as well, and knows no codes.
    let problem: Option<Problem> = serde_json::from_slice(&body).ok();
    let detail = match &problem {
        Some(Problem { code, detail }) => format!("{status} {code}: {detail}"),
        None => format!("{status} without a code"),
    };
    let waits = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::UNAUTHORIZED
    );
    if waits || status.is_server_error() {
        return Outcome::Unavailable { detail, after };
    }
    match problem.is_some_and(|problem| moved_on(&problem.code)) {
        true => Outcome::MovedOn { detail },
        false => Outcome::Refused { detail },
    }
}

/// Whether a step is refused with this code because the case moved on.
fn moved_on(code: &str) -> bool {
    let mut codes = Refusal::MOVED_ON.iter();
    codes.any(|known| known.to_string() == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_moved_on_by_the_codes_that_say_so_and_by_no_other() {
        for code in ["GK0200", "GK0211"] {
            assert!(moved_on(code), "{code}");
        }
        for code in ["GK0201", "GK0203", "GK0205", "GK0500", ""] {
            assert!(!moved_on(code), "{code}");
        }
    }
}
