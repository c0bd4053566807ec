//! Reading single events.

use async_nats::{
    header,
    jetstream::{message::StreamMessage, stream::DirectGetErrorKind},
};
use bytes::Bytes;
use gridkeeper_proto::{area::AreaCode, envelope::Position, id::EventId};

use crate::{EventLog, LogError};

/// An event as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place.
    pub position: Position,
    /// Its grid.
    pub grid: AreaCode,
    /// Its bytes.
    pub bytes: Bytes,
}

/// The last event of a grid.
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
    /// The last event of a grid; none for a grid without events.
    ///
    /// # Errors
    /// The broker does not answer, or a foreign message stands there.
    pub async fn head(&self, grid: AreaCode) -> Result<Option<Head>, LogError> {
        let Some(subject) = grid.subject() else {
            return Ok(None);
        };
        let message = match self.stream.direct_get_last_for_subject(subject).await {
            Ok(message) => message,
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(LogError::unavailable("read the head of a grid")(
                    error.into(),
                ));
            }
        };
        let position = Position(message.sequence);
        let id = message.headers.get(header::NATS_MESSAGE_ID);
        let event_id = id
            .and_then(|id| id.as_str().parse().ok())
            .ok_or(LogError::Foreign { position })?;
        Ok(Some(Head {
            position,
            event_id,
            bytes: message.payload,
        }))
    }

    /// The event at a position.
    ///
    /// # Errors
    /// None stands there, the broker does not answer, or a foreign message stands there.
    pub async fn read(&self, position: Position) -> Result<Stored, LogError> {
        match self.stream.direct_get(position.0).await {
            Ok(message) => stored(message),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => {
                Err(LogError::Missing { position })
            }
            Err(error) => Err(LogError::unavailable("read an event")(error.into())),
        }
    }
}

fn stored(message: StreamMessage) -> Result<Stored, LogError> {
    let position = Position(message.sequence);
    let grid = AreaCode::from_subject(&message.subject).ok_or(LogError::Foreign { position })?;
    Ok(Stored {
        position,
        grid,
        bytes: message.payload,
    })
}
