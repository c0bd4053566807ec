//! Health: how old is my position, not whether the process is there.
//!
//! Each follower of the log registers a [`Check`] and tells it its position. The age of a position is
//! the time since it last moved, or since it was last known to be the end of the log. A follower whose
//! position grows too old, or that failed, turns `/healthz` red; one that is behind is healthy, but not
//! ready. A part that is impaired turns it red and stays ready: what it still does, it alone can do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gridkeeper_proto::{
    code::{Code, Coded},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Options, metrics::PartGauges};

/// The code of a part that has not moved, or has told nothing, for too long.
const STUCK: Code = Code(614);

/// The checks of one service.
#[derive(Clone, Debug)]
pub struct Health {
    checks: Arc<Mutex<Vec<Check>>>,
    started: Timestamp,
    ready_behind_events: u64,
    stuck_after_ms: i64,
}

/// One part of a service, as it last told of itself. Clones tell of the same part.
#[derive(Clone, Debug)]
pub struct Check {
    name: Arc<str>,
    state: Arc<Mutex<State>>,
    gauges: Arc<PartGauges>,
}

#[derive(Debug)]
struct State {
    /// None for a part that follows nothing.
    follower: Option<Follower>,
    /// When the position last moved or was the end of the log; at first, when the check was registered.
    confirmed: Timestamp,
    failure: Option<Failure>,
    reported: bool,
    /// Whether it says itself that it is not ready, however far it is.
    starting: bool,
}

/// What is wrong with a part.
#[derive(Clone, Debug)]
struct Failure {
    code: String,
    text: String,
    severity: Severity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    /// It works, and somebody has to look after it.
    Warning,
    /// It does a part of its job.
    Impaired,
    /// It does not work.
    Failed,
}

#[derive(Clone, Copy, Debug)]
struct Follower {
    position: u64,
    last_known: u64,
}

/// How a service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthReport {
    /// Whether nothing failed and nothing is stuck.
    pub ok: bool,
    /// Whether it takes requests: it has caught up with the log, and no part of it has stopped.
    pub ready: bool,
    /// When the service started.
    pub started: Timestamp,
    /// Its parts.
    pub checks: Vec<CheckReport>,
}

/// How a part of a service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckReport {
    /// The part.
    #[schema(example = "query follower")]
    pub name: String,
    /// Whether it neither failed nor is stuck.
    pub ok: bool,
    /// Whether it has caught up with the log and works, be it in part.
    pub ready: bool,
    /// The last event it has dealt with.
    pub position: Option<u64>,
    /// The last event of the log that it knows of.
    pub last_known: Option<u64>,
    /// How many events lie between the two.
    pub behind_events: Option<u64>,
    /// Milliseconds since the position moved or was the end of the log; none for a part without position.
    pub age_ms: Option<i64>,
    /// The code of what is wrong; also of a warning, with which the part is healthy.
    pub code: Option<String>,
    /// What it is doing or what is wrong.
    pub detail: String,
}

impl Health {
    /// The health of a service that started at this moment.
    #[must_use]
    pub fn new(options: &Options, started: Timestamp) -> Self {
        Self {
            checks: Arc::default(),
            started,
            ready_behind_events: options.ready_behind_events,
            stuck_after_ms: i64::try_from(options.stuck_after_ms).unwrap_or(i64::MAX),
        }
    }

    /// Adds a part. Until it first tells of itself it is healthy, for as long as a follower may be
    /// silent, and not ready. Its gauges go to the recorder that is installed when it tells
    /// ([`crate::metrics::recorder`]).
    #[must_use]
    pub fn register(&self, name: &str, now: Timestamp) -> Check {
        let state = State {
            follower: None,
            confirmed: now,
            failure: None,
            reported: false,
            starting: true,
        };
        let name: Arc<str> = name.into();
        let check = Check {
            gauges: Arc::new(PartGauges::of(Arc::clone(&name))),
            name,
            state: Arc::new(Mutex::new(state)),
        };
        locked(&self.checks).push(check.clone());
        check
    }

    /// How the service is at this moment.
    #[must_use]
    pub fn report(&self, now: Timestamp) -> HealthReport {
        let checks: Vec<_> = locked(&self.checks)
            .iter()
            .map(|check| check.report(now, self.ready_behind_events, self.stuck_after_ms))
            .collect();
        HealthReport {
            ok: checks.iter().all(|check| check.ok),
            ready: checks.iter().all(|check| check.ready),
            started: self.started,
            checks,
        }
    }
}

