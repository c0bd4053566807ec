//! Sends the steps whose moments have passed, the earliest first.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use gridkeeper_http::{Check, Clock};
use gridkeeper_liveviews::{LiveViews, blocking};
use gridkeeper_proto::id::CaseId;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    Error, Options,
    intake::{Intake, Outcome},
    timers::{Due, Timers, due},
};

const STEPS: &str = "gridkeeper_escalator_steps_total";
const LATENESS: &str = "gridkeeper_escalator_lateness_seconds";

/// How many due steps are looked at in one go, for each that may be under way.
const LOOK_AHEAD: usize = 8;

/// What fires the steps.
pub(crate) struct Fire {
    pub(crate) views: Arc<LiveViews<Timers>>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) check: Check,
}

/// A step that is left alone for a while.
struct LeftAlone {
    until: Instant,
    /// Whether intake dealt with it, so that the log shows soon what became of it.
    settled: bool,
}

/// What is known of the steps beyond the timers.
struct Progress {
    under_way: HashSet<CaseId>,
    /// Steps that are left alone for a while.
    left_alone: HashMap<Due, LeftAlone>,
    /// Until when intake is left alone, and for how long the next time.
    pause: Option<Instant>,
    next_pause: Duration,
    /// Since when steps are due and none got through.
    stuck_since: Option<Instant>,
    detail: String,
}

impl Fire {
    /// Fires for as long as it is polled.
    pub(crate) async fn run(self) -> Result<(), Error> {
        let mut sending = JoinSet::new();
        let mut progress = Progress {
            under_way: HashSet::new(),
            left_alone: HashMap::new(),
            pause: None,
            next_pause: self.options.retry(),
            stuck_since: None,
            detail: String::new(),
        };
        let mut positions = self.views.store().subscribe();
        loop {
            let more = self.fire(&mut sending, &mut progress).await?;
            self.tell(more || !sending.is_empty(), &mut progress);
            let tick = Instant::now() + self.options.tick();
            tokio::select! {
                Some(ended) = sending.join_next() => self.note(ended, &mut progress)?,
                // The sender lives as long as the store.
                _ = positions.changed() => {}
                () = sleep_until(tick) => {}
            }
        }
    }

    /// Sends what is due and may be sent; says whether steps are due at all.
    async fn fire(
        &self,
        sending: &mut JoinSet<Sent>,
        progress: &mut Progress,
    ) -> Result<bool, Error> {
        let known = self.views.last_known();
        // Views that are behind would send steps of cases that have moved on.
        if known.is_none_or(|known| self.views.store().position() < known) {
            return Ok(false);
        }
        let now = Instant::now();
        progress.left_alone.retain(|_, left| left.until > now);
        let clock_now = self.clock.now();
        let most = (self.options.steps_at_once + progress.left_alone.len()) * LOOK_AHEAD;
        let store = self.views.store().clone();
        let found = blocking(move || store.read(|reader| due(reader, clock_now, most))).await?;
        let unsettled = |step| {
            progress
                .left_alone
                .get(step)
                .is_none_or(|left| !left.settled)
        };
        let any_due = found.iter().any(unsettled);
        if progress.pause.is_some_and(|until| until > now) {
            return Ok(any_due);
        }
        progress.pause = None;
        for step in &found {
            if sending.len() >= self.options.steps_at_once {
                break;
            }
            if progress.left_alone.contains_key(step) || !progress.under_way.insert(step.case) {
                continue;
            }
            let late_ms = clock_now.since(step.at).max(0);
            metrics::histogram!(LATENESS).record(late_ms as f64 / 1_000.0);
            let (intake, step) = (Arc::clone(&self.intake), *step);
            sending.spawn(async move {
                Sent {
                    step,
                    outcome: intake.send(step, clock_now).await,
                }
            });
        }
        Ok(any_due)
    }

    fn note(
        &self,
        ended: Result<Sent, tokio::task::JoinError>,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let Sent { step, outcome } = match ended {
            Ok(sent) => sent,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return Ok(()),
            },
        };
        progress.under_way.remove(&step.case);
        let (case, at) = (step.case, step.at);
        match outcome? {
            Outcome::Recorded => {
                count("recorded");
                progress.got_through(&self.options);
                progress.leave_alone(step, self.options.retry_limit(), true);
            }
            Outcome::MovedOn => {
                count("moved_on");
                progress.got_through(&self.options);
                progress.leave_alone(step, self.options.retry(), true);
            }
            Outcome::Unavailable { detail, after } => {
                count("unavailable");
                tracing::warn!(%case, %at, detail, "intake does not take a step; trying again");
                let pause = after.unwrap_or(progress.next_pause);
                progress.pause = Some(Instant::now() + pause);
                let longer = progress.next_pause * 2;
                progress.next_pause = longer.min(self.options.retry_limit());
                progress.detail = detail;
            }
            Outcome::Refused { code, detail } => {
                count("refused");
                tracing::error!(%case, %at, code, detail, "intake refuses a step");
                progress.leave_alone(step, self.options.retry_limit(), false);
                progress.detail = format!("{code}: {detail}");
            }
        }
        Ok(())
    }

    /// Health: red when steps are due and none gets through for too long.
    fn tell(&self, due: bool, progress: &mut Progress) {
        if !due {
            progress.stuck_since = None;
            return self.check.ready();
        }
        let since = *progress.stuck_since.get_or_insert_with(Instant::now);
        if since.elapsed() < self.options.late_after() {
            return self.check.ready();
        }
        self.check.failed(&Error::Late {
            since_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
            detail: progress.detail.clone(),
        });
    }
}

impl Progress {
    fn leave_alone(&mut self, step: Due, time: Duration, settled: bool) {
        let until = Instant::now() + time;
        self.left_alone.insert(step, LeftAlone { until, settled });
    }

    fn got_through(&mut self, options: &Options) {
        self.next_pause = options.retry();
        // One that is refused stays in sight, however many others get through.
        if self.left_alone.values().all(|left| left.settled) {
            self.stuck_since = None;
        }
    }
}

/// A step that was sent.
struct Sent {
    step: Due,
    outcome: Result<Outcome, Error>,
}

fn count(outcome: &'static str) {
    metrics::counter!(STEPS, "outcome" => outcome).increment(1);
}
