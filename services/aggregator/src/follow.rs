//! Follows the log with the serving views.

use std::sync::Arc;

use gridkeeper_proto::envelope::Position;
use tokio::time::{Duration, Instant, sleep};

use crate::{
    Error,
    log::{Batch, Feed, Log, LogError},
    running::{Running, State, apply},
};

/// How often progress is logged while catching up.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Folds the log into the views until an error that asking again does not help.
pub(crate) async fn follow<L: Log>(log: &L, running: &Running) -> Error {
    loop {
        match follow_once(log, running).await {
            Ended::Failed(error) => return error,
            Ended::Unavailable(detail) => {
                tracing::warn!(detail, "the log does not answer; asking again");
                sleep(running.options.retry()).await;
            }
        }
    }
}

/// Why a feed is read no more.
enum Ended {
    Unavailable(String),
    Failed(Error),
}

impl From<LogError> for Ended {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Unavailable(detail) => Self::Unavailable(detail),
            broken @ LogError::Broken { .. } => Self::Failed(broken.into()),
        }
    }
}

async fn follow_once<L: Log>(log: &L, running: &Running) -> Ended {
    let mut feed = match log.follow(running.store.position()).await {
        Ok(feed) => feed,
        Err(error) => return error.into(),
    };
    let mut progress = Progress::new(running.store.position());
    let mut flushed = Instant::now();
    loop {
        let most = progress.batch(running);
        let batch = match feed.next_batch(most, running.options.batch_bytes).await {
            Ok(batch) => batch,
            Err(error) => return error.into(),
        };
        if let Err(error) = take(running, batch, &mut progress).await {
            return Ended::Failed(error);
        }
        if flushed.elapsed() >= running.options.flush_every() {
            if let Err(error) = running.flush().await {
                return Ended::Failed(error);
            }
            flushed = Instant::now();
        }
    }
}

async fn take(running: &Running, batch: Batch, progress: &mut Progress) -> Result<(), Error> {
    let Batch { events, last_known } = batch;
    if !events.is_empty() {
        let projector = Arc::clone(&running.projector).lock_owned().await;
        apply(projector, events).await?;
    }
    let position = running.store.position();
    let now = running.clock.now();
    running.check.progress(position.0, last_known.0, now);
    progress.tell(position, last_known.max(position));
    if progress.behind <= running.options.http.ready_behind_events {
        running.state.send_if_modified(|state| {
            let caught_up = *state == State::CatchingUp;
            if caught_up {
                tracing::info!(%position, "caught up with the log");
                *state = State::Following;
            }
            caught_up
        });
    }
    Ok(())
}

/// How fast it goes.
struct Progress {
    told: Instant,
    told_at: Position,
    behind: u64,
}

impl Progress {
    fn new(position: Position) -> Self {
        Self {
            told: Instant::now(),
            told_at: position,
            behind: 0,
        }
    }

    /// The size of the next batch: large ones pay while catching up, and keep questions waiting longer.
    fn batch(&self, running: &Running) -> usize {
        let catch_up = running.options.catch_up_events;
        match self.behind > catch_up as u64 {
            true => catch_up,
            false => running.options.batch_events,
        }
    }

    fn tell(&mut self, position: Position, last: Position) {
        self.behind = last.0 - position.0;
        let elapsed = self.told.elapsed();
        if elapsed < TELL_EVERY {
            return;
        }
        let events = position.0 - self.told_at.0;
        if self.behind > 0 && events > 0 {
            let per_second = (events as f64 / elapsed.as_secs_f64()).round();
            tracing::info!(%position, %last, per_second, "catching up");
        }
        self.told = Instant::now();
        self.told_at = position;
    }
}
