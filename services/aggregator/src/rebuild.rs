//! Builds the views anew beside the running ones, compares both at one position, and swaps them.
//!
//! Asked for over the broker, at the running aggregator, because the store's folder is locked. The
//! request and its answer are JSON, so that an operator can send one with any client.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use async_nats::{Client, Message, Request, client::RequestErrorKind};
use futures::StreamExt as _;
use gridkeeper_proto::{
    area::AreaCode,
    code::{Code, Coded as _},
    envelope::Position,
};
use gridkeeper_viewstore::{Diff, Projector};
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, task::JoinSet, time::Instant};

use crate::{
    Error,
    log::{Batch, Feed, Log},
    projection::Views,
    running::{Running, apply, blocking},
};

/// How many differing keys a report names.
const NAMED: usize = 20;

/// How many times in a row nothing may come from a log that holds more: about half a minute.
const SILENCES: u32 = 30;

/// How often progress is logged.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Only compare; the running views stay.
    #[serde(default)]
    diff_only: bool,
}

/// What a rebuild found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Where both were compared.
    pub position: Position,
    /// Whether the rebuilt views serve now.
    pub swapped: bool,
    /// Keys with the same value in both.
    pub equal: u64,
    /// Keys that only the running views had.
    pub only_running: u64,
    /// Keys that only the rebuilt views have.
    pub only_rebuilt: u64,
    /// Keys with different values.
    pub different: u64,
    /// The first keys that differ, in hexadecimal.
    pub first: Vec<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl Report {
    /// Whether both were the same.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.only_running + self.only_rebuilt + self.different == 0
    }
}

/// The answer to a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done(Report),
    Refused { code: u16, detail: String },
}

/// The subject on which the aggregators of a district listen for requests to rebuild.
#[must_use]
pub fn subject(district: AreaCode) -> String {
    format!("admin.{district}.rebuild")
}

/// Asks the running aggregator of a district to rebuild its views, or with `diff_only` to compare them
/// with rebuilt ones, and waits for the outcome up to `limit`. Each aggregator of the district does it;
/// the first outcome is the one given.
///
/// # Errors
/// [`Error::NoAggregator`], [`Error::Control`], [`Error::Broker`], and [`Error::Stopped`] with the code
/// by which the aggregator refuses: `GK0406` while another rebuild runs.
pub async fn request(
    client: &Client,
    district: AreaCode,
    diff_only: bool,
    limit: Duration,
) -> Result<Report, Error> {
    let wanted =
        serde_json::to_vec(&Wanted { diff_only }).map_err(|error| misunderstood(&error))?;
    let request = Request::new().payload(wanted.into()).timeout(Some(limit));
    let message = client
        .send_request(subject(district), request)
        .await
        .map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders | RequestErrorKind::TimedOut => Error::NoAggregator {
                district,
                detail: error.to_string(),
            },
            _ => Error::Broker {
                detail: error.to_string(),
            },
        })?;
    match serde_json::from_slice(&message.payload).map_err(|error| misunderstood(&error))? {
        Answer::Done(report) => Ok(report),
        Answer::Refused { code, detail } => Err(Error::Stopped {
            code: Code(code),
            detail,
        }),
    }
}

fn misunderstood(error: &serde_json::Error) -> Error {
    Error::Control {
        detail: error.to_string(),
    }
}

/// Takes requests to rebuild for as long as it is polled.
pub(crate) async fn rebuild_on_request<L: Log>(
    log: &Arc<L>,
    running: &Arc<Running>,
    client: &Client,
) -> Result<(), Error> {
    let mut requests = client
        .subscribe(subject(running.district))
        .await
        .map_err(|error| Error::Broker {
            detail: error.to_string(),
        })?;
    let mut under_way = JoinSet::new();
    while let Some(message) = requests.next().await {
        let (log, running, client) = (Arc::clone(log), Arc::clone(running), client.clone());
        under_way.spawn(async move { serve(&*log, &running, &client, message).await });
        while let Some(ended) = under_way.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "a rebuild panicked");
            }
        }
    }
    Err(Error::Broker {
        detail: "the connection was closed".to_owned(),
    })
}

