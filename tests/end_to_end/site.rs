//! An installation, and a client that files, asks and holds tokens.

use std::{
    ops::{Deref, DerefMut},
    path::Path,
    time::Duration,
};

use gridkeeper_district::District;
use gridkeeper_eventlog::EventLog;
use gridkeeper_http::Clock;
use gridkeeper_proto::{
    access::{Claims, Role},
    api::{Receipt, ReportsAnswer},
    area::AreaCode,
};
use gridkeeper_tests::{BOUND, free_address, installation::Installation};
use serde_json::{Value, json};
use tokio::time::timeout;

/// How soon a phone sends again what was not acknowledged.
const AGAIN: Duration = Duration::from_millis(25);

/// The district of the sample.
pub(crate) const DISTRICT: &str = "510402";

/// An installation, and a client for it.
pub(crate) struct Site {
    installation: Installation,
    pub(crate) http: reqwest::Client,
    /// The code of its district.
    pub(crate) code: AreaCode,
}

impl Deref for Site {
    type Target = Installation;

    fn deref(&self) -> &Installation {
        &self.installation
    }
}

impl DerefMut for Site {
    fn deref_mut(&mut self) -> &mut Installation {
        &mut self.installation
    }
}

impl Site {
    /// A broker, keys and a configuration; no service runs yet.
    pub(crate) async fn new(district: &Path) -> Self {
        let binary = Path::new(env!("CARGO_BIN_EXE_gridkeeper"));
        Self {
            installation: Installation::new(binary, district).await,
            http: reqwest::Client::new(),
            code: District::load(district).unwrap().code(),
        }
    }

    /// All services run and are ready.
    pub(crate) async fn started(district: &Path) -> Self {
        let mut site = Self::new(district).await;
        site.start_all().await;
        site
    }

    /// Starts a service at another address that does not start; gives what it said.
    pub(crate) async fn fails_elsewhere(&self, service: &str) -> String {
        let elsewhere = self.path("elsewhere.toml");
        let text = self.configuration();
        let text = text.replace(self.address(service), &free_address());
        std::fs::write(&elsewhere, text).unwrap();
        let mut command = self.command_with(&elsewhere, &[service]);
        let output = timeout(BOUND, command.output()).await.unwrap().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{service}: {said}");
        said
    }

    pub(crate) fn token(&self, role: Role, area: &str) -> String {
        let area: AreaCode = area.parse().unwrap();
        let now = Clock::system().now();
        let claims = Claims::lasting("end-to-end".to_owned(), role, vec![area], now, 3_600);
        self.sign(&claims)
    }

    /// The token of any claims.
    pub(crate) fn sign(&self, claims: &Claims) -> String {
        self.installation.key.issue(claims).unwrap()
    }

    pub(crate) fn admin(&self) -> String {
        self.token(Role::Admin, self.code.as_str())
    }

    /// Files reports once, whatever becomes of them.
    pub(crate) fn door(&self) -> Door {
        Door {
            http: self.http.clone(),
            url: format!("{}/v1/reports", self.url("intake")),
            token: self.admin(),
        }
    }

    /// What the query service answers.
    pub(crate) async fn ask(&self, token: &str, path: &str) -> (u16, Value) {
        let url = format!("{}{path}", self.url("query"));
        let answer = self.http.get(url).bearer_auth(token).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }

    /// What the query service answers when it is asked a question that it has to answer.
    pub(crate) async fn answer(&self, path: &str) -> Value {
        let (status, answer) = self.ask(&self.admin(), path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// The answer to the admin, a JSON value to a line.
    pub(crate) async fn lines(&self, path: &str) -> Vec<Value> {
        let url = format!("{}{path}", self.url("query"));
        let answer = self.http.get(url).bearer_auth(self.admin()).send().await;
        let text = answer.unwrap().text().await.unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The log on its broker.
    pub(crate) async fn log(&self) -> EventLog {
        let options = gridkeeper_eventlog::Options {
            duplicate_window_ms: 100,
            ..gridkeeper_eventlog::Options::default()
        };
        let log = EventLog::open(&self.broker.url(), self.code, &options).await;
        log.unwrap()
    }

    /// The position that the log ends at.
    pub(crate) async fn last_position(&self) -> u64 {
        self.log().await.last_position().await.unwrap().0
    }
}

/// A report of a dispute in a grid.
pub(crate) fn report(id: &str, grid: &str) -> Value {
    json!({
        "id": id,
        "kind": "dispute",
        "category": "dispute.neighbour",
        "channel": "grid_worker",
        "description": "water from above",
        "grid": grid,
    })
}

pub(crate) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// Intake's door.
#[derive(Clone)]
pub(crate) struct Door {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Door {
    /// The same door over a connection of its own.
    pub(crate) fn fresh(door: Self) -> Self {
        Self {
            http: reqwest::Client::new(),
            ..door
        }
    }

    /// Sends reports once; none when no answer came.
    pub(crate) async fn send(&self, reports: &[Value]) -> Option<(u16, Value)> {
        let request = self.http.post(&self.url).bearer_auth(&self.token);
        let answer = request.json(&json!({ "reports": reports })).send().await;
        let answer = answer.ok()?;
        Some((answer.status().as_u16(), answer.json().await.ok()?))
    }

    /// Sends reports again and again, as a phone does, until each is acknowledged.
    pub(crate) async fn file(&self, reports: &[Value]) -> Vec<Receipt> {
        let filing = async {
            let mut interval = tokio::time::interval(AGAIN);
            loop {
                interval.tick().await;
                if let Some(receipts) = self.file_once(reports).await {
                    return receipts;
                }
            }
        };
        let filed = timeout(BOUND, filing).await;
        filed.expect("every report is acknowledged in time")
    }

    /// The receipts of reports, if each was acknowledged this time.
    async fn file_once(&self, reports: &[Value]) -> Option<Vec<Receipt>> {
        let (status, answer) = self.send(reports).await?;
        if status != 200 {
            assert!([429, 503].contains(&status), "{status}: {answer}");
            return None;
        }
        let answer: ReportsAnswer = serde_json::from_value(answer).unwrap();
        answer
            .results
            .into_iter()
            .map(|result| match (result.receipt, result.refused) {
                (Some(receipt), _) => Some(receipt),
                (None, Some(refused)) if refused.retry => None,
                (None, refused) => panic!("refused: {refused:?}"),
            })
            .collect()
    }
}
