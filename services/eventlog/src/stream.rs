//! The stream: made as the log needs it, or checked and refused.

use std::time::Duration;

use async_nats::jetstream::{
    self,
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, Stream},
};
use gridkeeper_proto::{area::AreaCode, envelope::Position};
use serde::{Deserialize, Serialize};

use crate::LogError;

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

/// The log of one district.
#[derive(Clone, Debug)]
pub struct EventLog {
    pub(crate) client: async_nats::Client,
    pub(crate) stream: Stream<()>,
    pub(crate) district: AreaCode,
    pub(crate) request_timeout: Duration,
}

impl EventLog {
    /// Connects to the broker and to the district's stream, which is made where there is none.
    ///
    /// # Errors
    /// The broker is not there, or has a stream of that name that is not as the log needs it. That
    /// stream is left as it is.
    pub async fn open(url: &str, district: AreaCode, options: &Options) -> Result<Self, LogError> {
        let client = connect(url, "gridkeeper event log", options).await?;
        let stream = open_stream(&client, needed(district, options)).await?;
        Ok(Self {
            client,
            stream,
            district,
            request_timeout: options.request_timeout(),
        })
    }

    /// The district.
    #[must_use]
    pub fn district(&self) -> AreaCode {
        self.district
    }

    /// The position of the last event; zero for an empty log.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn last_position(&self) -> Result<Position, LogError> {
        let info =
            self.stream.get_info().await.map_err(|error| {
                LogError::unavailable("ask for the last position")(error.into())
            })?;
        Ok(Position(info.state.last_sequence))
    }
}

pub(crate) async fn connect(
    url: &str,
    name: &str,
    options: &Options,
) -> Result<async_nats::Client, LogError> {
    async_nats::ConnectOptions::new()
        .name(name)
        .ping_interval(Duration::from_secs(2))
        .request_timeout(Some(options.request_timeout()))
        .connect(url)
        .await
        .map_err(|error| LogError::unavailable("connect")(error.into()))
}

/// Makes a stream where there is none of its name, and refuses one that is not as needed.
pub(crate) async fn open_stream(
    client: &async_nats::Client,
    needed: Config,
) -> Result<Stream<()>, LogError> {
    let context = jetstream::new(client.clone());
    let name = needed.name.clone();
    // Making a stream that exists changes nothing and answers with what it is.
    match context.create_stream(needed.clone()).await {
        Ok(made) => check(&name, &made.cached_info().config, &needed)?,
        Err(refused) => {
            let found = context
                .get_stream(&name)
                .await
                .map_err(|_| LogError::unavailable("make the stream")(refused.into()))?;
            check(&name, &found.cached_info().config, &needed)?;
        }
    }
    context
        .get_stream_no_info(&name)
        .await
        .map_err(|error| LogError::unavailable("open the stream")(error.into()))
}

fn needed(district: AreaCode, options: &Options) -> Config {
    Config {
        name: format!("EVT_{district}"),
        subjects: vec![district.subject_filter()],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_bytes: -1,
        max_age: Duration::ZERO,
        deny_delete: true,
        deny_purge: true,
        allow_direct: true,
        allow_atomic_publish: true,
        duplicate_window: options.duplicate_window(),
        num_replicas: options.replicas,
        ..Config::default()
    }
}

/// Compares what the promise of the log stands on, field by field.
fn check(stream: &str, found: &Config, needed: &Config) -> Result<(), LogError> {
    let mut differences = Vec::new();
    macro_rules! same {
        ($($field:ident),+ $(,)?) => {
            $(if found.$field != needed.$field {
                differences.push(format!(
                    "{} is {:?} and has to be {:?}",
                    stringify!($field), found.$field, needed.$field
                ));
            })+
        };
    }
    same!(
        subjects,
        retention,
        storage,
        discard,
        max_messages,
        max_messages_per_subject,
        max_bytes,
        max_age,
        deny_delete,
        deny_purge,
        allow_direct,
        allow_atomic_publish,
        allow_rollup,
        allow_message_ttl,
        allow_message_schedules,
        num_replicas,
        sealed,
        no_ack,
    );
    if differences.is_empty() {
        return Ok(());
    }
    let (stream, differences) = (stream.to_owned(), differences.join("; "));
    Err(LogError::Stream {
        stream,
        differences,
    })
}
