//! A service's own routes and the standard ones become one router and one OpenAPI document.

#![allow(
    unused_qualifications,
    reason = "utoipa::path repeats the types of the responses with their paths"
)]

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    middleware,
    response::IntoResponse,
};
use metrics_exporter_prometheus::PrometheusHandle;
use utoipa::{
    OpenApi,
    openapi::{
        self,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Clock, FieldError, Health, HealthReport, Json, Options, Problem, body_limit, metrics, pages,
    request::{self, TimeLimit},
};

/// What the standard routes tell of.
#[derive(Clone, Debug)]
pub struct Standard {
    /// `/healthz` and `/readyz`.
    pub health: Health,
    /// The clock by which ages are counted.
    pub clock: Clock,
    /// `/metrics`; from [`metrics::recorder`].
    pub metrics: PrometheusHandle,
    /// Limits.
    pub options: Options,
}

/// How the OpenAPI document introduces the service.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Such as `Gridkeeper query`.
    pub title: &'static str,
    /// What the service is for.
    pub description: &'static str,
}

#[derive(Clone)]
struct Shared {
    standard: Standard,
    document: Arc<str>,
}

/// The finished router of a service and its OpenAPI document.
///
/// Routes behind a [`crate::Bearer`] declare `security(("bearer" = []))`.
pub fn application<S: Clone + Send + Sync + 'static>(
    about: &About,
    own: OpenApiRouter<S>,
    state: S,
    standard: Standard,
) -> (Router, openapi::OpenApi) {
    let document = document(about, &own);
    let text = document
        .to_pretty_json()
        .expect("an OpenAPI document holds nothing but JSON");
    let limit = TimeLimit(standard.options.request_timeout());
    let body_limit = body_limit(standard.options.body_limit_bytes);
    let shared = Shared {
        standard,
        document: text.into(),
    };
    let router = own
        .split_for_parts()
        .0
        .with_state(state)
        .merge(standard_routes().split_for_parts().0.with_state(shared))
        .method_not_allowed_fallback(request::method_not_allowed)
        .fallback(request::not_found)
        .layer(body_limit)
        .layer(middleware::from_fn_with_state(limit, request::around));
    (router, document)
}

/// The OpenAPI document of a service with these routes, without starting it.
#[must_use]
pub fn document<S: Clone + Send + Sync + 'static>(
    about: &About,
    own: &OpenApiRouter<S>,
) -> openapi::OpenApi {
    let mut document = StandardDocument::openapi();
    document.info = openapi::InfoBuilder::new()
        .title(about.title)
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(about.description))
        .build();
    document.merge(own.get_openapi().clone());
    document.merge(standard_routes().into_openapi());
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("Issued by `gridkeeper token`; signed with Ed25519."))
        .build();
    document
        .components
        .get_or_insert_default()
        .add_security_scheme("bearer", SecurityScheme::Http(bearer));
    document
}

/// The schemas that every document has.
#[derive(OpenApi)]
#[openapi(components(schemas(Problem, FieldError)))]
struct StandardDocument;

fn standard_routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics_text))
        .routes(routes!(openapi_json))
        .routes(routes!(pages::error_page))
}

/// Whether the service works: nothing failed, no position too old.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "standard",
    responses(
        (status = 200, description = "It works", body = HealthReport),
        (status = 503, description = "A part failed or is stuck", body = HealthReport),
    ),
)]
async fn healthz(State(shared): State<Shared>) -> impl IntoResponse {
    let report = shared.standard.health.report(shared.standard.clock.now());
    (
        status(report.ok),
        [(header::CACHE_CONTROL, "no-store")],
        Json(report),
    )
}

/// Whether the service has caught up with the log, so that its answers are of today.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "standard",
    responses(
        (status = 200, description = "It works and has caught up", body = HealthReport),
        (status = 503, description = "It is catching up, or does not work", body = HealthReport),
    ),
)]
async fn readyz(State(shared): State<Shared>) -> impl IntoResponse {
    let report = shared.standard.health.report(shared.standard.clock.now());
    (
        status(report.ready),
        [(header::CACHE_CONTROL, "no-store")],
        Json(report),
    )
}

fn status(fine: bool) -> StatusCode {
    if fine {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

/// Measurements for Prometheus, of all services in this process.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "standard",
    responses((status = 200, description = "Prometheus text", content_type = "text/plain", body = String)),
)]
async fn metrics_text(State(shared): State<Shared>) -> impl IntoResponse {
    let text = metrics::render(&shared.standard.metrics);
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "standard",
    responses((status = 200, description = "The OpenAPI document of this service", content_type = "application/json", body = Object)),
)]
async fn openapi_json(State(shared): State<Shared>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json")],
        shared.document.to_string(),
    )
}
