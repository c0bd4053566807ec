//! An installation in a folder of its own: a broker, and a process for each service.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use gridkeeper_broker::Broker;
use gridkeeper_district::District;
use gridkeeper_http::Clock;
use gridkeeper_identity::{SigningKey, make_checkpoint_key};
use gridkeeper_proto::{
    access::{Claims, Role},
    api::{Receipt, ReportsAnswer},
    area::AreaCode,
};
use gridkeeper_tests::{BOUND, free_address, until};
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// How soon a phone sends again what was not acknowledged.
const AGAIN: Duration = Duration::from_millis(25);

/// The district of the sample.
pub(crate) const DISTRICT: &str = "510402";

/// The services, in the order in which they are started. The query service answers from views of its own process, in
/// which an aggregator runs.
pub(crate) const SERVICES: [&str; 3] = ["intake", "query", "escalator"];
const ENDPOINTS: [&str; 4] = ["intake", "aggregator", "query", "escalator"];

/// An installation.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    pub(crate) broker: Broker,
    pub(crate) http: reqwest::Client,
    /// The code of its district.
    pub(crate) code: AreaCode,
    district: PathBuf,
    addresses: BTreeMap<&'static str, String>,
    running: BTreeMap<&'static str, Child>,
    key: SigningKey,
    logs: AtomicUsize,
}

impl Site {
    /// A broker, keys and a configuration; no service runs yet.
    pub(crate) async fn new(district: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = gridkeeper_tests::broker(folder.path()).await;
        let keys = folder.path().join("data/keys");
        let key = SigningKey::create(&keys).unwrap();
        make_checkpoint_key(&keys).unwrap();
        let addresses = ENDPOINTS.map(|service| (service, free_address())).into();
        let site = Self {
            code: District::load(district).unwrap().code(),
            district: district.to_owned(),
            http: reqwest::Client::new(),
            folder,
            broker,
            addresses,
            running: BTreeMap::new(),
            key,
            logs: AtomicUsize::new(0),
        };
        std::fs::write(site.config(), site.configuration()).unwrap();
        site
    }

    /// All services run and are ready.
    pub(crate) async fn started(district: &Path) -> Self {
        let mut site = Self::new(district).await;
        site.start_all().await;
        site
    }

    /// A file in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("gridkeeper.toml")
    }

    /// The broker's own window for repeated ids is as short as it can be, so that nothing stands on it.
    fn configuration(&self) -> String {
        let url = self.broker.url();
        let mut text = "[log]\nduplicate_window_ms = 100\nrequest_timeout_ms = 2000\n".to_owned();
        for (service, address) in &self.addresses {
            text += &format!("[{service}]\nlisten = \"{address}\"\nnats_url = \"{url}\"\n");
            if *service == "intake" {
                text += "follow_every_ms = 50\n";
            }
            if *service == "escalator" {
                text += &format!("intake_url = \"http://{}\"\n", self.addresses["intake"]);
            }
        }
        text
    }

    /// A command of the binary, with this installation's place.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_with(&self.config(), arguments)
    }

    fn command_with(&self, config: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridkeeper"));
        command
            .args(arguments)
            .arg("--config")
            .arg(config)
            .arg("--data")
            .arg(self.path("data"))
            .arg("--district")
            .arg(&self.district)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end; gives what it printed, or fails with what it said.
    pub(crate) async fn run(&self, arguments: &[&str]) -> String {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(arguments).output().await.unwrap();
        let said = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "{arguments:?}: {said}");
        String::from_utf8(stdout).unwrap()
    }

    /// Starts a service at another address that does not start; gives what it said.
    pub(crate) async fn fails_elsewhere(&self, service: &str) -> String {
        let elsewhere = self.path("elsewhere.toml");
        let text = self.configuration();
        let text = text.replace(&self.addresses[service], &free_address());
        std::fs::write(&elsewhere, text).unwrap();
        let mut command = self.command_with(&elsewhere, &[service]);
        let output = timeout(BOUND, command.output()).await.unwrap().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{service}: {said}");
        said
    }

    pub(crate) fn start(&mut self, service: &'static str) {
        let number = self.logs.fetch_add(1, Ordering::Relaxed);
        let log = self.path(&format!("{service}-{number}.log"));
        let child = self
            .command(&[service])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(log).unwrap())
            .spawn()
            .unwrap();
        self.running.insert(service, child);
    }

    pub(crate) async fn start_all(&mut self) {
        for service in SERVICES {
            self.start(service);
        }
        for endpoint in ENDPOINTS {
            self.until_ready(endpoint).await;
        }
    }

    pub(crate) async fn until_ready(&self, service: &'static str) {
        let url = format!("{}/readyz", self.url(service));
        until(&format!("{service} is ready"), async || {
            let answer = self.http.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// Kills a service as a crash would.
    pub(crate) async fn kill(&mut self, service: &'static str) {
        let mut child = self.running.remove(service).unwrap();
        child.kill().await.unwrap();
    }

    pub(crate) async fn kill_all(&mut self) {
        for service in SERVICES {
            self.kill(service).await;
        }
    }

    pub(crate) fn url(&self, service: &str) -> String {
        format!("http://{}", self.addresses[service])
    }

    pub(crate) fn token(&self, role: Role, area: &str) -> String {
        let area: AreaCode = area.parse().unwrap();
        let now = Clock::system().now();
        let claims = Claims::lasting("end-to-end".to_owned(), role, vec![area], now, 3_600);
        self.sign(&claims)
    }

    /// The token of any claims.
    pub(crate) fn sign(&self, claims: &Claims) -> String {
        self.key.issue(claims).unwrap()
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

    /// The position that the log ends at.
    pub(crate) async fn last_position(&self) -> u64 {
        let options = gridkeeper_eventlog::Options {
            duplicate_window_ms: 100,
            ..gridkeeper_eventlog::Options::default()
        };
        let log =
            gridkeeper_eventlog::EventLog::open(&self.broker.url(), self.code, &options).await;
        log.unwrap().last_position().await.unwrap().0
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
