//! What lies around each request: its id, its time limit, its log line, its measurements, and a net
//! under it for panics.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt as _;
use gridkeeper_proto::code::Code;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{Problem, metrics};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken over from the client, in characters.
const ID_LONGEST: usize = 64;

/// The id of the request, in its extensions; the client's own where it sent a sane one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

/// The longest until an answer begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeLimit(pub(crate) Duration);

/// The middleware around all routes and fallbacks.
pub(crate) async fn around(
    State(TimeLimit(limit)): State<TimeLimit>,
    mut request: Request,
    next: Next,
) -> Response {
    let (id, header) = id_of(request.headers());
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let span = tracing::info_span!(
        "request", method, path = request.uri().path(), request_id = %id,
    );
    request.extensions_mut().insert(RequestId(id));

    let started = Instant::now();
    let mut response = guarded(limit, request, next).instrument(span.clone()).await;
    let took = started.elapsed();

    response.headers_mut().insert(X_REQUEST_ID, header);
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let status = response.status().as_u16();
    metrics::request(method, route, status, took);
    let took_ms = took.as_secs_f64() * 1000.0;
    span.in_scope(|| match status {
        // Out of order for a while, which health and the caller tell of.
        503 => tracing::debug!(status, took_ms, "not available"),
        500.. => tracing::warn!(status, took_ms, "failed"),
        // Phones make mistakes all day; the metrics count them by status.
        400.. => tracing::debug!(status, took_ms, "refused"),
        _ => tracing::debug!(status, took_ms, "answered"),
    });
    response
}

async fn guarded(limit: Duration, request: Request, next: Next) -> Response {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            tracing::error!(panic = panic_text(&*panic), "a handler panicked");
            metrics::panicked();
            internal_error().into_response()
        }
        Err(_) => {
            let detail = format!(
                "The request was given up after {} ms. A command may or may not have been carried \
                 out: send it again under the same id.",
                limit.as_millis()
            );
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                Code(32),
                "request took too long",
            )
            .detail(detail)
            .retry_after(1)
            .into_response()
        }
    }
}

/// The answer to what should not have happened; what it was stands in the log only.
pub(crate) fn internal_error() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Code(33), "internal error").detail(
        "The server failed; its log has the cause under this answer's X-Request-Id. The request may \
         or may not have been carried out: send it again under the same ids.",
    )
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a text")
}

/// The client's id where it is short and plain enough to stand in logs, else a new one.
fn id_of(headers: &HeaderMap) -> (Arc<str>, HeaderValue) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if let Some(value) = headers.get(X_REQUEST_ID)
        && let Ok(id) = value.to_str()
        && (1..=ID_LONGEST).contains(&id.len())
        && id.bytes().all(plain)
    {
        return (id.into(), value.clone());
    }
    let id = Uuid::now_v7().to_string();
    let header = HeaderValue::from_str(&id).expect("a UUID is ASCII");
    (id.into(), header)
}

/// A closed set, so that clients cannot make new time series.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// The answer where there is no route.
pub(crate) async fn not_found(request: Request) -> Problem {
    let path: String = request.uri().path().chars().take(200).collect();
    Problem::new(StatusCode::NOT_FOUND, Code(30), "no such address").detail(format!(
        "There is nothing at {path}. GET /openapi.json lists what there is."
    ))
}

/// The answer where the route has other methods; the router adds `Allow`.
pub(crate) async fn method_not_allowed(request: Request) -> Problem {
    let method: String = request.method().as_str().chars().take(40).collect();
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        Code(31),
        "method not allowed",
    )
    .detail(format!(
        "This address does not take {method}; the header 'Allow' says what it takes."
    ))
}
