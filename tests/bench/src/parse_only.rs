//! The same HTTP server with handlers that only parse what they get and answer: what is left to gain at the door.

use std::sync::Arc;

use axum::extract::State;
use gridkeeper_http::{
    About, Clock, Health, Json, Options, Path, Problem, Standard, application, listen, metrics,
    serve,
};
use gridkeeper_proto::{
    api::{Receipt, ReportResult, ReportsAnswer, ReportsRequest},
    area::AreaCode,
    envelope::Position,
    id::CaseId,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Serves until the process is ended. `answers` holds what is answered to every question for a case's status, as
/// `escalation`, and to every question for an area's figures, as `area`.
pub(crate) async fn run(address: &str, answers: Value) {
    let options = Options::default();
    let clock = Clock::system();
    let health = Health::new(&options, clock.now());
    health
        .register("nothing", clock.now())
        .progress(1, 1, clock.now());
    let standard = Standard {
        health,
        clock,
        metrics: metrics::recorder().unwrap(),
        options: options.clone(),
    };
    let about = About {
        title: "Parse only",
        description: "Parses and answers.",
    };
    let routes = OpenApiRouter::new()
        .routes(routes!(reports))
        .routes(routes!(escalation))
        .routes(routes!(area));
    let (router, _) = application(&about, routes, Arc::new(answers), standard);
    let listener = listen(address).await.unwrap();
    serve(listener, router, CancellationToken::new(), options.drain()).await;
}

#[utoipa::path(post, path = "/v1/reports", responses((status = 200)))]
async fn reports(Json(request): Json<ReportsRequest>) -> Result<Json<ReportsAnswer>, Problem> {
    let result = |id, grid: Option<AreaCode>| ReportResult {
        id,
        receipt: grid.map(|grid| Receipt {
            case_id: id,
            grid,
            position: Position(1),
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
