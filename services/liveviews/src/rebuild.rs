//! Builds views anew beside the running ones, compares both at one position, and swaps them.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use gridkeeper_proto::{anchor::Anchor, envelope::Position};
use gridkeeper_viewstore::{Diff, Projection, Projector};
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    Error, LiveViews, Verified,
    flushes::Flushes,
    live::blocking,
    log::{Log, LogError, LogEvent},
    read_ahead::{Portion, ReadAhead},
};

/// How many differing keys a report names.
const NAMED: usize = 20;

/// How many times in a row nothing may come from a log that holds more: about half a minute.
const SILENCES: u32 = 30;

/// How often progress is logged.
const TELL_EVERY: Duration = Duration::from_secs(1);

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

impl<P: Projection<LogEvent> + Clone + 'static> LiveViews<P> {
    /// Builds the views anew from the log's start, compares them with the running ones at one position,
    /// and unless `diff_only` lets them take their place. The running views serve and follow the log
    /// meanwhile; they pause only for the comparison.
    ///
    /// # Errors
    /// What stopped the views, [`Error::RebuildAbandoned`], and [`Error::Store`]: `GK0406` while another
    /// rebuild runs.
    pub async fn rebuild<L: Log>(&self, log: &L, diff_only: bool) -> Result<Report, Error> {
        if let Some(stopped) = self.stopped() {
            return Err(stopped);
        }
        let began = Instant::now();
        let store = self.store.clone();
        let fresh = blocking(move || store.begin_rebuild()).await?;
        let generation = fresh.generation();
        let mut filling = Filling {
            feed: ReadAhead::new(
                log.follow(Anchor::default()).await.map_err(abandoned)?,
                &self.options,
            ),
            projector: Arc::new(Mutex::new(Projector::new(
                fresh.generation(),
                self.projection.clone(),
            ))),
            flushes: Flushes::new(&self.options),
            views: self,
            told: began,
        };
        // Up to where the running views are by then; the little that they go on meanwhile follows below.
        filling.fill_to(self.store.position()).await?;
        let mut serving = Arc::clone(&self.projector).lock_owned().await;
        if let Some(stopped) = self.stopped() {
            return Err(stopped);
        }
        // What takes its place begins behind what is committed.
        let mut serving = blocking(move || {
            let committed = serving.commit();
            committed.map(|()| serving)
        })
        .await?;
        filling.fill_to(self.store.position()).await?;
        let old = self.store.generation();
        let diff = blocking(move || old.diff(&generation, NAMED)).await?;
        if !diff_only {
            let promoted = blocking(move || fresh.promote()).await;
            // It may have taken its place also where removing what is older failed.
            *serving = Projector::new(self.store.generation(), self.projection.clone());
            promoted?;
        }
        let took = began.elapsed();
        Ok(report(&diff, self.store.position(), !diff_only, took))
    }
}

/// Views that are being built anew.
struct Filling<'a, P> {
    feed: ReadAhead,
    projector: Arc<Mutex<Projector<Verified<P>>>>,
    flushes: Flushes,
    views: &'a LiveViews<P>,
    told: Instant,
}

impl<P: Projection<LogEvent> + Clone + 'static> Filling<'_, P> {
    /// Folds the log up to this position exactly, and commits it.
    async fn fill_to(&mut self, target: Position) -> Result<(), Error> {
        let options = &self.views.options;
        let mut silences = 0;
        let mut folded = 0;
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
            let next = self.feed.next_to(target).await;
            let Portion { events, source, .. } = next.map_err(abandoned)?;
            silences = if events.is_empty() { silences + 1 } else { 0 };
            if silences > SILENCES {
                return Err(Error::RebuildAbandoned {
                    detail: format!("nothing came after position {position}"),
                });
            }
            folded += events.len();
            let last = events.last().is_some_and(|event| event.position >= target);
            let commit = last || folded >= options.catch_up_events;
            let generation = Arc::clone(projector.generation());
            if self
                .views
                .apply(projector, (events, source), commit)
                .await?
            {
                folded = 0;
            }
            self.flushes.tend(generation, || Ok(())).await?;
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

fn abandoned(error: LogError) -> Error {
    match error {
        LogError::Unavailable(detail) => Error::RebuildAbandoned { detail },
        broken @ LogError::Broken { .. } => broken.into(),
    }
}
