//! A small service with one route for each thing to be shown.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part of this"
)]
#![allow(
    unused_qualifications,
    reason = "utoipa::path repeats types with their paths"
)]

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{FromRef, Request},
    http::{HeaderMap, StatusCode},
    routing,
};
use gridkeeper_http::{
    About, Bearer, Check, Clock, Health, Json, Options, Path, Problem, Query, Refusals, Standard,
    application, body_limit, metrics,
};
use gridkeeper_identity::{SigningKey, Verifier};
use gridkeeper_proto::{
    access::{Claims, Role},
    area::AreaCode,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower::ServiceExt as _;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const BODY_LIMIT: usize = 2_000;
const ABOUT: About = About {
    title: "Test",
    description: "Shows what is shared.",
};

#[derive(Clone)]
struct AppState {
    verifier: Arc<Verifier>,
    clock: Clock,
}

impl FromRef<AppState> for Arc<Verifier> {
    fn from_ref(state: &AppState) -> Self {
        Arc::clone(&state.verifier)
    }
}

impl FromRef<AppState> for Clock {
    fn from_ref(state: &AppState) -> Self {
        state.clock.clone()
    }
}

#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Note {
    name: String,
    count: u32,
}

#[derive(Serialize, ToSchema)]
struct Echo {
    by: String,
    name: String,
    count: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nested {
    items: Vec<NestedItem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NestedItem {
    #[serde(rename = "a/b")]
    _number: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    limit: u32,
}

/// Echoes.
#[utoipa::path(
    post,
    path = "/echo",
    responses((status = 200, description = "What was sent", body = Echo), Refusals),
    security(("bearer" = [])),
)]
async fn echo(Bearer(claims): Bearer, Json(note): Json<Note>) -> Result<Json<Echo>, Problem> {
    Ok(Json(Echo {
        by: claims.sub,
        name: note.name,
        count: note.count,
    }))
}

async fn open(Json(note): Json<Note>) -> Json<Note> {
    Json(note)
}

async fn nested(Json(nested): Json<Nested>) -> String {
    nested.items.len().to_string()
}

async fn area(Path(area): Path<AreaCode>, Query(page): Query<Page>) -> Json<Value> {
    Json(serde_json::json!({"area": area, "limit": page.limit}))
}

async fn mine(Bearer(claims): Bearer, Path(area): Path<AreaCode>) -> Result<(), Problem> {
    Ok(claims.within(area)?)
}

async fn panics() {
    panic!("a secret of the server");
}

fn own() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(echo))
        .route("/open", routing::post(open))
        .route(
            "/large",
            routing::post(open).layer(body_limit(BODY_LIMIT * 10)),
        )
        .route("/nested", routing::post(nested))
        .route("/areas/{area}", routing::get(area))
        .route("/mine/{area}", routing::get(mine))
        .route("/panic", routing::get(panics))
        .route("/never", routing::get(std::future::pending::<()>))
}

pub fn document() -> utoipa::openapi::OpenApi {
    gridkeeper_http::document(&ABOUT, &own())
}

pub struct Service {
    pub router: Router,
    pub follower: Check,
    key: SigningKey,
    time: Arc<AtomicI64>,
}

pub struct Answer {
    pub status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Service {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::create(folder.path()).unwrap();
        let district = "510402".parse().unwrap();
        let verifier = Arc::new(Verifier::load(folder.path(), Some(district)).unwrap());
        let time = Arc::new(AtomicI64::new(1_700_000_000_000));
        let shown = Arc::clone(&time);
        let clock =
            Clock::new(move || Timestamp::from_millis(shown.load(Ordering::SeqCst)).unwrap());
        let options = Options {
            body_limit_bytes: BODY_LIMIT,
            ..Options::default()
        };
        let health = Health::new(&options, clock.now());
        let follower = health.register("test follower", clock.now());
        let metrics = metrics::recorder().unwrap();
        let state = AppState {
            verifier,
            clock: clock.clone(),
        };
        let standard = Standard {
            health,
            clock,
            metrics,
            options,
        };
        let (router, _) = application(&ABOUT, own(), state, standard);
        Self {
            router,
            follower,
            key,
            time,
        }
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.time.load(Ordering::SeqCst)).unwrap()
    }

    pub fn advance(&self, millis: i64) {
        self.time.fetch_add(millis, Ordering::SeqCst);
    }

    pub fn token(&self, role: Role, area: &str) -> String {
        let areas = vec![area.parse().unwrap()];
        let claims = Claims::lasting("wang.li".to_owned(), role, areas, self.now(), 3_600);
        self.key.issue(&claims).unwrap()
    }

    pub async fn call(&self, request: Request) -> Answer {
        let (head, body) = self
            .router
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer {
            status: head.status,
            headers: head.headers,
            body,
        }
    }
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

pub fn get(uri: &str) -> Request {
    Request::builder().uri(uri).body(Body::empty()).unwrap()
}

pub fn post(uri: &str, token: Option<&str>, body: impl Into<Body>) -> Request {
    let mut request = Request::builder()
        .method("POST")
        .uri(uri)
        .header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.body(body.into()).unwrap()
}
