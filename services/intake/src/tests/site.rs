//! A district, its keys and intakes on one log.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use gridkeeper_district::{About, AreaKind, AreaRow, CategoryRow, District, Origin, Source};
use gridkeeper_http::{Clock, listen};
use gridkeeper_identity::{SigningKey, Verifier};
use gridkeeper_proto::{
    access::{Claims, Role},
    api::{Receipt, ReportsAnswer},
    area::Level,
    limit::Limit,
    policy::{Ladder, Limits, Oversight, Policy, SettleLimits},
    rules::RulesCommand,
    time::Timestamp,
};
use gridkeeper_tests::{checkpoint_signer, until};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::memory::{MemoryKeys, MemoryLog};
use crate::{Error, Options, Parts, disk::FreeSpace, run::run_watched};

pub(super) const GRID: &str = "51040200200501";
pub(super) const OTHER_GRID: &str = "51040200200502";
/// 2026-05-01T00:00:00Z
pub(super) const NOW: i64 = 1_777_593_600_000;

pub(super) fn id() -> String {
    uuid::Uuid::now_v7().to_string()
}

pub(super) fn report(id: &str, grid: &str) -> Value {
    json!({
        "id": id,
        "kind": "dispute",
        "category": "dispute.neighbour",
        "channel": "grid_worker",
        "description": "water from above",
        "grid": grid,
    })
}

fn row(code: &str, kind: AreaKind, name: &str) -> AreaRow {
    AreaRow {
        code: code.into(),
        kind,
        name: name.into(),
        short_name: None,
        valid_from: None,
        valid_to: None,
    }
}

fn district() -> District {
    let category = |code: &str| CategoryRow {
        code: code.into(),
        zh: "类".into(),
        en: None,
    };
    District::from_source(&Source {
        about: About {
            code: "510402".into(),
            name: "东区".into(),
            name_en: None,
            zone: "Asia/Shanghai".into(),
            valid_from: "2020-01-01".parse().unwrap(),
            valid_to: None,
            origin: Origin {
                areas: "made up".into(),
                grids: "made up".into(),
                categories: "made up".into(),
                outline: None,
            },
            generation: None,
        },
        areas: vec![
            row("510402002", AreaKind::Street, "街道"),
            row("510402002005", AreaKind::Community, "社区"),
        ],
        grids: vec![
            row(GRID, AreaKind::Grid, "第一网格"),
            row(OTHER_GRID, AreaKind::Grid, "第二网格"),
        ],
        categories: vec![category("dispute.neighbour"), category("incident.fire")],
        outline: None,
        polygons: None,
        policy: None,
        calendar: Vec::new(),
    })
    .unwrap()
}

pub(super) fn adopt(policy: Policy) -> RulesCommand {
    RulesCommand::AdoptPolicy {
        zone: "Asia/Shanghai".into(),
        policy: Box::new(policy),
        calendar: Vec::new(),
    }
}

pub(super) fn policy() -> Policy {
    let limits = |starts_at| Limits {
        starts_at,
        accept: Limit::Natural(10),
        assign: None,
        settle: SettleLimits {
            grid: Limit::Natural(100),
            community: Limit::Natural(200),
            street: Limit::Natural(300),
            district: Limit::Natural(400),
            city: Limit::Natural(500),
        },
        verify: Limit::Natural(20),
        close: Limit::Natural(30),
        oversight: None,
    };
    Policy {
        version: 1,
        service: None,
        ladder: Ladder::default(),
        oversight: Oversight::default(),
        staffing: Vec::new(),
        general: limits(Level::Grid),
        larger: limits(Level::Community),
        major: limits(Level::Street),
        extreme: limits(Level::District),
        categories: Vec::new(),
    }
}

pub(super) struct Site {
    folder: tempfile::TempDir,
    key: SigningKey,
    pub(super) log: Arc<MemoryLog>,
    pub(super) keys: Arc<MemoryKeys>,
    /// The rules of the district's folder.
    pub(super) rules: Vec<RulesCommand>,
    now: Arc<AtomicI64>,
    /// What the broker's clock says, where it is asked.
    pub(super) broker_now: Arc<AtomicI64>,
    /// How many bytes are free on every disk.
    pub(super) free: Arc<AtomicU64>,
    evidence: PathBuf,
}

impl Site {
    /// Lets the time go on, in minutes.
    pub(super) fn forward(&self, minutes: i64) {
        self.forward_seconds(minutes * 60);
    }

    pub(super) fn forward_seconds(&self, seconds: i64) {
        for clock in [&self.now, &self.broker_now] {
            clock.fetch_add(seconds * 1_000, Ordering::SeqCst);
        }
    }

    /// Puts intake's clock off the broker's, in milliseconds.
    pub(super) fn set_off(&self, millis: i64) {
        let broker = self.broker_now.load(Ordering::SeqCst);
        self.now.store(broker + millis, Ordering::SeqCst);
    }

