//! Intake's HTTP door, as phones and imports come through it.

use std::time::Duration;

use gridkeeper_proto::{
    api::{
        ChangeReceipt, CommandRequest, Receipt, ReportsAnswer, ReportsRequest, RosterRequest,
        RulesRequest,
    },
    area::AreaCode,
    code::{Code, Coded},
    id::CaseId,
};
use reqwest::{Client, Response, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep};

/// The first wait before a request is sent again.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait before a request is sent again.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// The longest that an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(40);

/// The way to intake.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    client: Client,
    base: String,
    patience: Duration,
}

/// What the door said to a request that it understood.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    /// It did it.
    Done(T),
    /// It refused it; nothing was changed.
    Refused(Refused),
}

/// Why a request was refused, as the problem+json says it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Refused {
    /// The stable code, such as `GK0203`.
    pub(crate) code: String,
    /// What is wrong.
    #[serde(default)]
    pub(crate) detail: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DoorError {
    /// Nobody answers.
    #[error("{url} does not answer: {reason}")]
    Unreachable {
        /// The address.
        url: String,
        /// What happened last.
        reason: String,
    },
    /// The whole request was refused.
    #[error("{url} refused the request: {code}: {detail}")]
    Refused {
        /// The address.
        url: String,
        /// The code of the refusal.
        code: String,
        /// Its explanation.
        detail: String,
    },
    /// The answer is not one of intake's.
    #[error("{url} answered with something else than intake does: {reason}")]
    Strange {
        /// The address.
        url: String,
        /// What is strange about it.
        reason: String,
    },
}

impl Coded for DoorError {
    fn code(&self) -> Code {
        match self {
            Self::Unreachable { .. } => Code(710),
            Self::Refused { .. } => Code(711),
            Self::Strange { .. } => Code(712),
        }
    }
}

impl Door {
    /// A way to the intake at this address, such as `http://127.0.0.1:8401`. A request that finds it
    /// down or busy is sent again for so long.
    ///
    /// # Errors
    /// The client cannot be set up.
    pub(crate) fn new(base: &str, patience: Duration) -> Result<Self, DoorError> {
        let base = base.trim_end_matches('/').to_owned();
        let client = Client::builder().timeout(ANSWER_WITHIN).no_proxy().build();
        let client = client.map_err(|error| DoorError::Unreachable {
            url: base.clone(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            client,
            base,
            patience,
        })
    }

    /// How long a request that finds the door down or busy is sent again.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Files reports.
    ///
    /// # Errors
    /// [`DoorError`].
    pub(crate) async fn reports(
        &self,
        token: &str,
        request: &ReportsRequest,
    ) -> Result<Answer<ReportsAnswer>, DoorError> {
        self.post(&format!("{}/v1/reports", self.base), token, request)
            .await
    }

    /// Takes a case through a step.
    ///
    /// # Errors
    /// [`DoorError`].
    pub(crate) async fn step(
        &self,
        token: &str,
        case: CaseId,
        request: &CommandRequest,
    ) -> Result<Answer<Receipt>, DoorError> {
        self.post(
            &format!("{}/v1/cases/{case}/commands", self.base),
            token,
            request,
        )
        .await
    }

    /// Changes the district's rules.
    ///
    /// # Errors
    /// [`DoorError`].
    pub(crate) async fn change_rules(
        &self,
        token: &str,
        request: &RulesRequest,
    ) -> Result<Answer<ChangeReceipt>, DoorError> {
        self.post(&format!("{}/v1/rules/commands", self.base), token, request)
            .await
    }

    /// Changes an area's roster.
    ///
    /// # Errors
    /// [`DoorError`].
    pub(crate) async fn change_roster(
        &self,
        token: &str,
        area: AreaCode,
        request: &RosterRequest,
    ) -> Result<Answer<ChangeReceipt>, DoorError> {
        let url = format!("{}/v1/rosters/{area}/commands", self.base);
        self.post(&url, token, request).await
    }

    /// The refusal of a whole request, as an error.
    pub(crate) fn refused(&self, refused: Refused) -> DoorError {
        let Refused { code, detail } = refused;
        DoorError::Refused {
            url: self.base.clone(),
            code,
            detail,
        }
    }

    /// Sends until there is an answer or patience ends. That is safe since ids make a repetition one.
    async fn post<T: DeserializeOwned>(
        &self,
        url: &str,
        token: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<Answer<T>, DoorError> {
        let until = Instant::now() + self.patience;
        let mut wait = FIRST_WAIT;
        loop {
            let sent = self
                .client
                .post(url)
                .bearer_auth(token)
                .json(body)
                .send()
                .await;
            let reason = match sent {
                Ok(response) if is_busy(response.status()) => {
                    format!("status {}", response.status())
                }
                Ok(response) => return read(url, response).await,
                Err(error) => innermost(&error),
            };
            if Instant::now() + wait > until {
                let url = url.to_owned();
                return Err(DoorError::Unreachable { url, reason });
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

fn is_busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    )
}

/// What is at the bottom of an error: `connection refused` rather than `error sending request`.
fn innermost(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

async fn read<T: DeserializeOwned>(url: &str, response: Response) -> Result<Answer<T>, DoorError> {
    let status = response.status();
    let strange = |reason: String| DoorError::Strange {
        url: url.to_owned(),
        reason: format!("status {status}, {reason}"),
    };
    let bytes = response
        .bytes()
        .await
        .map_err(|error| strange(innermost(&error)))?;
    let parsed = if status.is_success() {
        serde_json::from_slice(&bytes).map(Answer::Done)
    } else {
        serde_json::from_slice(&bytes).map(Answer::Refused)
    };
    parsed.map_err(|error| strange(error.to_string()))
}
