//! Reading events that are there.

use std::collections::HashMap;

use async_nats::{header, jetstream::message::StreamMessage};
use bytes::Bytes;
use gridkeeper_proto::{
    area::AreaCode,
    envelope::Position,
    id::EventId,
    integrity::{Integrity, Standing},
    tree::TreeHash,
};

use crate::{EventLog, LogError, append};

/// A message as it stands in the log: an event, but for what the log itself says otherwise of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its position.
    pub position: Position,
    /// The area of its subject; `None` where the subject is no area's, as it may be for what is no
    /// event, and where nothing is left of what is lost. The broker counts it among the area's
    /// messages, whatever it is.
    pub area: Option<AreaCode>,
    /// Its bytes; none where it is lost.
    pub bytes: Bytes,
    /// The hash of its leaf in the tree.
    pub leaf: TreeHash,
    /// What it is to a reader.
    pub standing: Standing,
}

impl Stored {
    /// A message with these bytes at a position, by what the log says of itself.
    ///
    /// # Errors
    /// [`LogError::Foreign`] for one on a subject that is no area's, where no statement says so.
    pub fn of(
        position: Position,
        subject: &str,
        bytes: Bytes,
        statements: &Integrity,
    ) -> Result<Self, LogError> {
        let standing = statements.standing(position);
        let area = AreaCode::from_subject(subject);
        if standing == Standing::Lost {
            return Ok(Self {
                area,
                ..Self::lost(position)
            });
        }
        if area.is_none() && standing != Standing::Quarantined {
            return Err(LogError::Foreign { position });
        }
        let leaf = standing.leaf(&bytes);
        Ok(Self {
            position,
            area,
            bytes,
            leaf,
            standing,
        })
    }

    /// A message that was given up as lost, and of which nothing is left.
    #[must_use]
    pub fn lost(position: Position) -> Self {
        Self {
            position,
            area: None,
            bytes: Bytes::new(),
            leaf: Standing::Lost.leaf(&[]),
            standing: Standing::Lost,
        }
    }

    /// Whether it is an event to be folded.
    #[must_use]
    pub fn is_event(&self) -> bool {
        self.standing == Standing::Event
    }

    /// Whether it is an event of an area, or of one in it.
    #[must_use]
    pub fn is_event_in(&self, area: &AreaCode) -> bool {
        self.is_event() && self.area.is_some_and(|own| area.contains(&own))
    }
}

/// The last event of an area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its place.
    pub position: Position,
    /// Its id.
    pub event_id: EventId,
    /// Its bytes.
    pub bytes: Bytes,
}

impl EventLog {
    /// The last event of an area; none for an area without events.
    ///
    /// # Errors
    /// The broker does not answer, or a foreign message stands there.
    pub async fn head(&self, area: AreaCode) -> Result<Option<Head>, LogError> {
        Ok(self.heads([area]).await?.remove(&area))
    }

    /// The message at a position.
    ///
    /// # Errors
    /// [`LogError::Missing`], [`LogError::Unavailable`] and [`LogError::Foreign`].
    pub async fn read(&self, position: Position) -> Result<Stored, LogError> {
        match self.reading.message(position).await? {
            Some(message) => self.stored(position, &message.subject, message.payload),
            None => Err(LogError::Missing { position }),
        }
    }

    /// The messages after a position that are there now, in order: at most `max_events`, and about `max_bytes`, but
    /// at least one where there is one.
    ///
    /// # Errors
    /// [`LogError::Unavailable`], [`LogError::Foreign`] and [`LogError::Gap`].
    pub async fn read_after(
        &self,
        after: Position,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<Stored>, LogError> {
        let mut events = Vec::new();
        let mut last = after;
        let range = (after, ">");
        let reading = self.reading.range(range, max_events, max_bytes, |message| {
            let position = Position(message.sequence);
            self.fill_up(&mut last, position, &mut events)?;
            events.push(self.stored(position, &message.subject, message.payload)?);
            last = position;
            Ok(())
        });
        reading.await?;
        Ok(events)
    }

    /// Adds the lost messages between the last position read and the next one that is there.
    fn fill_up(
        &self,
        last: &mut Position,
        found: Position,
        events: &mut Vec<Stored>,
    ) -> Result<(), LogError> {
        while last.0 + 1 < found.0 {
            let next = Position(last.0 + 1);
            let Some(lost) = self.lost(next) else {
                return Err(LogError::Gap {
                    after: *last,
                    found,
                });
            };
            events.push(lost);
            *last = next;
        }
        Ok(())
    }

    /// A message that is not there; `None` unless it was given up as lost.
    pub(crate) fn lost(&self, position: Position) -> Option<Stored> {
        let standing = self.statements().standing(position);
        (standing == Standing::Lost).then(|| Stored::lost(position))
    }

    /// A message that is there.
    ///
    /// # Errors
    /// [`LogError::Foreign`] where it is on a subject that is no area's, and no statement says so.
    pub(crate) fn stored(
        &self,
        position: Position,
        subject: &str,
        bytes: Bytes,
    ) -> Result<Stored, LogError> {
        Stored::of(position, subject, bytes, &self.statements())
    }

    /// The last events of areas, by one request; areas without events are left out.
    ///
    /// # Errors
    /// As of [`EventLog::head`].
    pub(crate) async fn heads(
        &self,
        areas: impl IntoIterator<Item = AreaCode>,
    ) -> Result<HashMap<AreaCode, Head>, LogError> {
        let subjects: Vec<_> = areas.into_iter().map(|area| area.subject()).collect();
        let mut heads = HashMap::new();
        let reading = self.reading.last_of_each(subjects, |message| {
            let position = Position(message.sequence);
            let area = AreaCode::from_subject(&message.subject);
            heads.insert(area.ok_or(LogError::Foreign { position })?, head(message)?);
            Ok(())
        });
        reading.await?;
        Ok(heads)
    }
}

fn head(message: StreamMessage) -> Result<Head, LogError> {
    let position = Position(message.sequence);
    let id = message.headers.get(header::NATS_MESSAGE_ID);
    let event_id = id
        .and_then(|id| id.as_str().split(append::AFTER_LOSS).next()?.parse().ok())
        .ok_or(LogError::Foreign { position })?;
    Ok(Head {
        position,
        event_id,
        bytes: message.payload,
    })
}
