//! The one task that decides and appends.
//!
//! Commands that arrive while an append is under way are gathered and appended together; a command that
//! comes alone goes alone. Nothing is answered before the log has acknowledged it, and nothing is refused
//! on a state that may be old: a refusal stands when the events decided beside it landed in the very next
//! places, or when the log's last position is the state's own.

use std::{
    collections::VecDeque,
    sync::{Arc, RwLock},
    time::Duration,
};

use gridkeeper_http::Clock;
use gridkeeper_proto::{
    aggregate::Aggregate,
    area::AreaCode,
    envelope::Position,
    id::CaseId,
    rules::{Rules, Timetables},
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Options,
    calendar::Calendar,
    log::{AppendError, Keys, Log, ReadError},
    plan::{Job, Outcome, Plan},
    state::State,
};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// How often the way through a long log is told.
const TELL_EVERY: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The state, which the endpoint looks into and the decider alone changes.
pub(crate) type Shared = Arc<RwLock<State>>;

/// Called with the own position and the log's last one whenever both are known.
pub(crate) type Progress = Box<dyn Fn(Position, Position) + Send + Sync>;

/// Decides and appends.
pub(crate) struct Decider<L, K> {
    log: L,
    keys: Arc<K>,
    state: Shared,
    clock: Clock,
    options: Options,
    progress: Progress,
    calendar: Calendar,
}

impl<L: Log, K: Keys> Decider<L, K> {
    pub(crate) fn new(
        log: L,
        keys: Arc<K>,
        state: Shared,
        clock: Clock,
        options: Options,
        progress: Progress,
    ) -> Self {
        Self {
            log,
            keys,
            state,
            clock,
            options,
            progress,
            calendar: Calendar::default(),
        }
    }

