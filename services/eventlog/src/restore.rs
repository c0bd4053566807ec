//! Writing a log anew from a copy, message by message, into a broker that has none.
//!
//! # Invariants
//! - Each message gets the position that it had: a batch names the position that it follows, and lands there or not
//!   at all.
//! - Until all is there the streams are closed to everybody else ([`LogError::BeingRestored`]).

use std::{collections::BTreeMap, time::Duration};

use async_nats::{HeaderMap, HeaderName, HeaderValue, header};
use bytes::Bytes;
use gridkeeper_proto::{
    area::AreaCode,
    envelope::Position,
    id::{CaseId, LogId},
    sealed::CaseKey,
};
use tokio::time::sleep;

use crate::{
    AppendError, CheckpointStore, EventLog, KeyStore, LogError, Message, Occupied, Options,
    append::{self, MOST, publish},
    connection::Connection,
    copy::STORED_AT,
};

/// The header of a message that stands where one was given up as lost.
const LOST: &str = "Gridkeeper-Lost";
/// How often a batch is tried whose outcome is not known, or that repeats an id too soon, and the pause between.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_millis(500);

/// The streams of a log while they are restored.
#[derive(Debug)]
pub struct Restoration {
    log: EventLog,
    keys: KeyStore,
    checkpoints: CheckpointStore,
}

impl Restoration {
    /// Opens the streams of a district. Nothing is made yet.
    ///
    /// # Errors
    /// [`LogError::Unavailable`].
    pub async fn open(url: &str, district: AreaCode, options: &Options) -> Result<Self, LogError> {
        let mut log = EventLog::open(url, district, options).await?;
        let mut checkpoints = log.checkpoints().await?;
        let mut keys = KeyStore::open(url, district, options).await?;
        log.reading = log.reading.restoring();
        checkpoints.connection = checkpoints.connection.restoring();
        keys.connection = keys.connection.restoring();
        Ok(Self {
            log,
            keys,
            checkpoints,
        })
    }

    /// The log, which this handle reads before it is whole.
    #[must_use]
    pub fn log(&self) -> &EventLog {
        &self.log
    }

    /// The keys, likewise.
    #[must_use]
    pub fn keys(&self) -> &KeyStore {
        &self.keys
    }

    /// The streams that are there already. None of them stands in the way if the log's is half restored.
    ///
    /// # Errors
    /// [`LogError::Unavailable`].
    pub async fn occupied(&self, log: LogId) -> Result<Vec<Occupied>, LogError> {
        let mut occupied = Vec::new();
        for connection in self.connections() {
            occupied.extend(connection.occupied(log).await?);
        }
        Ok(occupied)
    }

    /// Makes the streams that are missing, closed to everybody else, the log's first.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] and [`LogError::Stream`].
    pub async fn begin(&self, log: LogId) -> Result<(), LogError> {
        for connection in self.connections() {
            connection.begin_restoring(log).await?;
        }
        Ok(())
    }

    /// Writes messages behind a position that is the log's last; gives the new last one. A position without a message
    /// gets one that marks it as lost.
    ///
    /// # Errors
    /// [`LogError::Interfered`] where the log is at another position, and [`LogError::Unavailable`].
    pub async fn put(
        &self,
        after: Position,
        messages: &[Option<Message>],
    ) -> Result<Position, LogError> {
        let mut last = after;
        for batch in messages.chunks(MOST) {
            let mut waiting = vec![batch];
            while let Some(part) = waiting.pop() {
                match self.put_batch(last, part).await? {
                    Some(reached) => last = reached,
                    None if part.len() > 1 => {
                        // An id is repeated in it, which two batches may do.
                        let (first, second) = part.split_at(part.len() / 2);
                        waiting.extend([second, first]);
                    }
                    None => {
                        return Err(LogError::Unavailable {
                            what: format!("the message after position {last} is not taken"),
                        });
                    }
                }
            }
        }
        Ok(last)
    }

    /// Keeps the keys of cases that are not there yet. `progress` is called with how many are there.
    ///
    /// # Errors
    /// [`LogError::Unavailable`].
    pub async fn put_keys(
        &self,
        keys: &BTreeMap<CaseId, CaseKey>,
        mut progress: impl FnMut(u64),
    ) -> Result<(), LogError> {
        let there = self.keys.all().await?;
        let missing = keys.iter().filter(|(case, _)| !there.contains_key(case));
        let missing: Vec<_> = missing.collect();
        let mut put = there.len() as u64;
        for batch in missing.chunks(MOST) {
            let message = |(case, key): &(&CaseId, &CaseKey)| {
                let mut headers = HeaderMap::new();
                headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
                append::Message {
                    subject: self.keys.subject(**case),
                    headers,
                    bytes: Bytes::copy_from_slice(&key.0),
                }
            };
            let batch: Vec<_> = batch.iter().map(message).collect();
            put += batch.len() as u64;
            publish_all(&self.keys.connection, batch, "restore keys").await?;
            progress(put);
        }
        Ok(())
    }

