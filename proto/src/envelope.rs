//! The bytes of an event in the log: format byte, header, payload.
//!
//! The header decodes without the payload, so that a reader can route, hash and report an event whose
//! type it does not know. The payload belongs to `(event_type, schema_version)`; see [`crate::event`].

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    access::Actor,
    area::AreaCode,
    code::{Code, Coded},
    id::{AggregateId, CommandId, EventId},
    time::Timestamp,
};

/// First byte of every event. Another layout of the header gets another number; numbers are never used
/// again.
pub const FORMAT: u8 = 1;

/// A place in the log: the stream sequence of an event, counted from 1. Zero is the place before the
/// first.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// BLAKE3 of an event's bytes. All zero stands for "no event before".
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct EventHash(pub [u8; 32]);

impl EventHash {
    /// The hash of an event's bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for EventHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(base16ct::lower::encode_str(&self.0, &mut [0; 64])?)
    }
}

impl fmt::Debug for EventHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for EventHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for EventHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Err(de::Error::custom("event hashes are shown, never read back"));
        }
        <[u8; 32]>::deserialize(deserializer).map(Self)
    }
}

/// What stands in front of every event's payload. Its layout is frozen under [`FORMAT`] 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The event.
    pub event_id: EventId,
    /// What it happened to.
    pub aggregate: AggregateId,
    /// The command it answers.
    pub command_id: CommandId,
    /// Digest of the command's content, to tell a repetition from another command under the same id.
    pub command_digest: [u8; 8],
    /// The consistency boundary and the chain of hashes: the grid that a case was filed in, or the area whose
    /// own matter it is.
    pub area: AreaCode,
    /// When it happened, by the phone's clock or the imported record.
    pub occurred_at: Timestamp,
    /// When intake took it, or the imported record's time; never before the previous event of the same aggregate.
    pub recorded_at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// Number of the payload's type.
    pub event_type: u16,
    /// Version of the payload's type, from 1.
    pub schema_version: u16,
    /// Hash of the event before this one in the same area; zero for the area's first.
    pub previous: EventHash,
}

/// Why bytes are not an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The format byte is not one that this build knows.
    #[error("format {found} of the event is unknown to this version, which knows {FORMAT}")]
    UnknownFormat {
        /// The byte found.
        found: u8,
    },
    /// The bytes stop early or hold what a header cannot hold.
    #[error("the event's header does not decode")]
    Header,
    /// The payload's bytes do not decode exactly.
    #[error("payload of event type {event_type} version {schema_version} does not decode exactly")]
    Payload {
        /// Number of the type.
        event_type: u16,
        /// Version of the type.
        schema_version: u16,
    },
    /// The type or version is unknown to this build.
    #[error("event type {event_type} version {schema_version} is unknown to this version")]
    UnknownType {
        /// Number of the type.
        event_type: u16,
        /// Version of the type.
        schema_version: u16,
    },
}

impl Coded for EnvelopeError {
    fn code(&self) -> Code {
        match self {
            Self::UnknownFormat { .. } => Code(310),
            Self::Header => Code(311),
            Self::Payload { .. } => Code(312),
            Self::UnknownType { .. } => Code(313),
        }
    }
}

impl Header {
    /// The bytes of the event with this header and payload.
    #[must_use]
    pub fn encode(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(192 + payload.len());
        bytes.push(FORMAT);
        let mut bytes = postcard::to_extend(self, bytes).expect("a header always encodes");
        bytes.extend_from_slice(payload);
        bytes
    }

    /// Splits an event's bytes into its header and the payload's bytes.
    ///
    /// # Errors
    /// [`EnvelopeError::UnknownFormat`] and [`EnvelopeError::Header`].
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), EnvelopeError> {
        match bytes.split_first() {
            Some((&FORMAT, rest)) => {
                postcard::take_from_bytes(rest).map_err(|_| EnvelopeError::Header)
            }
            Some((&found, _)) => Err(EnvelopeError::UnknownFormat { found }),
            None => Err(EnvelopeError::Header),
        }
    }
}

/// Decodes a value and requires that no byte is left over.
///
/// # Errors
/// Anything that does not decode, and bytes left over.
pub fn decode_exact<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, postcard::Error> {
    match postcard::take_from_bytes(bytes)? {
        (value, []) => Ok(value),
        _ => Err(postcard::Error::DeserializeBadEncoding),
    }
}
