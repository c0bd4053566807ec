//! Fills the log of a district before anything is measured, past the services: as fast as the broker takes it.

use std::collections::HashMap;

use gridkeeper_eventlog::{Append, EventLog, Options};
use gridkeeper_liveviews::log::RawEvent;
use gridkeeper_proto::{anchor::Anchor, area::AreaCode, envelope::Position, id::EventId};
use tokio::{sync::mpsc, task::spawn_blocking};
use uuid::Uuid;

use crate::site::Site;

/// The most events that the broker takes at once.
const BATCH: usize = 1_000;
/// How many batches are made ahead of those that are written.
const AHEAD: usize = 16;

/// The district's log while it is filled.
pub(crate) struct Filling {
    log: EventLog,
    anchor: Anchor,
    heads: HashMap<AreaCode, Position>,
    waiting: Vec<RawEvent>,
    last: Position,
}

impl Filling {
    /// Begins with an empty log.
    pub(crate) async fn of(site: &Site, district: AreaCode) -> Self {
        // Ids that come this fast would take gigabytes of the broker's memory in a window of minutes; services
        // take the stream with whatever window it has.
        let options = Options {
            duplicate_window_ms: 100,
            ..Options::default()
        };
        let log = EventLog::open(&site.broker.url(), district, &options).await;
        let log = log.unwrap();
        log.begin(site.log()).await.unwrap();
        Self {
            log,
            anchor: Anchor::default(),
            heads: HashMap::new(),
            waiting: Vec::new(),
            last: Position(0),
        }
    }

    /// The last position that is written.
    pub(crate) fn last(&self) -> u64 {
        self.last.0
    }

    /// Writes what is made, in the order and places that it says, until there is no more or it has come to a
    /// position. Gives the maker back.
    pub(crate) async fn fill<M>(&mut self, until: u64, mut make: M) -> M
    where
        M: FnMut(usize) -> Vec<RawEvent> + Send + 'static,
    {
        let (made, mut ready) = mpsc::channel(AHEAD);
        let making = spawn_blocking(move || {
            loop {
                let events = make(BATCH);
                let over = events.last().is_none_or(|last| last.position.0 >= until);
                if made.blocking_send(events).is_err() || over {
                    return make;
                }
            }
        });
        while let Some(events) = ready.recv().await {
            self.waiting.extend(events);
            while self.waiting.len() >= BATCH {
                self.append(BATCH).await;
            }
        }
        if !self.waiting.is_empty() {
            self.append(self.waiting.len()).await;
        }
        making.await.unwrap()
    }

    async fn append(&mut self, count: usize) {
        let mut appends = Vec::with_capacity(count);
        for event in self.waiting.drain(..count) {
            let head = self.heads.entry(event.area).or_insert(Position(0));
            appends.push(Append {
                area: event.area,
                event_id: EventId::new(Uuid::from_u128(event.position.0.into())),
                bytes: event.bytes.into(),
                expected: *head,
            });
            *head = event.position;
            self.last = event.position;
        }
        let appended = self.log.append(&self.anchor, &appends).await.unwrap();
        assert_eq!(appended.last, self.last, "somebody else writes too");
    }
}
