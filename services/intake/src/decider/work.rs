//! What the decider has in hand.

use std::time::Duration;

use tokio::time::Instant;

use super::{Flight, Landed, line::Line};
use crate::plan::{Job, Outcome};

/// How long to wait at first when the log does not answer.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Up to so many jobs an append costs the broker nearly the same, so that it pays to wait for more.
const CHEAP_JOBS: usize = 256;
/// An append of at most so many jobs says that few are sending: nobody is waited for.
const FEW_JOBS: usize = 12;
/// The longest wait for more jobs: a small part of what an append takes.
const LONGEST_GATHERING: Duration = Duration::from_millis(2);

/// What the decider has in hand.
pub(super) struct Work {
    pub(super) line: Line,
    pub(super) flight: Option<Flight>,
    /// How long to wait when the log does not answer; longer each time.
    pub(super) pause: Duration,
    /// Whether it is time to look if the log went on without this intake.
    pub(super) follows: bool,
    pub(super) gathering: Option<Gathering>,
    /// Jobs whose events have landed and could not be noted down.
    pub(super) unrecorded: Vec<(Vec<(Job, Outcome)>, Landed)>,
}

/// A short wait after an append, in which those who were answered send what they have next.
pub(super) struct Gathering {
    pub(super) until: Instant,
    /// With so many jobs it ends early.
    pub(super) jobs: usize,
}

impl Work {
    pub(super) fn new() -> Self {
        Self {
            line: Line::default(),
            flight: None,
            pause: FIRST_PAUSE,
            follows: false,
            gathering: None,
            unrecorded: Vec::new(),
        }
    }

    /// Waits for more jobs after an append of so many, if that pays.
    pub(super) fn gather(&mut self, sent: usize, took: Duration) {
        let planned = self.line.planned();
        if sent > FEW_JOBS && planned < CHEAP_JOBS {
            self.gathering = Some(Gathering {
                until: Instant::now() + (took / 3).min(LONGEST_GATHERING),
                jobs: (sent + planned).min(CHEAP_JOBS),
            });
        }
    }

    /// Whether the next append waits for more jobs.
    pub(super) fn gathers(&mut self) -> bool {
        let jobs = self.line.planned();
        let over =
            |gathering: &mut Gathering| jobs >= gathering.jobs || Instant::now() >= gathering.until;
        self.gathering.take_if(over);
        self.gathering.is_some()
    }
}
