//! Reading messages exactly as the broker has them, for copies of the log.

use async_nats::{HeaderMap, header, jetstream::message::StreamMessage};
use bytes::Bytes;
use gridkeeper_proto::{envelope::Position, integrity::Integrity};

use crate::{EventLog, LogError, Stored};

/// The header of a restored message that says when the broker first took it.
pub(crate) const STORED_AT: &str = "Gridkeeper-Stored-At";
/// Headers that the broker and its clients use for the delivery; a copy has none of them.
const OF_DELIVERY: &str = "Nats-";

/// A message exactly as the broker has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its position.
    pub position: Position,
    /// Its subject, whether or not it is an area's.
    pub subject: String,
    /// The id by which the broker drops repetitions, `Nats-Msg-Id`.
    pub id: Option<String>,
    /// Its other headers, without those of the delivery, in the order of their names.
    pub headers: Vec<(String, String)>,
    /// When the broker took it for the first time, in nanoseconds since 1970 (UTC).
    pub stored_at: i64,
    /// Its bytes.
    pub bytes: Bytes,
}

impl Message {
    /// What it is to a reader of the log.
    ///
    /// # Errors
    /// [`LogError::Foreign`].
    pub fn stored(&self, statements: &Integrity) -> Result<Stored, LogError> {
        Stored::of(self.position, &self.subject, self.bytes.clone(), statements)
    }
}

impl EventLog {
    /// The messages after a position that the broker gives now, in order: at most `max_messages`, and about
    /// `max_bytes`, but at least one where there is one. Positions may be missing between them.
    ///
    /// # Errors
    /// [`LogError::Unavailable`].
    pub async fn messages_after(
        &self,
        after: Position,
        max_messages: usize,
        max_bytes: usize,
    ) -> Result<Vec<Message>, LogError> {
        let mut messages = Vec::new();
        let reading = self
            .reading
            .range((after, ">"), max_messages, max_bytes, |found| {
                messages.push(message(found));
                Ok(())
            });
        reading.await?;
        Ok(messages)
    }

    /// The message at a position; `None` where the broker gives none.
    ///
    /// # Errors
    /// [`LogError::Unavailable`].
    pub async fn message_at(&self, position: Position) -> Result<Option<Message>, LogError> {
        Ok(self.reading.message(position).await?.map(message))
    }
}

fn message(found: StreamMessage) -> Message {
    let taken = || i64::try_from(found.time.unix_timestamp_nanos()).unwrap_or_default();
    let first = |name: &str| found.headers.get(name).map(async_nats::HeaderValue::as_str);
    let stored_at = first(STORED_AT).and_then(|text| text.parse().ok());
    let id = found.headers.get(header::NATS_MESSAGE_ID);
    Message {
        position: Position(found.sequence),
        stored_at: stored_at.unwrap_or_else(taken),
        id: id.map(|id| id.as_str().to_owned()),
        headers: own_headers(&found.headers),
        subject: found.subject.into_string(),
        bytes: found.payload,
    }
}

fn own_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut own = Vec::new();
    for (name, values) in headers.iter() {
        let name = name.to_string();
        if name.starts_with(OF_DELIVERY) || name == STORED_AT {
            continue;
        }
        own.extend(values.iter().map(|value| (name.clone(), value.to_string())));
    }
    own.sort();
    own
}
