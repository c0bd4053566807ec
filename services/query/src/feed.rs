//! One follower of the log for all who listen: it hands each new event to everybody at once.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use gridkeeper_eventlog::{EventLog, Stored};
use gridkeeper_http::{Check, Clock};
use gridkeeper_proto::{
    area::AreaCode,
    code::{Code, Coded as _},
    envelope::Position,
    event::Event,
};
use tokio::{
    sync::{broadcast, watch},
    time::sleep,
};

use crate::{Error, Options, record};

/// How many events, and how many bytes of them, are read at once.
pub(crate) const RANGE: (usize, usize) = (500, 1 << 20);

/// An event, ready to be sent to whoever may see its area.
#[derive(Clone, Debug)]
pub(crate) struct LiveEvent {
    pub(crate) position: Position,
    pub(crate) area: AreaCode,
    pub(crate) name: &'static str,
    pub(crate) of_rules: bool,
    pub(crate) json: String,
}

impl LiveEvent {
    pub(crate) fn of(stored: &Stored) -> Result<Self, Error> {
        let recorded = record::recorded(stored)?;
        let name = recorded.event.name();
        let of_rules = matches!(recorded.event, Event::Rules(_));
        let record = record::of(recorded);
        let json = serde_json::to_string(&record).expect("a record holds nothing but JSON");
        Ok(Self {
            position: record.position,
            area: record.area,
            name,
            of_rules,
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
    stopped: Arc<OnceLock<Stopped>>,
}

impl Feed {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            events: broadcast::Sender::new(options.live_buffer),
            position: watch::Sender::new(Position(0)),
            rules: Arc::default(),
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

    /// The last event of the district's rules that was handed out, or the log's end at the start.
    pub(crate) fn rules(&self) -> Position {
        Position(self.rules.load(Ordering::Acquire))
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

    async fn follow(
        &self,
        log: EventLog,
        options: &Options,
        check: &Check,
        clock: &Clock,
    ) -> Error {
        let end = loop {
            match log.last_position().await {
                Ok(end) => break end,
                Err(error) => tracing::warn!(%error, "the log does not answer yet"),
            }
            sleep(options.retry()).await;
        };
        // What came before it was not seen.
        self.rules.store(end.0, Ordering::Release);
        self.position.send_replace(end);
        let mut follower = log.follow(end);
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
            for stored in &batch.events {
                let event = match LiveEvent::of(stored) {
                    Ok(event) => event,
                    Err(error) => return error,
                };
                if event.of_rules {
                    self.rules.store(event.position.0, Ordering::Release);
                }
                // Nobody listens: nothing to do.
                let _ = self.events.send(Arc::new(event));
            }
            self.position.send_replace(follower.position());
            check.progress(follower.position().0, batch.last_known.0, clock.now());
        }
    }
}
