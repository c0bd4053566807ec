//! Refusals and failures as `application/problem+json` (RFC 9457).

use std::{borrow::Cow, collections::BTreeMap, fmt};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use gridkeeper_identity::TokenError;
use gridkeeper_proto::{
    access::AccessError,
    code::{Code, Coded},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{
    IntoResponses, PartialSchema, ToSchema,
    openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, schema::Schema},
};

/// The media type of a [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Something that was refused or failed, told so that a person and a program can act on it.
///
/// `type` is a relative reference, `/errors/GK0203`, to the page that the same host serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Problem(Box<Body>);

/// A refusal or failure (RFC 9457).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
struct Body {
    /// Where the code is explained, relative to this host.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference", example = "/errors/GK0203")]
    kind: String,
    /// What kind of problem it is; the same for each occurrence of the code.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The stable code.
    #[schema(pattern = "^GK[0-9]{4}$", example = "GK0203")]
    code: String,
    /// What happened here, what was kept, and what to do.
    #[serde(default)]
    detail: String,
    /// After how many seconds trying again makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    /// The places of the request that are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// Members that some codes add.
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
    /// The value of `WWW-Authenticate`.
    #[serde(skip)]
    challenge: Option<&'static str>,
}

/// One place of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// The place, as a JSON pointer (RFC 6901); empty for the whole body.
    #[schema(example = "/reports/3/severity")]
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

impl Problem {
    /// A problem of this status and code. The title names the kind; [`Self::detail`] tells the case.
    #[must_use]
    pub fn new(status: StatusCode, code: Code, title: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Body {
            kind: format!("/errors/{code}"),
            title: title.into().into_owned(),
            status: status.as_u16(),
            code: code.to_string(),
            detail: String::new(),
            retry_after: None,
            errors: Vec::new(),
            more: BTreeMap::new(),
            challenge: None,
        }))
    }

    /// A problem with the code and the text of an error.
    #[must_use]
    pub fn of<E: Coded + fmt::Display>(
        status: StatusCode,
        title: impl Into<Cow<'static, str>>,
        error: &E,
    ) -> Self {
        Self::new(status, error.code(), title).detail(error.to_string())
    }

    /// What happened, what was kept, and what to do.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// After how many seconds trying again makes sense; also sent as the header `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// Names a place of the request that is wrong.
    #[must_use]
    pub fn error(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.0.errors.push(FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        });
        self
    }

    /// Adds a member, such as `row`. The names of the members above are not to be used again.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        debug_assert!(
            ![
                "type",
                "title",
                "status",
                "code",
                "detail",
                "retry_after",
                "errors"
            ]
            .contains(&name),
            "{name} is a member of every problem"
        );
        self.0.more.insert(name.to_owned(), value.into());
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The stable code, as `GK0203`.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The kind of problem.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.0.title
    }

    /// What happened, what was kept, and what to do; empty where there is nothing to add to the title.
    #[must_use]
    pub fn detail_text(&self) -> &str {
        &self.0.detail
    }

    /// After how many seconds trying again makes sense.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u32> {
        self.0.retry_after
    }

    /// The places of the request that are wrong.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// A member added by [`Self::with`].
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.more.get(name)
    }

    fn challenge(mut self, challenge: &'static str) -> Self {
        self.0.challenge = Some(challenge);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.code, self.0.title, self.0.detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let text = serde_json::to_vec(&self).expect("a problem holds texts, numbers and JSON only");
        let mut response =
            (self.status(), [(header::CONTENT_TYPE, PROBLEM_JSON)], text).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.0.challenge {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        response
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let (title, challenge) = match &error {
            TokenError::Missing => ("no bearer token", "Bearer"),
            TokenError::Malformed { .. } => ("malformed token", INVALID_TOKEN),
            TokenError::Forged { .. } => ("token not signed here", INVALID_TOKEN),
            TokenError::Expired { .. } => ("expired token", INVALID_TOKEN),
            TokenError::Claims(_) => ("token with unacceptable claims", INVALID_TOKEN),
        };
        Self::of(StatusCode::UNAUTHORIZED, title, &error).challenge(challenge)
    }
}

/// RFC 6750, section 3.1.
const INVALID_TOKEN: &str = r#"Bearer error="invalid_token""#;

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        let title = match &error {
            AccessError::OutsideArea { .. } => "area not yours",
            AccessError::Role { .. } => "role may not do this",
        };
        Self::of(StatusCode::FORBIDDEN, title, &error)
    }
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        Body::schema()
    }
}

impl ToSchema for Problem {
    fn name() -> Cow<'static, str> {
        "Problem".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Body::schemas(schemas);
    }
}

/// The refusals that any route behind a [`crate::Bearer`] may answer with, for its OpenAPI description.
pub struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let all = [
            ("400", "The request is malformed; nothing was changed"),
            ("401", "No token, or one that is not believed"),
            ("403", "The token is for another area or role"),
            (
                "422",
                "The request has the wrong shape or is refused; nothing was changed",
            ),
            ("500", "The server failed"),
            ("503", "Not now: try again after `Retry-After` seconds"),
        ];
        all.into_iter()
            .map(|(status, description)| {
                let content = ContentBuilder::new()
                    .schema(Some(Ref::from_schema_name("Problem")))
                    .build();
                let response = ResponseBuilder::new()
                    .description(description)
                    .content(PROBLEM_JSON, content)
                    .build();
                (status.to_owned(), response.into())
            })
            .collect()
    }
}
