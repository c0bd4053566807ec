//! Reading the log: at the start, when it went on without this intake, and after it was away.

use std::time::Duration;

use gridkeeper_proto::{
    anchor::Anchor, checkpoint::CheckpointSigner, code::Coded as _, envelope::Position,
};
use tokio::time::{Instant, sleep};

use super::{
    Decider, Landed, refuse_all,
    work::{FIRST_PAUSE, Work},
};
use crate::{
    Error,
    log::{Confirmed, Keys, Log, ReadError, Stored},
    plan::{Job, Outcome},
    queue::Queue,
};

/// How often in a row, and how long after each other, a broker that names a longer log may give no message of it:
/// a copy of the log may be a little behind.
const MAX_SILENCES: u32 = 10;
const SILENCE: Duration = Duration::from_millis(200);

const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How often the way through a long log is told.
const TELL_EVERY: Duration = Duration::from_secs(1);

impl<L: Log, K: Keys> Decider<L, K> {
    pub(super) async fn follow(&self) -> Result<(), Error> {
        self.differing_history()?;
        self.calendar
            .look(&self.timetables(), self.clock.read().time);
        match self.catch_up().await {
            Ok(_) => self.tend_keys().await?,
            Err(ReadError::Unavailable(detail)) => {
                tracing::warn!(detail, "the log does not answer");
            }
            Err(ReadError::Broken(error)) => return Err(error),
        }
        Ok(())
    }

    /// Reads the log to its end, after comparing it with what was read before; says whether the state was behind.
    pub(crate) async fn catch_up(&self) -> Result<bool, ReadError> {
        let before = self.position();
        let anchor = self.read().anchor();
        let last = self.confirm(anchor).await?;
        let mut seen = before;
        let mut told = Instant::now();
        let mut silences = 0;
        while seen < last {
            if told.elapsed() >= TELL_EVERY {
                tracing::info!(position = %seen, %last, "reading the log");
                told = Instant::now();
            }
            let now = self.read_after(seen).await?;
            if now == seen {
                silences += 1;
                if silences > MAX_SILENCES {
                    return Err(ReadError::Broken(Error::Unreadable {
                        from: Position(seen.0 + 1),
                        to: last,
                    }));
                }
                sleep(SILENCE).await;
                continue;
            }
            silences = 0;
            seen = now;
            (self.progress)(seen, last.max(seen));
        }
        (self.progress)(seen, last.max(seen));
        self.observe_time();
        Ok(seen > before)
    }

    /// Compares the log with what was read of it, and the clocks; gives the log's last position.
    async fn confirm(&self, anchor: Anchor) -> Result<Position, ReadError> {
        let Confirmed {
            last,
            statements,
            time,
        } = self.log.confirm(anchor).await?;
        self.write().set_statements(statements);
        if let Some(time) = time {
            self.clock.compare(time);
        }
        Ok(last)
    }

    /// Compares the clock with the broker's now.
    pub(super) async fn compare_clocks(&self) {
        let anchor = self.read().anchor();
        // What is wrong with the log is found when it is followed.
        if let Err(ReadError::Unavailable(detail)) = self.confirm(anchor).await {
            tracing::warn!(detail, "the clocks are not compared");
        }
        self.clock.report_health(&self.clock_check);
    }

    /// Compares the clock with what the log has recorded.
    pub(super) fn observe_time(&self) {
        if let Some(recorded) = self.read().last_recorded_at() {
            self.clock.observe(recorded);
        }
        self.clock.report_health(&self.clock_check);
    }

    /// Takes over events that follow a position; gives the position after them.
    async fn read_after(&self, seen: Position) -> Result<Position, ReadError> {
        let events = self.log.read_after(seen).await?;
        self.take_over(&events).map_err(ReadError::Broken)
    }

