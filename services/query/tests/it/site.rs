//! A broker, an intake, an aggregator and query services in one process, with a clock set by hand.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use gridkeeper_broker::Broker;
use gridkeeper_district::District;
use gridkeeper_districtviews::KeptHere;
use gridkeeper_eventlog::{EventLog, KeyStore};
use gridkeeper_http::{Clock, listen};
use gridkeeper_identity::{SigningKey, Verifier};
use gridkeeper_proto::{
    access::{Claims, Role},
    api::Receipt,
    area::{AreaCode, Level},
    time::Timestamp,
};
use gridkeeper_query::{Keeper, Options};
use gridkeeper_tests::{BOUND, sample_district, until};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

pub(crate) const DISTRICT: &str = "510402";
pub(crate) const STREET: &str = "510402002";
pub(crate) const COMMUNITY: &str = "510402002005";
pub(crate) const GRID: &str = "51040200200501";
pub(crate) const NEXT_GRID: &str = "51040200200502";
pub(crate) const OTHER_COMMUNITY: &str = "510402003001";
pub(crate) const OTHER_GRID: &str = "51040200300101";

pub(crate) const MINUTE: i64 = 60_000;

/// A service that runs until its site goes.
pub(crate) struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        timeout(BOUND, self.task).await.unwrap().unwrap();
    }
}

