//! Why a command is not recorded, and why intake stops.

use std::path::PathBuf;

use gridkeeper_district::LocateError;
use gridkeeper_http::ClockFault;
use gridkeeper_proto::{
    area::AreaCode,
    case::{CaseKind, EvolveError, Refusal},
    chain::ChainError,
    checkpoint::CheckpointError,
    code::{Code, Coded},
    envelope::{EnvelopeError, Position},
    id::{CaseId, LogId},
    rules::RulesError,
    tree::TreeHash,
};

/// Why a command is not recorded, or why intake does not run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The case's rules say no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The point has no grid.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// More commands wait than may.
    #[error("{waiting} commands wait to be decided; send the same id again in a moment")]
    Busy {
        /// The length of the queue.
        waiting: usize,
    },
    /// More commands of one area wait than may.
    #[error(
        "{waiting} commands of area {area} wait to be decided; send the same id again in a moment"
    )]
    AreaBusy {
        /// The area.
        area: AreaCode,
        /// How many may wait.
        waiting: usize,
    },
    /// The log did not acknowledge in time.
    #[error(
        "the log did not acknowledge in time ({detail}); nothing is known to be lost: send the same id again"
    )]
    Unacknowledged {
        /// What was seen last.
        detail: String,
    },
    /// Others were faster, again and again.
    #[error("others changed the same area {tries} times in between; send the same id again")]
    Contended {
        /// How often it was decided.
        tries: u32,
    },
    /// It has not read the log to its end yet, or stops.
    #[error("intake takes no commands right now: {why}; send the same id again")]
    NotReady {
        /// Starting or stopping.
        why: &'static str,
    },
    /// The keys of personal data cannot be reached.
    #[error(
        "the store of keys does not answer ({detail}); nothing was recorded: send the same id again"
    )]
    Keys {
        /// What was seen.
        detail: String,
    },
    /// Recorded, and the key still exists.
    #[error(
        "it is recorded that the parties of case {case} are forgotten, but their key could not be destroyed yet; send the same id again"
    )]
    KeyRemains {
        /// The case.
        case: CaseId,
    },
    /// The broker will not take these events, however often they are sent.
    #[error("the log does not take the command's events: {detail}; nothing was recorded")]
    NotTaken {
        /// The broker's reason.
        detail: String,
    },
    /// The case's id is no UUIDv7.
    #[error("the id of a report or an inquiry has to be a UUIDv7, made when it is written down")]
    IdVersion,
    /// The category is none of the district's.
    #[error("'{category}' is no category of this district")]
    UnknownCategory {
        /// As sent, shortened.
        category: String,
    },
    /// The category belongs to the other kind.
    #[error("category '{category}' is for a {expected:?}, and the report says {sent:?}")]
    CategoryKind {
        /// The category.
        category: String,
        /// Its kind.
        expected: CaseKind,
        /// The report's kind.
        sent: CaseKind,
    },
    /// Neither grid nor point.
    #[error("a report has to say where: give 'grid' or 'location'")]
    NoPlace,
    /// The area is no grid of the district.
    #[error("{area} is no grid of district {district}")]
    UnknownGrid {
        /// As sent.
        area: AreaCode,
        /// The district.
        district: AreaCode,
    },
    /// The area named to take the case is none of the district's.
    #[error("{area} is no area of district {district}")]
    UnknownArea {
        /// As sent.
        area: AreaCode,
        /// The district.
        district: AreaCode,
    },
    /// The number of people makes no sense.
    #[error("'people' has to be 1 to 1,000,000, not {people}")]
    People {
        /// As sent.
        people: u32,
    },
    /// More parties than one case may have.
    #[error("a report takes up to 50 parties, not {count}")]
    TooManyParties {
        /// As sent.
        count: usize,
    },
    /// An empty batch, or one that is too large.
    #[error("a request takes 1 to 500 reports, not {count}")]
    BatchSize {
        /// As sent.
        count: usize,
    },
    /// An option makes no sense.
    #[error("option {option}: {why}")]
    Option {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The endpoint does not start.
    #[error("the endpoint does not start: {detail}")]
    Endpoint {
        /// What was said.
        detail: String,
        /// The code of the cause.
        code: Code,
    },
    /// The log cannot be opened or read.
    #[error("the log cannot be used: {detail}")]
    Log {
        /// What was said.
        detail: String,
        /// The code of the cause.
        code: Code,
    },
    /// An event of the log does not decode.
    #[error("event at position {position}: {source}")]
    Event {
        /// Its place.
        position: Position,
        /// What is wrong with it.
        source: EnvelopeError,
    },
    /// An event of the log does not follow from those before.
    #[error(transparent)]
    Evolve(#[from] EvolveError),
    /// An event does not belong where it stands.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The rules in the log cannot be used.
    #[error("event at position {position}: {source}")]
    Rules {
        /// Its place.
        position: Position,
        /// What is wrong with them.
        source: RulesError,
    },
    /// The district's own rules cannot be adopted.
    #[error("the district's folder and the log disagree: {0}")]
    Adopt(Refusal),
    /// The log is another one than the one that this installation writes.
    #[error("this is log {found}, and this installation has written log {expected}")]
    AnotherLog {
        /// The log that was written.
        expected: LogId,
        /// The log that is there, or that the key is for.
        found: LogId,
    },
    /// The log has another history than the one that was acknowledged.
    #[error(
        "the log up to position {position} is not the one that was acknowledged: its root is another one"
    )]
    AnotherHistory {
        /// The position of the root.
        position: Position,
    },
    /// The broker tells of messages that it does not give.
    #[error("positions {from} to {to} cannot be read: the broker gives no message of them")]
    Unreadable {
        /// The first position.
        from: Position,
        /// The last position.
        to: Position,
    },
    /// What is kept of the log beside the broker cannot be used.
    #[error("{}: {detail}", path.display())]
    Evidence {
        /// The file or folder.
        path: PathBuf,
        /// What was said.
        detail: String,
    },
    /// A disk is nearly full, and nothing new is taken in.
    #[error(
        "the disk of {} has {free} bytes left, fewer than the {below} below which nothing new is taken in; what was acknowledged is kept: send the same id again later",
        folder.display()
    )]
    DiskFull {
        /// A folder on it.
        folder: PathBuf,
        /// Its free bytes.
        free: u64,
        /// The mark.
        below: u64,
    },
    /// A disk fills.
    #[error("the disk of {} has {free} bytes left, fewer than the {below} of the alarm", folder.display())]
    DiskLow {
        /// A folder on it.
        folder: PathBuf,
        /// Its free bytes.
        free: u64,
        /// The mark.
        below: u64,
    },
    /// The free space of a disk cannot be measured.
    #[error("nobody can say how much space is left on the disk of {}: {detail}", folder.display())]
    DiskUnknown {
        /// A folder on it.
        folder: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// The time is in doubt, and time alone would decide the command.
    #[error("{0}; nothing was recorded: send the same id again")]
    Clock(ClockFault),
    /// A checkpoint in the folder is none of this log's.
    #[error("{}: {source}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// A checkpoint cannot be signed.
    #[error(transparent)]
    Signing(#[from] CheckpointError),
    /// What a command is for was lost.
    #[error(
        "it was lost: the event at position {position} was given up by the statement at position {statement}; file it again"
    )]
    Lost {
        /// Where it was.
        position: Position,
        /// The statement's position.
        statement: Position,
    },
    /// The event at the position is another one than the one asked for.
    #[error("the event at position {position} is not the one with the leaf {leaf}")]
    AnotherLeaf {
        /// The position.
        position: Position,
        /// The leaf asked for.
        leaf: TreeHash,
    },
    /// The position is behind the end.
    #[error("there is no position {position}: the log ends at {last}")]
    BeyondEnd {
        /// The position asked for.
        position: Position,
        /// The end.
        last: Position,
    },
    /// A proof of a position that is after the one up to which it is asked for.
    #[error(
        "position {position} is not within the log up to position {to}, which the proof is to be about"
    )]
    NotWithin {
        /// The position asked for.
        position: Position,
        /// The end that was asked about.
        to: Position,
    },
    /// The log is shorter than what this intake has seen of it.
    #[error("the log ends at position {last}, and this intake has seen it up to {seen}")]
    Shorter {
        /// The log's end.
        last: Position,
        /// What was seen.
        seen: Position,
    },
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Refused(error) => error.code(),
            Self::Locate(error) => error.code(),
            Self::Event { source, .. } => source.code(),
            Self::Evolve(error) => error.code(),
            Self::Rules { source, .. } => source.code(),
            Self::Adopt(refusal) => refusal.code(),
            Self::Endpoint { code, .. } | Self::Log { code, .. } => *code,
            Self::Busy { .. } => Code(500),
            Self::AreaBusy { .. } => Code(507),
            Self::Unacknowledged { .. } => Code(501),
            Self::Contended { .. } => Code(502),
            Self::NotReady { .. } => Code(503),
            Self::Keys { .. } => Code(504),
            Self::KeyRemains { .. } => Code(505),
            Self::NotTaken { .. } => Code(506),
            Self::IdVersion => Code(510),
            Self::UnknownCategory { .. } => Code(511),
            Self::CategoryKind { .. } => Code(512),
            Self::NoPlace => Code(513),
            Self::UnknownGrid { .. } => Code(514),
            Self::UnknownArea { .. } => Code(515),
            Self::People { .. } => Code(516),
            Self::TooManyParties { .. } => Code(517),
            Self::BatchSize { .. } => Code(518),
            Self::Option { .. } => Code(520),
            Self::Chain(error) => error.code(),
            Self::Shorter { .. } => Code(308),
            Self::AnotherLog { .. } => Code(321),
            Self::AnotherHistory { .. } => Code(322),
            Self::Unreadable { .. } => Code(323),
            Self::Evidence { .. } => Code(531),
            Self::Checkpoint { source, .. } => source.code(),
            Self::Signing(error) => error.code(),
            Self::Lost { .. } => Code(530),
            Self::AnotherLeaf { .. } => Code(532),
            Self::BeyondEnd { .. } | Self::NotWithin { .. } => Code(533),
            Self::DiskFull { .. } => Code(534),
            Self::Clock(fault) => fault.code(),
            Self::DiskLow { .. } => Code(537),
            Self::DiskUnknown { .. } => Code(538),
        }
    }
}

impl Error {
    /// Whether the same command may be sent again unchanged.
    #[must_use]
    pub fn retry(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. }
                | Self::AreaBusy { .. }
                | Self::Unacknowledged { .. }
                | Self::Contended { .. }
                | Self::NotReady { .. }
                | Self::Keys { .. }
                | Self::KeyRemains { .. }
                | Self::Evidence { .. }
                | Self::DiskFull { .. }
                | Self::Clock(_)
        )
    }
}
