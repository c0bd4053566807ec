//! Reports sent by a schedule, however long the answers take; some of them are asked for as soon as they are
//! acknowledged.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use gridkeeper_proto::{
    api::{ReportResult, ReportsAnswer},
    area::AreaCode,
};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::sleep_until,
};

use crate::{
    ingest,
    load::{self, Conversation},
    site::Site,
};

/// Over how many connections reports are sent.
pub(crate) const CONNECTIONS: usize = 256;
/// About so many reports a second are asked for; to ask for each would be the larger load.
const ASKED: f64 = 200.0;
/// How long a question may wait for its report, in milliseconds.
const WAIT_MS: u32 = 10_000;

/// An acknowledged report.
pub(crate) struct Acknowledged {
    /// When it was to be sent.
    pub(crate) due: Instant,
    /// When it was acknowledged.
    pub(crate) at: Instant,
    /// Its place in the log.
    pub(crate) position: u64,
    /// After how many microseconds a question was answered with it, where one was asked.
    pub(crate) in_view: Option<u32>,
}

/// What is to be sent.
pub(crate) struct Schedule {
    intake: String,
    query: String,
    token: String,
    grids: Arc<[AreaCode]>,
    rate: f64,
    count: u64,
    next: AtomicU64,
    /// Connections to the query service on which nobody asks just now.
    idle: Mutex<Vec<Conversation>>,
}

type Asking = Option<JoinHandle<u32>>;

impl Schedule {
    /// So many reports a second, for a time.
    pub(crate) fn of(site: &Site, rate: f64, time: Duration) -> Arc<Self> {
        Arc::new(Self {
            intake: site.address("intake").to_owned(),
            query: site.address("query").to_owned(),
            token: site.token.clone(),
            grids: site.grids.clone().into(),
            rate,
            count: (rate * time.as_secs_f64()).ceil() as u64,
            next: AtomicU64::new(0),
            idle: Mutex::default(),
        })
    }

    /// Sends all of it.
    pub(crate) async fn keep(self: &Arc<Self>) -> Vec<Acknowledged> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Conversation::with(&self.intake).await);
        }
        let (mut senders, began) = (JoinSet::new(), Instant::now());
        for connection in connections {
            senders.spawn(Arc::clone(self).send(connection, began));
        }
        let mut all = Vec::new();
        while let Some(sent) = senders.join_next().await {
            for (mut report, asking) in sent.unwrap() {
                if let Some(asking) = asking {
                    report.in_view = Some(asking.await.unwrap());
                }
                all.push(report);
            }
        }
        all
    }

    /// Sends on one connection what is due next, again and again.
    async fn send(
        self: Arc<Self>,
        mut connection: Conversation,
        began: Instant,
    ) -> Vec<(Acknowledged, Asking)> {
        let one_of = (self.rate / ASKED).ceil() as u64;
        let (mut sent, mut request) = (Vec::new(), Vec::new());
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.count {
                return sent;
            }
            let grid = self.grids[usize::try_from(number).unwrap() % self.grids.len()];
            let body = format!("{{\"reports\":[{}]}}", ingest::report(grid));
            request.clear();
            load::post(&mut request, "/v1/reports", &self.token, body.as_bytes());
            let due = began + Duration::from_secs_f64(number as f64 / self.rate);
            sleep_until(due.into()).await;
            let status = connection.ask(&request).await.unwrap();
            let at = Instant::now();
            if status == 429 {
                continue;
            }
            let ReportResult { id, receipt, .. } = receipt(connection.body());
            let position = receipt.unwrap().position.0;
            let path = format!("/v1/cases/{id}/escalation?at_least={position}&wait_ms={WAIT_MS}");
            let asking = number
                .is_multiple_of(one_of)
                .then(|| tokio::spawn(Arc::clone(&self).ask(path, at)));
            let report = Acknowledged {
                due,
                at,
                position,
                in_view: None,
            };
            sent.push((report, asking));
        }
    }

    /// How long it takes until the report is in the answer.
    async fn ask(self: Arc<Self>, path: String, acknowledged: Instant) -> u32 {
        let idle = self.idle.lock().unwrap().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => Conversation::with(&self.query).await,
        };
        let mut request = Vec::new();
        load::get(&mut request, &path, &self.token);
        let status = connection.ask(&request).await.unwrap();
        let micros = micros(acknowledged, Instant::now());
        let body = String::from_utf8_lossy(connection.body());
        assert_eq!(status, 200, "{path}: {body}");
        self.idle.lock().unwrap().push(connection);
        micros
    }
}

fn receipt(body: &[u8]) -> ReportResult {
    let answer: Result<ReportsAnswer, _> = serde_json::from_slice(body);
    match answer {
        Ok(mut answer) => answer.results.remove(0),
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(body)),
    }
}

/// From one moment to a later one; nothing where that came first.
pub(crate) fn micros(from: Instant, to: Instant) -> u32 {
    u32::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u32::MAX)
}
