//! What can go wrong with the log.

use gridkeeper_proto::{
    area::AreaCode,
    code::{Code, Coded},
    envelope::Position,
    id::LogId,
};

/// Why the log does not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The broker cannot be reached, or does not answer in time.
    #[error("the broker does not answer: {what}")]
    Unavailable {
        /// What was tried, and what was said.
        what: String,
    },
    /// The stream is there, and is not what the log needs.
    #[error("stream {stream} is not as the log needs it: {differences}")]
    Stream {
        /// Its name.
        stream: String,
        /// Each field that differs, with what is found and what is needed.
        differences: String,
    },
    /// No event stands at the position.
    #[error("the log holds no event at position {position}")]
    Missing {
        /// The position asked for.
        position: Position,
    },
    /// The log ends before what was read of it.
    #[error("the log ends at position {last}, and it was read up to {read}")]
    Shorter {
        /// Its end.
        last: Position,
        /// What was read.
        read: Position,
    },
    /// Events between two others are not there.
    #[error("the event at position {found} follows the one at {after}: events between are missing")]
    Gap {
        /// The last event before.
        after: Position,
        /// The next that is there.
        found: Position,
    },
    /// The log is not the one that was read.
    #[error("this is log {}, and what was read is of log {expected}", named(.found))]
    AnotherLog {
        /// The log that was read.
        expected: LogId,
        /// The log that is there; `None` for one without an id.
        found: Option<LogId>,
    },
    /// Another event is at a position than the one that was read.
    #[error("the event at position {position} is not the one that was read there")]
    AnotherEvent {
        /// The position.
        position: Position,
    },
    /// Events before a position are other ones than those that were read.
    #[error(
        "the log up to position {position} has another root than what was read or acknowledged"
    )]
    AnotherHistory {
        /// The position.
        position: Position,
    },
    /// The broker tells of messages that it does not give.
    #[error("positions {from} to {to} cannot be read: {said}")]
    Unreadable {
        /// The first position.
        from: Position,
        /// The last position.
        to: Position,
        /// What the broker said.
        said: String,
    },
    /// The broker counts fewer messages than the log has positions.
    #[error("{missing} of the log's {last} messages are missing")]
    Hole {
        /// How many.
        missing: u64,
        /// The last position.
        last: Position,
    },
    /// The district has no log.
    #[error("there is no stream {stream}: no intake has begun the log yet, or it is gone")]
    NoStream {
        /// Its name.
        stream: String,
    },
    /// What was read is of a history that was given up.
    #[error("what was read up to position {read} was given up by the statement at {statement}")]
    Superseded {
        /// What was read.
        read: Position,
        /// The statement's position.
        statement: Position,
    },
    /// The stream is being restored from a backup.
    #[error("stream {stream} is not restored to its end yet")]
    BeingRestored {
        /// Its name.
        stream: String,
    },
    /// A stream that is restored is at another position than the restore has left it.
    #[error(
        "the restored log is at position {found} and not at {expected}: somebody else writes to it"
    )]
    Interfered {
        /// Where the restore has left it.
        expected: Position,
        /// Where it is.
        found: Position,
    },
    /// A message is on a subject that is no area's, or without the id of its event.
    #[error("the message at position {position} is not one of the log's")]
    Foreign {
        /// Where it stands.
        position: Position,
    },
}

impl Coded for LogError {
    fn code(&self) -> Code {
        match self {
            Self::Unavailable { .. } => Code(300),
            Self::Stream { .. } => Code(301),
            Self::Missing { .. } => Code(302),
            Self::Foreign { .. } => Code(303),
            Self::Shorter { .. } => Code(308),
            Self::Gap { .. } | Self::Hole { .. } => Code(309),
            Self::AnotherLog { .. } => Code(321),
            Self::AnotherEvent { .. } | Self::AnotherHistory { .. } => Code(322),
            Self::Unreadable { .. } => Code(323),
            Self::NoStream { .. } => Code(324),
            Self::Superseded { .. } => Code(325),
            Self::BeingRestored { .. } => Code(340),
            Self::Interfered { .. } => Code(341),
        }
    }
}

/// Why events were not appended, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Nothing was appended: areas are not at the positions expected.
    #[error("areas went on since their state was read")]
    Conflict {
        /// Those areas; none where all that the broker gives is as it was expected.
        moved: Vec<AreaCode>,
        /// The position of the last message that the broker counts in one of the areas, where it
        /// says.
        counted: Option<Position>,
    },
    /// Nobody knows whether they were appended; the same append again finds out.
    #[error("the broker did not answer: {what}")]
    Unknown {
        /// What was said last.
        what: String,
    },
    /// Nothing was appended: the log is not the one that the events were decided on, or cannot be asked.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Nothing was appended, and never will be.
    #[error("the broker refuses the append ({err_code}): {description}")]
    Refused {
        /// JetStream's error code.
        err_code: u64,
        /// What it said.
        description: String,
    },
    /// The append is empty, larger than an atomic batch, or names an area of another district.
    #[error("an append holds 1 to {most} events of the district; this one: {what}")]
    Shape {
        /// The most it may hold.
        most: usize,
        /// What is wrong.
        what: String,
    },
}

impl Coded for AppendError {
    fn code(&self) -> Code {
        match self {
            Self::Conflict { .. } => Code(304),
            Self::Unknown { .. } => Code(305),
            Self::Log(error) => error.code(),
            Self::Refused { .. } => Code(306),
            Self::Shape { .. } => Code(307),
        }
    }
}

impl LogError {
    /// Whether the same may be tried again later: the broker is away, no intake has begun the log yet, or it is being
    /// restored.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::NoStream { .. } | Self::BeingRestored { .. }
        )
    }

    pub(crate) fn unavailable(what: &str) -> impl FnOnce(async_nats::Error) -> Self {
        move |error| Self::Unavailable {
            what: format!("{what}: {error}"),
        }
    }
}

fn named(log: &Option<LogId>) -> String {
    log.map_or_else(|| "without an id".to_owned(), |log| log.to_string())
}

pub(crate) fn outside(area: AreaCode, most: usize) -> AppendError {
    AppendError::Shape {
        most,
        what: format!("{area} lies in another district"),
    }
}
