//! A clock that is compared with the broker's and with the log before time alone decides anything.
//!
//! # Invariants
//! - Between two comparisons the broker's time goes on by the monotonic clock, so that a step of the machine's clock
//!   shows at once and without asking.
//! - While the clocks do not agree, the time is the broker's, and [`Reading::fault`] says that it is in doubt.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gridkeeper_proto::{
    code::{Code, Coded},
    time::Timestamp,
};
use tokio::time::{Duration, Instant, timeout};

use crate::{Check, Clock};

const DIFFERENCE: &str = "gridkeeper_clock_difference_seconds";

/// By how many milliseconds a clock may be behind the log: machines of one installation differ by that much, and
/// clocks that are kept right are set back by no more. The log's time decides then.
const SLEW_MS: i64 = 1_000;

/// How often the broker is asked for its time, and how long it may take to answer.
const COMPARE_EVERY: Duration = Duration::from_secs(1);

/// How long a comparison that found a difference stays good.
const DOUBT: Duration = Duration::from_millis(250);

/// Why the time is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClockFault {
    /// The clock and the broker's are further apart than they may be.
    #[error(
        "the clock says {own} and the broker's says {broker}: until they agree, time alone decides nothing"
    )]
    Differs {
        /// What the clock says.
        own: Timestamp,
        /// What the broker's clock says.
        broker: Timestamp,
    },
    /// The clock is behind what the log has recorded.
    #[error(
        "the clock says {own} and the log has recorded an event at {recorded}: until then, time alone decides nothing"
    )]
    BehindLog {
        /// What the clock says.
        own: Timestamp,
        /// What the broker's clock says.
        broker: Timestamp,
        /// The latest recorded time of the log.
        recorded: Timestamp,
    },
}

impl Coded for ClockFault {
    fn code(&self) -> Code {
        match self {
            Self::Differs { .. } => Code(535),
            Self::BehindLog { .. } => Code(536),
        }
    }
}

impl ClockFault {
    /// What the clock and the broker's said.
    #[must_use]
    pub fn times(&self) -> (Timestamp, Timestamp) {
        match *self {
            Self::Differs { own, broker } | Self::BehindLog { own, broker, .. } => (own, broker),
        }
    }
}

/// What time it is, and whether that is sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The time; the broker's where it is in doubt.
    pub time: Timestamp,
    /// Why it is in doubt; `None` if it is not.
    pub fault: Option<ClockFault>,
}

impl Reading {
    /// A time that is not in doubt.
    #[must_use]
    pub fn sure(time: Timestamp) -> Self {
        Self { time, fault: None }
    }

    /// Up to when all clocks agree that time has passed.
    #[must_use]
    pub fn agreed(&self) -> Timestamp {
        match self.fault {
            None => self.time,
            Some(fault) => {
                let (own, broker) = fault.times();
                own.min(broker)
            }
        }
    }
}

/// A clock that is compared with the broker's and with the log. Clones are handles on the same one.
#[derive(Clone, Debug)]
pub struct ComparedClock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    tolerance_ms: i64,
    compared: Mutex<Compared>,
}

#[derive(Debug, Default)]
struct Compared {
    /// The broker's time, and when it said so.
    broker: Option<(Timestamp, Instant)>,
    /// When the broker was asked last.
    asked: Option<Instant>,
    /// The latest recorded time of the log.
    recorded: Option<Timestamp>,
}

impl ComparedClock {
    /// The clock, which may differ from the broker's by at most `tolerance_ms` milliseconds.
    #[must_use]
    pub fn new(clock: Clock, tolerance_ms: u64) -> Self {
        Self(Arc::new(Inner {
            clock,
            tolerance_ms: i64::try_from(tolerance_ms).unwrap_or(i64::MAX),
            compared: Mutex::default(),
        }))
    }

    /// Takes in what the broker's clock says now.
    pub fn compare(&self, broker: Timestamp) {
        self.compared().broker = Some((broker, Instant::now()));
        let difference = self.0.clock.now().since(broker);
        metrics::gauge!(DIFFERENCE).set(difference as f64 / 1_000.0);
    }

    /// Takes in the recorded time of an event of the log.
    pub fn observe(&self, recorded: Timestamp) {
        let mut compared = self.compared();
        compared.recorded = compared.recorded.max(Some(recorded));
    }

    /// What time it is. Before the first comparison it is what the clock says.
    #[must_use]
    pub fn read(&self) -> Reading {
        let own = self.0.clock.now();
        let (broker, recorded) = {
            let compared = self.compared();
            (compared.broker.map(gone_on), compared.recorded)
        };
        let broker = broker.unwrap_or(own);
        let doubtful = |fault| Reading {
            time: broker,
            fault: Some(fault),
        };
        if own.since(broker).saturating_abs() > self.0.tolerance_ms {
            return doubtful(ClockFault::Differs { own, broker });
        }
        match recorded {
            Some(recorded) if recorded.since(own) > SLEW_MS => doubtful(ClockFault::BehindLog {
                own,
                broker,
                recorded,
            }),
            recorded => Reading::sure(recorded.map_or(own, |recorded| own.max(recorded))),
        }
    }

