//! The district's rules: policies and the calendar, as they were adopted.

#![allow(
    unused_qualifications,
    reason = "utoipa::path repeats the types of the responses with their paths"
)]

use axum::extract::State;
use gridkeeper_http::{Bearer, Json, Path, Problem, Query, Refusals};
use gridkeeper_proto::api::{CalendarYears, PolicyDetail, PolicyList, PolicySummary};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Error, questions::Handle, views::Freshness};

pub(crate) fn routes() -> OpenApiRouter<Handle> {
    OpenApiRouter::new()
        .routes(routes!(policies))
        .routes(routes!(policy))
        .routes(routes!(calendar))
}

/// The policies that were adopted: which cases run under which is in each case's report.
#[utoipa::path(
    get,
    path = "/v1/policies",
    tag = "rules",
    security(("bearer" = [])),
    params(Freshness),
    responses((status = 200, description = "By version", body = PolicyList), Refusals),
)]
async fn policies(
    State(Handle(query)): State<Handle>,
    Bearer(_claims): Bearer,
    Query(fresh): Query<Freshness>,
) -> Result<Json<PolicyList>, Problem> {
    let known = query.rules(fresh.at_least).await?;
    let (position, rules) = (known.position, &known.value.rules);
    let newest = rules.newest();
    let policies = rules.policies().map(|(version, adopted)| PolicySummary {
        version,
        since: adopted.since,
        by: adopted.by.clone(),
        event: adopted.position,
        in_force: newest == Some(version),
    });
    Ok(Json(PolicyList {
        position,
        policies: policies.collect(),
    }))
}

/// A policy, whole.
#[utoipa::path(
    get,
    path = "/v1/policies/{version}",
    tag = "rules",
    security(("bearer" = [])),
    params(("version" = u32, Path, description = "Its version"), Freshness),
    responses(
        (status = 200, description = "As it was adopted", body = PolicyDetail),
        (status = 404, description = "No policy of this version was adopted", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn policy(
    State(Handle(query)): State<Handle>,
    Bearer(_claims): Bearer,
    Path(version): Path<u32>,
    Query(fresh): Query<Freshness>,
) -> Result<Json<PolicyDetail>, Problem> {
    let known = query.rules(fresh.at_least).await?;
    let (position, rules) = (known.position, &known.value.rules);
    let policy = rules.policy(version).map_err(Error::from)?;
    Ok(Json(PolicyDetail { position, policy }))
}

/// The calendar's years.
#[utoipa::path(
    get,
    path = "/v1/calendar",
    tag = "rules",
    security(("bearer" = [])),
    params(Freshness),
    responses((status = 200, description = "In order", body = CalendarYears), Refusals),
)]
async fn calendar(
    State(Handle(query)): State<Handle>,
    Bearer(_claims): Bearer,
    Query(fresh): Query<Freshness>,
) -> Result<Json<CalendarYears>, Problem> {
    let known = query.rules(fresh.at_least).await?;
    let (position, rules) = (known.position, &known.value.rules);
    let years = rules.calendar().cloned().collect();
    Ok(Json(CalendarYears { position, years }))
}
