//! The one task that decides and appends.
//!
//! While an append is under way, the commands that come in are decided on top of it and make the
//! next one; a command that comes alone goes alone and at once. Where many send, a small append
//! waits a moment for those who were just answered: a batch costs the broker nearly the same with
//! ten jobs and with two hundred. Nothing is answered before the log has acknowledged it, and
//! nothing is refused on a state that may be old: a refusal stands when the events decided beside
//! it landed in the very next places, or when the log's last position is the state's own.

mod history;
pub(crate) mod line;
mod log;
mod work;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use gridkeeper_http::{Check, ComparedClock};
use gridkeeper_proto::{
    aggregate::Aggregate,
    area::AreaCode,
    case::Refusal,
    envelope::Position,
    id::CaseId,
    rules::{Rules, Timetables},
    tree::TreeHash,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;

use self::{
    line::Line,
    work::{FIRST_PAUSE, Gathering, Work},
};
use crate::{
    Error, Options,
    appends::Appends,
    calendar::Calendar,
    evidence::{Evidence, TreeReader},
    log::{AppendError, Keys, Log, ReadError},
    plan::{Answer, Job, Outcome, Plan},
    queue::Queue,
    state::{Base, Changes, State},
};

/// The state, which the endpoint looks into and the decider alone changes.
pub(crate) type Shared = Arc<RwLock<State>>;

/// Called with the own position and the log's last one whenever both are known.
pub(crate) type Progress = Box<dyn Fn(Position, Position) + Send + Sync>;

/// Decides and appends.
pub(crate) struct Decider<L, K> {
    log: Arc<L>,
    keys: Arc<K>,
    state: Shared,
    evidence: Mutex<Evidence>,
    tree: TreeReader,
    appends: Appends,
    clock: ComparedClock,
    clock_check: Check,
    options: Options,
    progress: Progress,
    calendar: Calendar,
    /// In what the history of the log differs from what was read.
    history: Mutex<Option<Error>>,
}

/// An append under way.
struct Flight {
    jobs: Vec<(Job, Outcome)>,
    changes: Changes,
    began: Instant,
    appending: JoinHandle<Result<Position, AppendError>>,
}

/// The leaves of events that have just landed.
#[derive(Default)]
struct Landed {
    /// The position before the first of them.
    first: Position,
    leaves: Vec<TreeHash>,
}

impl Landed {
    fn leaf(&self, position: Position) -> Option<TreeHash> {
        let index = position.0.checked_sub(self.first.0 + 1)?;
        self.leaves.get(usize::try_from(index).ok()?).copied()
    }
}

impl<L: Log, K: Keys> Decider<L, K> {
    pub(crate) fn new(
        log: Arc<L>,
        keys: Arc<K>,
        (state, evidence): (Shared, Evidence),
        appends: Appends,
        (clock, clock_check): (ComparedClock, Check),
        options: Options,
        progress: Progress,
    ) -> Self {
        Self {
            log,
            keys,
            state,
            tree: evidence.tree(),
            evidence: Mutex::new(evidence),
            appends,
            clock,
            clock_check,
            options,
            progress,
            calendar: Calendar::default(),
            history: Mutex::default(),
        }
    }

    /// Works until it is told to stop; then answers what has been accepted.
    ///
    /// # Errors
    /// A log that does not follow from itself. Nothing is appended to such a log.
    pub(crate) async fn run(
        &self,
        queue: &Queue,
        shutdown: CancellationToken,
    ) -> Result<(), Error> {
        // A busy intake looks too: what it decides on is never older than this.
        let mut ticks = interval(self.options.follow_every());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = async {
            shutdown.cancelled().await;
            queue.close();
            std::future::pending().await
        };
        tokio::select! {
            worked = self.work(queue, Some(ticks)) => worked,
            stopped = stop => stopped,
        }
    }

    /// Decides and appends one job.
    ///
    /// # Errors
    /// As [`Decider::run`].
    pub(crate) async fn settle(&self, job: Job) -> Result<(), Error> {
        let queue = Queue::new(&self.options);
        queue.push(job)?;
        queue.close();
        self.work(&queue, None).await
    }

    /// Works until the queue is closed and everything that was in it is answered.
    async fn work(&self, queue: &Queue, ticks: Option<Interval>) -> Result<(), Error> {
        let mut work = Work::new();
        let worked = self.go_on(&mut work, queue, ticks).await;
        if worked.is_err() {
            let why = "the log is broken";
            refuse_all(work.line.drain(), &Error::NotReady { why });
            queue.close();
            refuse_all(queue.take(usize::MAX), &Error::NotReady { why });
        }
        worked
    }

    async fn go_on(
        &self,
        work: &mut Work,
        queue: &Queue,
        mut ticks: Option<Interval>,
    ) -> Result<(), Error> {
        let mut open = true;
        loop {
            if work.flight.is_none() && self.evidence().failure().is_some() {
                self.wait_for_evidence(work, queue).await;
            }
            if self.clock.asks_for_comparison() {
                self.compare_clocks().await;
            }
            self.decide(work, queue)?;
            if work.flight.is_none() {
                if std::mem::take(&mut work.follows) {
                    self.follow().await?;
                }
                if !work.gathers()
                    && let Some(plan) = work.line.take_plan()
                {
                    self.launch(plan, work).await?;
                    continue;
                }
                if !open && work.line.len() == 0 {
                    return Ok(());
                }
            }
            tokio::select! {
                biased;
                landed = landing(&mut work.flight) => {
                    if let Some(flight) = work.flight.take() {
                        self.landed(flight, landed, work).await?;
                    }
                }
                () = tick(&mut ticks) => work.follows = true,
                () = gathered(&work.gathering) => work.gathering = None,
                more = queue.arrival(), if open && work.line.takes_more(&self.options) => open = more,
            }
        }
    }

    /// Decides what waits, on top of what is under way, as far as one append has room.
    fn decide(&self, work: &mut Work, queue: &Queue) -> Result<(), Error> {
        let state = self.read();
        let base = Base {
            state: &state,
            ahead: work.flight.as_ref().map(|flight| &flight.changes),
        };
        work.line
            .decide(queue, base, self.clock.read(), &self.options)
    }

    /// Begins to append a plan; one without events is answered.
    async fn launch(&self, plan: Plan, work: &mut Work) -> Result<(), Error> {
        if plan.changes.based_on() != self.position() {
            work.line.put_back(plan.jobs, |_| {});
            return Ok(());
        }
        let Plan {
            jobs,
            events,
            changes,
        } = plan;
        if events.is_empty() {
            return self.answer_without_events(jobs, work).await;
        }
        let count = u32::try_from(jobs.len()).unwrap_or(u32::MAX);
        metrics::histogram!("gridkeeper_intake_batch_commands").record(f64::from(count));
        let log = Arc::clone(&self.log);
        let anchor = self.read().anchor();
        work.flight = Some(Flight {
            jobs,
            changes,
            began: Instant::now(),
            appending: tokio::spawn(async move { log.append(anchor, events).await }),
        });
        Ok(())
    }

    /// Answers the jobs of an append that has landed, or puts those back that have to be decided again.
    async fn landed(
        &self,
        flight: Flight,
        landed: Result<Position, AppendError>,
        work: &mut Work,
    ) -> Result<(), Error> {
        let before = flight.changes.based_on();
        match landed {
            Ok(first) if first.0 == before.0 + 1 && before == self.position() => {
                self.landed_in_place(flight, work).await
            }
            // They landed behind events of others: their places are read from the log.
            Ok(_) => {
                let tries = self.options.conflict_tries;
                let given_up = work.line.put_back_landed(flight.jobs, tries);
                refuse_all(given_up, &Error::Contended { tries });
                self.read_on(work).await
            }
            Err(AppendError::Conflict(moved)) => {
                self.put_apart(flight.jobs, &moved, work);
                self.read_on(work).await
            }
            Err(AppendError::Counted(area, last)) => {
                self.put_apart(flight.jobs, &[area], work);
                self.read_on(work).await?;
                self.write().count_as_broker(area, last);
                Ok(())
            }
            Err(AppendError::Unknown(detail)) => {
                work.line.put_plan_back();
                work.line.put_back(flight.jobs, |job| job.sent = true);
                self.wait_for_log(work, detail).await
            }
            Err(AppendError::Broken(error)) => {
                work.line.put_plan_back();
                work.line.put_back(flight.jobs, |_| {});
                Err(error)
            }
            Err(AppendError::NotTaken(detail)) => {
                work.line.put_plan_back();
                not_taken(flight.jobs, detail, &mut work.line);
                Ok(())
            }
        }
    }

    /// Puts back what was not appended since areas went on; what that happened to too often is
    /// refused.
    fn put_apart(&self, jobs: Vec<(Job, Outcome)>, moved: &[AreaCode], work: &mut Work) {
        metrics::counter!("gridkeeper_intake_conflicts_total").increment(1);
        let tries = self.options.conflict_tries;
        let given_up = work.line.put_apart(jobs, moved, tries);
        refuse_all(given_up, &Error::Contended { tries });
    }

    /// Takes over what was decided, sends the next append, and then answers.
    async fn landed_in_place(&self, flight: Flight, work: &mut Work) -> Result<(), Error> {
        let Flight {
            jobs,
            changes,
            began,
            ..
        } = flight;
        let took = began.elapsed();
        metrics::counter!("gridkeeper_intake_events_total").increment(changes.count());
        metrics::histogram!("gridkeeper_intake_append_seconds").record(took);
        let landed = Landed {
            first: changes.based_on(),
            leaves: changes.leaves().to_vec(),
        };
        let hashes = self.write().apply(changes);
        self.observe_time();
        work.gather(jobs.len(), took);
        // First, so that the broker has something to do meanwhile; but what has no events would be answered at once.
        if work.unrecorded.is_empty() && work.line.plan_has_events() {
            self.launch_next(work).await?;
        }
        // Before anything is answered: what was acknowledged is known from here on.
        let recorded = self.record(&hashes);
        let position = self.position();
        (self.progress)(position, position);
        if !recorded {
            work.line.put_plan_back();
            work.unrecorded.push((jobs, landed));
            return Ok(());
        }
        self.appends.acknowledged();
        work.pause = FIRST_PAUSE;
        if work.flight.is_none() {
            self.launch_next(work).await?;
        }
        self.answer(jobs, &landed).await;
        Ok(())
    }

    /// Begins the next append, unless it waits for more jobs or the log is to be looked at before.
    async fn launch_next(&self, work: &mut Work) -> Result<(), Error> {
        if !work.follows
            && !work.gathers()
            && let Some(plan) = work.line.take_plan()
        {
            self.launch(plan, work).await?;
        }
        Ok(())
    }

    /// Reads the log to its end, or waits until it can be read.
    async fn read_on(&self, work: &mut Work) -> Result<(), Error> {
        match self.catch_up().await {
            Ok(_) => Ok(()),
            Err(ReadError::Unavailable(detail)) => self.wait_for_log(work, detail).await,
            Err(ReadError::Broken(error)) => Err(error),
        }
    }

    /// Repetitions stand for good; refusals only on the newest state.
    async fn answer_without_events(
        &self,
        jobs: Vec<(Job, Outcome)>,
        work: &mut Work,
    ) -> Result<(), Error> {
        let refused = jobs
            .iter()
            .any(|(_, outcome)| matches!(outcome, Outcome::Refused(_)));
        let newest = match refused {
            true => self.catch_up().await.map(|behind| !behind),
            false => Ok(true),
        };
        match newest {
            Ok(true) => {
                self.answer(jobs, &Landed::default()).await;
                Ok(())
            }
            Ok(false) => {
                work.line.put_back(jobs, |_| {});
                Ok(())
            }
            Err(ReadError::Unavailable(detail)) => {
                work.line.put_back(jobs, |_| {});
                self.wait_for_log(work, detail).await
            }
            Err(ReadError::Broken(error)) => {
                work.line.put_back(jobs, |_| {});
                Err(error)
            }
        }
    }

    async fn answer(&self, decided: Vec<(Job, Outcome)>, landed: &Landed) {
        if decided.iter().any(|(job, _)| job.forgets()) {
            self.destroy_keys().await;
        }
        for (job, outcome) in decided {
            let case = job.case_id();
            let answer = match outcome {
                Outcome::Answer(_) if job.forgets() && self.key_remains(case) => {
                    Err(Error::KeyRemains { case })
                }
                Outcome::Answer(answer) => self.with_leaf(answer, landed),
                Outcome::Refused(refusal) => Err(self.refused(refusal)),
                Outcome::Postponed(fault) => Err(Error::Clock(fault)),
            };
            job.answer(answer);
        }
    }

    /// The answer with the hash of its leaf.
    fn with_leaf(&self, answer: Answer, landed: &Landed) -> Result<Answer, Error> {
        let leaf = match landed.leaf(answer.position) {
            Some(leaf) => Some(leaf),
            None => self.tree.leaf(answer.position)?,
        };
        Ok(Answer { leaf, ..answer })
    }

    /// The refusal; what is missing because it was lost is said to be so.
    fn refused(&self, refusal: Refusal) -> Error {
        if let Refusal::NoSuchCase { case } = refusal {
            let state = self.read();
            if let Some((loss, lost)) = state.statements().loss_of(case) {
                return Error::Lost {
                    position: lost.position,
                    statement: loss.statement,
                };
            }
        }
        refusal.into()
    }

    /// Keeps the latest hashes of the tree and the watermark; says whether they are written.
    fn record(&self, hashes: &[TreeHash]) -> bool {
        let state = self.read();
        let mut evidence = self.evidence();
        evidence.record(hashes, state.end());
        evidence.failure().is_none()
    }

    pub(crate) fn evidence(&self) -> MutexGuard<'_, Evidence> {
        // It guards files and numbers that no panic leaves half changed.
        self.evidence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The district's rules, as far as the log is read.
    pub(crate) fn rules(&self, district: AreaCode) -> Rules {
        let state = self.read();
        let found = state.aggregate(Rules::id(district));
        found
            .and_then(Aggregate::rules)
            .cloned()
            .unwrap_or_default()
    }

    fn timetables(&self) -> Arc<Timetables> {
        self.read().timetables()
    }

    fn position(&self) -> Position {
        self.read().position()
    }

    fn key_remains(&self, case: CaseId) -> bool {
        self.read().key_remains(case)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("no holder of the lock panics")
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().expect("no holder of the lock panics")
    }
}

/// What became of the append under way; never while there is none.
async fn landing(flight: &mut Option<Flight>) -> Result<Position, AppendError> {
    match flight {
        Some(flight) => (&mut flight.appending)
            .await
            .unwrap_or_else(|failed| Err(AppendError::Unknown(failed.to_string()))),
        None => std::future::pending().await,
    }
}

/// When the wait for more jobs is over; never while there is none.
async fn gathered(gathering: &Option<Gathering>) {
    match gathering {
        Some(gathering) => sleep_until(gathering.until).await,
        None => std::future::pending().await,
    }
}

async fn tick(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => {
            ticks.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// Refuses the only job of an append that the log does not take. Of several one is at fault: each goes alone.
fn not_taken(mut jobs: Vec<(Job, Outcome)>, detail: String, line: &mut Line) {
    match jobs.pop() {
        Some((job, _)) if jobs.is_empty() => {
            tracing::error!(detail, "the log does not take an event");
            job.answer(Err(Error::NotTaken { detail }));
        }
        last => {
            jobs.extend(last);
            line.put_back_singly(jobs.into_iter().map(|(job, _)| job));
        }
    }
}

fn refuse_all(jobs: impl IntoIterator<Item = Job>, error: &Error) {
    for job in jobs {
        job.answer(Err(error.clone()));
    }
}
