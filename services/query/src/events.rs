//! The events themselves: live, and to pull in pages.

#![allow(
    unused_qualifications,
    reason = "utoipa::path repeats the types of the responses with their paths"
)]

use std::time::Duration;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{
        IntoResponse, Response,
        sse::{KeepAlive, Sse},
    },
};
use gridkeeper_http::{Bearer, Problem, Query, Refusals};
use gridkeeper_proto::{area::AreaCode, envelope::Position};
use serde::Deserialize;
use tokio::time::timeout;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Error,
    error::page_limit,
    feed::{LiveEvent, RANGE},
    live::Listener,
    questions::Handle,
};

/// The most events of a pull.
const MOST: u32 = 10_000;
/// How many events of a pull are looked at, at most: few may lie in the area.
const LOOKED_AT: u64 = 50_000;
/// How often a silent stream shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const POSITION: HeaderName = HeaderName::from_static("gridkeeper-position");
const MORE: HeaderName = HeaderName::from_static("gridkeeper-more");

pub(crate) fn routes() -> OpenApiRouter<Handle> {
    OpenApiRouter::new()
        .routes(routes!(live))
        .routes(routes!(pull))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct LiveQuery {
    /// Events of this area; the token's own when it is for one area.
    area: Option<AreaCode>,
    /// Events after this position; from now on when left out. `Last-Event-ID` goes before it.
    after: Option<Position>,
}

/// Listen to events as they happen.
///
/// Each event has its position as `id`, its type as `event` and the record as `data`. A client that comes
/// back with `Last-Event-ID` gets every event after it once. An event of type `error` with a code ends the
/// stream when the log cannot be read on.
#[utoipa::path(
    get,
    path = "/v1/live",
    tag = "events",
    security(("bearer" = [])),
    params(LiveQuery, ("Last-Event-ID" = Option<String>, Header, description = "The position to go on after")),
    responses(
        (status = 200, description = "Events, without end", body = String, content_type = "text/event-stream"),
        Refusals,
    ),
)]
async fn live(
    State(Handle(query)): State<Handle>,
    Bearer(claims): Bearer,
    Query(asked): Query<LiveQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let area = query.area(&claims, asked.area)?;
    let after = last_event_id(&headers)?.or(asked.after);
    query.may_read_log().await?;
    let after = match after {
        Some(after) => {
            query.is_in_log(after).await?;
            after
        }
        // The log's end rather than the feed's position, which may be a moment behind.
        None => query.log.last_position().await.map_err(Error::from)?,
    };
    let place = query.live_places.clone().try_acquire_owned();
    let place = place.map_err(|_| Error::TooManyListeners {
        most: query.options.live_clients,
    })?;
    let streams = (query.log.clone(), query.feed.clone());
    let listener = Listener::new(streams, area, after, query.options.retry(), place);
    let alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(listener.stream())
        .keep_alive(alive)
        .into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Position>, Error> {
    let Some(value) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number
        .map(|number| Some(Position(number)))
        .ok_or(Error::LastEventId)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PullQuery {
    /// Events of this area; the token's own when it is for one area.
    area: Option<AreaCode>,
    /// Events after this position; from the first on when left out.
    #[serde(default)]
    after: Position,
    /// At most so many events: 1 to 10,000.
    #[serde(default = "thousand")]
    limit: u32,
    /// How long to wait for an event when there is none, in milliseconds.
    #[serde(default)]
    wait_ms: u32,
}

fn thousand() -> u32 {
    1_000
}

/// Pull events in the order of the log, one JSON record to a line.
///
/// The header `gridkeeper-position` says up to where the log was looked through: the next `after`, also
/// where no event was of the area. `gridkeeper-more` says whether the log goes on.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    security(("bearer" = [])),
    params(PullQuery),
    responses(
        (status = 200, description = "A record to a line", body = String, content_type = "application/x-ndjson",
            headers(
                ("gridkeeper-position" = u64, description = "For the next `after`"),
                ("gridkeeper-more" = bool, description = "Whether the log goes on after it"),
            )),
        Refusals,
    ),
)]
async fn pull(
    State(Handle(query)): State<Handle>,
    Bearer(claims): Bearer,
    Query(asked): Query<PullQuery>,
) -> Result<Response, Problem> {
    let area = query.area(&claims, asked.area)?;
    let limit = page_limit(asked.limit, MOST)?;
    query.may_read_log().await?;
    query.is_in_log(asked.after).await?;
    if asked.wait_ms > 0 {
        let wait_ms = asked.wait_ms.min(query.options.wait_limit_ms);
        let mut positions = query.feed.positions();
        let waiting = positions.wait_for(|position| *position > asked.after);
        // None came in time: the answer is empty and says up to where that is known.
        let _ = timeout(Duration::from_millis(wait_ms.into()), waiting).await;
    }
    let mut lines = String::new();
    let mut position = asked.after;
    let (mut count, mut more) = (0, true);
    while more && count < limit && position.0 - asked.after.0 < LOOKED_AT {
        let (max_events, max_bytes) = RANGE;
        let range = query
            .log
            .read_after(position, max_events, max_bytes)
            .await
            .map_err(Error::from)?;
        more = !range.is_empty();
        for stored in range {
            if count == limit {
                break;
            }
            position = stored.position;
            if stored.is_event_in(&area) {
                lines.push_str(&LiveEvent::of(&stored)?.json);
                lines.push('\n');
                count += 1;
            }
        }
    }
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-ndjson"),
        ),
        (POSITION, HeaderValue::from(position.0)),
        (
            MORE,
            HeaderValue::from_static(if more { "true" } else { "false" }),
        ),
    ];
    Ok((headers, Body::from(lines)).into_response())
}
