//! The independent client: it knows the HTTP API and nothing else of the services.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::ledger::Ledger;

/// How long a phone waits for an answer: longer than intake waits for the broker.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a reader waits for one.
const READERS_PATIENCE: Duration = Duration::from_secs(4);

/// A client with its ledger. Clones share the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    intake: String,
    query: String,
    token: String,
    ledger: Arc<Mutex<Ledger>>,
}

impl Client {
    pub(crate) fn new(intake: String, query: String, token: String) -> Self {
        Self {
            http: reqwest::Client::builder()
                .timeout(PATIENCE)
                .build()
                .unwrap(),
            intake,
            query,
            token,
            ledger: Arc::default(),
        }
    }

    /// The ledger. Not to be held across an `await`.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// Files reports once and enters what comes of each.
    pub(crate) async fn file(&self, reports: &[Value]) {
        for report in reports {
            let id = report["id"].as_str().unwrap_or_default();
            self.ledger().note_sent(id, id, report);
        }
        let url = format!("{}/v1/reports", self.intake);
        let answer = match self.post(&url, &json!({ "reports": reports })).await {
            Some((200, answer)) => answer,
            // A request with one report answers with its refusal.
            Some((status, _)) if is_permanent(status) && reports.len() == 1 => {
                let id = reports[0]["id"].as_str().unwrap_or_default();
                return self.ledger().note_refused(id);
            }
            _ => return,
        };
        for result in answer["results"].as_array().into_iter().flatten() {
            let id = result["id"].as_str().unwrap_or_default();
            if result["receipt"].is_object() {
                self.ledger().note_receipt(id, &result["receipt"]);
            } else if result["refused"]["retry"] == false {
                self.ledger().note_refused(id);
            }
        }
    }

    /// Sends a step of a case once and enters what comes of it.
    pub(crate) async fn step(&self, id: &str, case: &str, body: &Value) {
        self.ledger().note_sent(id, case, body);
        let url = format!("{}/v1/cases/{case}/commands", self.intake);
        match self.post(&url, body).await {
            Some((200, receipt)) => self.ledger().note_receipt(id, &receipt),
            Some((status, _)) if is_permanent(status) => self.ledger().note_refused(id),
            _ => {}
        }
    }

    /// Sends a command of the ledger again.
    pub(crate) async fn repeat(&self, id: &str, case: &str, body: &Value) {
        match id == case {
            true => self.file(std::slice::from_ref(body)).await,
            false => self.step(id, case, body).await,
        }
    }

    async fn post(&self, url: &str, body: &Value) -> Option<(u16, Value)> {
        let request = self.http.post(url).bearer_auth(&self.token).json(body);
        let answer = request.send().await.ok()?;
        Some((answer.status().as_u16(), answer.json().await.ok()?))
    }

    /// What the query service answers: the status and the text; `None` when no answer came.
    pub(crate) async fn ask(&self, path: &str) -> Option<(u16, String)> {
        let request = self.http.get(format!("{}{path}", self.query));
        let request = request.bearer_auth(&self.token).timeout(READERS_PATIENCE);
        let answer = request.send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// The health of an endpoint as it says it; `None` when no answer came.
    pub(crate) async fn health(&self, url: &str) -> Option<Value> {
        let request = self.http.get(format!("{url}/healthz"));
        let answer = request.timeout(Duration::from_secs(2)).send().await.ok()?;
        answer.json().await.ok()
    }
}

/// Whether trying again cannot help.
fn is_permanent(status: u16) -> bool {
    (400..500).contains(&status) && status != 429
}

/// A new id.
pub(crate) fn new_id() -> String {
    Uuid::now_v7().to_string()
}

/// A report; each third one has parties.
pub(crate) fn report(number: usize, grid: &str, description: usize) -> Value {
    let id = new_id();
    let words = format!("No. {number}: water comes through the ceiling again. ");
    let repeated = words.chars().cycle();
    let mut report = json!({
        "kind": "dispute",
        "category": "dispute.neighbour",
        "channel": "grid_worker",
        "description": repeated.take(description).collect::<String>().trim(),
        "grid": grid,
    });
    if number.is_multiple_of(3) {
        report["parties"] =
            json!([{ "name": format!("party {number} of {id}"), "phone": "13800000000" }]);
    }
    report["id"] = Value::from(id);
    report
}

/// A record of another system whose due time passes some seconds from now, for the escalator to
/// send up.
pub(crate) fn late_report(number: usize, grid: &str, description: usize) -> Value {
    let mut late = report(number, grid, description);
    let ahead = |seconds| {
        let now = jiff::Timestamp::now();
        (now + jiff::SignedDuration::from_secs(seconds)).to_string()
    };
    late["channel"] = json!("import");
    late["imported"] = json!({
        "source": { "system": "before", "record": late["id"] },
        "reported_at": ahead(-7_200),
        "due_at": ahead(3),
    });
    late
}
