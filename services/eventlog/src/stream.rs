//! The stream: made as the log needs it, or checked and refused.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use gridkeeper_proto::{
    area::AreaCode, envelope::Position, id::LogId, integrity::Integrity, time::Timestamp,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::{
    LogError,
    confirm::Holes,
    connection::{Connection, ServerRun, StreamFacts},
    session::Session,
    witness::Witness,
};

/// How the stream is kept, besides what the log always needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// For how long the broker itself drops repeated event ids, in milliseconds, at least 100.
    /// Exactly-once does not stand on it: it only saves a read-back.
    pub duplicate_window_ms: u64,
    /// On how many servers the stream is kept: 1, 3 or 5.
    pub replicas: usize,
    /// How long one request to the broker may take, in milliseconds.
    pub request_timeout_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            duplicate_window_ms: 120_000,
            replicas: 1,
            request_timeout_ms: 5_000,
        }
    }
}

impl Options {
    /// For how long the broker itself drops repeated event ids.
    #[must_use]
    pub const fn duplicate_window(&self) -> Duration {
        Duration::from_millis(self.duplicate_window_ms)
    }

    /// How long one request to the broker may take.
    #[must_use]
    pub const fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

/// The log of one district. Clones are handles on the same log.
#[derive(Clone, Debug)]
pub struct EventLog {
    pub(crate) url: String,
    pub(crate) district: AreaCode,
    pub(crate) options: Options,
    /// For reading; it reconnects without a command.
    pub(crate) reading: Connection,
    /// For appending.
    pub(crate) session: Arc<Mutex<Option<Arc<Session>>>>,
    /// Who else knows the log.
    pub(crate) witness: Option<Witness>,
    /// The run of a server that did not answer an append.
    pub(crate) silent_run: Arc<std::sync::Mutex<Option<ServerRun>>>,
    /// What is missing of it and was given up, as far as it was looked at.
    pub(crate) given_up: Arc<std::sync::Mutex<Option<Holes>>>,
    /// What the log says of itself, as far as it was read.
    statements: Arc<RwLock<Arc<Integrity>>>,
}

/// Which log it is, and where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFacts {
    /// The log; `None` for one that was begun before logs had ids.
    pub log: Option<LogId>,
    /// Its last position; zero for an empty log.
    pub last: Position,
    /// What the broker's clock said; `None` where the broker does not say.
    pub time: Option<Timestamp>,
}

impl EventLog {
    /// A handle on the log of a district. A broker that is not there is waited for by each request, up to its limit.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] for an address that is none.
    pub async fn open(url: &str, district: AreaCode, options: &Options) -> Result<Self, LogError> {
        let needed = needed(district, options);
        Ok(Self {
            url: url.to_owned(),
            district,
            options: options.clone(),
            reading: Connection::open(url, "gridkeeper event log", needed, options).await?,
            session: Arc::default(),
            witness: None,
            silent_run: Arc::default(),
            given_up: Arc::default(),
            statements: Arc::default(),
        })
    }

    /// Makes the stream where there is none, as the log with this id. A stream that was made before logs had ids gets
    /// it.
    ///
    /// # Errors
    /// [`LogError::AnotherLog`], [`LogError::Stream`] for a stream that is not as needed and stays as it is, and
    /// [`LogError::Unavailable`].
    pub async fn begin(&self, log: LogId) -> Result<(), LogError> {
        self.reading.begin(log).await
    }

    /// The district.
    #[must_use]
    pub fn district(&self) -> AreaCode {
        self.district
    }

    /// Which log it is, and where it ends. The options of the stream are checked on the way.
    ///
    /// # Errors
    /// [`LogError::NoStream`], [`LogError::Stream`] and [`LogError::Unavailable`].
    pub async fn facts(&self) -> Result<LogFacts, LogError> {
        let StreamFacts {
            log, last, time, ..
        } = self.reading.facts().await?;
        Ok(LogFacts { log, last, time })
    }

    /// The position of the last event; zero for an empty log.
    ///
    /// # Errors
    /// As [`EventLog::facts`].
    pub async fn last_position(&self) -> Result<Position, LogError> {
        Ok(self.facts().await?.last)
    }

    /// What the log says of itself, as far as it was read by [`EventLog::read_statements`].
    #[must_use]
    pub fn statements(&self) -> Arc<Integrity> {
        let statements = self.statements.read();
        Arc::clone(&statements.unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn keep_statements(&self, integrity: Integrity) -> Arc<Integrity> {
        let mut statements = self
            .statements
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *statements = Arc::new(integrity);
        Arc::clone(&statements)
    }
}

fn needed(district: AreaCode, options: &Options) -> Config {
    Config {
        name: format!("EVT_{district}"),
        subjects: vec![district.subject_filter()],
        deny_delete: true,
        deny_purge: true,
        allow_atomic_publish: true,
        ..kept_for_ever(options)
    }
}

/// The options of a stream from which nothing goes by itself.
pub(crate) fn kept_for_ever(options: &Options) -> Config {
    Config {
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_bytes: -1,
        max_age: Duration::ZERO,
        allow_direct: true,
        duplicate_window: options.duplicate_window(),
        num_replicas: options.replicas,
        ..Config::default()
    }
}
