//! What ends a command.

use std::{io, path::PathBuf};

use gridkeeper_broker::BrokerError;
use gridkeeper_district::DistrictError;
use gridkeeper_eventlog::{AppendError, LogError, diagnosis::Stretch, verify::Break};
use gridkeeper_identity::KeyError;
use gridkeeper_proto::{
    access::ClaimsError,
    area::AreaCode,
    checkpoint::CheckpointError,
    clock::ClockError,
    code::{Code, Coded},
    duty::PlanError,
    envelope::{EnvelopeError, Position},
    id::LogId,
    time::Day,
    whatif::ReplayError,
};

use crate::{config::ConfigError, door::DoorError, import::ImportError};

/// Why a command ended without what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file or folder of the command line.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A part of the process ended by itself.
    #[error("the {part} ended without being asked to: {reason}")]
    Ended {
        /// The part.
        part: &'static str,
        /// Why, as far as it is known.
        reason: String,
    },
    /// The district has no policy.
    #[error("district {district} has no policy.toml: without limits no case would have a due time")]
    NoPolicy {
        /// The district.
        district: AreaCode,
    },
    /// A span that ends before it begins.
    #[error("the span ends on {to}, before it begins on {from}")]
    Span {
        /// The first day.
        from: Day,
        /// The last day.
        to: Day,
    },
    /// The data folder holds no installation.
    #[error("there is no installation in {}: `gridkeeper init` makes one", data.display())]
    NotInstalled {
        /// The data folder.
        data: PathBuf,
    },
    /// The data folder is somebody else's.
    #[error(
        "{} holds {}, and nothing of an installation: name an empty folder",
        data.display(),
        found.display()
    )]
    Foreign {
        /// The data folder.
        data: PathBuf,
        /// What it holds.
        found: PathBuf,
    },
    /// An installation whose keys are gone.
    #[error(
        "{} holds no keys, but services were at work here ({}): restore the folder from a backup, \
         or `gridkeeper keys rotate` for a new key",
        keys.display(),
        sign.display()
    )]
    KeysLost {
        /// The folder of the keys.
        keys: PathBuf,
        /// A file by which services were at work.
        sign: PathBuf,
    },
    /// The clock of the hours of service.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The log was restored, and it is known to have been longer.
    #[error(
        "the log is restored up to its backup's end, but {by} says that it had {to} messages: positions {from} to {to} are missing from the backup"
    )]
    RestoredShorter {
        /// The first position that is missing.
        from: Position,
        /// The last one that is known.
        to: Position,
        /// Who says so.
        by: String,
    },
    /// The views are not what the log gives.
    #[error("{keys} keys of the running views differ from rebuilt ones")]
    Differ {
        /// How many.
        keys: u64,
    },
    /// The broker's process.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An event of the log does not decode.
    #[error(transparent)]
    Event(#[from] EnvelopeError),
    /// A file is not of the form that it has to have.
    #[error("{}: {detail}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The plan of duty contradicts itself.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The log cannot be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// Something is wrong with the log, as was said.
    #[error("the log is not whole: what is wrong with it, and which way back fits, is said above")]
    Unsound,
    /// Nothing that begins at the position is missing.
    #[error(
        "no lost stretch holds position {position}; missing are: {}",
        listed(missing)
    )]
    NothingLost {
        /// The position.
        position: Position,
        /// What is missing.
        missing: Vec<Stretch>,
    },
    /// A part of the lost end of a log.
    #[error(
        "the end of the log is lost from position {} to {}: give up all of it, `--from {}` without `--to`",
        end.from,
        end.to,
        end.from
    )]
    PartOfEnd {
        /// The end.
        end: Stretch,
    },
    /// Nobody knows of the log that it ever reached a position.
    #[error("position {to} cannot be given up: the log is not known to have reached beyond {last}")]
    BeyondKnown {
        /// The position.
        to: Position,
        /// The last one that is known.
        last: Position,
    },
    /// The message at the position is an event, or is not there.
    #[error(
        "no message at position {position} is foreign to the log; foreign are: {}",
        listed_positions(foreign)
    )]
    NotForeign {
        /// The position.
        position: Position,
        /// The positions of messages that are no events.
        foreign: Vec<Position>,
    },
    /// Nothing is added to a log of which events were changed, but that they are given up.
    #[error(
        "the log holds other events than it held, at the positions {}: restore a backup, or give these up first: `gridkeeper log accept-loss --changed`",
        listed_positions(changed)
    )]
    Changed {
        /// Where they are.
        changed: Vec<Position>,
    },
    /// Positions are of another history that is known, and are given up together with it.
    #[error(
        "of positions {from} to {to} another history is known than this log's: put aside what was exchanged, or give that history up: `gridkeeper log accept-loss --other-history`"
    )]
    OtherHistory {
        /// The first.
        from: Position,
        /// The last.
        to: Position,
    },
    /// The broker counts more messages than it gives.
    #[error(
        "the broker counts the log up to position {counted} and gives it up to {last}: start the broker again, which then counts what it has, and repeat the command"
    )]
    Counted {
        /// The last position that it counts.
        counted: Position,
        /// The last that it gives.
        last: Position,
    },
    /// No event was changed.
    #[error(
        "no event of the log was changed, and no other history is known, as far as chains, roots and views tell"
    )]
    NothingChanged,
    /// A reason that says nothing, or too much.
    #[error("a reason takes 1 to 4,000 characters, not {characters}")]
    Reason {
        /// How many it has.
        characters: usize,
    },
    /// The log does not take a statement.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A checkpoint, or the key of checkpoints.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file with a checkpoint.
    #[error(
        "{}: {source}; put the file aside: the other checkpoints, and those on the broker, still hold",
        path.display()
    )]
    CheckpointFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// A checkpoint that was named is none.
    #[error("{}: {source}", path.display())]
    NamedCheckpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// The key that was named is not the log's.
    #[error("the key that `--key` names is of the log {of}, and this log is {found}")]
    KeyOfAnotherLog {
        /// The log that the key is of.
        of: LogId,
        /// The log.
        found: LogId,
    },
    /// A break in the log.
    #[error(transparent)]
    Break(#[from] Break),
    /// Intake.
    #[error(transparent)]
    Intake(#[from] gridkeeper_intake::Error),
    /// The aggregator.
    #[error(transparent)]
    Aggregator(#[from] gridkeeper_aggregator::Error),
    /// The query service.
    #[error(transparent)]
    Query(#[from] gridkeeper_query::Error),
    /// The escalator.
    #[error(transparent)]
    Escalator(#[from] gridkeeper_escalator::Error),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A district's folder.
    #[error(transparent)]
    District(#[from] DistrictError),
    /// A backup.
    #[error(transparent)]
    Backup(#[from] gridkeeper_backup::Error),
    /// Keys.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Claims of a token.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// Intake's door.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// An import.
    #[error(transparent)]
    Import(#[from] ImportError),
}

impl Error {
    /// Whether the command has done its work, and something remains that has to be decided by hand.
    pub(crate) fn is_remainder(&self) -> bool {
        matches!(self, Self::RestoredShorter { .. })
    }
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } => Code(820),
            Self::Ended { .. } => Code(822),
            Self::NoPolicy { .. } => Code(823),
            Self::Clock(error) => error.code(),
            Self::Differ { .. } => Code(824),
            Self::Broker(error) => error.code(),
            Self::Log(error) => error.code(),
            Self::Unsound => Code(840),
            Self::NothingLost { .. } | Self::PartOfEnd { .. } => Code(841),
            Self::NotForeign { .. } => Code(842),
            Self::Changed { .. } | Self::OtherHistory { .. } => Code(328),
            Self::NothingChanged => Code(841),
            Self::Counted { .. } => Code(304),
            Self::Reason { .. } => Code(843),
            Self::BeyondKnown { .. } => Code(844),
            Self::Append(error) => error.code(),
            Self::Checkpoint(error)
            | Self::CheckpointFile { source: error, .. }
            | Self::NamedCheckpoint { source: error, .. } => error.code(),
            Self::KeyOfAnotherLog { .. } => Code(346),
            Self::Break(error) => error.code(),
            Self::Event(error) => error.code(),
            Self::Replay(error) => error.code(),
            Self::Plan(error) => error.code(),
            Self::Form { .. } => Code(825),
            Self::Span { .. } => Code(826),
            Self::NotInstalled { .. } => Code(830),
            Self::Foreign { .. } => Code(831),
            Self::KeysLost { .. } => Code(832),
            Self::RestoredShorter { .. } => Code(353),
            Self::Backup(error) => error.code(),
            Self::Intake(error) => error.code(),
            Self::Aggregator(error) => error.code(),
            Self::Query(error) => error.code(),
            Self::Escalator(error) => error.code(),
            Self::Config(error) => error.code(),
            Self::District(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Claims(error) => error.code(),
            Self::Door(error) => error.code(),
            Self::Import(error) => error.code(),
        }
    }
}

fn listed(stretches: &[Stretch]) -> String {
    let named = stretches.iter();
    let named: Vec<_> = named
        .map(|stretch| format!("{} to {}", stretch.from, stretch.to))
        .collect();
    match named.is_empty() {
        true => "none".to_owned(),
        false => named.join(", "),
    }
}

fn listed_positions(positions: &[Position]) -> String {
    match positions {
        [] => "none".to_owned(),
        some => some
            .iter()
            .map(Position::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}
