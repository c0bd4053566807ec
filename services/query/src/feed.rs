//! One follower of the log for all who listen: it hands each new event to everybody at once.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use gridkeeper_eventlog::{EventLog, LogError, Stored};
use gridkeeper_http::{Check, Clock};
use gridkeeper_proto::{
    anchor::Anchor,
    area::AreaCode,
    code::{Code, Coded as _},
    envelope::Position,
    event::Event,
};
use tokio::{
    sync::{broadcast, watch},
    time::sleep,
};

use crate::{Error, Options, known::Seen, record};

/// How many events, and how many bytes of them, are read at once.
pub(crate) const RANGE: (usize, usize) = (500, 1 << 20);

/// An event, ready to be sent to whoever may see its area.
#[derive(Clone, Debug)]
pub(crate) struct LiveEvent {
    pub(crate) position: Position,
    pub(crate) area: AreaCode,
    pub(crate) name: &'static str,
    pub(crate) changes: Changes,
    pub(crate) json: String,
}

/// What is kept in memory of what an event changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Changes {
    Rules,
    Roster,
    Neither,
}

impl LiveEvent {
    pub(crate) fn of(stored: &Stored) -> Result<Self, Error> {
        let recorded = record::recorded(stored)?;
        let name = recorded.event.name();
        let changes = match &recorded.event {
            Event::Rules(_) => Changes::Rules,
            Event::Roster(_) => Changes::Roster,
            Event::Case(_) | Event::Inquiry(_) | Event::Integrity(_) => Changes::Neither,
        };
        let record = record::of(recorded);
        let json = serde_json::to_string(&record).expect("a record holds nothing but JSON");
        Ok(Self {
            position: record.position,
            area: record.area,
            name,
            changes,
            json,
        })
    }
}

/// Why the feed ended.
#[derive(Clone, Debug)]
pub(crate) struct Stopped {
    code: Code,
    detail: String,
}

impl From<Stopped> for Error {
    fn from(stopped: Stopped) -> Self {
        Self::FeedStopped {
            code: stopped.code,
            detail: stopped.detail,
        }
    }
}

/// What there is of the feed; whoever holds it sees it go on.
#[derive(Clone)]
pub(crate) struct Feed {
    events: broadcast::Sender<Arc<LiveEvent>>,
    position: watch::Sender<Position>,
    rules: Arc<AtomicU64>,
    rosters: Arc<AtomicU64>,
    stopped: Arc<OnceLock<Stopped>>,
}

impl Feed {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            events: broadcast::Sender::new(options.live_buffer),
            position: watch::Sender::new(Position(0)),
            rules: Arc::default(),
            rosters: Arc::default(),
            stopped: Arc::default(),
        }
    }

    /// The events from now on, and the position before the first of them.
    pub(crate) fn listen(&self) -> (broadcast::Receiver<Arc<LiveEvent>>, Position) {
        // In this order an event in between is in both, and none is in neither.
        let events = self.events.subscribe();
        let position = self.position();
        (events, position)
    }

    /// The last event handed out.
    pub(crate) fn position(&self) -> Position {
        *self.position.borrow()
    }

    /// Up to where events were seen, and the last one of the district's rules.
    pub(crate) fn seen_of_rules(&self) -> Seen {
        self.seen(&self.rules)
    }

    /// Up to where events were seen, and the last one of a roster.
    pub(crate) fn seen_of_rosters(&self) -> Seen {
        self.seen(&self.rosters)
    }

    fn seen(&self, changed: &AtomicU64) -> Seen {
        let position = self.position();
        let changed = match self.stopped.get() {
            None => Position(changed.load(Ordering::Acquire)),
            // Anything may have changed since.
            Some(_) => Position(u64::MAX),
        };
        Seen { position, changed }
    }

    /// Sees the position go on.
    pub(crate) fn positions(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }

    /// The error that ended the feed, if one did.
    pub(crate) fn stopped(&self) -> Option<Error> {
        self.stopped.get().cloned().map(Error::from)
    }

    /// Follows the log from its end until an error that asking again does not help, and says so to all.
    pub(crate) async fn run(&self, log: EventLog, options: &Options, check: &Check, clock: &Clock) {
        let error = self.follow(log, options, check, clock).await;
        tracing::error!(code = %error.code(), %error, "live events stopped");
        check.failed(&error);
        let stopped = Stopped {
            code: error.code(),
            detail: error.to_string(),
        };
        // Set once only, here.
        let _ = self.stopped.set(stopped);
        self.position.send_modify(|_| {});
    }

    /// What ties the feed to the end of the log.
    async fn end(&self, log: &EventLog) -> Result<Anchor, LogError> {
        log.anchor(log.last_position().await?).await
    }

    async fn follow(
        &self,
        log: EventLog,
        options: &Options,
        check: &Check,
        clock: &Clock,
    ) -> Error {
        let anchor = loop {
            match self.end(&log).await {
                Ok(anchor) => break anchor,
                Err(error) if error.is_unavailable() => {
                    tracing::warn!(%error, "the log does not answer yet");
                }
                Err(error) => return error.into(),
            }
            sleep(options.retry()).await;
        };
        let end = anchor.position;
        // What came before it was not seen.
        self.rules.store(end.0, Ordering::Release);
        self.rosters.store(end.0, Ordering::Release);
        self.position.send_replace(end);
        let mut follower = log.follow(anchor);
        let (max_events, max_bytes) = RANGE;
        loop {
            let batch = match follower.next_batch(max_events, max_bytes).await {
                Ok(batch) => batch,
                Err(error) if error.is_unavailable() => {
                    tracing::warn!(%error, "the log does not answer; asking again");
                    sleep(options.retry()).await;
                    continue;
                }
                Err(error) => return error.into(),
            };
            for stored in batch.events.iter().filter(|stored| stored.is_event()) {
                let event = match LiveEvent::of(stored) {
                    Ok(event) => event,
                    Err(error) => return error,
                };
                let changed = match event.changes {
                    Changes::Rules => Some(&self.rules),
                    Changes::Roster => Some(&self.rosters),
                    Changes::Neither => None,
                };
                if let Some(changed) = changed {
                    changed.store(event.position.0, Ordering::Release);
                }
                // Nobody listens: nothing to do.
                let _ = self.events.send(Arc::new(event));
            }
            self.position.send_replace(follower.position());
            check.progress(follower.position().0, batch.last_known.0, clock.now());
        }
    }
}