pub(crate) struct Site {
    folder: tempfile::TempDir,
    pub(crate) broker: Broker,
    district: Arc<District>,
    key: SigningKey,
    now: Arc<AtomicI64>,
    /// By how many milliseconds the clock of the query services is off.
    querys_off: Arc<AtomicI64>,
    tolerance_ms: u64,
    http: reqwest::Client,
    intake: Running,
    aggregator: Option<Running>,
    /// Where the query service finds the aggregator's views, if it answers from its own process.
    views: Option<KeptHere>,
    query: Option<Running>,
    /// One that asks the aggregator over the broker, where the other one answers from its views.
    other_query: Option<Running>,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        Self::of(&sample_district(), options).await
    }

    /// How many events adopted the district's rules, before any other.
    pub(crate) fn adopted(&self) -> u64 {
        self.district.rules().len() as u64
    }

    /// Services of the district in this folder.
    pub(crate) async fn of(district: &Path, options: Options) -> Self {
        let start: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
        // The clock of these tests is none that a broker knows.
        Self::begun(district, options, (start, u64::MAX)).await
    }

    /// Services whose clock begins as the broker's, and may be off by a minute.
    pub(crate) async fn on_time() -> Self {
        let at = (Clock::system().now(), MINUTE.unsigned_abs());
        Self::begun(&sample_district(), Options::default(), at).await
    }

    async fn begun(
        district: &Path,
        options: Options,
        (start, tolerance_ms): (Timestamp, u64),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = gridkeeper_tests::broker(folder.path()).await;
        let district = Arc::new(District::load(district).unwrap());
        let key = SigningKey::create(&folder.path().join("keys")).unwrap();
        let now = Arc::new(AtomicI64::new(start.millis()));
        let querys_off = Arc::new(AtomicI64::new(0));
        let shared = Shared {
            url: broker.url(),
            keys: folder.path().join("keys"),
            district: Arc::clone(&district),
            now: Arc::clone(&now),
            querys_off: Arc::clone(&querys_off),
            tolerance_ms,
        };
        let mut site = Self {
            intake: intake(&shared).await,
            folder,
            broker,
            district,
            key,
            now,
            querys_off,
            tolerance_ms,
            http: reqwest::Client::new(),
            aggregator: None,
            views: (options.views == Keeper::Own).then(KeptHere::default),
            query: None,
            other_query: None,
        };
        site.start_aggregator().await;
        if site.views.is_some() {
            let views = Keeper::Aggregators;
            let options = Options {
                views,
                ..options.clone()
            };
            let other = query(&shared, options, None).await;
            until_ready(&site.http, &other.url()).await;
            site.other_query = Some(other);
        }
        site.query = Some(query(&shared, options, site.views.clone()).await);
        site.until_status("/readyz", 200).await;
        until_ready(&site.http, &site.intake.url()).await;
        site
    }

    /// The keys of sealed parties.
    pub(crate) async fn keys(&self) -> KeyStore {
        self.shared().stores().await.1
    }

    fn shared(&self) -> Shared {
        Shared {
            url: self.broker.url(),
            keys: self.folder.path().join("keys"),
            district: Arc::clone(&self.district),
            now: Arc::clone(&self.now),
            querys_off: Arc::clone(&self.querys_off),
            tolerance_ms: self.tolerance_ms,
        }
    }

    pub(crate) async fn start_aggregator(&mut self) {
        let folder = self.folder.path().join("views");
        self.aggregator = Some(
            aggregator(
                &self.shared(),
                folder,
                self.views.clone().unwrap_or_default(),
            )
            .await,
        );
    }

    pub(crate) async fn stop_aggregator(&mut self) {
        self.aggregator.take().unwrap().stop().await;
    }

    pub(crate) fn forward(&self, minutes: i64) {
        self.now.fetch_add(minutes * MINUTE, Ordering::SeqCst);
    }

    /// Steps the clock of the query services alone.
    pub(crate) fn forward_query(&self, minutes: i64) {
        self.querys_off
            .fetch_add(minutes * MINUTE, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst)).unwrap()
    }

    pub(crate) fn token(&self, role: Role, areas: &[&str]) -> String {
        self.token_of(&format!("{role:?}"), role, areas)
    }

    pub(crate) fn token_of(&self, who: &str, role: Role, areas: &[&str]) -> String {
        let areas: Vec<AreaCode> = areas.iter().map(|area| area.parse().unwrap()).collect();
        let claims = Claims::lasting(who.to_owned(), role, areas, self.now(), 86_400);
        self.key.issue(&claims).unwrap()
    }

    pub(crate) fn centre(&self) -> String {
        self.token(Role::Centre, &[DISTRICT])
    }

    /// Files a report; `more` goes over its fields.
    pub(crate) async fn file(&self, grid: &str, more: Value) -> Receipt {
        let mut report = json!({
            "id": uuid::Uuid::now_v7().to_string(),
            "kind": "dispute",
            "category": "dispute.neighbour.noise",
            "channel": "grid_worker",
            "description": "water from above",
            "grid": grid,
        });
        let fields = more.as_object().cloned().unwrap_or_default();
        report.as_object_mut().unwrap().extend(fields);
        let url = format!("{}/v1/reports", self.intake.url());
        let token = self.token(Role::Admin, &[DISTRICT]);
        let body = json!({ "reports": [report] });
        let answer = self.http.post(url).bearer_auth(token).json(&body).send();
        let answer: Value = answer.await.unwrap().json().await.unwrap();
        serde_json::from_value(answer["results"][0]["receipt"].clone())
            .unwrap_or_else(|_| panic!("{answer}"))
    }

    /// Takes a case through a step.
    pub(crate) async fn step(&self, role: Role, receipt: &Receipt, step: Value) -> Receipt {
        let url = format!(
            "{}/v1/cases/{}/commands",
            self.intake.url(),
            receipt.case_id
        );
        let level = role.level().unwrap_or(Level::District);
        let area = receipt.grid.at(level).unwrap();
        let token = self.token(role, &[area.as_str()]);
        let body = json!({ "id": uuid::Uuid::now_v7().to_string(), "command": step });
        let answer = self.http.post(url).bearer_auth(token).json(&body).send();
        let answer: Value = answer.await.unwrap().json().await.unwrap();
        serde_json::from_value(answer.clone()).unwrap_or_else(|_| panic!("{answer}"))
    }

    /// What intake answers to a command.
    pub(crate) async fn post(&self, token: &str, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.intake.url());
        let answer = self.http.post(url).bearer_auth(token).json(body).send();
        answer.await.unwrap().json().await.unwrap()
    }

    pub(crate) fn request(&self, token: &str, path: &str) -> reqwest::RequestBuilder {
        self.request_at(&self.url(), token, path)
    }

    fn request_at(&self, url: &str, token: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{url}{path}")).bearer_auth(token)
    }

    /// The address of its query service.
    pub(crate) fn url(&self) -> String {
        self.query.as_ref().unwrap().url()
    }

    /// That of the one that asks over the broker.
    pub(crate) fn other_url(&self) -> Option<String> {
        self.other_query.as_ref().map(Running::url)
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> (u16, Value) {
        self.get_at(&self.url(), token, path).await
    }

    /// What the query service at an address answers.
    pub(crate) async fn get_at(&self, url: &str, token: &str, path: &str) -> (u16, Value) {
        let answer = self.request_at(url, token, path).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (status, value)
    }

    /// The answer to a question of the centre, as fresh as a receipt: the same from views of the own process as over
    /// the broker.
    pub(crate) async fn ask(&self, receipt: &Receipt, path: &str) -> Value {
        let (token, sign) = (self.centre(), if path.contains('?') { '&' } else { '?' });
        let path = format!("{path}{sign}at_least={}", receipt.position);
        let (status, answer) = self.get(&token, &path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        assert!(answer["position"].as_u64().unwrap() >= receipt.position.0);
        if let Some(other) = self.other_url() {
            let (_, other) = self.get_at(&other, &token, &path).await;
            if other["position"] == answer["position"] {
                assert_eq!(other, answer, "{path}");
            }
        }
        answer
    }

    /// The first answer to a question of the centre that is as wanted.
    pub(crate) async fn until_answer(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.until_answer_to(&self.centre(), path, wanted).await
    }

    /// The first answer to a question that is as wanted.
    pub(crate) async fn until_answer_to(
        &self,
        token: &str,
        path: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        until(&format!("{path} is as wanted"), async || {
            let (_, answer) = self.get(token, path).await;
            wanted(&answer).then_some(answer)
        })
        .await
    }

    pub(crate) async fn until_status(&self, path: &str, wanted: u16) {
        let token = self.centre();
        until(&format!("{path} is {wanted}"), async || {
            (self.get(&token, path).await.0 == wanted).then_some(())
        })
        .await;
    }
}

async fn until_ready(http: &reqwest::Client, url: &str) {
    until("intake is ready", async || {
        let answer = http.get(format!("{url}/readyz")).send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
}

/// What services are started with.
struct Shared {
    url: String,
    keys: std::path::PathBuf,
    district: Arc<District>,
    now: Arc<AtomicI64>,
    /// By how many milliseconds the clock of the query services is off.
    querys_off: Arc<AtomicI64>,
    tolerance_ms: u64,
}

impl Shared {
    fn clock(&self) -> Clock {
        let now = Arc::clone(&self.now);
        Clock::new(move || Timestamp::from_millis(now.load(Ordering::SeqCst)).unwrap())
    }

    fn querys_clock(&self) -> Clock {
        let (clock, off) = (self.clock(), Arc::clone(&self.querys_off));
        Clock::new(move || clock.now().plus_millis(off.load(Ordering::SeqCst)))
    }

    fn verifier(&self) -> Arc<Verifier> {
        Arc::new(Verifier::load(&self.keys, Some(self.district.code())).unwrap())
    }

    async fn log(&self) -> EventLog {
        let options = gridkeeper_eventlog::Options::default();
        EventLog::open(&self.url, self.district.code(), &options)
            .await
            .unwrap()
    }

    async fn stores(&self) -> (EventLog, KeyStore) {
        let options = gridkeeper_eventlog::Options::default();
        let keys = KeyStore::open(&self.url, self.district.code(), &options).await;
        (self.log().await, keys.unwrap())
    }
}

async fn intake(shared: &Shared) -> Running {
    let (listener, stop) = (
        listen("127.0.0.1:0").await.unwrap(),
        CancellationToken::new(),
    );
    let address = listener.local_addr().unwrap();
    let parts = gridkeeper_intake::Parts {
        district: Arc::clone(&shared.district),
        rules: shared.district.rules(),
        verifier: shared.verifier(),
        clock: shared.clock(),
        signer: gridkeeper_tests::checkpoint_signer(),
    };
    let options = gridkeeper_intake::Options {
        folder: shared.keys.join("log"),
        clock_tolerance_ms: shared.tolerance_ms,
        ..gridkeeper_intake::Options::default()
    };
    let running = gridkeeper_intake::run_on(
        listener,
        options,
        parts,
        shared.stores().await,
        stop.clone(),
    );
    let task = tokio::spawn(async move { running.await.unwrap() });
    Running {
        address,
        stop,
        task,
    }
}

async fn aggregator(shared: &Shared, folder: std::path::PathBuf, views: KeptHere) -> Running {
    let (listener, stop) = (
        listen("127.0.0.1:0").await.unwrap(),
        CancellationToken::new(),
    );
    let address = listener.local_addr().unwrap();
    let options = gridkeeper_aggregator::Options {
        nats_url: shared.url.clone(),
        folder,
        views: gridkeeper_liveviews::Options {
            retry_ms: 20,
            ..gridkeeper_liveviews::Options::default()
        },
        ..gridkeeper_aggregator::Options::default()
    };
    let parts = gridkeeper_aggregator::Parts {
        district: Arc::clone(&shared.district),
        clock: shared.clock(),
        views,
    };
    let log = shared.log().await;
    let running = gridkeeper_aggregator::run_on(listener, options, parts, log, stop.clone());
    let task = tokio::spawn(async move { running.await.unwrap() });
    Running {
        address,
        stop,
        task,
    }
}

async fn query(shared: &Shared, options: Options, own_views: Option<KeptHere>) -> Running {
    let (listener, stop) = (
        listen("127.0.0.1:0").await.unwrap(),
        CancellationToken::new(),
    );
    let address = listener.local_addr().unwrap();
    let options = Options {
        nats_url: shared.url.clone(),
        retry_ms: 20,
        clock_tolerance_ms: shared.tolerance_ms,
        ..options
    };
    let parts = gridkeeper_query::Parts {
        district: Arc::clone(&shared.district),
        verifier: shared.verifier(),
        clock: shared.querys_clock(),
        own_views,
    };
    let running = gridkeeper_query::run_on(
        listener,
        options,
        parts,
        shared.stores().await,
        stop.clone(),
    );
    let task = tokio::spawn(async move { running.await.unwrap() });
    Running {
        address,
        stop,
        task,
    }
}
