//! Sends the steps whose moments have passed, the earliest first.

use std::sync::Arc;

use gridkeeper_eventlog::EventLog;
use gridkeeper_http::{Check, ComparedClock};
use gridkeeper_liveviews::{LiveViews, blocking};
use gridkeeper_viewstore::Reader;
use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{
    Error, Options,
    attempts::{Attempts, Sent},
    intake::{Intake, Outcome},
    timers::{Timers, beyond, due},
};

const STEPS: &str = "gridkeeper_escalator_steps_total";
const BEYOND: &str = "gridkeeper_escalator_cases_beyond_calendar";
const LATENESS: &str = "gridkeeper_escalator_lateness_seconds";

/// Says what the metrics mean.
pub(crate) fn describe() {
    metrics::describe_counter!(STEPS, "Steps sent to intake, by what came of them");
    metrics::describe_gauge!(
        BEYOND,
        "Cases whose next moment lies beyond the calendar: adopt the year after"
    );
    metrics::describe_histogram!(
        LATENESS,
        metrics::Unit::Seconds,
        "From the moment of a step to its sending, for steps that were recorded"
    );
}

/// What fires the steps.
pub(crate) struct Fire {
    pub(crate) views: Arc<LiveViews<Timers>>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) options: Options,
    pub(crate) log: EventLog,
    pub(crate) clock: ComparedClock,
    pub(crate) check: Check,
    pub(crate) clock_check: Check,
}

/// A step that came back.
struct Back {
    sent: Sent,
    /// How late it was sent, in milliseconds.
    late_ms: i64,
    outcome: Result<Outcome, Error>,
}

impl Fire {
    /// Fires for as long as it is polled.
    pub(crate) async fn run(self) -> Result<(), Error> {
        let mut sending = JoinSet::new();
        let mut attempts = Attempts::new(&self.options);
        let mut positions = self.views.store().subscribe();
        let mut ticks = interval(self.options.tick());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.compare_clocks().await;
            self.fire(&mut sending, &mut attempts).await?;
            tokio::select! {
                Some(back) = sending.join_next() => note(back, &mut attempts)?,
                // The sender lives as long as the store.
                _ = positions.changed() => {}
                _ = ticks.tick() => {}
            }
        }
    }

    /// Compares the clock with the broker's where it is time to.
    async fn compare_clocks(&self) {
        // The timers follow the same log, and say what is wrong with it.
        let ask = async { self.log.facts().await.ok()?.time };
        self.clock.tend(&self.clock_check, ask).await;
    }

    /// Sends what is due and may be sent, and tells how that goes.
    async fn fire(
        &self,
        sending: &mut JoinSet<Back>,
        attempts: &mut Attempts,
    ) -> Result<(), Error> {
        let reading = self.clock.read();
        let clock_now = reading.time;
        let most = attempts.held_back() + self.options.steps_at_once;
        let store = self.views.store().clone();
        let look = move |reader: &Reader<'_>| {
            let found = due(reader, clock_now, most);
            (reader.position(), found, beyond(reader))
        };
        let (position, found, beyond) = blocking(move || store.read(look)).await;
        let found = found?;
        metrics::gauge!(BEYOND).set(beyond? as f64);
        // Timers that are behind would send steps of cases that have moved on. The end of the log is told
        // after the timers have moved, so that one before their position is not yet known to be the end.
        if self.views.last_known() != Some(position) {
            return Ok(());
        }
        let now = Instant::now();
        if reading.fault.is_some() {
            // Time alone decides nothing now, here as at intake.
            return Ok(());
        }
        for step in attempts.look(position, (&found, found.len() < most), now) {
            let (case, at) = (step.case, step.at);
            tracing::error!(%case, %at, "a step is recorded, and its timer stands all the same");
            count("without_effect");
        }
        for step in &found {
            if sending.len() >= self.options.steps_at_once {
                break;
            }
            if !attempts.may_send(step, position, now) {
                continue;
            }
            attempts.begin(step);
            let (intake, step) = (Arc::clone(&self.intake), *step);
            sending.spawn(async move {
                let at = now;
                Back {
                    sent: Sent { step, at, position },
                    late_ms: clock_now.since(step.at).max(0),
                    outcome: intake.send(step, clock_now).await,
                }
            });
        }
        self.tell(attempts, now);
        Ok(())
    }

    /// Health: red when steps are due for too long and do not get through.
    fn tell(&self, attempts: &Attempts, now: Instant) {
        match attempts.late(now) {
            None => self.check.ready(),
            Some((since, detail)) => self.check.failed(&Error::Late {
                since_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
                detail: detail.to_owned(),
            }),
        }
    }
}

fn note(back: Result<Back, JoinError>, attempts: &mut Attempts) -> Result<(), Error> {
    let Back {
        sent,
        late_ms,
        outcome,
    } = match back {
        Ok(back) => back,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that ends cancels it.
            Err(_) => return Ok(()),
        },
    };
    let (outcome, case, at) = (outcome?, sent.step.case, sent.step.at);
    match &outcome {
        Outcome::Recorded { repeated: true, .. } => count("repeated"),
        Outcome::Recorded { .. } => {
            count("recorded");
            metrics::histogram!(LATENESS).record(late_ms as f64 / 1_000.0);
        }
        Outcome::MovedOn { detail } => {
            count("moved_on");
            tracing::debug!(%case, %at, detail, "a case moved on before its step came");
        }
        Outcome::Unavailable { detail, .. } => {
            count("unavailable");
            tracing::warn!(%case, %at, detail, "intake does not take a step; trying again");
        }
        Outcome::Refused { detail } => {
            count("refused");
            tracing::error!(%case, %at, detail, "intake refuses a step");
        }
    }
    attempts.end(sent, &outcome, Instant::now());
    Ok(())
}

fn count(outcome: &'static str) {
    metrics::counter!(STEPS, "outcome" => outcome).increment(1);
}