    /// Waits until the broker was asked again for its time.
    pub(super) async fn until_compared(&self) {
        let before = self.log.confirmed();
        until("the broker is asked for its time", async || {
            (self.log.confirmed() >= before + 2).then_some(())
        })
        .await;
    }

    /// A site whose intakes keep their evidence in this folder.
    pub(super) fn keeping_evidence_in(folder: &Path) -> Self {
        Self {
            evidence: folder.join("log"),
            ..Self::new()
        }
    }

    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::create(folder.path()).unwrap();
        Self {
            evidence: folder.path().join("log"),
            broker_now: Arc::new(AtomicI64::new(NOW)),
            free: Arc::new(AtomicU64::new(u64::MAX)),
            folder,
            key,
            log: Arc::default(),
            keys: Arc::default(),
            rules: vec![adopt(policy())],
            now: Arc::new(AtomicI64::new(NOW)),
        }
    }

    fn token(&self, role: Role, area: &str) -> String {
        let now = Timestamp::from_millis(NOW).unwrap();
        let areas = vec![area.parse().unwrap()];
        let claims = Claims::lasting("somebody".into(), role, areas, now, 3_600);
        self.key.issue(&claims).unwrap()
    }

    pub(super) async fn start(&self) -> Running {
        self.start_with(Options::default()).await
    }

    pub(super) async fn start_with(&self, options: Options) -> Running {
        let running = self.start_with_unready(options).await;
        running.until("/readyz", 200, Duration::from_secs(10)).await;
        running
    }

    pub(super) async fn start_unready(&self) -> Running {
        self.start_with_unready(Options::default()).await
    }

    async fn start_with_unready(&self, options: Options) -> Running {
        let listener = listen("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let now = Arc::clone(&self.now);
        let parts = Parts {
            district: Arc::new(district()),
            rules: self.rules.clone(),
            verifier: Arc::new(Verifier::load(self.folder.path(), None).unwrap()),
            clock: Clock::new(move || Timestamp::from_millis(now.load(Ordering::SeqCst)).unwrap()),
            signer: checkpoint_signer(),
        };
        let options = Options {
            folder: self.evidence.clone(),
            ..options
        };
        let stores = (Arc::clone(&self.log), Arc::clone(&self.keys));
        let free = Arc::clone(&self.free);
        let free = FreeSpace::new(move |_| Ok(free.load(Ordering::SeqCst)));
        let running = run_watched(listener, options, parts, stores, free, shutdown.clone());
        let task = tokio::spawn(running);
        let roles = [
            (Role::Centre, "510402"),
            (Role::Admin, "510402"),
            (Role::Analyst, "510402"),
            (Role::GridWorker, GRID),
            (Role::Service, "510402"),
        ];
        let tokens = roles
            .map(|(role, area)| (role, self.token(role, area)))
            .to_vec();
        let client = Client {
            http: reqwest::Client::new(),
            url,
            token: tokens[0].1.clone(),
        };
        Running {
            client,
            tokens,
            shutdown,
            task,
        }
    }
}

/// Sends requests in one role.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    pub(super) url: String,
    pub(super) token: String,
}

impl Client {
    pub(super) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.url));
        let answer = request
            .bearer_auth(&self.token)
            .json(body)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self
            .http
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(super) async fn file(&self, report: &Value) -> Receipt {
        let (status, answer) = self
            .post("/v1/reports", &json!({ "reports": [report] }))
            .await;
        assert_eq!(status, 200, "{answer}");
        let answer: ReportsAnswer = serde_json::from_value(answer).unwrap();
        answer.results.into_iter().next().unwrap().receipt.unwrap()
    }

    pub(super) async fn refused(&self, report: &Value) -> (u16, String) {
        let (status, answer) = self
            .post("/v1/reports", &json!({ "reports": [report] }))
            .await;
        (
            status,
            answer["code"].as_str().unwrap_or_default().to_owned(),
        )
    }

    pub(super) async fn until(&self, path: &str, status: u16, within: Duration) -> Value {
        self.until_tells(path, status, "", within).await
    }

    /// Waits until an answer has this status and names this code.
    pub(super) async fn until_tells(
        &self,
        path: &str,
        status: u16,
        code: &str,
        within: Duration,
    ) -> Value {
        let asked = async {
            loop {
                let (found, answer) = self.get(path).await;
                if found == status && answer.to_string().contains(code) {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(within, asked).await.expect("in time")
    }
}

/// A running intake.
pub(super) struct Running {
    client: Client,
    tokens: Vec<(Role, String)>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl std::ops::Deref for Running {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Running {
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(super) fn client_as(&self, role: Role) -> Client {
        let (_, token) = self.tokens.iter().find(|(own, _)| *own == role).unwrap();
        Client {
            token: token.clone(),
            ..self.client()
        }
    }

    pub(super) async fn until_unhealthy(&self, within: Duration) -> Value {
        self.until("/healthz", 503, within).await
    }

    pub(super) async fn end(self) -> Result<(), Error> {
        self.shutdown.cancel();
        self.task.await.unwrap()
    }

    pub(super) async fn stop(self) {
        self.end().await.unwrap();
    }
}