    fn take_over(&self, events: &[Stored]) -> Result<Position, Error> {
        let mut state = self.write();
        let mut evidence = self.evidence();
        let mut hashes = Vec::with_capacity(2 * events.len());
        for stored in events {
            state.apply_stored(stored, &mut hashes)?;
            evidence.compare(state.frontier(), state.statements())?;
        }
        if !events.is_empty() {
            evidence.keep(&hashes, state.end());
        }
        Ok(state.position())
    }

    /// Begins the log where there is none and none was known, and takes in the checkpoints that the broker keeps.
    pub(crate) async fn begin(&self, signer: &CheckpointSigner) -> Result<(), ReadError> {
        let id = signer.origin().log;
        for known in self.log.witnessed_roots(id) {
            self.evidence().expect(known);
        }
        let known_to = self.evidence().known_to().max(self.position());
        self.log.begin(id, known_to).await?;
        self.write().set_log(id);
        let anchor = self.read().anchor();
        let last = self.confirm(anchor).await?;
        self.keys.begin(id, last == Position(0)).await?;
        for note in self.log.checkpoints().await? {
            match signer.verifier().open(&note) {
                Ok(checkpoint) => {
                    let taken = self.evidence().take_in(checkpoint, &note);
                    taken.map_err(ReadError::Broken)?;
                }
                // Whoever may publish there can add a message, and not one that says something.
                Err(error) => {
                    tracing::error!(code = %error.code(), %error, "a message among the checkpoints is none");
                }
            }
        }
        Ok(())
    }

    /// Checks that the log, read to its end, reaches as far as it was known to; from then on its end is the watermark.
    pub(crate) fn compare_end(&self) -> Result<(), Error> {
        let state = self.read();
        let mut evidence = self.evidence();
        evidence.compare_end(state.position(), state.statements())?;
        evidence.record(&[], state.end());
        Ok(())
    }

    /// Sees to it that the store of keys is the log's, and destroys those of forgotten persons.
    async fn tend_keys(&self) -> Result<(), Error> {
        let log = self.read().anchor().log;
        if let Some(log) = log {
            match self.keys.begin(log, false).await {
                Ok(()) => {}
                Err(ReadError::Unavailable(detail)) => {
                    tracing::warn!(detail, "the store of keys does not answer");
                    return Ok(());
                }
                Err(ReadError::Broken(error)) => return Err(error),
            }
        }
        self.destroy_keys().await;
        Ok(())
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

    /// Waits until what has landed can be noted down; nothing is answered or appended meanwhile, but that it takes too
    /// long. Ends also when nobody waits and nobody will.
    pub(super) async fn wait_for_evidence(&self, work: &mut Work, queue: &Queue) {
        while !self.record(&[]) {
            let Some(error) = self.evidence().failure().cloned() else {
                continue;
            };
            tracing::error!(code = %error.code(), %error, "what the log has cannot be noted down; trying again");
            self.appends.unrecorded(&error);
            let now = Instant::now();
            let mut late = work.line.late(now);
            late.extend(queue.late(now));
            late.extend(late_of(&mut work.unrecorded, now));
            refuse_all(late, &error);
            if work.line.len() == 0 && work.unrecorded.is_empty() && queue.has_ended() {
                return;
            }
            sleep(work.pause).await;
            work.pause = (work.pause * 2).min(LONGEST_PAUSE);
        }
        self.appends.recorded();
        work.pause = FIRST_PAUSE;
        for (jobs, landed) in std::mem::take(&mut work.unrecorded) {
            self.answer(jobs, &landed).await;
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
            self.appends.unacknowledged(&unacknowledged);
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

/// Takes out the jobs that may not wait longer than until now.
fn late_of(waiting: &mut Vec<(Vec<(Job, Outcome)>, Landed)>, now: Instant) -> Vec<Job> {
    let mut late = Vec::new();
    for (jobs, _) in waiting.iter_mut() {
        let (over, rest): (Vec<_>, _) = jobs.drain(..).partition(|(job, _)| job.deadline <= now);
        late.extend(over.into_iter().map(|(job, _)| job));
        *jobs = rest;
    }
    waiting.retain(|(jobs, _)| !jobs.is_empty());
    late
}
