//! Intake's door, as the escalator comes through it.

use std::time::Duration;

use gridkeeper_identity::SigningKey;
use gridkeeper_proto::{
    access::{Claims, Role},
    api::CommandRequest,
    area::AreaCode,
    case::Refusal,
    time::Timestamp,
};
use reqwest::{Client, Response, StatusCode, header::RETRY_AFTER};
use serde::Deserialize;

use crate::{Error, Options, timers::Due};

/// How long a token holds, in seconds. Each request has a new one.
const TOKEN_SECONDS: u64 = 300;

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is recorded; the log shows it soon.
    Recorded,
    /// The case moved on by itself; the log shows how.
    MovedOn,
    /// Intake cannot be reached or cannot take it now.
    Unavailable {
        detail: String,
        after: Option<Duration>,
    },
    /// It was refused for a reason that should not occur.
    Refused { code: String, detail: String },
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
            Err(error) => unavailable(error.to_string()),
        })
    }
}

fn unavailable(detail: String) -> Outcome {
    Outcome::Unavailable {
        detail,
        after: None,
    }
}

async fn outcome(answer: Response) -> Outcome {
    let status = answer.status();
    if status.is_success() {
        return Outcome::Recorded;
    }
    let after = answer
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let Problem { code, detail } = match answer.json().await {
        Ok(problem) => problem,
        Err(error) => return unavailable(format!("{status}: {error}")),
    };
    let moved_on = Refusal::MOVED_ON
        .iter()
        .any(|known| known.to_string() == code);
    match status {
        _ if moved_on => Outcome::MovedOn,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Outcome::Unavailable {
            detail: format!("{code}: {detail}"),
            after,
        },
        status if status.is_server_error() => Outcome::Unavailable {
            detail: format!("{code}: {detail}"),
            after,
        },
        _ => Outcome::Refused { code, detail },
    }
}
