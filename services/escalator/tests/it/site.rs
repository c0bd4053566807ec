//! A broker and an intake whose clock is set by hand, and escalators on them, with a door between.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use gridkeeper_broker::Broker;
use gridkeeper_district::District;
use gridkeeper_escalator::{Error, Options, Parts, timers::SCHEMA};
use gridkeeper_eventlog::{EventLog, KeyStore};
use gridkeeper_http::{Clock, listen};
use gridkeeper_identity::{SigningKey, Verifier};
use gridkeeper_proto::{
    access::{Claims, Role},
    api::Receipt,
    area::AreaCode,
    envelope::Position,
    event::{CaseEvent, Recorded},
    id::CaseId,
    time::Timestamp,
};
use gridkeeper_tests::{BOUND, sample_district, until};
use gridkeeper_viewstore::ViewStore;
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::door::Door;

pub(crate) const GRID: &str = "51040200200501";
pub(crate) const MINUTE: i64 = 60_000;
/// How long a general case may wait to be accepted, by the sample district's policy, in minutes.
pub(crate) const TO_ACCEPT: i64 = 240;

pub(crate) struct Site {
    folder: tempfile::TempDir,
    pub(crate) broker: Broker,
    key: SigningKey,
    now: Arc<AtomicI64>,
    /// When the clock runs on by itself, the moment at which it was begun.
    began: Option<Instant>,
    /// By how much the escalators' clock is off that of the others, in milliseconds.
    pub(crate) escalators_off: Arc<AtomicI64>,
    tolerance_ms: u64,
    pub(crate) log: EventLog,
    intake: String,
    pub(crate) door: Arc<Door>,
    door_url: String,
    http: reqwest::Client,
}

/// A running escalator.
pub(crate) struct Escalator {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<Result<(), Error>>,
    /// How often it read the clock.
    looks: Arc<AtomicUsize>,
}

impl Site {
    /// A clock that stands until it is set.
    pub(crate) async fn new() -> Self {
        let start: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
        Self::with(start, None).await
    }

    /// A clock that runs as the broker's does, until it is set.
    pub(crate) async fn on_time() -> Self {
        Self::with(Clock::system().now(), Some(Instant::now())).await
    }

    async fn with(start: Timestamp, began: Option<Instant>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = gridkeeper_tests::broker(folder.path()).await;
        let key = SigningKey::create(&folder.path().join("keys")).unwrap();
        let now = Arc::new(AtomicI64::new(start.millis()));
        // The standing clock of a test is none that a broker knows.
        let tolerance_ms = began.map_or(u64::MAX, |_| 60_000);
        let http = reqwest::Client::new();
        let (intake, log) = intake(
            &broker.url(),
            &folder.path().join("keys"),
            (clock(&now, began), tolerance_ms),
        )
        .await;
        let (door, door_url) = Door::before(intake.clone()).await;
        Self {
            folder,
            broker,
            key,
            now,
            began,
            escalators_off: Arc::default(),
            tolerance_ms,
            log,
            intake,
            door,
            door_url,
            http,
        }
    }

    pub(crate) fn views(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) async fn escalator(&self) -> Escalator {
        self.escalator_in("timers").await
    }

    pub(crate) async fn escalator_in(&self, folder: &str) -> Escalator {
        let keys = self.folder.path().join("keys");
        self.escalator_with(folder, SigningKey::load(&keys).unwrap())
            .await
    }

    pub(crate) async fn escalator_with(&self, folder: &str, key: SigningKey) -> Escalator {
        self.start(self.options(folder), key).await
    }

    pub(crate) fn options(&self, folder: &str) -> Options {
        Options {
            intake_url: self.door_url.clone(),
            folder: self.views(folder),
            views: gridkeeper_liveviews::Options {
                retry_ms: 10,
                ..gridkeeper_liveviews::Options::default()
            },
            tick_ms: 10,
            retry_ms: 10,
            retry_limit_ms: 100,
            late_after_ms: 300,
            clock_tolerance_ms: self.tolerance_ms,
            ..Options::default()
        }
    }

    pub(crate) async fn escalator_of(&self, options: Options) -> Escalator {
        let keys = self.folder.path().join("keys");
        self.start(options, SigningKey::load(&keys).unwrap()).await
    }

