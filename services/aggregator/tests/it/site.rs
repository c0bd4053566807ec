//! A real broker with a district's log, and aggregators on it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use gridkeeper_aggregator::{Error, Options, Parts, run_on};
use gridkeeper_broker::Broker;
use gridkeeper_district::{About, AreaKind, AreaRow, District, Origin, Source};
use gridkeeper_districtviews::KeptHere;
use gridkeeper_eventlog::{Append, EventLog, Follower, ServerRun};
use gridkeeper_http::Clock;
use gridkeeper_liveviews::log::{Log, LogError, RawEvent};
use gridkeeper_proto::{
    anchor::Anchor,
    area::AreaCode,
    checkpoint::Checkpoint,
    envelope::{Header, Position},
    id::LogId,
    view::{ViewQuestion, ViewReply, ViewRequest},
};
use gridkeeper_tests::{BOUND, until};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::history::{GRIDS, district};

pub(crate) struct Site {
    pub(crate) broker: Broker,
    pub(crate) client: async_nats::Client,
    pub(crate) log: EventLog,
    folder: tempfile::TempDir,
    district: Arc<District>,
    /// While true, nobody begins to read the log.
    pub(crate) hold: watch::Sender<bool>,
}

pub(crate) struct Aggregator {
    address: SocketAddr,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), Error>>,
}

pub(crate) async fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let broker = gridkeeper_tests::broker(folder.path()).await;
    let url = broker.url();
    let log = EventLog::open(&url, district(), &gridkeeper_eventlog::Options::default())
        .await
        .unwrap();
    log.begin(LogId::from_bytes([5; 16])).await.unwrap();
    Site {
        client: async_nats::connect(&url).await.unwrap(),
        broker,
        log,
        folder,
        district: Arc::new(small_district()),
        hold: watch::Sender::new(false),
    }
}

impl Site {
    pub(crate) fn views(&self) -> PathBuf {
        self.folder.path().join("views")
    }

    pub(crate) async fn aggregator(&self) -> Aggregator {
        self.aggregator_in(self.views()).await
    }

    /// An aggregator with views in a folder of its own.
    pub(crate) async fn aggregator_in(&self, folder: PathBuf) -> Aggregator {
        self.aggregator_with(folder, gridkeeper_liveviews::Options::default())
            .await
    }

    /// An aggregator whose views are kept in another way.
    pub(crate) async fn aggregator_with(
        &self,
        folder: PathBuf,
        views: gridkeeper_liveviews::Options,
    ) -> Aggregator {
        let options = Options {
            nats_url: self.broker.url(),
            folder,
            views: gridkeeper_liveviews::Options {
                retry_ms: 20,
                ..views
            },
            ..Options::default()
        };
        let listener = gridkeeper_http::listen("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let log = Held {
            log: self.log.clone(),
            hold: self.hold.subscribe(),
        };
        let parts = Parts {
            district: Arc::clone(&self.district),
            clock: Clock::system(),
            views: KeptHere::default(),
        };
        let running = run_on(listener, options, parts, log, shutdown.clone());
        Aggregator {
            address,
            shutdown,
            running: tokio::spawn(running),
        }
    }

    /// Appends events that follow on what the log holds.
    pub(crate) async fn append(&self, events: &[RawEvent]) {
        let mut heads = HashMap::new();
        let grids = GRIDS.map(|grid| grid.parse::<AreaCode>().unwrap());
        let above = grids.iter().flat_map(|grid| grid.and_ancestors());
        for area in above.chain(grids) {
            let head = self.log.head(area).await.unwrap();
            heads.insert(area, head.map_or(Position(0), |head| head.position));
        }
        for chunk in events.chunks(500) {
            let appends: Vec<_> = chunk
                .iter()
                .map(|event| Append {
                    area: event.area,
                    event_id: event_id(&event.bytes),
                    bytes: event.bytes.clone().into(),
                    expected: heads[&event.area],
                })
                .collect();
            self.log.append(&Anchor::default(), &appends).await.unwrap();
            heads.extend(chunk.iter().map(|event| (event.area, event.position)));
        }
    }

    /// Asks until somebody listens; waits for the position.
    pub(crate) async fn ask(&self, at_least: Position, question: ViewQuestion) -> ViewReply {
        let request = ViewRequest {
            at_least,
            wait_ms: 10_000,
            question,
        };
        until("an aggregator answers", async || {
            self.try_ask(&request).await
        })
        .await
    }

    pub(crate) async fn try_ask(&self, request: &ViewRequest) -> Option<ViewReply> {
        self.request(request.encode()).await
    }

    pub(crate) async fn request(&self, bytes: Vec<u8>) -> Option<ViewReply> {
        let subject = ViewRequest::subject(district());
        let request = async_nats::Request::new()
            .payload(bytes.into())
            .timeout(Some(Duration::from_secs(15)));
        let message = self.client.send_request(subject, request).await.ok()?;
        Some(ViewReply::decode(&message.payload).unwrap())
    }
}

impl Aggregator {
    pub(crate) async fn stop(self) -> Result<(), Error> {
        self.shutdown.cancel();
        timeout(BOUND, self.running).await.unwrap().unwrap()
    }

    /// Status and body of a standard route.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.address);
        let response = reqwest::get(url).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub(crate) async fn until_status(&self, path: &str, wanted: u16) -> String {
        until(&format!("{path} is {wanted}"), async || {
            let (status, body) = self.get(path).await;
            (status == wanted).then_some(body)
        })
        .await
    }
}

/// Makes the first generation of the views unreadable.
pub(crate) fn garble(views: &Path) {
    std::fs::write(views.join("gen-000001/conf"), [0xff; 64]).unwrap();
}

/// Overwrites the middle of the first generation's file.
pub(crate) fn overwrite_pages(views: &Path) {
    let file = views.join("gen-000001/db");
    let mut bytes = std::fs::read(&file).unwrap();
    let quarter = bytes.len() / 4;
    bytes[quarter..3 * quarter].fill(0xa5);
    std::fs::write(&file, bytes).unwrap();
}

fn event_id(bytes: &[u8]) -> gridkeeper_proto::id::EventId {
    Header::decode(bytes).unwrap().0.event_id
}

fn small_district() -> District {
    let row = |code: &str, kind| AreaRow {
        code: code.into(),
        kind,
        name: code.into(),
        short_name: None,
        valid_from: None,
        valid_to: None,
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
            row("510402002", AreaKind::Street),
            row("510402003", AreaKind::Street),
            row("510402002005", AreaKind::Community),
            row("510402002006", AreaKind::Community),
            row("510402003001", AreaKind::Community),
        ],
        grids: GRIDS.iter().map(|grid| row(grid, AreaKind::Grid)).collect(),
        categories: vec![],
        outline: None,
        polygons: None,
        policy: None,
        calendar: Vec::new(),
    })
    .unwrap()
}

/// The log, whose door can be held shut.
struct Held {
    log: EventLog,
    hold: watch::Receiver<bool>,
}

impl Log for Held {
    type Feed = Follower;
    type Run = ServerRun;

    fn server_run(&self) -> ServerRun {
        self.log.server_run()
    }

    async fn compare_history(&self, known: Checkpoint) -> Result<(), LogError> {
        Ok(self.log.compare_history(known).await?)
    }

    async fn follow(&self, after: Anchor) -> Result<Follower, LogError> {
        let mut hold = self.hold.clone();
        hold.wait_for(|hold| !hold).await.unwrap();
        Ok(self.log.follow(after))
    }
}