impl Check {
    /// Tells the position: the last event dealt with and the last of the log that is known. To be told
    /// after each batch, and every few seconds while there is nothing to do. Ends a failure.
    pub fn progress(&self, position: u64, last_known: u64, now: Timestamp) {
        self.told(position, last_known, now, false);
    }

    /// As [`Check::progress`], of a part that is not ready yet even at the end of the log.
    pub fn starting(&self, position: u64, last_known: u64, now: Timestamp) {
        self.told(position, last_known, now, true);
    }

    fn told(&self, position: u64, last_known: u64, now: Timestamp, starting: bool) {
        let last_known = last_known.max(position);
        let mut state = locked(&self.state);
        let moved = state
            .follower
            .is_none_or(|before| before.position != position);
        if moved || position == last_known {
            state.confirmed = now;
        }
        state.follower = Some(Follower {
            position,
            last_known,
        });
        state.failure = None;
        state.reported = true;
        state.starting = starting;
        let confirmed = state.confirmed;
        drop(state);
        self.gauges.position(position, last_known, confirmed);
    }

    /// Tells that the part does not work. It stays failed until it tells progress or readiness again.
    pub fn failed<E: Coded + ToString + ?Sized>(&self, error: &E) {
        self.fails(error, Severity::Failed);
        self.gauges.failed();
    }

    /// Reports that a part without a position of its own does a part of its job: health is red, and requests still
    /// come.
    pub fn impaired<E: Coded + ToString + ?Sized>(&self, error: &E) {
        self.fails(error, Severity::Impaired);
        self.gauges.failed();
    }

    /// Reports that a part without a position of its own works, and that it will not if nobody looks after it.
    pub fn warns<E: Coded + ToString + ?Sized>(&self, error: &E) {
        self.fails(error, Severity::Warning);
        self.gauges.works();
    }

    fn fails<E: Coded + ToString + ?Sized>(&self, error: &E, severity: Severity) {
        let mut state = locked(&self.state);
        state.failure = Some(Failure {
            code: error.code().to_string(),
            text: error.to_string(),
            severity,
        });
        state.reported = true;
        if severity != Severity::Failed {
            state.starting = false;
        }
    }

    /// Tells that a part without a position of its own works, such as a connection.
    pub fn ready(&self) {
        let mut state = locked(&self.state);
        state.follower = None;
        state.failure = None;
        state.reported = true;
        state.starting = false;
        drop(state);
        self.gauges.works();
    }

    fn report(&self, now: Timestamp, ready_behind: u64, stuck_after_ms: i64) -> CheckReport {
        let state = locked(&self.state);
        let age = now.since(state.confirmed).max(0);
        let behind = state
            .follower
            .map(|follower| follower.last_known - follower.position);
        let ages = state.follower.is_some() || !state.reported;
        let stuck = ages && age > stuck_after_ms;
        let severity = state.failure.as_ref().map(|failure| failure.severity);
        let ok = matches!(severity, None | Some(Severity::Warning)) && !stuck;
        let works = severity != Some(Severity::Failed) && !stuck;
        let caught_up = !state.starting && behind.is_none_or(|behind| behind <= ready_behind);
        let detail = match (&state.failure, stuck, behind) {
            (Some(failure), ..) => failure.text.clone(),
            (None, true, Some(0)) => format!("silent for {age} ms: it may have missed events"),
            (None, true, Some(behind)) => format!("stuck for {age} ms, {behind} events behind"),
            (None, true, None) => format!("has told nothing in the {age} ms since its start"),
            (None, false, Some(0)) if state.starting => "starting".to_owned(),
            (None, false, Some(0)) => "caught up".to_owned(),
            (None, false, Some(behind)) => format!("catching up, {behind} events behind"),
            (None, false, None) if state.reported => "works".to_owned(),
            (None, false, None) => "starting".to_owned(),
        };
        CheckReport {
            name: self.name.to_string(),
            ok,
            ready: works && caught_up,
            position: state.follower.map(|follower| follower.position),
            last_known: state.follower.map(|follower| follower.last_known),
            behind_events: behind,
            age_ms: ages.then_some(age),
            code: match &state.failure {
                Some(failure) => Some(failure.code.clone()),
                None => stuck.then(|| STUCK.to_string()),
            },
            detail,
        }
    }
}

