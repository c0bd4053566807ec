//! Following the log: events in order from a position on, without end and without leaving any out.
//!
//! The broker keeps a consumer for each follower, which is thrown away and made anew from the follower's
//! own position whenever anything about it is in doubt: an error, a message out of order, silence while
//! the log goes on.

use std::time::Duration;

use async_nats::jetstream::{
    Message,
    consumer::{AckPolicy, DeliverPolicy, pull},
};
use futures::{FutureExt as _, StreamExt as _};
use gridkeeper_proto::{area::AreaCode, envelope::Position};
use tokio::time::timeout;

use crate::{EventLog, LogError, Stored};

/// After how long without a message the follower looks where the log ends.
const SILENCE: Duration = Duration::from_secs(1);
/// How long the broker keeps a consumer that nobody asks.
const ABANDONED: Duration = Duration::from_secs(30);
/// How often the broker shows that an idle request still stands, and how long one stands.
const HEARTBEAT: Duration = Duration::from_secs(5);
const EXPIRES: Duration = Duration::from_secs(30);
/// How many messages are asked for ahead.
const AHEAD: usize = 2_000;

const RESTARTS: &str = "gridkeeper_log_consumer_restarts_total";

/// Events that came together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order of the log; none when nothing came for about a second.
    pub events: Vec<Stored>,
    /// The end of the log, as far as is known.
    pub last_known: Position,
}

/// Reads the log in order from a position on.
pub struct Follower {
    log: EventLog,
    position: Position,
    last_known: Position,
    messages: Option<pull::Stream>,
}

impl EventLog {
    /// Follows the log after a position. Nothing is asked of the broker before the first batch.
    #[must_use]
    pub fn follow(&self, after: Position) -> Follower {
        Follower {
            log: self.clone(),
            position: after,
            last_known: after,
            messages: None,
        }
    }
}

/// What came of waiting for a message.
enum Came {
    Event(Stored),
    Silence,
    Doubt(String),
}

impl Follower {
    /// The last event handed out.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next events, as soon as there is one: at most `max_events`, and about `max_bytes`, but at least
    /// one. None after about a second without events. Dropped while waiting, it hands the same events out
    /// at the next call.
    ///
    /// # Errors
    /// [`LogError::Unavailable`], after which the next call goes on from the same position; every other
    /// error is final: [`LogError::Gap`], [`LogError::Shorter`], [`LogError::Foreign`].
    pub async fn next_batch(
        &mut self,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Batch, LogError> {
        loop {
            match self.wait().await? {
                Came::Event(first) => return self.gather(first, max_events, max_bytes),
                Came::Silence => {
                    let last = self.look_for_end().await?;
                    if last == self.position {
                        return Ok(self.batch(Vec::new()));
                    }
                    self.restart("the log goes on and nothing comes");
                }
                Came::Doubt(why) => {
                    self.restart(&why);
                    self.look_for_end().await?;
                    self.look_for_gap().await?;
                }
            }
        }
    }

    async fn wait(&mut self) -> Result<Came, LogError> {
        let (position, log) = (self.position, &self.log);
        let messages = match &mut self.messages {
            Some(messages) => messages,
            none => none.insert(log.consume(position).await?),
        };
        match timeout(SILENCE, messages.next()).await {
            Err(_) => Ok(Came::Silence),
            Ok(None) => Ok(Came::Doubt("the broker ended it".to_owned())),
            Ok(Some(Err(error))) => Ok(Came::Doubt(error.to_string())),
            Ok(Some(Ok(message))) => self.next_in_order(message),
        }
    }

    /// The message's event, if it is the very next one after `position`.
    fn next_in_order(&mut self, message: Message) -> Result<Came, LogError> {
        let Ok(info) = message.info() else {
            let why = "a message says not where it stands".to_owned();
            return Ok(Came::Doubt(why));
        };
        let position = Position(info.stream_sequence);
        if position.0 != self.position.0 + 1 {
            let why = format!("position {position} came after {}", self.position);
            return Ok(Came::Doubt(why));
        }
        let last = Position(info.stream_sequence + info.pending);
        self.last_known = self.last_known.max(last);
        let area =
            AreaCode::from_subject(&message.subject).ok_or(LogError::Foreign { position })?;
        Ok(Came::Event(Stored {
            position,
            area,
            bytes: message.message.payload,
        }))
    }

    /// Adds what is there already to the first event. Nothing here waits, so that no event is handed out
    /// to nobody.
    fn gather(
        &mut self,
        first: Stored,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Batch, LogError> {
        self.position = first.position;
        let mut bytes = first.bytes.len();
        let mut events = vec![first];
        while events.len() < max_events
            && bytes < max_bytes
            && let Some(messages) = &mut self.messages
            && let Some(Some(Ok(message))) = messages.next().now_or_never()
        {
            match self.next_in_order(message) {
                Ok(Came::Event(event)) => {
                    self.position = event.position;
                    bytes += event.bytes.len();
                    events.push(event);
                }
                // What is wrong shows again when the log is read from here.
                Ok(Came::Silence | Came::Doubt(_)) | Err(_) => self.messages = None,
            }
        }
        Ok(self.batch(events))
    }

    fn batch(&self, events: Vec<Stored>) -> Batch {
        Batch {
            events,
            last_known: self.last_known,
        }
    }

    fn restart(&mut self, why: &str) {
        tracing::debug!(position = %self.position, why, "following the log with a new consumer");
        metrics::counter!(RESTARTS).increment(1);
        self.messages = None;
    }

    async fn look_for_end(&mut self) -> Result<Position, LogError> {
        let last = self.log.last_position().await?;
        let read = self.position;
        if last < read {
            return Err(LogError::Shorter { last, read });
        }
        self.last_known = last;
        Ok(last)
    }

    /// Whether the very next event is there at all, if the log goes on.
    async fn look_for_gap(&self) -> Result<(), LogError> {
        if self.last_known == self.position {
            return Ok(());
        }
        self.log.read_after(self.position, 1, 1).await.map(drop)
    }
}

impl EventLog {
    async fn consume(&self, after: Position) -> Result<pull::Stream, LogError> {
        let unavailable = LogError::unavailable;
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: after.0 + 1,
            },
            // The position is the follower's own affair.
            ack_policy: AckPolicy::None,
            inactive_threshold: ABANDONED,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let consumer = self
            .stream
            .create_consumer(config)
            .await
            .map_err(|error| unavailable("make a consumer")(error.into()))?;
        consumer
            .stream()
            .max_messages_per_batch(AHEAD)
            .expires(EXPIRES)
            .heartbeat(HEARTBEAT)
            .messages()
            .await
            .map_err(|error| unavailable("read from a consumer")(error.into()))
    }
}