    async fn start(&self, options: Options, key: SigningKey) -> Escalator {
        let looks = Arc::new(AtomicUsize::new(0));
        let (shown, count) = (clock(&self.now, self.began), Arc::clone(&looks));
        let off = Arc::clone(&self.escalators_off);
        let clock = Clock::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
            shown.now().plus_millis(off.load(Ordering::SeqCst))
        });
        let parts = Parts {
            log: self.log.clone(),
            key,
            clock,
        };
        let listener = listen("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let running = gridkeeper_escalator::run_on(listener, options, parts, stop.clone());
        let running = tokio::spawn(running);
        let escalator = Escalator {
            address,
            stop,
            running,
            looks,
        };
        escalator.until_status("/readyz", 200).await;
        escalator
    }

    pub(crate) fn forward(&self, minutes: i64) {
        self.now.fetch_add(minutes * MINUTE, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> Timestamp {
        clock(&self.now, self.began).now()
    }

    pub(crate) async fn file(&self) -> Receipt {
        let body = json!({ "reports": [{
            "id": uuid::Uuid::now_v7().to_string(),
            "kind": "dispute",
            "category": "dispute.neighbour.noise",
            "channel": "grid_worker",
            "description": "water from above",
            "grid": GRID,
        }] });
        let answer = self.post("/v1/reports", &body).await;
        serde_json::from_value(answer["results"][0]["receipt"].clone())
            .unwrap_or_else(|_| panic!("{answer}"))
    }

    pub(crate) async fn step(&self, case: CaseId, step: Value) -> Receipt {
        let body = json!({ "id": uuid::Uuid::now_v7().to_string(), "command": step });
        let answer = self
            .post(&format!("/v1/cases/{case}/commands"), &body)
            .await;
        serde_json::from_value(answer.clone()).unwrap_or_else(|_| panic!("{answer}"))
    }

    /// Says as an escalator does that the due time of a case passed; gives the status and the code.
    pub(crate) async fn passes(&self, case: CaseId) -> (u16, String) {
        let command = json!({ "step": "pass_moment", "at": self.now() });
        let body = json!({ "id": uuid::Uuid::now_v7().to_string(), "command": command });
        let path = format!("/v1/cases/{case}/commands");
        let answer = self.send(Role::Service, &path, &body).await;
        let status = answer.status().as_u16();
        let answer: Value = answer.json().await.unwrap();
        (status, answer["code"].as_str().unwrap().to_owned())
    }

    /// Waits until the health of intake is red with this code.
    pub(crate) async fn until_intake_tells(&self, code: &str) {
        until(&format!("intake tells {code}"), async || {
            let (status, text) = self.intake_health().await?;
            (status == 503 && text.contains(code)).then_some(())
        })
        .await;
    }

    pub(crate) async fn until_intake_is_green(&self) {
        until("intake is green", async || {
            let (status, _) = self.intake_health().await?;
            (status == 200).then_some(())
        })
        .await;
    }

    async fn intake_health(&self) -> Option<(u16, String)> {
        let answer = reqwest::get(format!("{}/healthz", self.intake))
            .await
            .ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.send(Role::Centre, path, body).await;
        answer.json().await.unwrap()
    }

    async fn send(&self, role: Role, path: &str, body: &Value) -> reqwest::Response {
        let areas = vec!["510402".parse().unwrap()];
        // The sender's clock is right.
        let now = self.began.map_or(self.now(), |_| Clock::system().now());
        let claims = Claims::lasting("centre".to_owned(), role, areas, now, 3_600);
        let token = self.key.issue(&claims).unwrap();
        let url = format!("{}{path}", self.intake);
        let answer = self
            .http
            .post(url)
            .bearer_auth(token)
            .json(body)
            .send()
            .await;
        answer.unwrap()
    }

    /// All events so far.
    pub(crate) async fn events(&self) -> Vec<Recorded> {
        let mut events = Vec::new();
        loop {
            let after = Position(events.len() as u64);
            let range = self.log.read_after(after, 1_000, 1 << 20).await.unwrap();
            if range.is_empty() {
                return events;
            }
            let decoded = range
                .iter()
                .map(|stored| Recorded::decode(stored.position, &stored.bytes).unwrap());
            events.extend(decoded);
        }
    }

    /// The steps up, with the due times whose passing caused them, in the order of the log.
    pub(crate) async fn missed(&self) -> Vec<(CaseId, Timestamp)> {
        let missed = |recorded: &Recorded| match recorded.of_case()? {
            (case, CaseEvent::DeadlineMissed(event)) => Some((case, event.due_at)),
            _ => None,
        };
        self.events().await.iter().filter_map(missed).collect()
    }

    /// Waits until holders were reminded at these shares of their limits, and no others.
    pub(crate) async fn until_shares(&self, wanted: &[u32]) {
        until("holders are reminded", async || {
            let events = self.events().await;
            let shares = events
                .iter()
                .filter_map(|recorded| match recorded.of_case()? {
                    (_, CaseEvent::Reminded(event)) => Some(event.share),
                    _ => None,
                });
            shares.eq(wanted.iter().copied()).then_some(())
        })
        .await;
    }

    /// Waits until so many due times were found passed.
    pub(crate) async fn until_missed(&self, count: usize) -> Vec<(CaseId, Timestamp)> {
        until("so many due times are found passed", async || {
            let missed = self.missed().await;
            (missed.len() >= count).then_some(missed)
        })
        .await
    }
}

impl Escalator {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        timeout(BOUND, self.running)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }

    /// Ends it as a crash would, as far as one process can; waits until it has let go of its folder.
    pub(crate) async fn abort(self, folder: &Path) {
        self.running.abort();
        let _cancelled = self.running.await;
        until("it has let go of its folder", async || {
            ViewStore::open(folder, SCHEMA, gridkeeper_viewstore::Options::default()).ok()
        })
        .await;
    }

    pub(crate) async fn until_status(&self, path: &str, wanted: u16) {
        until(&format!("{path} is {wanted}"), async || {
            let answer = self.get(path).await?;
            (answer.status().as_u16() == wanted).then_some(())
        })
        .await;
    }

    /// Waits until health is red with this code.
    pub(crate) async fn until_health_tells(&self, code: &str) {
        until(&format!("health tells {code}"), async || {
            let answer = self.get("/healthz").await?;
            let red = answer.status().as_u16() == 503;
            let text = answer.text().await.ok()?;
            (red && text.contains(code)).then_some(())
        })
        .await;
    }

    async fn get(&self, path: &str) -> Option<reqwest::Response> {
        let url = format!("http://{}{path}", self.address);
        reqwest::get(url).await.ok()
    }

    /// Waits until it has looked several times more what is due; gives how many requests came meanwhile.
    pub(crate) async fn until_it_looked(&self, door: &Door) -> usize {
        let asked = door.asked.load(Ordering::SeqCst);
        let before = self.looks.load(Ordering::SeqCst);
        until("it looks what is due", async || {
            // The follower reads the clock too, about once a second.
            (self.looks.load(Ordering::SeqCst) >= before + 10).then_some(())
        })
        .await;
        door.asked.load(Ordering::SeqCst) - asked
    }

    /// Waits until its timers hold every event that the log has.
    pub(crate) async fn until_caught_up(&self, log: &EventLog) {
        let last = log.last_position().await.unwrap().0;
        until("the timers hold every event", async || {
            let health: Value = self.get("/healthz").await?.json().await.ok()?;
            let mut checks = health["checks"].as_array()?.iter();
            let holds = |check: &Value| check["position"].as_u64() >= Some(last);
            checks.any(holds).then_some(())
        })
        .await;
    }

    /// What `/metrics` says.
    pub(crate) async fn metrics(&self) -> String {
        self.get("/metrics").await.unwrap().text().await.unwrap()
    }
}