    /// Adds the signed checkpoints that are not there yet, in this order.
    ///
    /// # Errors
    /// [`LogError::Unavailable`].
    pub async fn put_checkpoints(&self, notes: &[String]) -> Result<(), LogError> {
        let there = self.checkpoints.all().await?.len();
        let missing = notes.get(there..).unwrap_or_default();
        for batch in missing.chunks(MOST) {
            let message = |note: &String| append::Message {
                subject: self.checkpoints.subject(),
                headers: HeaderMap::new(),
                bytes: Bytes::copy_from_slice(note.as_bytes()),
            };
            let batch = batch.iter().map(message).collect();
            publish_all(&self.checkpoints.connection, batch, "restore checkpoints").await?;
        }
        Ok(())
    }

    /// Opens the streams to everybody, the log's last.
    ///
    /// # Errors
    /// [`LogError::Unavailable`].
    pub async fn finish(&self) -> Result<(), LogError> {
        for connection in self.connections().into_iter().rev() {
            connection.finish_restoring().await?;
        }
        Ok(())
    }

    fn connections(&self) -> [&Connection; 3] {
        [
            &self.log.reading,
            &self.keys.connection,
            &self.checkpoints.connection,
        ]
    }

    /// Writes one batch; `None` if the broker takes one of its ids for a repetition.
    async fn put_batch(
        &self,
        after: Position,
        messages: &[Option<Message>],
    ) -> Result<Option<Position>, LogError> {
        let reached = Position(after.0 + messages.len() as u64);
        let mut said = String::new();
        for _ in 0..TRIES {
            let batch = self.batch(after, messages);
            let unsure = match publish(&self.log.reading.client, batch).await {
                Ok(last) if last == reached.0 => return Ok(Some(reached)),
                // A single message whose id came just before is acknowledged with the position of that one.
                Ok(last) if last <= after.0 => format!("it repeats the message at {last}"),
                Ok(last) => return Err(interfered(reached, Position(last))),
                Err(error @ (AppendError::Conflict { .. } | AppendError::Unknown { .. })) => {
                    error.to_string()
                }
                Err(error) => {
                    return Err(LogError::Unavailable {
                        what: format!("restore messages: {error}"),
                    });
                }
            };
            match self.log.reading.facts().await {
                Ok(facts) if facts.last == reached => return Ok(Some(reached)),
                Ok(facts) if facts.last != after => return Err(interfered(after, facts.last)),
                Ok(_) if messages.len() > 1 && said == unsure => return Ok(None),
                _ => said = unsure,
            }
            sleep(PAUSE).await;
        }
        Err(LogError::Unavailable {
            what: format!("restore messages: {said}"),
        })
    }

    fn batch(&self, after: Position, messages: &[Option<Message>]) -> Vec<append::Message> {
        let mut position = after;
        let message = |message: &Option<Message>| {
            let first = position == after;
            position.0 += 1;
            let mut published = match message {
                Some(message) => published(message),
                None => self.placeholder(position),
            };
            if first {
                published.headers.insert(
                    header::NATS_EXPECTED_LAST_SEQUENCE,
                    HeaderValue::from(after.0),
                );
            }
            published
        };
        messages.iter().map(message).collect()
    }

    /// What stands in the place of a lost message: on a subject that is no area's, so that it is no area's last.
    fn placeholder(&self, position: Position) -> append::Message {
        let mut headers = HeaderMap::new();
        headers.insert(LOST, position.to_string());
        append::Message {
            subject: format!("evt.{}.lost", self.log.district),
            headers,
            bytes: Bytes::new(),
        }
    }
}

fn published(message: &Message) -> append::Message {
    let mut headers = HeaderMap::new();
    for (name, value) in &message.headers {
        // What is no header cannot have come from a broker.
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            headers.append(name, value);
        }
    }
    if let Some(id) = &message.id {
        headers.insert(header::NATS_MESSAGE_ID, id.as_str());
    }
    headers.insert(STORED_AT, message.stored_at.to_string());
    append::Message {
        subject: message.subject.clone(),
        headers,
        bytes: message.bytes.clone(),
    }
}

/// Publishes what is all there afterwards. A batch whose outcome is not known ends the restore: the next one looks
/// what is there.
async fn publish_all(
    connection: &Connection,
    batch: Vec<append::Message>,
    what: &str,
) -> Result<(), LogError> {
    let published = publish(&connection.client, batch).await;
    published.map(drop).map_err(|error| LogError::Unavailable {
        what: format!("{what}: {error}"),
    })
}

fn interfered(expected: Position, found: Position) -> LogError {
    LogError::Interfered { expected, found }
}
