//! Follows the log with the serving views.

use std::sync::Arc;

use gridkeeper_proto::{
    code::{Code, Coded as _},
    envelope::Position,
};
use gridkeeper_viewstore::{Projection, Projector};
use tokio::time::{Duration, Instant, sleep};

use crate::{
    Error, LiveViews, Options, State,
    compaction::Compactions,
    flushes::Flushes,
    is_of_disk,
    live::blocking,
    log::{Log, LogError, LogEvent, Source},
    read_ahead::{Portion, ReadAhead},
};

/// The code of an anchor in a history that was given up.
const SUPERSEDED: Code = Code(325);

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

impl<P: Projection<LogEvent> + Clone + 'static> LiveViews<P> {
    /// Folds the log into the views for as long as it is polled, and compares its history with
    /// theirs. An error that asking again does not help stops the views, turns health red and is
    /// [`State::Stopped`] from then on; it is returned. After one of the disk (see
    /// [`crate::is_of_disk`]) the views may be opened again.
    pub async fn follow<L: Log>(&self, log: &L) -> Error {
        let error = tokio::select! {
            error = self.fold(log) => error,
            error = self.compare_histories(log) => error,
        };
        let flush = self.flush_and_note();
        self.stop(&error);
        // Of what is lost, the views may be the last to know.
        if !is_of_disk(error.code())
            && let Err(error) = blocking(flush).await
        {
            tracing::error!(code = %error.code(), %error, "the last of the views is not on the disk");
        }
        error
    }

    async fn fold<L: Log>(&self, log: &L) -> Error {
        let mut flushes = Flushes::new(&self.options);
        let mut compactions = Compactions::default();
        loop {
            match self.follow_once(log, &mut flushes, &mut compactions).await {
                Ended::Failed(error) if error.code() == SUPERSEDED && self.is_unused() => {
                    if let Err(error) = self.begin_anew().await {
                        return error;
                    }
                }
                Ended::Failed(error) => return error,
                Ended::Unavailable(detail) => {
                    tracing::warn!(detail, "the log does not answer; asking again");
                    sleep(self.options.retry()).await;
                }
            }
        }
    }

    /// Whether nobody can have been answered from the views since the start.
    pub(crate) fn is_unused(&self) -> bool {
        *self.state.borrow() == State::CatchingUp
    }

    /// Puts views of a history that was given up aside, and begins at the log's start.
    async fn begin_anew(&self) -> Result<(), Error> {
        tracing::warn!(
            views = self.name, position = %self.store.position(),
            "the views hold what was given up as lost: the log is read from its start"
        );
        let mut projector = Arc::clone(&self.projector).lock_owned().await;
        let store = self.store.clone();
        blocking(move || store.begin_rebuild()?.supersede()).await?;
        let generation = self.store.generation();
        generation.set_filling(true);
        *projector = Projector::new(generation, self.projection.clone());
        Ok(())
    }

    async fn follow_once<L: Log>(
        &self,
        log: &L,
        flushes: &mut Flushes,
        compactions: &mut Compactions,
    ) -> Ended {
        let anchor = match self.progress() {
            Ok(progress) => progress.anchor(),
            Err(error) => return Ended::Failed(error),
        };
        let mut feed = match log.follow(anchor).await {
            Ok(feed) => ReadAhead::new(feed, &self.options),
            Err(error) => return error.into(),
        };
        let mut progress = Progress::new(self.store.position());
        loop {
            let portion = match feed.next().await {
                Ok(portion) => portion,
                // What is folded is not lost; the next feed begins behind it.
                Err(error) => {
                    return match self.commit().await {
                        Ok(()) => error.into(),
                        Err(failed) => Ended::Failed(failed),
                    };
                }
            };
            if let Err(error) = self.take(portion, &mut progress).await {
                return Ended::Failed(error);
            }
            if let Err(error) = flushes
                .tend(self.store.generation(), self.note_reached())
                .await
            {
                return Ended::Failed(error);
            }
            if let Err(error) = compactions.tend(self).await {
                return Ended::Failed(error);
            }
        }
    }

    /// Folds a portion, and commits when the end of the log is reached or enough is folded.
    async fn take(&self, portion: Portion, progress: &mut Progress) -> Result<(), Error> {
        let Portion {
            events,
            last_known,
            source,
        } = portion;
        let at_end = events
            .last()
            .is_none_or(|event| event.position >= last_known);
        let projector = Arc::clone(&self.projector).lock_owned().await;
        progress.folded += events.len();
        let enough = progress.folded >= progress.batch(self.ready_behind, &self.options);
        if !self
            .apply(projector, (events, source), at_end || enough)
            .await?
        {
            return Ok(());
        }
        progress.folded = 0;
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

    /// Commits what is folded.
    async fn commit(&self) -> Result<(), Error> {
        let projector = Arc::clone(&self.projector).lock_owned().await;
        let nothing = (Vec::new(), Source::default());
        self.apply(projector, nothing, true).await.map(drop)
    }
}

/// How fast it goes.
struct Progress {
    told: Instant,
    told_at: Position,
    behind: u64,
    /// Events since the last commit.
    folded: usize,
}

impl Progress {
    fn new(position: Position) -> Self {
        Self {
            told: Instant::now(),
            told_at: position,
            behind: u64::MAX,
            folded: 0,
        }
    }

    /// How many events are committed at once, by how many were waiting at the last commit: whatever has come, unless
    /// views are far behind, where committing many pays because a view is encoded once for each commit.
    fn batch(&self, far: u64, options: &Options) -> usize {
        match self.behind {
            behind if behind <= far => 1,
            behind => {
                let waiting = usize::try_from(behind).unwrap_or(usize::MAX);
                waiting.min(options.catch_up_events)
            }
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