async fn serve<L: Log>(log: &L, running: &Running, client: &Client, message: Message) {
    let rebuilt = match serde_json::from_slice(&message.payload) {
        Ok(Wanted { diff_only }) => rebuild(log, running, diff_only).await,
        Err(error) => Err(misunderstood(&error)),
    };
    let answer = match rebuilt {
        Ok(report) => {
            tracing::info!(?report, "rebuilt");
            Answer::Done(report)
        }
        Err(error) => {
            tracing::error!(code = %error.code(), %error, "not rebuilt");
            Answer::Refused {
                code: error.code().0,
                detail: error.to_string(),
            }
        }
    };
    let bytes = match serde_json::to_vec(&answer) {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::error!(%error, "the outcome of a rebuild cannot be told");
            return;
        }
    };
    if let Some(reply_to) = message.reply
        && let Err(error) = client.publish(reply_to, bytes.into()).await
    {
        tracing::warn!(%error, "the outcome of a rebuild could not be sent");
    }
}

/// Builds the views anew from the log's start, compares them with the running ones at one position, and
/// unless `diff_only` lets them take their place. The running views serve and follow the log meanwhile;
/// they pause only for the comparison.
pub(crate) async fn rebuild<L: Log>(
    log: &L,
    running: &Running,
    diff_only: bool,
) -> Result<Report, Error> {
    if let Some(stopped) = running.stopped() {
        return Err(stopped);
    }
    let began = Instant::now();
    let store = running.store.clone();
    let fresh = blocking(move || store.begin_rebuild()).await?;
    let generation = fresh.generation();
    let mut filling = Filling {
        feed: log.follow(Position(0)).await?,
        projector: Arc::new(Mutex::new(Projector::new(
            fresh.generation(),
            running.views.clone(),
        ))),
        running,
        told: began,
    };
    // Up to where the running views are by then; the little that they go on meanwhile follows below.
    filling.fill_to(running.store.position()).await?;
    let mut serving = Arc::clone(&running.projector).lock_owned().await;
    if let Some(stopped) = running.stopped() {
        return Err(stopped);
    }
    filling.fill_to(running.store.position()).await?;
    let old = running.store.generation();
    let diff = blocking(move || old.diff(&generation, NAMED)).await?;
    if !diff_only {
        blocking(move || fresh.promote()).await?;
        *serving = Projector::new(running.store.generation(), running.views.clone());
    }
    let took = began.elapsed();
    Ok(report(&diff, running.store.position(), !diff_only, took))
}

/// Views that are being built anew.
struct Filling<'a, F> {
    feed: F,
    projector: Arc<Mutex<Projector<Views>>>,
    running: &'a Running,
    told: Instant,
}

impl<F: Feed> Filling<'_, F> {
    /// Folds the log up to this position exactly.
    async fn fill_to(&mut self, target: Position) -> Result<(), Error> {
        let options = &self.running.options;
        let mut silences = 0;
        loop {
            let projector = Arc::clone(&self.projector).lock_owned().await;
            let position = projector.position();
            if position >= target {
                return Ok(());
            }
            if self.told.elapsed() >= TELL_EVERY {
                tracing::info!(%position, %target, "rebuilding");
                self.told = Instant::now();
            }
            let missing = usize::try_from(target.0 - position.0).unwrap_or(usize::MAX);
            let most = options.catch_up_events.min(missing);
            let Batch { events, .. } = self.feed.next_batch(most, options.batch_bytes).await?;
            silences = if events.is_empty() { silences + 1 } else { 0 };
            if silences > SILENCES {
                return Err(Error::RebuildAbandoned {
                    detail: format!("nothing came after position {position}"),
                });
            }
            apply(projector, events).await?;
        }
    }
}

fn report(diff: &Diff, position: Position, swapped: bool, took: Duration) -> Report {
    let hexadecimal = |key: &Vec<u8>| {
        key.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string does not fail");
            text
        })
    };
    Report {
        position,
        swapped,
        equal: diff.equal,
        only_running: diff.only_left,
        only_rebuilt: diff.only_right,
        different: diff.different,
        first: diff.first.iter().map(|(key, _)| hexadecimal(key)).collect(),
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    }
}
