//! The same HTTP server with handlers that only parse what they get and answer: what is left to gain at the door.

use std::sync::Arc;

use axum::extract::State;
use gridkeeper_http::{About, Json, Path, Problem};
use gridkeeper_proto::{
    api::{Receipt, ReportResult, ReportsAnswer, ReportsRequest},
    area::AreaCode,
    envelope::Position,
    id::CaseId,
};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::server;

/// Serves until the process is ended. `answers` holds what is answered to every question for a case's status, as
/// `escalation`, and to every question for an area's figures, as `area`.
pub(crate) async fn run(address: &str, answers: Value) {
    let about = About {
        title: "Parse only",
        description: "Parses and answers.",
    };
    let routes = OpenApiRouter::new()
        .routes(routes!(reports))
        .routes(routes!(escalation))
        .routes(routes!(area));
    server::run(address, about, routes, Arc::new(answers)).await;
}

#[utoipa::path(post, path = "/v1/reports", responses((status = 200)))]
async fn reports(Json(request): Json<ReportsRequest>) -> Result<Json<ReportsAnswer>, Problem> {
    let result = |id, grid: Option<AreaCode>| ReportResult {
        id,
        receipt: grid.map(|grid| Receipt {
            case_id: id,
            grid,
            position: Position(1),
            leaf_hash: None,
            version: 1,
            repeated: false,
        }),
        refused: None,
    };
    let reports = request.reports.into_iter();
    Ok(Json(ReportsAnswer {
        results: reports
            .map(|report| result(report.id, report.grid))
            .collect(),
    }))
}

#[utoipa::path(get, path = "/v1/cases/{id}/escalation", params(("id" = CaseId, Path)), responses((status = 200)))]
async fn escalation(State(answers): State<Arc<Value>>, Path(_id): Path<CaseId>) -> Json<Value> {
    Json(answers["escalation"].clone())
}

#[utoipa::path(get, path = "/v1/areas/{code}", params(("code" = AreaCode, Path)), responses((status = 200)))]
async fn area(State(answers): State<Arc<Value>>, Path(_code): Path<AreaCode>) -> Json<Value> {
    Json(answers["area"].clone())
}
