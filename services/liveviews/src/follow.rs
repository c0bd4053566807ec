//! Follows the log with the serving views.

use std::sync::Arc;

use gridkeeper_proto::envelope::Position;
use gridkeeper_viewstore::Projection;
use tokio::time::{Duration, Instant, sleep};

use crate::{
    Error, LiveViews, Options, State,
    log::{Batch, Feed, Log, LogError, RawEvent},
};

/// How often progress is logged while catching up.
const TELL_EVERY: Duration = Duration::from_secs(1);

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

impl<P: Projection<RawEvent> + Clone + 'static> LiveViews<P> {
    /// Folds the log into the views for as long as it is polled. An error that asking again does not help
    /// stops the views, turns health red and is [`State::Stopped`] from then on.
    pub async fn follow<L: Log>(&self, log: &L) {
        let error = loop {
            match self.follow_once(log).await {
                Ended::Failed(error) => break error,
                Ended::Unavailable(detail) => {
                    tracing::warn!(detail, "the log does not answer; asking again");
                    sleep(self.options.retry()).await;
                }
            }
        };
        self.stop(&error);
    }

    async fn follow_once<L: Log>(&self, log: &L) -> Ended {
        let mut feed = match log.follow(self.store.position()).await {
            Ok(feed) => feed,
            Err(error) => return error.into(),
        };
        let mut progress = Progress::new(self.store.position());
        let mut flushed = Instant::now();
        loop {
            let most = progress.batch(&self.options);
            let batch = match gather(&mut feed, most, &self.options).await {
                Ok(batch) => batch,
                Err(error) => return error.into(),
            };
            if let Err(error) = self.take(batch, &mut progress).await {
                return Ended::Failed(error);
            }
            if flushed.elapsed() >= self.options.flush_every() {
                if let Err(error) = self.flush().await {
                    return Ended::Failed(error);
                }
                flushed = Instant::now();
            }
        }
    }

    async fn take(&self, batch: Batch, progress: &mut Progress) -> Result<(), Error> {
        let Batch { events, last_known } = batch;
        if !events.is_empty() {
            let projector = Arc::clone(&self.projector).lock_owned().await;
            self.apply(projector, events).await?;
        }
        let position = self.store.position();
        let now = self.clock.now();
        self.check.progress(position.0, last_known.0, now);
        self.last_known.send_replace(Some(last_known));
        progress.tell(position, last_known.max(position));
        if progress.behind <= self.ready_behind {
            self.state.send_if_modified(|state| {
                let caught_up = *state == State::CatchingUp;
                if caught_up {
                    tracing::info!(%position, views = self.name, "caught up with the log");
                    *state = State::Following;
                }
                caught_up
            });
        }
        Ok(())
    }
}

/// Events up to a number, as long as they follow each other without a pause: a feed hands them out in smaller
/// portions. What was gathered before an error is read again.
pub(crate) async fn gather<F: Feed>(
    feed: &mut F,
    most: usize,
    options: &Options,
) -> Result<Batch, LogError> {
    let mut gathered = feed.next_batch(most, options.batch_bytes).await?;
    let length = |events: &[RawEvent]| events.iter().map(|event| event.bytes.len()).sum::<usize>();
    let mut bytes = length(&gathered.events);
    loop {
        let Batch { events, last_known } = &gathered;
        let at_end = events
            .last()
            .is_none_or(|event| event.position >= *last_known);
        if at_end || events.len() >= most || bytes >= options.batch_bytes {
            return Ok(gathered);
        }
        let room = (most - events.len(), options.batch_bytes - bytes);
        let more = feed.next_batch(room.0, room.1).await?;
        gathered.last_known = more.last_known;
        if more.events.is_empty() {
            return Ok(gathered);
        }
        bytes += length(&more.events);
        gathered.events.extend(more.events);
    }
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

    /// The size of the next batch, by what is waiting: large ones pay while catching up, since each view is written
    /// once per batch, and keep questions waiting longer.
    fn batch(&self, options: &Options) -> usize {
        let waiting = usize::try_from(self.behind).unwrap_or(usize::MAX);
        waiting
            .min(options.catch_up_events)
            .max(options.batch_events)
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
