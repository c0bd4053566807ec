//! What stands between the escalator and intake, and can be shut.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{Response, StatusCode, request::Parts},
    response::IntoResponse as _,
};
use gridkeeper_http::listen;
use gridkeeper_proto::id::CaseId;
use serde_json::json;
use tokio::sync::watch;

pub(crate) struct Door {
    intake: String,
    http: reqwest::Client,
    /// The status to answer with instead of asking intake; zero lets through.
    shut: AtomicU16,
    /// How many requests came.
    pub(crate) asked: AtomicUsize,
    /// How many answers of intake are to be lost on the way back.
    pub(crate) lose: AtomicUsize,
    /// Whether requests and answers are let on.
    requests: watch::Sender<bool>,
    answers: watch::Sender<bool>,
    /// The cases whose requests wait at the door.
    waiting: Mutex<Vec<String>>,
    /// Cases whose steps are answered like this.
    refused: Mutex<HashMap<String, (u16, String)>>,
    tokens: Mutex<Vec<String>>,
}

impl Door {
    /// A door in front of an intake, and its address.
    pub(crate) async fn before(intake: String) -> (Arc<Self>, String) {
        let door = Arc::new(Self {
            intake,
            http: reqwest::Client::new(),
            shut: AtomicU16::new(0),
            asked: AtomicUsize::new(0),
            lose: AtomicUsize::new(0),
            requests: watch::Sender::new(true),
            answers: watch::Sender::new(true),
            waiting: Mutex::default(),
            refused: Mutex::default(),
            tokens: Mutex::default(),
        });
        let listener = listen("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(Arc::clone(&door));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (door, url)
    }

    pub(crate) fn shut(&self, status: u16) {
        self.shut.store(status, Ordering::SeqCst);
    }

    pub(crate) fn open(&self) {
        self.shut(0);
        self.requests.send_replace(true);
        self.answers.send_replace(true);
        self.refused.lock().unwrap().clear();
    }

    /// Keeps requests from now on, until it is opened.
    pub(crate) fn keep_requests(&self) {
        self.requests.send_replace(false);
    }

    /// Keeps the answers of intake from now on, until it is opened.
    pub(crate) fn keep_answers(&self) {
        self.answers.send_replace(false);
    }

    /// Answers the steps of a case so, until it is opened.
    pub(crate) fn refuse(&self, case: CaseId, status: u16, body: &str) {
        let answer = (status, body.to_owned());
        self.refused
            .lock()
            .unwrap()
            .insert(case.to_string(), answer);
    }

    /// The cases whose requests wait at the door.
    pub(crate) fn waiting(&self) -> Vec<String> {
        self.waiting.lock().unwrap().clone()
    }

    pub(crate) fn last_token(&self) -> String {
        self.tokens.lock().unwrap().last().unwrap().clone()
    }

    /// The case's turn at the door; it ends with what is returned.
    fn come(self: &Arc<Self>, case: String) -> Turn {
        self.waiting.lock().unwrap().push(case.clone());
        Turn(Arc::clone(self), case)
    }

    async fn ask_intake(&self, parts: &Parts, body: Bytes) -> (StatusCode, String) {
        let url = format!("{}{}", self.intake, parts.uri.path());
        let mut sent = self.http.post(url).body(body);
        for name in ["authorization", "content-type"] {
            sent = sent.header(name, parts.headers[name].clone());
        }
        let answer = sent.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }
}

/// Also ends when the escalator hangs up.
struct Turn(Arc<Door>, String);

impl Drop for Turn {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting.lock().unwrap();
        let place = waiting.iter().position(|case| *case == self.1);
        waiting.remove(place.unwrap());
    }
}

async fn let_on(gate: &watch::Sender<bool>) {
    gate.subscribe().wait_for(|open| *open).await.unwrap();
}

async fn pass(State(door): State<Arc<Door>>, request: Request) -> Response<Body> {
    door.asked.fetch_add(1, Ordering::SeqCst);
    let (parts, body) = request.into_parts();
    let case = parts.uri.path().split('/').nth(3).unwrap().to_owned();
    let token = parts.headers["authorization"].to_str().unwrap().to_owned();
    door.tokens.lock().unwrap().push(token);
    let shut = door.shut.load(Ordering::SeqCst);
    if shut != 0 {
        let problem = json!({ "code": "GK0500", "detail": "shut" }).to_string();
        let status = StatusCode::from_u16(shut).unwrap();
        return (status, [("retry-after", "0")], problem).into_response();
    }
    let _turn = door.come(case.clone());
    let refused = door.refused.lock().unwrap().get(&case).cloned();
    if let Some((status, body)) = refused {
        return (StatusCode::from_u16(status).unwrap(), body).into_response();
    }
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let_on(&door.requests).await;
    let answer = door.ask_intake(&parts, body).await;
    let_on(&door.answers).await;
    let lose = door
        .lose
        .try_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        });
    match lose {
        Ok(_) => (StatusCode::BAD_GATEWAY, "lost").into_response(),
        Err(_) => answer.into_response(),
    }
}
