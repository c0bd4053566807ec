//! Appending statements on the log itself, as a person with the installation's own rights does.
//!
//! A statement is made while no intake can append: the log is not the one that it has written. So it is appended here,
//! on the whole log as it is: if anybody else appends at the same time, it is refused.

use std::collections::HashSet;

use async_nats::{HeaderMap, HeaderValue, header};
use gridkeeper_proto::{
    access::Actor,
    command::digest,
    envelope::{EventHash, Header, Position},
    event::{Event, IntegrityEvent},
    id::{CommandId, EventId},
    integrity::{Integrity, Standing},
    time::Timestamp,
};

use crate::{AppendError, EventLog, LogError, append::send};

impl EventLog {
    /// Appends a statement on the log, if the log still ends at `last`; gives its position.
    ///
    /// # Errors
    /// [`AppendError::Conflict`] where the log went on meanwhile; and as [`EventLog::append`].
    pub async fn state(
        &self,
        statement: IntegrityEvent,
        (actor, at): (Actor, Timestamp),
        last: Position,
    ) -> Result<Position, AppendError> {
        let integrity = self.read_statements().await?;
        let quarantined = match &statement {
            IntegrityEvent::MessageQuarantined(message) => Some(message.position),
            _ => None,
        };
        let previous = self.own_head(&integrity, quarantined).await?;
        // Readers tell statements apart by their times.
        let at = at.max(integrity.stated.plus_millis(1));
        let event = Event::from(statement);
        let payload = event.encode();
        let aggregate = Integrity::id(self.district);
        let command_id = CommandId::of_content(aggregate, integrity.version, &payload.bytes);
        let header = Header {
            event_id: EventId::in_aggregate(aggregate, command_id, 0),
            aggregate,
            command_id,
            command_digest: digest(&payload.bytes),
            area: self.district,
            occurred_at: at,
            recorded_at: at,
            actor,
            event_type: payload.event_type,
            schema_version: payload.schema_version,
            previous,
        };
        let bytes = header.encode(&payload.bytes);
        let mut headers = HeaderMap::new();
        headers.insert(header::NATS_MESSAGE_ID, header.event_id.to_string());
        headers.insert(
            header::NATS_EXPECTED_LAST_SEQUENCE,
            HeaderValue::from(last.0),
        );
        let client = &self.reading.client;
        let position = send(client, self.district.subject(), headers, bytes.into()).await?;
        self.read_statements().await?;
        Ok(Position(position))
    }

    /// The hash of the last event of the district itself. What is no event, or is there once more,
    /// is passed over as readers do once it is quarantined.
    async fn own_head(
        &self,
        integrity: &Integrity,
        quarantined: Option<Position>,
    ) -> Result<EventHash, LogError> {
        let subject = self.district.subject();
        let mut head = EventHash::default();
        let mut seen = HashSet::new();
        let reading = self.reading.all(&subject, |message| {
            let position = Position(message.sequence);
            let standing = integrity.standing(position);
            let counts = matches!(standing, Standing::Event | Standing::SetAside);
            let is_own = Header::decode(&message.payload)
                .is_ok_and(|(header, _)| header.area == self.district);
            let hash = EventHash::of(&message.payload);
            if counts && is_own && quarantined != Some(position) && seen.insert(hash) {
                head = hash;
            }
        });
        reading.await?;
        Ok(head)
    }
}
