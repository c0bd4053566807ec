//! The events of a case's life.
//!
//! What is written to the log are the frozen structs of [`v1`] and [`v2`]. [`Event`] holds
//! the newest version of each; [`decode`] brings older ones up to it. The numbers in [`EVENT_TYPES`] are
//! the storage format: a number or a version is never used for something else, and a retired one stays
//! in the table.

pub mod v1;
pub mod v2;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use v1::{
    AcceptedV1 as Accepted, AssignedV1 as Assigned, CancelledV1 as Cancelled, ClosedV1 as Closed,
    ExtendedV1 as Extended, HandlingRecordedV1 as HandlingRecorded, MergedV1 as Merged,
    PartiesForgottenV1 as PartiesForgotten, RatedV1 as Rated, RemindedV1 as Reminded,
    ReopenedV1 as Reopened, ReportedV1 as Reported, ResolvedV1 as Resolved, ResumedV1 as Resumed,
    ReturnedV1 as Returned, ReworkOrderedV1 as ReworkOrdered, SuspendedV1 as Suspended,
    TransferredV1 as Transferred, VerifiedV1 as Verified,
};
pub use v2::{
    DeadlineMissedV2 as DeadlineMissed, EscalatedV2 as Escalated, SupervisedV2 as Supervised,
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
    /// 提醒: a card ahead of the due time or after it.
    Reminded(Reminded),
    /// 延期
    Extended(Extended),
}

/// Number, newest version and name of every event type. The numbers are for ever.
pub const EVENT_TYPES: [(u16, u16, &str); 22] = [
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
    (13, 2, "deadline_missed"),
    (14, 2, "escalated"),
    (15, 2, "supervised"),
    (16, 1, "merged"),
    (17, 1, "reopened"),
    (18, 1, "cancelled"),
    (19, 1, "rated"),
    (20, 1, "parties_forgotten"),
    (21, 1, "reminded"),
    (22, 1, "extended"),
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
            Self::DeadlineMissed(event) => payload(13, 2, event),
            Self::Escalated(event) => payload(14, 2, event),
            Self::Supervised(event) => payload(15, 2, event),
            Self::Merged(event) => payload(16, 1, event),
            Self::Reopened(event) => payload(17, 1, event),
            Self::Cancelled(event) => payload(18, 1, event),
            Self::Rated(event) => payload(19, 1, event),
            Self::PartiesForgotten(event) => payload(20, 1, event),
            Self::Reminded(event) => payload(21, 1, event),
            Self::Extended(event) => payload(22, 1, event),
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
            Self::Reminded(_) => 21,
            Self::Extended(_) => 22,
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
            | Self::Escalated(v2::EscalatedV2 { holder, due_at, .. })
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
    let decoded = match (event_type, schema_version) {
        (1, 1) => exact(bytes, Event::Reported),
        (2, 1) => exact(bytes, Event::Accepted),
        (3, 1) => exact(bytes, Event::Assigned),
        (4, 1) => exact(bytes, Event::HandlingRecorded),
        (5, 1) => exact(bytes, Event::Resolved),
        (6, 1) => exact(bytes, Event::Verified),
        (7, 1) => exact(bytes, Event::ReworkOrdered),
        (8, 1) => exact(bytes, Event::Closed),
        (9, 1) => exact(bytes, Event::Returned),
        (10, 1) => exact(bytes, Event::Suspended),
        (11, 1) => exact(bytes, Event::Resumed),
        (12, 1) => exact(bytes, Event::Transferred),
        (13, 1) => exact(bytes, |v1: v1::DeadlineMissedV1| {
            Event::DeadlineMissed(v1.into())
        }),
        (13, 2) => exact(bytes, Event::DeadlineMissed),
        (14, 1) => exact(bytes, |v1: v1::EscalatedV1| Event::Escalated(v1.into())),
        (14, 2) => exact(bytes, Event::Escalated),
        (15, 1) => exact(bytes, |v1: v1::SupervisedV1| Event::Supervised(v1.into())),
        (15, 2) => exact(bytes, Event::Supervised),
        (16, 1) => exact(bytes, Event::Merged),
        (17, 1) => exact(bytes, Event::Reopened),
        (18, 1) => exact(bytes, Event::Cancelled),
        (19, 1) => exact(bytes, Event::Rated),
        (20, 1) => exact(bytes, Event::PartiesForgotten),
        (21, 1) => exact(bytes, Event::Reminded),
        (22, 1) => exact(bytes, Event::Extended),
        _ => {
            return Err(EnvelopeError::UnknownType {
                event_type,
                schema_version,
            });
        }
    };
    decoded.map_err(|_| EnvelopeError::Payload {
        event_type,
        schema_version,
    })
}

fn exact<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
    event: impl FnOnce(T) -> Event,
) -> Result<Event, postcard::Error> {
    decode_exact(bytes).map(event)
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
