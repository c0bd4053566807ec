//! Reading the log: at the start, when it went on without this intake, and after it was away.

use std::time::Duration;

use gridkeeper_proto::envelope::Position;
use tokio::time::{Instant, sleep};

use super::{Decider, Work, refuse_all};
use crate::{
    Error,
    log::{Keys, Log, ReadError},
};

const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How often the way through a long log is told.
const TELL_EVERY: Duration = Duration::from_secs(1);

impl<L: Log, K: Keys> Decider<L, K> {
    pub(super) async fn follow(&self) -> Result<(), Error> {
        self.calendar.look(&self.timetables(), self.clock.now());
        match self.catch_up().await {
            Ok(_) => self.destroy_keys().await,
            Err(ReadError::Unavailable(detail)) => {
                tracing::warn!(detail, "the log does not answer");
            }
            Err(ReadError::Broken(error)) => return Err(error),
        }
        Ok(())
    }

    /// Reads the log to its end; says whether the state was behind.
    pub(crate) async fn catch_up(&self) -> Result<bool, ReadError> {
        let last = self.log.last_position().await?;
        let before = self.position();
        let mut seen = before;
        if last < seen {
            return Err(ReadError::Broken(Error::Shorter { last, seen }));
        }
        let mut told = Instant::now();
        while seen < last {
            if told.elapsed() >= TELL_EVERY {
                tracing::info!(position = %seen, %last, "reading the log");
                told = Instant::now();
            }
            let now = self.read_after(seen).await?;
            if now == seen {
                let detail = format!("no event was read after position {seen}");
                return Err(ReadError::Unavailable(detail));
            }
            seen = now;
            (self.progress)(seen, last.max(seen));
        }
        (self.progress)(seen, last.max(seen));
        Ok(seen > before)
    }

    /// Takes over events that follow a position; gives the position after them.
    async fn read_after(&self, seen: Position) -> Result<Position, ReadError> {
        let events = self.log.read_after(seen).await?;
        let mut state = self.write();
        for stored in &events {
            state.apply_stored(stored).map_err(ReadError::Broken)?;
        }
        Ok(state.position())
    }

    /// Destroys the keys of forgotten persons. What fails is tried again
    /// with the next look at the log, and at the next start.
    pub(crate) async fn destroy_keys(&self) {
        let cases = self.read().keys_to_destroy();
        for case in cases {
            match self.keys.destroy(case).await {
                Ok(()) => self.write().key_destroyed(case),
                Err(error) => tracing::error!(%case, %error, "a key is still to be destroyed"),
            }
        }
    }

    /// Waits until the log can be read to its end again, or no job in hand may wait any longer.
    pub(super) async fn wait_for_log(
        &self,
        work: &mut Work,
        mut detail: String,
    ) -> Result<(), Error> {
        loop {
            let late = work.line.late(Instant::now());
            let unacknowledged = Error::Unacknowledged {
                detail: detail.clone(),
            };
            refuse_all(late, &unacknowledged);
            let waiting = work.line.len();
            if waiting == 0 {
                return Ok(());
            }
            tracing::warn!(detail, waiting, "the log did not acknowledge; trying again");
            sleep(work.pause).await;
            work.pause = (work.pause * 2).min(LONGEST_PAUSE);
            match self.catch_up().await {
                Ok(_) => return Ok(()),
                Err(ReadError::Unavailable(again)) => detail = again,
                Err(ReadError::Broken(error)) => return Err(error),
            }
        }
    }
}
