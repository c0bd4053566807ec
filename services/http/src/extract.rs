//! Bodies, paths and queries, with every way in which they can be wrong told as a [`Problem`].

use axum::{
    extract::{
        DefaultBodyLimit, Extension, FromRequest, FromRequestParts, Request,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures::StreamExt as _;
use gridkeeper_proto::code::Code;
use serde::{Serialize, de::DeserializeOwned};
use serde_path_to_error::Segment;

use crate::{Options, Problem};

/// A body of JSON.
///
/// Refused are: another media type (GK0020), broken grammar (GK0021), another shape (GK0022), bytes that
/// are not UTF-8 (GK0023), and more than the limit (GK0024).
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

/// The typed parts of the path; GK0025 when they are not.
#[derive(Clone, Debug)]
pub struct Path<T>(pub T);

/// The typed query string; GK0026 when it is not. Unknown keys are refused by types that say
/// `#[serde(deny_unknown_fields)]`, which all of ours do.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

/// The largest body that a route reads, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimit(pub usize);

/// The layer that sets the largest body for the routes it lies around; the innermost counts.
pub fn body_limit(bytes: usize) -> (Extension<BodyLimit>, DefaultBodyLimit) {
    (Extension(BodyLimit(bytes)), DefaultBodyLimit::max(bytes))
}

/// How much of a body over the limit is read and thrown away, so that a client that writes before it
/// reads gets to see the refusal instead of a broken connection.
const DISCARDED: usize = 16 * 1024 * 1024;

impl<S, T> FromRequest<S> for Json<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Code(20),
                "body is not JSON",
            )
            .detail("The body was not read: send it with 'Content-Type: application/json'."));
        }
        parse(&read(request).await?).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
            Err(error) => {
                tracing::error!(%error, "an answer cannot be written as JSON");
                crate::request::internal_error().into_response()
            }
        }
    }
}

/// Whether the media type is `application/json` or one that is written in it, such as
/// `application/merge-patch+json`.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str())
    else {
        return false;
    };
    let essence = value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence
        .strip_prefix("application/")
        .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

async fn read(request: Request) -> Result<Vec<u8>, Problem> {
    let limit = request
        .extensions()
        .get::<BodyLimit>()
        .map_or_else(|| Options::default().body_limit_bytes, |limit| limit.0);
    let mut body = Vec::new();
    let mut discarded = 0;
    let mut chunks = request.into_body().into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, Code(27), "body broke off").detail(format!(
                "Nothing was changed; send it again. The connection said: {error}"
            ))
        })?;
        if discarded > 0 || body.len() + chunk.len() > limit {
            discarded += chunk.len().max(1);
        } else {
            body.extend_from_slice(&chunk);
        }
        if discarded > DISCARDED {
            break;
        }
    }
    if discarded == 0 {
        return Ok(body);
    }
    let detail = format!("The body is larger than {limit} bytes. Nothing was changed; send less.");
    Err(
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code(24), "body too large")
            .detail(detail)
            .with("limit_bytes", limit),
    )
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let detail = format!(
            "The byte at offset {} of the body is not UTF-8. Nothing was changed.",
            error.valid_up_to()
        );
        Problem::new(StatusCode::BAD_REQUEST, Code(23), "body is not UTF-8").detail(detail)
    })?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        wrong(error.inner(), pointer)
    })?;
    reader.end().map_err(|error| wrong(&error, String::new()))?;
    Ok(value)
}

fn wrong(error: &serde_json::Error, pointer: String) -> Problem {
    if error.is_data() {
        let place = if pointer.is_empty() {
            "the body"
        } else {
            &pointer
        };
        let detail = format!("Nothing was changed. Wrong at {place}: {error}");
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, Code(22), "wrong shape")
            .detail(detail)
            .error(pointer, error.to_string());
    }
    Problem::new(StatusCode::BAD_REQUEST, Code(21), "malformed JSON")
        .detail(format!(
            "Nothing was changed. The body is not JSON: {error}"
        ))
        .with("line", error.line())
        .with("column", error.column())
}

/// The path as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            // Behind this the place is not known; what is known so far still helps.
            Segment::Unknown => break,
        }
    }
    pointer
}

impl<S, T> FromRequestParts<S> for Path<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => {
                Err(Problem::new(StatusCode::BAD_REQUEST, Code(25), "bad path")
                    .detail(error.body_text()))
            }
            Err(error) => {
                tracing::error!(%error, "a route without the path parts that its handler takes");
                Err(crate::request::internal_error())
            }
        }
    }
}

impl<S, T> FromRequestParts<S> for Query<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Query::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|error: QueryRejection| {
                Problem::new(StatusCode::BAD_REQUEST, Code(26), "bad query")
                    .detail(error.body_text())
            })
    }
}
