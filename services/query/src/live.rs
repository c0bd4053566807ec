//! `GET /v1/live`: the events as they happen, as server-sent events whose ids are positions.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::response::sse::Event;
use futures::Stream;
use gridkeeper_eventlog::EventLog;
use gridkeeper_proto::{area::AreaCode, code::Coded as _, envelope::Position};
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast, broadcast::error::RecvError, watch},
    time::sleep,
};

use crate::{
    Error,
    feed::{Feed, LiveEvent, RANGE},
};

/// One who listens. It has the events up to a position, and gets each one after it once: from the feed
/// while it keeps up, from the log where it comes from the past or fell behind.
pub(crate) struct Listener {
    pub(crate) log: EventLog,
    pub(crate) feed: Feed,
    pub(crate) area: AreaCode,
    pub(crate) retry: Duration,
    /// The last event that was looked at.
    pub(crate) position: Position,
    events: broadcast::Receiver<Arc<LiveEvent>>,
    positions: watch::Receiver<Position>,
    /// Up to here the log is read rather than the feed.
    read_until: Position,
    backlog: VecDeque<LiveEvent>,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

/// What comes next.
enum Next {
    Send(LiveEvent),
    Again,
}

impl Listener {
    /// Listens after a position.
    pub(crate) fn new(
        (log, feed): (EventLog, Feed),
        area: AreaCode,
        after: Position,
        retry: Duration,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let (events, now) = feed.listen();
        Self {
            positions: feed.positions(),
            log,
            feed,
            area,
            retry,
            position: after,
            events,
            read_until: now,
            backlog: VecDeque::new(),
            ended: false,
            _place: place,
        }
    }

    /// The events as a stream without end; it ends after an error, which it tells as an event.
    pub(crate) fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        futures::stream::unfold(self, |mut listener| async move {
            if listener.ended {
                return None;
            }
            let event = match listener.next().await {
                Ok(event) => sent(&event),
                Err(error) => {
                    listener.ended = true;
                    failed(&error)
                }
            };
            Some((Ok(event), listener))
        })
    }

    async fn next(&mut self) -> Result<LiveEvent, Error> {
        loop {
            let next = if let Some(event) = self.backlog.pop_front() {
                self.look_at(event)
            } else if self.position < self.read_until {
                self.read().await?
            } else {
                self.wait().await?
            };
            if let Next::Send(event) = next {
                return Ok(event);
            }
        }
    }

    fn look_at(&mut self, event: LiveEvent) -> Next {
        self.position = event.position;
        match self.area.contains(&event.area) {
            true => Next::Send(event),
            false => Next::Again,
        }
    }

    async fn read(&mut self) -> Result<Next, Error> {
        let (max_events, max_bytes) = RANGE;
        match self
            .log
            .read_after(self.position, max_events, max_bytes)
            .await
        {
            Ok(range) => {
                let events = range.iter().filter(|stored| stored.is_event());
                self.backlog = events.map(LiveEvent::of).collect::<Result<_, _>>()?;
                match range.last() {
                    // None of these is an event.
                    Some(last) if self.backlog.is_empty() => self.position = last.position,
                    Some(_) => {}
                    None => self.read_until = self.position,
                }
            }
            Err(error) if error.is_unavailable() => sleep(self.retry).await,
            Err(error) => return Err(error.into()),
        }
        Ok(Next::Again)
    }

    async fn wait(&mut self) -> Result<Next, Error> {
        let event = tokio::select! {
            biased;
            event = self.events.recv() => event,
            _ = self.positions.changed() => {
                return match self.feed.stopped() {
                    Some(error) => Err(error),
                    None => Ok(Next::Again),
                };
            }
        };
        match event {
            Ok(event) if event.position <= self.position => Ok(Next::Again),
            Ok(event) if event.position.0 == self.position.0 + 1 => {
                Ok(self.look_at((*event).clone()))
            }
            // Events before this one came while nobody looked, or too many at once: they are in the log.
            Ok(event) => {
                self.read_until = event.position;
                Ok(Next::Again)
            }
            Err(RecvError::Lagged(_)) => {
                self.read_until = self.feed.position();
                Ok(Next::Again)
            }
            Err(RecvError::Closed) => Err(Error::Broker {
                detail: "the service stops".to_owned(),
            }),
        }
    }
}

fn sent(event: &LiveEvent) -> Event {
    Event::default()
        .id(event.position.to_string())
        .event(event.name)
        .data(&event.json)
}

fn failed(error: &Error) -> Event {
    let told = serde_json::json!({
        "code": error.code().to_string(),
        "detail": error.to_string(),
    });
    Event::default().event("error").data(told.to_string())
}