/// A panic elsewhere leaves the state as complete as each single assignment, so it is still of use.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use gridkeeper_identity::TokenError;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::EPOCH.plus_millis(millis)
    }

    fn follower() -> (Health, Check) {
        let options = Options {
            ready_behind_events: 10,
            stuck_after_ms: 1_000,
            ..Options::default()
        };
        let health = Health::new(&options, at(0));
        let check = health.register("follower", at(0));
        (health, check)
    }

    /// (ok, ready, age)
    fn state(health: &Health, millis: i64) -> (bool, bool, Option<i64>) {
        let report = health.report(at(millis));
        assert_eq!(
            (report.ok, report.ready),
            (report.checks[0].ok, report.checks[0].ready)
        );
        (report.ok, report.ready, report.checks[0].age_ms)
    }

    #[test]
    fn a_follower_that_never_starts_turns_red() {
        let (health, _check) = follower();
        assert_eq!(state(&health, 1_000), (true, false, Some(1_000)));
        assert_eq!(state(&health, 1_001), (false, false, Some(1_001)));
    }

    #[test]
    fn catching_up_is_healthy_and_ready_comes_with_the_last_events() {
        let (health, check) = follower();
        check.progress(5, 100, at(100));
        assert_eq!(state(&health, 150), (true, false, Some(50)));
        check.progress(90, 100, at(200));
        assert_eq!(state(&health, 200), (true, true, Some(0)));
        let report = &health.report(at(200)).checks[0];
        assert_eq!(
            (report.position, report.last_known, report.behind_events),
            (Some(90), Some(100), Some(10))
        );
    }

    #[test]
    fn a_position_that_does_not_move_while_behind_is_stuck_however_often_it_is_told() {
        let (health, check) = follower();
        check.progress(5, 6, at(0));
        for moment in [300, 600, 900, 1_200] {
            check.progress(5, 7, at(moment));
        }
        assert_eq!(state(&health, 1_200), (false, false, Some(1_200)));
        check.progress(7, 7, at(1_300));
        assert_eq!(state(&health, 1_300), (true, true, Some(0)));
    }

    #[test]
    fn at_the_end_of_the_log_silence_is_what_makes_it_old() {
        let (health, check) = follower();
        check.progress(5, 5, at(0));
        check.progress(5, 5, at(900));
        assert_eq!(state(&health, 1_800), (true, true, Some(900)));
        assert_eq!(state(&health, 1_901), (false, false, Some(1_001)));
    }

    #[test]
    fn a_failure_stays_red_with_its_code_until_there_is_progress() {
        let (health, check) = follower();
        check.progress(5, 5, at(0));
        check.failed(&TokenError::Missing);
        assert_eq!(state(&health, 1), (false, false, Some(1)));
        let report = &health.report(at(1)).checks[0];
        assert_eq!(report.code.as_deref(), Some("GK0001"));
        assert_eq!(report.detail, TokenError::Missing.to_string());
        check.progress(6, 6, at(2));
        assert_eq!(state(&health, 2), (true, true, Some(0)));
    }

    #[test]
    fn a_part_without_position_does_not_age_and_one_red_part_makes_all_red() {
        let (health, check) = follower();
        check.ready();
        assert_eq!(state(&health, 1_000_000), (true, true, None));
        let other = health.register("other", at(0));
        assert!(!health.report(at(0)).ready);
        other.failed(&TokenError::Missing);
        assert!(!health.report(at(0)).ok);
    }

    #[test]
    fn an_impaired_part_is_red_and_ready_and_a_warning_is_green_with_a_code() {
        let (health, check) = follower();
        check.progress(5, 5, at(0));
        let disk = health.register("disk", at(0));
        disk.warns(&TokenError::Missing);
        let report = health.report(at(0));
        assert_eq!((report.ok, report.ready), (true, true));
        assert_eq!(report.checks[1].code.as_deref(), Some("GK0001"));
        assert_eq!(report.checks[1].detail, TokenError::Missing.to_string());
        disk.impaired(&TokenError::Missing);
        let report = health.report(at(0));
        assert_eq!((report.ok, report.ready), (false, true));
        disk.failed(&TokenError::Missing);
        let report = health.report(at(0));
        assert_eq!((report.ok, report.ready), (false, false));
        disk.ready();
        let report = health.report(at(0));
        assert_eq!((report.ok, report.ready), (true, true));
        assert_eq!(report.checks[1].code, None);
    }

    #[test]
    fn a_clock_set_back_makes_nothing_red() {
        let (health, check) = follower();
        check.progress(5, 5, at(100_000));
        assert_eq!(state(&health, 10), (true, true, Some(0)));
    }
}