/// A clock that stands, or runs on since it was begun.
fn clock(now: &Arc<AtomicI64>, began: Option<Instant>) -> Clock {
    let now = Arc::clone(now);
    Clock::new(move || {
        let shown = Timestamp::from_millis(now.load(Ordering::SeqCst)).unwrap();
        let passed = began.map_or(0, |began| began.elapsed().as_millis());
        shown.plus_millis(i64::try_from(passed).unwrap())
    })
}

async fn intake(
    broker: &str,
    keys: &Path,
    (clock, clock_tolerance_ms): (Clock, u64),
) -> (String, EventLog) {
    let district = Arc::new(District::load(sample_district()).unwrap());
    let code: AreaCode = district.code();
    let options = gridkeeper_eventlog::Options::default();
    let log = EventLog::open(broker, code, &options).await.unwrap();
    let stores = (
        log.clone(),
        KeyStore::open(broker, code, &options).await.unwrap(),
    );
    let parts = gridkeeper_intake::Parts {
        rules: district.rules(),
        verifier: Arc::new(Verifier::load(keys, Some(code)).unwrap()),
        district,
        clock,
        signer: gridkeeper_tests::checkpoint_signer(),
    };
    let listener = listen("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let options = gridkeeper_intake::Options {
        folder: keys.join("log"),
        clock_tolerance_ms,
        ..gridkeeper_intake::Options::default()
    };
    let stop = CancellationToken::new();
    let running = gridkeeper_intake::run_on(listener, options, parts, stores, stop);
    tokio::spawn(async move { running.await.unwrap() });
    until("intake is ready", async || {
        let answer = reqwest::get(format!("{url}/readyz")).await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
    (url, log)
}