    /// Works until it is told to stop; then answers what has been accepted.
    ///
    /// # Errors
    /// A log that does not follow from itself. Nothing is appended to such a log.
    pub(crate) async fn run(
        self,
        mut queue: mpsc::Receiver<Job>,
        shutdown: CancellationToken,
    ) -> Result<(), Error> {
        // A busy intake looks too: what it decides on is never older than this.
        let mut follow = interval(self.options.follow_every());
        follow.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let first = tokio::select! {
                biased;
                _ = follow.tick() => {
                    self.follow().await?;
                    continue;
                }
                job = queue.recv() => job,
                () = shutdown.cancelled() => {
                    queue.close();
                    queue.recv().await
                }
            };
            let Some(first) = first else { return Ok(()) };
            let mut jobs = VecDeque::from([first]);
            while jobs.len() < self.options.batch_events
                && let Ok(job) = queue.try_recv()
            {
                jobs.push_back(job);
            }
            metrics::histogram!("gridkeeper_intake_batch_commands").record(precise(jobs.len()));
            self.settle(jobs).await?;
        }
    }

    async fn follow(&self) -> Result<(), Error> {
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
            let events = self.log.read_after(seen).await?;
            let mut state = self.state.write().expect("no holder of the lock panics");
            for stored in &events {
                state.apply_stored(stored).map_err(ReadError::Broken)?;
            }
            let now = state.position();
            drop(state);
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

    /// The district's rules, as far as the log is read.
    pub(crate) fn rules(&self, district: AreaCode) -> Rules {
        let state = self.state.read().expect("no holder of the lock panics");
        let found = state.aggregate(Rules::id(district));
        found
            .and_then(Aggregate::rules)
            .cloned()
            .unwrap_or_default()
    }

    fn timetables(&self) -> Arc<Timetables> {
        let state = self.state.read().expect("no holder of the lock panics");
        state.timetables()
    }

    fn position(&self) -> Position {
        self.state
            .read()
            .expect("no holder of the lock panics")
            .position()
    }

    /// Decides and appends these jobs, however many rounds it takes, until each is answered.
    pub(crate) async fn settle(&self, mut jobs: VecDeque<Job>) -> Result<(), Error> {
        let mut most_jobs = usize::MAX;
        let mut pause = FIRST_PAUSE;
        while !jobs.is_empty() {
            let plan = {
                let state = self.state.read().expect("no holder of the lock panics");
                let most = (most_jobs, self.options.batch_events);
                Plan::of(&mut jobs, &state, self.clock.now(), most)?
            };
            let trouble = match self.append(plan, &mut jobs, &mut most_jobs).await {
                Ok(()) => None,
                Err(ReadError::Unavailable(detail)) => Some(detail),
                Err(ReadError::Broken(error)) => {
                    refuse_all(
                        jobs,
                        &Error::NotReady {
                            why: "the log is broken",
                        },
                    );
                    return Err(error);
                }
            };
            match trouble {
                None => pause = FIRST_PAUSE,
                Some(detail) => {
                    self.wait_for_log(&mut jobs, detail, &mut pause).await?;
                }
            }
        }
        Ok(())
    }

    /// Appends a plan and answers its jobs, or puts those back that have to be decided again.
    async fn append(
        &self,
        plan: Plan,
        jobs: &mut VecDeque<Job>,
        most_jobs: &mut usize,
    ) -> Result<(), ReadError> {
        let Plan {
            jobs: decided,
            events,
            changes,
        } = plan;
        if events.is_empty() {
            return self.answer_without_events(decided, jobs).await;
        }
        let count = events.len();
        let expected = Position(self.position().0 + 1);
        let started = Instant::now();
        match self.log.append(events).await {
            Ok(first) if first == expected => {
                self.state
                    .write()
                    .expect("no holder of the lock panics")
                    .apply(changes);
                metrics::counter!("gridkeeper_intake_events_total").increment(count as u64);
                metrics::histogram!("gridkeeper_intake_append_seconds").record(started.elapsed());
                let position = self.position();
                (self.progress)(position, position);
                self.answer(decided).await;
                Ok(())
            }
            // They landed behind events of others: their places are read from the log.
            Ok(_) => {
                put_back(decided, jobs, |job| {
                    job.sent = true;
                    job.conflicts += 1;
                });
                self.catch_up().await?;
                Ok(())
            }
            Err(AppendError::Conflict) => {
                metrics::counter!("gridkeeper_intake_conflicts_total").increment(1);
                put_back(decided, jobs, |job| job.conflicts += 1);
                self.give_up_contended(jobs);
                self.catch_up().await.map(drop)
            }
            Err(AppendError::Unknown(detail)) => {
                put_back(decided, jobs, |job| job.sent = true);
                Err(ReadError::Unavailable(detail))
            }
            Err(AppendError::NotTaken(detail)) if decided.len() == 1 => {
                tracing::error!(detail, "the log does not take an event");
                refuse_all(
                    decided.into_iter().map(|(job, _)| job),
                    &Error::NotTaken { detail },
                );
                Ok(())
            }
            // One of them is at fault: each goes alone.
            Err(AppendError::NotTaken(_)) => {
                put_back(decided, jobs, |_| {});
                *most_jobs = 1;
                Ok(())
            }
        }
    }

    /// Repetitions stand for good; refusals only on the newest state.
    async fn answer_without_events(
        &self,
        decided: Vec<(Job, Outcome)>,
        jobs: &mut VecDeque<Job>,
    ) -> Result<(), ReadError> {
        let refused = decided
            .iter()
            .any(|(_, outcome)| matches!(outcome, Outcome::Refused(_)));
        if refused {
            match self.catch_up().await {
                Ok(false) => {}
                Ok(true) => {
                    put_back(decided, jobs, |_| {});
                    return Ok(());
                }
                Err(error) => {
                    put_back(decided, jobs, |_| {});
                    return Err(error);
                }
            }
        }
        self.answer(decided).await;
        Ok(())
    }

    async fn answer(&self, decided: Vec<(Job, Outcome)>) {
        if decided.iter().any(|(job, _)| job.forgets()) {
            self.destroy_keys().await;
        }
        for (job, outcome) in decided {
            let case = job.case_id();
            let answer = match outcome {
                Outcome::Answer(_) if job.forgets() && self.key_remains(case) => {
                    Err(Error::KeyRemains { case })
                }
                Outcome::Answer(answer) => Ok(answer),
                Outcome::Refused(refusal) => Err(refusal.into()),
            };
            job.answer(answer);
        }
    }

    fn key_remains(&self, case: CaseId) -> bool {
        self.state
            .read()
            .expect("no holder of the lock panics")
            .key_remains(case)
    }

    /// Destroys the keys of forgotten persons. What fails is tried again
    /// with the next look at the log, and at the next start.
    pub(crate) async fn destroy_keys(&self) {
        let cases = self
            .state
            .read()
            .expect("no holder of the lock panics")
            .keys_to_destroy();
        for case in cases {
            match self.keys.destroy(case).await {
                Ok(()) => {
                    self.state
                        .write()
                        .expect("no holder of the lock panics")
                        .key_destroyed(case);
                }
                Err(error) => tracing::error!(%case, %error, "a key is still to be destroyed"),
            }
        }
    }

    fn give_up_contended(&self, jobs: &mut VecDeque<Job>) {
        let most = self.options.conflict_tries;
        let (over, rest) = jobs.drain(..).partition(|job| job.conflicts >= most);
        *jobs = rest;
        let over: VecDeque<Job> = over;
        refuse_all(over, &Error::Contended { tries: most });
    }

    /// Waits until the log can be read to its end again, or no job may wait any longer.
    async fn wait_for_log(
        &self,
        jobs: &mut VecDeque<Job>,
        mut detail: String,
        pause: &mut Duration,
    ) -> Result<(), Error> {
        loop {
            let now = Instant::now();
            let (late, rest) = jobs.drain(..).partition(|job| job.deadline <= now);
            *jobs = rest;
            let late: VecDeque<Job> = late;
            refuse_all(
                late,
                &Error::Unacknowledged {
                    detail: detail.clone(),
                },
            );
            if jobs.is_empty() {
                return Ok(());
            }
            tracing::warn!(
                detail,
                waiting = jobs.len(),
                "the log did not acknowledge; trying again"
            );
            sleep(*pause).await;
            *pause = (*pause * 2).min(LONGEST_PAUSE);
            match self.catch_up().await {
                Ok(_) => return Ok(()),
                Err(ReadError::Unavailable(again)) => detail = again,
                Err(ReadError::Broken(error)) => return Err(error),
            }
        }
    }
}

/// Puts jobs back to the front of the queue, in their order.
fn put_back(
    decided: Vec<(Job, Outcome)>,
    jobs: &mut VecDeque<Job>,
    mut mark: impl FnMut(&mut Job),
) {
    for (mut job, outcome) in decided.into_iter().rev() {
        if matches!(outcome, Outcome::Answer(answer) if !answer.repeated) {
            mark(&mut job);
        }
        jobs.push_front(job);
    }
}

fn refuse_all(jobs: impl IntoIterator<Item = Job>, error: &Error) {
    for job in jobs {
        job.answer(Err(error.clone()));
    }
}

/// Counts of commands lie far below the range in which `f64` counts exactly.
fn precise(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