    /// Whether the time is in doubt and the broker was not asked a moment ago.
    #[must_use]
    pub fn asks_for_comparison(&self) -> bool {
        let fresh = |(_, at): (Timestamp, Instant)| at.elapsed() < DOUBT;
        let compared = self.compared().broker;
        compared.is_some_and(|broker| !fresh(broker)) && self.read().fault.is_some()
    }

    /// Asks for the broker's time, if that was not done a moment ago or the time is in doubt, and
    /// reports to a part's health. `ask` gives `None` where the broker does not answer.
    pub async fn tend(&self, check: &Check, ask: impl Future<Output = Option<Timestamp>>) {
        let asked = self.compared().asked;
        let fresh = asked.is_some_and(|at| at.elapsed() < COMPARE_EVERY);
        if fresh && !self.asks_for_comparison() {
            return;
        }
        self.compared().asked = Some(Instant::now());
        if let Ok(Some(time)) = timeout(COMPARE_EVERY, ask).await {
            self.compare(time);
        }
        self.report_health(check);
    }

    /// Reports to a part's health whether the time is in doubt.
    pub fn report_health(&self, check: &Check) {
        match self.read().fault {
            None => check.ready(),
            Some(fault) => check.impaired(&fault),
        }
    }

    /// A clock that shows the time of this one.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let compared = self.clone();
        Clock::new(move || compared.read().time)
    }

    fn compared(&self) -> MutexGuard<'_, Compared> {
        // Each change of it is one assignment.
        self.0
            .compared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time now of a clock that was read a while ago.
fn gone_on((time, at): (Timestamp, Instant)) -> Timestamp {
    time.plus_millis(i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    const START: i64 = 1_777_593_600_000;

    fn at(millis: i64) -> Timestamp {
        Timestamp::EPOCH.plus_millis(START + millis)
    }

    /// A clock with a tolerance of a minute, and what its machine's clock is off by.
    fn clock() -> (ComparedClock, Arc<AtomicI64>) {
        let off = Arc::new(AtomicI64::new(0));
        let shown = Arc::clone(&off);
        let began = Instant::now();
        let machine = Clock::new(move || {
            let passed = i64::try_from(began.elapsed().as_millis()).unwrap();
            at(passed + shown.load(Ordering::SeqCst))
        });
        (ComparedClock::new(machine, 60_000), off)
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_of_the_clock_shows_without_asking_the_broker_again() {
        let (clock, off) = clock();
        clock.compare(at(0));
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(clock.read(), Reading::sure(at(3_600_000)));
        for step in [60_001, 40 * 86_400_000, -60_001] {
            off.store(step, Ordering::SeqCst);
            let (own, broker) = (at(3_600_000 + step), at(3_600_000));
            let reading = clock.read();
            assert_eq!(reading.time, broker);
            assert_eq!(reading.fault, Some(ClockFault::Differs { own, broker }));
            assert_eq!(reading.agreed(), own.min(broker));
            assert_eq!(clock.clock().now(), broker);
        }
        off.store(59_999, Ordering::SeqCst);
        assert_eq!(clock.read().fault, None, "within the tolerance");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_behind_the_log_is_in_doubt_and_one_a_little_behind_shows_the_logs_time() {
        let (clock, off) = clock();
        clock.compare(at(0));
        clock.observe(at(0));
        clock.observe(at(-5_000));
        off.store(-1_000, Ordering::SeqCst);
        assert_eq!(clock.read(), Reading::sure(at(0)));
        off.store(-1_001, Ordering::SeqCst);
        let fault = ClockFault::BehindLog {
            own: at(-1_001),
            broker: at(0),
            recorded: at(0),
        };
        assert_eq!(clock.read().fault, Some(fault));
        assert_eq!(clock.read().time, at(0));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(clock.read().fault, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_slept_is_compared_again_before_it_is_in_doubt_for_good() {
        let (clock, off) = clock();
        clock.compare(at(0));
        // The monotonic clock stands while a machine sleeps.
        off.store(3_600_000, Ordering::SeqCst);
        assert!(!clock.asks_for_comparison(), "it was asked just now");
        tokio::time::advance(DOUBT).await;
        assert!(clock.asks_for_comparison());
        clock.compare(at(3_600_250));
        assert_eq!(clock.read(), Reading::sure(at(3_600_250)));
        assert!(!clock.asks_for_comparison());
    }

    #[test]
    fn before_the_first_comparison_the_clock_is_believed() {
        let clock = ComparedClock::new(Clock::new(|| at(7)), 0);
        assert_eq!(clock.read(), Reading::sure(at(7)));
        clock.observe(at(5_000));
        assert_eq!(clock.read().time, at(7));
        assert_eq!(clock.read().fault.unwrap().code(), Code(536));
    }
}
