//! What happens, as the log keeps it.
//!
//! What is written to the log are the frozen structs of [`v1`] and [`v2`]. The enums of this module hold the
//! newest version of each; [`decode`] brings older ones up to it. The numbers and versions in `family!` are the
//! storage format: a number or a version is never used for something else, and a retired one stays there.

mod case;
mod inquiry;
mod integrity;
mod roster;
mod rules;
pub mod v1;
pub mod v2;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use case::*;
pub use inquiry::*;
pub use integrity::*;
pub use roster::*;
pub use rules::*;

use crate::envelope::{EnvelopeError, Header, Position};

/// Any event. In JSON it is the event itself, which its `type` names.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every event is the large one: boxing it saves nothing"
)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Event {
    /// Of a case's life.
    Case(CaseEvent),
    /// Of the district's rules.
    Rules(RulesEvent),
    /// Of an area's roster.
    Roster(RosterEvent),
    /// Of a first inquiry.
    Inquiry(InquiryEvent),
    /// Of the log itself.
    Integrity(IntegrityEvent),
}

/// An event as it stands in the log: where, its header, and what happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded<E = Event> {
    /// Its place in the log.
    pub position: Position,
    /// Who, when, to which aggregate.
    pub header: Header,
    /// What happened.
    pub event: E,
}

/// A recorded event by what it happened to.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every event is of a case: boxing it saves nothing"
)]
#[derive(Clone, Debug, PartialEq)]
pub enum ByAggregate {
    /// Of a case.
    Case(Recorded<CaseEvent>),
    /// Of the district's rules.
    Rules(Recorded<RulesEvent>),
    /// Of an area's roster.
    Roster(Recorded<RosterEvent>),
    /// Of a first inquiry.
    Inquiry(Recorded<InquiryEvent>),
    /// Of the log itself.
    Integrity(Recorded<IntegrityEvent>),
}

impl Recorded {
    /// The event by what it happened to.
    #[must_use]
    pub fn by_aggregate(self) -> ByAggregate {
        let Self {
            position,
            header,
            event,
        } = self;
        match event {
            Event::Case(event) => ByAggregate::Case(Recorded::new(position, header, event)),
            Event::Rules(event) => ByAggregate::Rules(Recorded::new(position, header, event)),
            Event::Roster(event) => ByAggregate::Roster(Recorded::new(position, header, event)),
            Event::Inquiry(event) => ByAggregate::Inquiry(Recorded::new(position, header, event)),
            Event::Integrity(event) => {
                ByAggregate::Integrity(Recorded::new(position, header, event))
            }
        }
    }
}

impl ByAggregate {
    /// The event's header.
    #[must_use]
    pub fn header(&self) -> &Header {
        match self {
            Self::Case(recorded) => &recorded.header,
            Self::Rules(recorded) => &recorded.header,
            Self::Roster(recorded) => &recorded.header,
            Self::Inquiry(recorded) => &recorded.header,
            Self::Integrity(recorded) => &recorded.header,
        }
    }
}

impl<E> Recorded<E> {
    fn new(position: Position, header: Header, event: E) -> Self {
        Self {
            position,
            header,
            event,
        }
    }
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

/// The events of one kind of aggregate: the number of each, its newest version and its name, and the structs of
/// older versions.
macro_rules! family {
    (
        $(#[$meta:meta])*
        pub enum $family:ident {
            $(
                $(#[$doc:meta])*
                $variant:ident = $number:literal v $version:literal $name:literal
                $(, v $old:literal $older:ty)* ;
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(tag = "type", rename_all = "snake_case")]
        pub enum $family {
            $($(#[$doc])* $variant($variant),)*
        }

        impl $family {
            /// Number, newest version and name of every type. The numbers are for ever.
            pub const TYPES: &[(u16, u16, &str)] = &[$(($number, $version, $name),)*];

            /// Encodes the newest version.
            #[must_use]
            pub fn encode(&self) -> $crate::event::Payload {
                match self {
                    $(Self::$variant(event) => $crate::event::payload($number, $version, event),)*
                }
            }

            /// The type's name, as `type` in JSON.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }

            /// Decodes a version of one of these types; none for another type.
            pub(super) fn decode(
                event_type: u16,
                schema_version: u16,
                bytes: &[u8],
            ) -> Option<Result<Self, postcard::Error>> {
                use $crate::envelope::decode_exact;
                match (event_type, schema_version) {
                    $(
                        ($number, $version) => Some(decode_exact(bytes).map(Self::$variant)),
                        $(($number, $old) => Some(
                            decode_exact::<$older>(bytes).map(|older| Self::$variant(older.into())),
                        ),)*
                    )*
                    _ => None,
                }
            }
        }
    };
}
use family;

impl Event {
    /// Encodes the newest version.
    #[must_use]
    pub fn encode(&self) -> Payload {
        match self {
            Self::Case(event) => event.encode(),
            Self::Rules(event) => event.encode(),
            Self::Roster(event) => event.encode(),
            Self::Inquiry(event) => event.encode(),
            Self::Integrity(event) => event.encode(),
        }
    }

    /// The type's name, as `type` in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Case(event) => event.name(),
            Self::Rules(event) => event.name(),
            Self::Roster(event) => event.name(),
            Self::Inquiry(event) => event.name(),
            Self::Integrity(event) => event.name(),
        }
    }
}

impl From<CaseEvent> for Event {
    fn from(event: CaseEvent) -> Self {
        Self::Case(event)
    }
}

impl From<RulesEvent> for Event {
    fn from(event: RulesEvent) -> Self {
        Self::Rules(event)
    }
}

impl From<RosterEvent> for Event {
    fn from(event: RosterEvent) -> Self {
        Self::Roster(event)
    }
}

impl From<InquiryEvent> for Event {
    fn from(event: InquiryEvent) -> Self {
        Self::Inquiry(event)
    }
}

impl From<IntegrityEvent> for Event {
    fn from(event: IntegrityEvent) -> Self {
        Self::Integrity(event)
    }
}

/// Number, newest version and name of every event type.
pub fn types() -> impl Iterator<Item = (u16, u16, &'static str)> {
    let families = [
        CaseEvent::TYPES,
        RulesEvent::TYPES,
        RosterEvent::TYPES,
        InquiryEvent::TYPES,
        IntegrityEvent::TYPES,
    ];
    families.into_iter().flatten().copied()
}

/// Decodes a payload of any released version and brings it up to the newest.
///
/// # Errors
/// [`EnvelopeError::UnknownType`] for a type or version that this build does not know, and
/// [`EnvelopeError::Payload`] for bytes that do not decode exactly.
pub fn decode(event_type: u16, schema_version: u16, bytes: &[u8]) -> Result<Event, EnvelopeError> {
    /// The event, if the type is one of this family.
    type Decoded<T> = Option<Result<T, postcard::Error>>;
    fn of<T: Into<Event>>(decoded: Decoded<T>) -> Decoded<Event> {
        decoded.map(|event| event.map(Into::into))
    }
    let (number, version) = (event_type, schema_version);
    let decoded = of(CaseEvent::decode(number, version, bytes))
        .or_else(|| of(RulesEvent::decode(number, version, bytes)))
        .or_else(|| of(RosterEvent::decode(number, version, bytes)))
        .or_else(|| of(InquiryEvent::decode(number, version, bytes)))
        .or_else(|| of(IntegrityEvent::decode(number, version, bytes)));
    match decoded {
        Some(Ok(event)) => Ok(event),
        Some(Err(_)) => Err(EnvelopeError::Payload {
            event_type,
            schema_version,
        }),
        None => Err(EnvelopeError::UnknownType {
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
