//! The events of a case's life.
//!
//! What is written to the log are the frozen structs of [`v1`] (and of later modules). [`Event`] holds
//! the newest version of each; [`decode`] brings older ones up to it. The numbers in [`EVENT_TYPES`] are
//! the storage format: a number or a version is never used for something else, and a retired one stays
//! in the table.

pub mod v1;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use v1::{
    AcceptedV1 as Accepted, AssignedV1 as Assigned, CancelledV1 as Cancelled, ClosedV1 as Closed,
    DeadlineMissedV1 as DeadlineMissed, EscalatedV1 as Escalated,
    HandlingRecordedV1 as HandlingRecorded, MergedV1 as Merged,
    PartiesForgottenV1 as PartiesForgotten, RatedV1 as Rated, ReopenedV1 as Reopened,
    ReportedV1 as Reported, ResolvedV1 as Resolved, ResumedV1 as Resumed, ReturnedV1 as Returned,
    ReworkOrderedV1 as ReworkOrdered, SupervisedV1 as Supervised, SuspendedV1 as Suspended,
    TransferredV1 as Transferred, VerifiedV1 as Verified,
};

use crate::{
    case::Holder,
    envelope::{EnvelopeError, Header, Position, decode_exact},
    time::Timestamp,
};

/// An event in its newest version.
#[expect(
    clippy::large_enum_variant,
    reason = "every case begins with the large one: boxing it saves nothing"
)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// 上报
    Reported(Reported),
    /// 受理
    Accepted(Accepted),
    /// 派遣
    Assigned(Assigned),
    /// 处置
    HandlingRecorded(HandlingRecorded),
    /// 办结
    Resolved(Resolved),
    /// 核查 passed
    Verified(Verified),
    /// 核查 failed: 返工
    ReworkOrdered(ReworkOrdered),
    /// 结案
    Closed(Closed),
    /// 退回
    Returned(Returned),
    /// 挂起
    Suspended(Suspended),
    /// The clock of a suspended case runs again.
    Resumed(Resumed),
    /// 移交
    Transferred(Transferred),
    /// 逾期
    DeadlineMissed(DeadlineMissed),
    /// 升级
    Escalated(Escalated),
    /// 督办
    Supervised(Supervised),
    /// Merged with the case it repeats.
    Merged(Merged),
    /// Opened again.
    Reopened(Reopened),
    /// Not gone on with, with a reason.
    Cancelled(Cancelled),
    /// 回访
    Rated(Rated),
    /// The key to the parties' personal data was destroyed.
    PartiesForgotten(PartiesForgotten),
}

/// Number, newest version and name of every event type. The numbers are for ever.
pub const EVENT_TYPES: [(u16, u16, &str); 20] = [
    (1, 1, "reported"),
    (2, 1, "accepted"),
    (3, 1, "assigned"),
    (4, 1, "handling_recorded"),
    (5, 1, "resolved"),
    (6, 1, "verified"),
    (7, 1, "rework_ordered"),
    (8, 1, "closed"),
    (9, 1, "returned"),
    (10, 1, "suspended"),
    (11, 1, "resumed"),
    (12, 1, "transferred"),
    (13, 1, "deadline_missed"),
    (14, 1, "escalated"),
    (15, 1, "supervised"),
    (16, 1, "merged"),
    (17, 1, "reopened"),
    (18, 1, "cancelled"),
    (19, 1, "rated"),
    (20, 1, "parties_forgotten"),
];

/// An event as it stands in the log: where, its header, and what happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its place in the log.
    pub position: Position,
    /// Who, when, to which case.
    pub header: Header,
    /// What happened.
    pub event: Event,
}

/// A payload ready for an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Number of the type.
    pub event_type: u16,
    /// Version of the type.
    pub schema_version: u16,
    /// The encoded struct.
    pub bytes: Vec<u8>,
}

fn payload(event_type: u16, schema_version: u16, value: &impl Serialize) -> Payload {
    let bytes = postcard::to_allocvec(value).expect("a payload struct always encodes");
    Payload {
        event_type,
        schema_version,
        bytes,
    }
}

impl Event {
    /// Encodes the newest version.
    #[must_use]
    pub fn encode(&self) -> Payload {
        match self {
            Self::Reported(event) => payload(1, 1, event),
            Self::Accepted(event) => payload(2, 1, event),
            Self::Assigned(event) => payload(3, 1, event),
            Self::HandlingRecorded(event) => payload(4, 1, event),
            Self::Resolved(event) => payload(5, 1, event),
            Self::Verified(event) => payload(6, 1, event),
            Self::ReworkOrdered(event) => payload(7, 1, event),
            Self::Closed(event) => payload(8, 1, event),
            Self::Returned(event) => payload(9, 1, event),
            Self::Suspended(event) => payload(10, 1, event),
            Self::Resumed(event) => payload(11, 1, event),
            Self::Transferred(event) => payload(12, 1, event),
            Self::DeadlineMissed(event) => payload(13, 1, event),
            Self::Escalated(event) => payload(14, 1, event),
            Self::Supervised(event) => payload(15, 1, event),
            Self::Merged(event) => payload(16, 1, event),
            Self::Reopened(event) => payload(17, 1, event),
            Self::Cancelled(event) => payload(18, 1, event),
            Self::Rated(event) => payload(19, 1, event),
            Self::PartiesForgotten(event) => payload(20, 1, event),
        }
    }

