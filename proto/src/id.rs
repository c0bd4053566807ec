//! Typed ids. A phone makes the ids of its reports and commands (UUIDv7); everything after that derives
//! its ids, so that trying again makes the same ones.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::code::{Code, Coded};

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a UUID such as 01980000-0000-7000-8000-000000000000")]
pub struct IdError {
    text: String,
}

impl Coded for IdError {
    fn code(&self) -> Code {
        Code(11)
    }
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Types an id.
            #[must_use]
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// From the sixteen bytes, as they stand in keys of views.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The sixteen bytes; they order as the ids do.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id without its type.
            #[must_use]
            pub const fn uuid(&self) -> Uuid {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::try_parse(text)
                    .map(Self)
                    .map_err(|_| IdError { text: text.chars().take(60).collect() })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(&self.0)
                } else {
                    // A tuple of bytes has no length in front, unlike the byte string of `Uuid`.
                    self.as_bytes().serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    struct Visitor;
                    impl de::Visitor<'_> for Visitor {
                        type Value = $name;

                        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                            f.write_str("a UUID as a string")
                        }

                        fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                            text.parse().map_err(E::custom)
                        }
                    }
                    deserializer.deserialize_str(Visitor)
                } else {
                    <[u8; 16]>::deserialize(deserializer).map(Self::from_bytes)
                }
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(
                        utoipa::openapi::KnownFormat::Uuid,
                    )))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
        }
    };
}

typed_id! {
    /// A case; made by whoever files the report, as a UUIDv7.
    CaseId
}
typed_id! {
    /// A first inquiry; made by whoever takes the question, as a UUIDv7.
    InquiryId
}
typed_id! {
    /// What an event happened to: a case, an inquiry, an area's roster, a district's rules. The type of the event
    /// tells which of them.
    AggregateId
}
typed_id! {
    /// A command; made by whoever sends it, and the same at every try. A report's is its case's id.
    CommandId
}
typed_id! {
    /// A log; made once, by the installation that begins it, and the same in every copy of it.
    LogId
}
typed_id! {
    /// An event; follows from its command and its place among the command's events.
    EventId
}

impl InquiryId {
    /// Whether this is a UUIDv7, as the ids that phones make have to be.
    #[must_use]
    pub fn is_time_ordered(&self) -> bool {
        self.0.get_version_num() == 7
    }
}

impl CaseId {
    /// Whether this is a UUIDv7, as the ids that phones make have to be: their order in time keeps the
    /// views' keys close together.
    #[must_use]
    pub fn is_time_ordered(&self) -> bool {
        self.0.get_version_num() == 7
    }
}

impl From<CaseId> for AggregateId {
    fn from(case: CaseId) -> Self {
        Self(case.0)
    }
}

impl From<InquiryId> for AggregateId {
    fn from(inquiry: InquiryId) -> Self {
        Self(inquiry.0)
    }
}

impl From<AggregateId> for InquiryId {
    /// The inquiry of an event of an inquiry.
    fn from(aggregate: AggregateId) -> Self {
        Self(aggregate.0)
    }
}

impl From<AggregateId> for CaseId {
    /// The case of an event of a case.
    fn from(aggregate: AggregateId) -> Self {
        Self(aggregate.0)
    }
}

impl AggregateId {
    /// The one aggregate of a kind that an area has, such as its roster.
    #[must_use]
    pub fn of_area(area: crate::area::AreaCode, kind: &str) -> Self {
        let parts = [area.as_str().as_bytes(), &[0], kind.as_bytes()];
        Self(derived("gridkeeper aggregate id of area v1", &parts))
    }
}

impl From<CaseId> for CommandId {
    /// The command of the report that opens a case.
    fn from(case: CaseId) -> Self {
        Self(case.0)
    }
}

/// Sixteen bytes of a keyed hash as a UUIDv8, the version meant for ids of one's own making.
fn derived(domain: &str, parts: &[&[u8]]) -> Uuid {
    let mut hasher = blake3::Hasher::new_derive_key(domain);
    for part in parts {
        hasher.update(part);
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

impl EventId {
    /// The id of a command's event number `index`.
    #[must_use]
    pub fn of(command: CommandId, index: u32) -> Self {
        Self(derived(
            "gridkeeper event id v1",
            &[command.as_bytes(), &index.to_be_bytes()],
        ))
    }
}

impl EventId {
    /// The id of a command's event number `index` of an aggregate. The aggregate is part of it, so that a sender who
    /// uses one id for the commands of several aggregates does not make the log take them for repetitions.
    #[must_use]
    pub fn in_aggregate(aggregate: AggregateId, command: CommandId, index: u32) -> Self {
        Self(derived(
            "gridkeeper event id in case v1",
            &[
                aggregate.as_bytes(),
                command.as_bytes(),
                &index.to_be_bytes(),
            ],
        ))
    }
}

impl CommandId {
    /// The id of the command that a service sends by itself to an aggregate of a version, named by its content.
    #[must_use]
    pub fn of_content(aggregate: AggregateId, version: u32, content: &[u8]) -> Self {
        Self(derived(
            "gridkeeper command id of content v1",
            &[aggregate.as_bytes(), &version.to_be_bytes(), content],
        ))
    }

    /// The id of the command that a service sends by itself for a case, named by what makes it unique.
    #[must_use]
    pub fn derived(case: CaseId, purpose: &str, mark: i64) -> Self {
        Self(derived(
            "gridkeeper command id v1",
            &[case.as_bytes(), &mark.to_be_bytes(), purpose.as_bytes()],
        ))
    }
}

impl CaseId {
    /// The id of the case that stands for a record of another system, so that a second import finds it.
    /// It carries the record's own time as a UUIDv7 does.
    #[must_use]
    pub fn of_source(system: &str, record: &str, created: crate::time::Timestamp) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("gridkeeper case id of source v1");
        hasher.update(&(system.len() as u64).to_be_bytes());
        hasher.update(system.as_bytes());
        hasher.update(record.as_bytes());
        let mut random = [0; 10];
        hasher.finalize_xof().fill(&mut random);
        let millis = u64::try_from(created.millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}
