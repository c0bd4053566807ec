//! Following the log: events in order from a position on, without end and without leaving any out.
//!
//! The broker keeps a consumer for each follower, which is thrown away and made anew from the follower's
//! own position whenever anything about it is in doubt: an error, a message out of order, silence while
//! the log goes on. Before each consumer, and in each silence, the log is compared with the follower's anchor.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{
    Message,
    consumer::{AckPolicy, DeliverPolicy, pull},
};
use futures::{FutureExt as _, StreamExt as _};
use gridkeeper_proto::{
    anchor::Anchor,
    area::AreaCode,
    envelope::Position,
    integrity::{Integrity, Standing},
};
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

/// Messages that came together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order of the log; none when nothing came for about a second.
    pub events: Vec<Stored>,
    /// The end of the log, as far as is known.
    pub last_known: Position,
}

/// Reads the log in order from an anchor on.
pub struct Follower {
    log: EventLog,
    anchor: Anchor,
    last_known: Position,
    messages: Option<pull::Stream>,
    /// A message that came before all lost ones in front of it were handed out.
    held: Option<Message>,
}

impl EventLog {
    /// Follows the log after an anchor. Nothing is asked of the broker before the first batch.
    #[must_use]
    pub fn follow(&self, anchor: Anchor) -> Follower {
        Follower {
            log: self.clone(),
            anchor,
            last_known: anchor.position,
            messages: None,
            held: None,
        }
    }
}

/// What came of waiting for a message.
enum Came {
    Event(Stored),
    Silence,
    Foreign(Position),
    Doubt(String),
}

impl Follower {
    /// The last message handed out, and what ties it to the log.
    #[must_use]
    pub fn anchor(&self) -> Anchor {
        self.anchor
    }

    /// The position of the last message handed out.
    #[must_use]
    pub fn position(&self) -> Position {
        self.anchor.position
    }

    /// The district.
    #[must_use]
    pub fn district(&self) -> AreaCode {
        self.log.district
    }

    /// What the log says of itself, as far as it was read.
    #[must_use]
    pub fn statements(&self) -> Arc<Integrity> {
        self.log.statements()
    }

