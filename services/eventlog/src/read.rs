//! Reading events that are there.

use std::collections::HashMap;

use async_nats::{
    header,
    jetstream::{message::StreamMessage, stream::DirectGetErrorKind},
};
use bytes::Bytes;
use futures::StreamExt as _;
use gridkeeper_proto::{area::AreaCode, envelope::Position, id::EventId};
use serde::Serialize;
use tokio::time::timeout;

use crate::{EventLog, LogError};

/// Statuses of messages that end an answer of several.
const END_OF_BATCH: u16 = 204;
const NOTHING_THERE: u16 = 404;

/// An event as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place.
    pub position: Position,
    /// Its area.
    pub area: AreaCode,
    /// Its bytes.
    pub bytes: Bytes,
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

    /// The events after a position that are there now, in order: at most `max_events`, and about
    /// `max_bytes`, but at least one where there is one.
    ///
    /// # Errors
    /// The broker does not answer, a foreign message stands there, or events between are missing.
    pub async fn read_after(
        &self,
        after: Position,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<Stored>, LogError> {
        let request = RangeRequest {
            seq: after.0 + 1,
            batch: max_events,
            max_bytes,
            next_by_subj: ">",
        };
        let mut events = Vec::new();
        let mut last = after;
        self.ask_for_several(&request, |message| {
            let stored = stored(message)?;
            if stored.position.0 != last.0 + 1 {
                let found = stored.position;
                return Err(LogError::Gap { after: last, found });
            }
            last = stored.position;
            events.push(stored);
            Ok(())
        })
        .await?;
        Ok(events)
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
        let request = LastRequest {
            batch: subjects.len(),
            multi_last: subjects,
        };
        let mut heads = HashMap::new();
        self.ask_for_several(&request, |message| {
            let position = Position(message.sequence);
            let area = AreaCode::from_subject(&message.subject);
            heads.insert(area.ok_or(LogError::Foreign { position })?, head(message)?);
            Ok(())
        })
        .await?;
        Ok(heads)
    }

    /// Sends a request that the stream answers with several messages, and takes each of them.
    async fn ask_for_several(
        &self,
        request: &impl Serialize,
        mut take: impl FnMut(StreamMessage) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let inbox = self.client.new_inbox();
        let mut replies = self
            .client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| LogError::unavailable("read events")(error.into()))?;
        let request = serde_json::to_vec(request)
            .map_err(|error| LogError::unavailable("ask for events")(error.into()))?;
        let subject = format!("$JS.API.DIRECT.GET.EVT_{}", self.district);
        self.client
            .publish_with_reply(subject, inbox, request.into())
            .await
            .map_err(|error| LogError::unavailable("ask for events")(error.into()))?;
        loop {
            let reply = timeout(self.request_timeout, replies.next()).await;
            let Ok(Some(message)) = reply else {
                return Err(LogError::Unavailable {
                    what: "read events: no answer in time".to_owned(),
                });
            };
            match message.status.map(|status| status.as_u16()) {
                None => {}
                Some(END_OF_BATCH | NOTHING_THERE) => return Ok(()),
                Some(status) => {
                    return Err(LogError::Unavailable {
                        what: format!("read events: the broker answers {status}"),
                    });
                }
            }
            let message = StreamMessage::try_from(message)
                .map_err(|error| LogError::unavailable("read an event")(error.into()))?;
            take(message)?;
        }
    }
}

/// JetStream's request for the last message of each subject.
#[derive(Serialize)]
struct LastRequest {
    multi_last: Vec<String>,
    batch: usize,
}

/// JetStream's request for a range of messages.
#[derive(Serialize)]
struct RangeRequest {
    seq: u64,
    batch: usize,
    max_bytes: usize,
    next_by_subj: &'static str,
}

fn head(message: StreamMessage) -> Result<Head, LogError> {
    let position = Position(message.sequence);
    let id = message.headers.get(header::NATS_MESSAGE_ID);
    let event_id = id
        .and_then(|id| id.as_str().parse().ok())
        .ok_or(LogError::Foreign { position })?;
    Ok(Head {
        position,
        event_id,
        bytes: message.payload,
    })
}

fn stored(message: StreamMessage) -> Result<Stored, LogError> {
    let position = Position(message.sequence);
    let area = AreaCode::from_subject(&message.subject).ok_or(LogError::Foreign { position })?;
    Ok(Stored {
        position,
        area,
        bytes: message.payload,
    })
}
