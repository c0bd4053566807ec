//! A stand-in for intake in tests: it remembers what it was sent and answers as it is told.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use gridkeeper_proto::{
    api::{CommandRequest, Receipt, RefusedItem, ReportResult, ReportsAnswer, ReportsRequest},
    envelope::Position,
    id::CaseId,
};
use serde_json::json;

/// What the stand-in was sent, and how it behaves.
#[derive(Default)]
pub(crate) struct Seen {
    /// Cases reported.
    pub(crate) cases: BTreeSet<CaseId>,
    /// Steps of cases that were reported before.
    pub(crate) steps: u64,
    /// Steps of cases that were not.
    pub(crate) steps_too_early: u64,
    /// How many of the next requests are turned away as busy.
    pub(crate) busy: u32,
    /// How many of the next reports are to be sent again later.
    pub(crate) later: u32,
    /// Whether every request is refused for its token.
    pub(crate) forbids: bool,
}

type Shared = Arc<Mutex<Seen>>;

/// Starts it; the address, and what it sees.
pub(crate) async fn start(seen: Seen) -> (String, Shared) {
    let seen = Arc::new(Mutex::new(seen));
    let router = Router::new()
        .route("/v1/reports", post(reports))
        .route("/v1/cases/{case}/commands", post(step))
        .with_state(Arc::clone(&seen));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, seen)
}

fn turned_away(seen: &mut Seen, headers: &HeaderMap) -> Option<Response> {
    let problem = |code: &str| Json(json!({ "code": code, "detail": "for the test" }));
    if seen.forbids || !headers.contains_key("authorization") {
        return Some((StatusCode::UNAUTHORIZED, problem("GK0001")).into_response());
    }
    if seen.busy > 0 {
        seen.busy -= 1;
        return Some((StatusCode::SERVICE_UNAVAILABLE, problem("GK0501")).into_response());
    }
    None
}

async fn reports(
    State(seen): State<Shared>,
    headers: HeaderMap,
    Json(request): Json<ReportsRequest>,
) -> Response {
    let mut seen = seen.lock().unwrap();
    if let Some(away) = turned_away(&mut seen, &headers) {
        return away;
    }
    let mut results = Vec::new();
    for report in request.reports {
        let refused = |code: &str, retry| RefusedItem {
            code: code.to_owned(),
            detail: "for the test".to_owned(),
            retry,
        };
        let refused = if seen.later > 0 {
            seen.later -= 1;
            Some(refused("GK0502", true))
        } else if report.category.ends_with("ufo") {
            Some(refused("GK0503", false))
        } else {
            None
        };
        let receipt = refused.is_none().then(|| Receipt {
            case_id: report.id,
            grid: report.grid.unwrap_or("51040200200507".parse().unwrap()),
            position: Position(1),
            leaf_hash: None,
            version: 1,
            repeated: !seen.cases.insert(report.id),
        });
        results.push(ReportResult {
            id: report.id,
            receipt,
            refused,
        });
    }
    Json(ReportsAnswer { results }).into_response()
}

async fn step(
    State(seen): State<Shared>,
    Path(case): Path<String>,
    headers: HeaderMap,
    Json(_): Json<CommandRequest>,
) -> Response {
    let mut seen = seen.lock().unwrap();
    if let Some(away) = turned_away(&mut seen, &headers) {
        return away;
    }
    let case_id: CaseId = case.parse().unwrap();
    if !seen.cases.contains(&case_id) {
        seen.steps_too_early += 1;
        return (StatusCode::NOT_FOUND, Json(json!({ "code": "GK0200" }))).into_response();
    }
    seen.steps += 1;
    let grid = "51040200200507".parse().unwrap();
    let (position, version) = (Position(1), 2);
    Json(Receipt {
        case_id,
        grid,
        position,
        leaf_hash: None,
        version,
        repeated: false,
    })
    .into_response()
}