    /// The next messages, as soon as there is one: at most `max_events`, and about `max_bytes`, but at least
    /// one. None after about a second without any. Dropped while waiting, it hands the same ones out
    /// at the next call.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] and [`LogError::NoStream`], after which the next call goes on from the same
    /// position; [`LogError::Gap`], [`LogError::Unreadable`], [`LogError::Foreign`], and those of
    /// [`EventLog::confirm`], which stay until somebody mends the log.
    pub async fn next_batch(
        &mut self,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Batch, LogError> {
        loop {
            match self.wait().await? {
                Came::Event(first) => return Ok(self.gather(first, max_events, max_bytes)),
                Came::Silence => {
                    if self.confirm().await? == self.position() {
                        return Ok(self.batch(Vec::new()));
                    }
                    self.restart("the log goes on and nothing comes");
                    self.look_for_next().await?;
                }
                Came::Foreign(position) => {
                    self.restart("a message is no event");
                    let statements = self.log.read_statements().await?;
                    if statements.standing(position) == Standing::Event {
                        return Err(LogError::Foreign { position });
                    }
                }
                Came::Doubt(why) => {
                    self.restart(&why);
                    self.confirm().await?;
                    self.look_for_next().await?;
                }
            }
        }
    }

    async fn wait(&mut self) -> Result<Came, LogError> {
        if let Some(held) = self.held.take() {
            return Ok(self.next_in_order(held));
        }
        if self.messages.is_none() {
            self.begin().await?;
            self.messages = Some(self.log.consume(self.position()).await?);
        }
        let Some(messages) = &mut self.messages else {
            return Ok(Came::Silence);
        };
        match timeout(SILENCE, messages.next()).await {
            Err(_) => Ok(Came::Silence),
            Ok(None) => Ok(Came::Doubt("the broker ended it".to_owned())),
            Ok(Some(Err(error))) => Ok(Came::Doubt(error.to_string())),
            Ok(Some(Ok(message))) => Ok(self.next_in_order(message)),
        }
    }

    /// The message as an event, if it is the very next one; before it those that were given up as lost.
    fn next_in_order(&mut self, message: Message) -> Came {
        let Ok(info) = message.info() else {
            return Came::Doubt("a message does not name its position".to_owned());
        };
        let position = Position(info.stream_sequence);
        let next = Position(self.position().0 + 1);
        let last = Position(info.stream_sequence + info.pending);
        if position != next {
            let lost = (position > next).then(|| self.log.lost(next)).flatten();
            return match lost {
                Some(lost) => {
                    self.held = Some(message);
                    Came::Event(lost)
                }
                None => Came::Doubt(format!(
                    "position {position} came after {}",
                    self.position()
                )),
            };
        }
        self.last_known = self.last_known.max(last);
        let payload = message.message.payload;
        match self.log.stored(position, &message.message.subject, payload) {
            Ok(event) => Came::Event(event),
            Err(_) => Came::Foreign(position),
        }
    }

    /// Adds what is there already to the first message. Nothing here waits, so that no message is handed out
    /// to nobody.
    fn gather(&mut self, first: Stored, max_events: usize, max_bytes: usize) -> Batch {
        self.anchor = self.anchor.after(first.leaf);
        let mut bytes = first.bytes.len();
        let mut events = vec![first];
        while events.len() < max_events
            && bytes < max_bytes
            && let Some(message) = self.ready()
        {
            match self.next_in_order(message) {
                Came::Event(event) => {
                    self.anchor = self.anchor.after(event.leaf);
                    bytes += event.bytes.len();
                    events.push(event);
                }
                // What is wrong shows again when the log is read from here.
                Came::Silence | Came::Foreign(_) | Came::Doubt(_) => self.messages = None,
            }
        }
        self.batch(events)
    }

    /// A message that came already.
    fn ready(&mut self) -> Option<Message> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        self.messages.as_mut()?.next().now_or_never()??.ok()
    }

    fn batch(&self, events: Vec<Stored>) -> Batch {
        Batch {
            events,
            last_known: self.last_known.max(self.position()),
        }
    }

    fn restart(&mut self, why: &str) {
        tracing::debug!(position = %self.position(), why, "following the log with a new consumer");
        metrics::counter!(RESTARTS).increment(1);
        self.messages = None;
        self.held = None;
    }

    /// Reads what the log says of itself, and compares it with the anchor.
    async fn begin(&mut self) -> Result<(), LogError> {
        match self.log.read_statements().await {
            // Whether one was there shows in the comparison.
            Ok(_) | Err(LogError::NoStream { .. }) => {}
            Err(error) => return Err(error),
        }
        self.confirm().await.map(drop)
    }

    /// Compares the log with the anchor; gives the end of the log.
    async fn confirm(&mut self) -> Result<Position, LogError> {
        let confirmed = self.log.confirm(&self.anchor).await?;
        self.anchor.log = confirmed.log;
        self.anchor.stated = self.log.statements().stated;
        self.last_known = confirmed.last;
        Ok(confirmed.last)
    }

    /// Whether the very next message can be read at all, if the log goes on.
    async fn look_for_next(&self) -> Result<(), LogError> {
        let (read, last) = (self.position(), self.last_known);
        let next = Position(read.0 + 1);
        if last <= read || self.log.lost(next).is_some() {
            return Ok(());
        }
        let found = self.log.read_after(read, 1, 1).await;
        match found {
            Ok(found) if found.is_empty() => Err(LogError::Unreadable {
                from: next,
                to: last,
                said: "the broker gives no message after them".to_owned(),
            }),
            // Whether a message is an event is found where it is handed out.
            Ok(_) | Err(LogError::Foreign { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl EventLog {
    /// The messages after a position, as they come. The broker throws the consumer away some time after nobody asks it.
    pub(crate) async fn consume(&self, after: Position) -> Result<pull::Stream, LogError> {
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
            .reading
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