    /// The type's name, as `type` in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        let number = self.encode_type();
        EVENT_TYPES[usize::from(number) - 1].2
    }

    /// The type's number.
    #[must_use]
    pub fn encode_type(&self) -> u16 {
        match self {
            Self::Reported(_) => 1,
            Self::Accepted(_) => 2,
            Self::Assigned(_) => 3,
            Self::HandlingRecorded(_) => 4,
            Self::Resolved(_) => 5,
            Self::Verified(_) => 6,
            Self::ReworkOrdered(_) => 7,
            Self::Closed(_) => 8,
            Self::Returned(_) => 9,
            Self::Suspended(_) => 10,
            Self::Resumed(_) => 11,
            Self::Transferred(_) => 12,
            Self::DeadlineMissed(_) => 13,
            Self::Escalated(_) => 14,
            Self::Supervised(_) => 15,
            Self::Merged(_) => 16,
            Self::Reopened(_) => 17,
            Self::Cancelled(_) => 18,
            Self::Rated(_) => 19,
            Self::PartiesForgotten(_) => 20,
        }
    }

    /// The holder and due time that this event gives the case, where it gives them.
    #[must_use]
    pub fn charge(&self) -> Option<(&Holder, Timestamp)> {
        match self {
            Self::Reported(v1::ReportedV1 { holder, due_at, .. })
            | Self::Accepted(v1::AcceptedV1 { holder, due_at, .. })
            | Self::Assigned(v1::AssignedV1 { holder, due_at, .. })
            | Self::Resolved(v1::ResolvedV1 { holder, due_at, .. })
            | Self::Verified(v1::VerifiedV1 { holder, due_at, .. })
            | Self::ReworkOrdered(v1::ReworkOrderedV1 { holder, due_at, .. })
            | Self::Returned(v1::ReturnedV1 { holder, due_at, .. })
            | Self::Transferred(v1::TransferredV1 { holder, due_at, .. })
            | Self::Escalated(v1::EscalatedV1 { holder, due_at, .. })
            | Self::Reopened(v1::ReopenedV1 { holder, due_at, .. }) => Some((holder, *due_at)),
            _ => None,
        }
    }
}

/// Decodes a payload of any released version and brings it up to the newest.
///
/// # Errors
/// [`EnvelopeError::UnknownType`] for a type or version that this build does not know, and
/// [`EnvelopeError::Payload`] for bytes that do not decode exactly.
pub fn decode(event_type: u16, schema_version: u16, bytes: &[u8]) -> Result<Event, EnvelopeError> {
    let broken = |_| EnvelopeError::Payload {
        event_type,
        schema_version,
    };
    match (event_type, schema_version) {
        (1, 1) => decode_exact(bytes).map(Event::Reported).map_err(broken),
        (2, 1) => decode_exact(bytes).map(Event::Accepted).map_err(broken),
        (3, 1) => decode_exact(bytes).map(Event::Assigned).map_err(broken),
        (4, 1) => decode_exact(bytes)
            .map(Event::HandlingRecorded)
            .map_err(broken),
        (5, 1) => decode_exact(bytes).map(Event::Resolved).map_err(broken),
        (6, 1) => decode_exact(bytes).map(Event::Verified).map_err(broken),
        (7, 1) => decode_exact(bytes)
            .map(Event::ReworkOrdered)
            .map_err(broken),
        (8, 1) => decode_exact(bytes).map(Event::Closed).map_err(broken),
        (9, 1) => decode_exact(bytes).map(Event::Returned).map_err(broken),
        (10, 1) => decode_exact(bytes).map(Event::Suspended).map_err(broken),
        (11, 1) => decode_exact(bytes).map(Event::Resumed).map_err(broken),
        (12, 1) => decode_exact(bytes).map(Event::Transferred).map_err(broken),
        (13, 1) => decode_exact(bytes)
            .map(Event::DeadlineMissed)
            .map_err(broken),
        (14, 1) => decode_exact(bytes).map(Event::Escalated).map_err(broken),
        (15, 1) => decode_exact(bytes).map(Event::Supervised).map_err(broken),
        (16, 1) => decode_exact(bytes).map(Event::Merged).map_err(broken),
        (17, 1) => decode_exact(bytes).map(Event::Reopened).map_err(broken),
        (18, 1) => decode_exact(bytes).map(Event::Cancelled).map_err(broken),
        (19, 1) => decode_exact(bytes).map(Event::Rated).map_err(broken),
        (20, 1) => decode_exact(bytes)
            .map(Event::PartiesForgotten)
            .map_err(broken),
        _ => Err(EnvelopeError::UnknownType {
            event_type,
            schema_version,
        }),
    }
}

impl Recorded {
    /// Decodes an event's bytes whole.
    ///
    /// # Errors
    /// Any [`EnvelopeError`].
    pub fn decode(position: Position, bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let (header, payload) = Header::decode(bytes)?;
        let event = decode(header.event_type, header.schema_version, payload)?;
        Ok(Self {
            position,
            header,
            event,
        })
    }
}
