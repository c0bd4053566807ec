//! A connection to the broker, and one stream over it.

use std::time::Duration;

use async_nats::{
    Client, ConnectOptions,
    jetstream::{
        self, Context,
        context::GetStreamErrorKind,
        message::StreamMessage,
        response::Response,
        stream::{Config, DirectGetErrorKind, Info, Stream},
    },
};
use futures::StreamExt as _;
use gridkeeper_proto::{envelope::Position, id::LogId, time::Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::{LogError, Options};

/// Under what name the metadata of a stream holds the id of its log.
const LOG: &str = "gridkeeper.log";
/// Metadata of a stream that is not restored to its end yet.
const RESTORING: &str = "gridkeeper.restoring";

/// JetStream's code for a stream that does not exist.
const STREAM_NOT_FOUND: u64 = 10_059;

/// Statuses of messages that end an answer of several.
const END_OF_BATCH: u16 = 204;
const NOTHING_THERE: u16 = 404;

/// How many messages, and how many bytes of them, [`Connection::all`] reads at once.
const RANGE: (usize, usize) = (4_096, 4 << 20);

/// A stream, over one connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    context: Context,
    pub(crate) stream: Stream<()>,
    needed: Config,
    request_timeout: Duration,
    /// Whether this connection restores the stream, so that a half-restored one is open to it.
    restores: bool,
}

/// One run of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerRun {
    pub(crate) name: String,
    /// A new one with each run.
    pub(crate) id: String,
}

/// What the broker tells of a stream.
pub(crate) struct StreamFacts {
    pub(crate) log: Option<LogId>,
    pub(crate) last: Position,
    /// How many messages it holds.
    pub(crate) messages: u64,
    /// What the broker's clock said; `None` where the broker does not say.
    pub(crate) time: Option<Timestamp>,
}

/// JetStream's answer about a stream, with the time that the client library leaves out.
#[derive(Deserialize)]
struct TimedInfo {
    #[serde(flatten)]
    info: Info,
    ts: Option<String>,
}

/// Asks for the positions that have no message, too.
#[derive(Serialize)]
struct DeletedRequest {
    deleted_details: bool,
}

/// A stream that is there where one is to be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupied {
    /// Its name.
    pub stream: String,
    /// How many messages it holds.
    pub messages: u64,
    /// Its log; `None` for one without an id.
    pub log: Option<LogId>,
    /// Whether it is one of the same log that is not restored to its end.
    pub half_restored: bool,
}

/// Options of a connection that waits for a broker that is not there.
pub(crate) fn connect_options(name: &str, options: &Options) -> ConnectOptions {
    ConnectOptions::new()
        .name(name)
        .ping_interval(Duration::from_secs(2))
        .request_timeout(Some(options.request_timeout()))
}

impl Connection {
    /// A connection that reconnects whenever it has to.
    pub(crate) async fn open(
        url: &str,
        name: &str,
        needed: Config,
        options: &Options,
    ) -> Result<Self, LogError> {
        let connecting = connect_options(name, options).retry_on_initial_connect();
        let client = connecting
            .connect(url)
            .await
            .map_err(|error| LogError::unavailable("connect")(error.into()))?;
        Self::over(client, needed, options).await
    }

    pub(crate) async fn over(
        client: Client,
        needed: Config,
        options: &Options,
    ) -> Result<Self, LogError> {
        let mut context = jetstream::new(client.clone());
        context.set_timeout(options.request_timeout());
        let stream = context
            .get_stream_no_info(&needed.name)
            .await
            .map_err(|error| LogError::unavailable("open the stream")(error.into()))?;
        Ok(Self {
            client,
            context,
            stream,
            needed,
            request_timeout: options.request_timeout(),
            restores: false,
        })
    }

    /// The same stream for a restore, which alone may use it until it is whole.
    pub(crate) fn restoring(self) -> Self {
        Self {
            restores: true,
            ..self
        }
    }

    /// The same stream over another client.
    pub(crate) async fn elsewhere(
        &self,
        client: Client,
        options: &Options,
    ) -> Result<Self, LogError> {
        Self::over(client, self.needed.clone(), options).await
    }

    /// The server at the other end.
    pub(crate) fn run(&self) -> ServerRun {
        let info = self.client.server_info();
        ServerRun {
            name: info.server_name,
            id: info.server_id,
        }
    }

    /// Makes the stream where there is none, with the id of its log.
    pub(crate) async fn begin(&self, log: LogId) -> Result<(), LogError> {
        let mut wanted = self.needed.clone();
        wanted.metadata.insert(LOG.to_owned(), log.to_string());
        let found = match self.context.get_stream(&wanted.name).await {
            Ok(found) => found.cached_info().config.clone(),
            Err(error) if is_missing(&error) => {
                let made = self.context.create_stream(wanted).await;
                let made =
                    made.map_err(|error| LogError::unavailable("make the stream")(error.into()))?;
                let info = made.cached_info();
                self.check(&info.config)?;
                return match info.state.messages {
                    0 => Ok(()),
                    _ => self.write_options(info.config.clone()).await,
                };
            }
            Err(error) => return Err(LogError::unavailable("look for the stream")(error.into())),
        };
        self.check(&found)?;
        self.check_restored(&found)?;
        match log_of(&found) {
            Some(other) if other != log => Err(LogError::AnotherLog {
                expected: log,
                found: Some(other),
            }),
            Some(_) => Ok(()),
            None => {
                let named = Config {
                    metadata: wanted.metadata,
                    ..found
                };
                let updated = self.context.update_stream(named).await;
                updated
                    .map(|_| ())
                    .map_err(|error| LogError::unavailable("name the stream")(error.into()))
            }
        }
    }

    /// Lets the broker write its file of a stream's options. Where a stream is made on messages that
    /// are there, a file that is damaged stays as it is, and the stream is gone with the next start
    /// (nats-server 2.15.1).
    async fn write_options(&self, options: Config) -> Result<(), LogError> {
        let written = self.context.update_stream(options).await;
        let failed = |error: jetstream::context::UpdateStreamError| {
            LogError::unavailable("write the stream's options")(error.into())
        };
        written.map(drop).map_err(failed)
    }

    /// What stands in the way of restoring the stream: that it is there, unless it is one of this log that is not
    /// restored to its end; `None` if nothing does.
    pub(crate) async fn occupied(&self, log: LogId) -> Result<Option<Occupied>, LogError> {
        let info = match self.context.get_stream(&self.needed.name).await {
            Ok(found) => found.cached_info().clone(),
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(LogError::unavailable("look for the stream")(error.into())),
        };
        let ours = log_of(&info.config) == Some(log);
        Ok(Some(Occupied {
            stream: info.config.name.clone(),
            messages: info.state.messages,
            half_restored: ours && is_restoring(&info.config),
            log: log_of(&info.config),
        }))
    }

    /// Makes the stream where there is none, closed to all others until [`Self::finish_restoring`].
    pub(crate) async fn begin_restoring(&self, log: LogId) -> Result<(), LogError> {
        /// As short as it can be: a log restored at once has as many ids in minutes as it otherwise has in years.
        const DUPLICATE_WINDOW: Duration = Duration::from_millis(100);
        if self.occupied(log).await?.is_some() {
            return Ok(());
        }
        let mut wanted = self.needed.clone();
        wanted.duplicate_window = DUPLICATE_WINDOW;
        wanted.allow_atomic_publish = true;
        wanted.metadata.insert(LOG.to_owned(), log.to_string());
        wanted
            .metadata
            .insert(RESTORING.to_owned(), "true".to_owned());
        let made = self.context.create_stream(wanted).await;
        let made = made.map_err(|error| LogError::unavailable("make the stream")(error.into()))?;
        self.check(&made.cached_info().config)
    }

    /// Opens a restored stream to everybody.
    pub(crate) async fn finish_restoring(&self) -> Result<(), LogError> {
        let unavailable = LogError::unavailable;
        let found = self.context.get_stream(&self.needed.name).await;
        let found = found.map_err(|error| unavailable("look for the stream")(error.into()))?;
        let mut whole = found.cached_info().config.clone();
        if whole.metadata.remove(RESTORING).is_none() {
            return Ok(());
        }
        whole.duplicate_window = self.needed.duplicate_window;
        whole.allow_atomic_publish = self.needed.allow_atomic_publish;
        let updated = self.context.update_stream(whole).await;
        updated
            .map(|_| ())
            .map_err(|error| unavailable("open the restored stream")(error.into()))
    }

    fn check_restored(&self, found: &Config) -> Result<(), LogError> {
        if is_restoring(found) && !self.restores {
            return Err(LogError::BeingRestored {
                stream: self.needed.name.clone(),
            });
        }
        Ok(())
    }

    /// What the broker tells of the stream, whose options are checked.
    pub(crate) async fn facts(&self) -> Result<StreamFacts, LogError> {
        let TimedInfo { info, ts } = self.info(&()).await?;
        self.check(&info.config)?;
        self.check_restored(&info.config)?;
        Ok(StreamFacts {
            log: log_of(&info.config),
            last: Position(info.state.last_sequence),
            messages: info.state.messages,
            time: ts.and_then(|text| text.parse().ok()),
        })
    }

    /// The positions up to the last one that have no message, in order.
    pub(crate) async fn without_message(&self) -> Result<impl Iterator<Item = Position>, LogError> {
        let request = DeletedRequest {
            deleted_details: true,
        };
        let state = self.info(&request).await?.info.state;
        let between = state.deleted.unwrap_or_default();
        Ok((1..state.first_sequence).chain(between).map(Position))
    }

    /// What the broker tells of the stream.
    async fn info(&self, request: &impl Serialize) -> Result<TimedInfo, LogError> {
        let subject = format!("STREAM.INFO.{}", self.needed.name);
        match self.context.request(subject, request).await {
            Ok(Response::Ok(found)) => Ok(found),
            Ok(Response::Err { error }) if error.error_code().0 == STREAM_NOT_FOUND => {
                Err(LogError::NoStream {
                    stream: self.needed.name.clone(),
                })
            }
            Ok(Response::Err { error }) => {
                Err(LogError::unavailable("ask for the stream")(error.into()))
            }
            Err(error) => Err(LogError::unavailable("ask for the stream")(error.into())),
        }
    }

    /// The message at a position; `None` where the broker has none.
    pub(crate) async fn message(
        &self,
        position: Position,
    ) -> Result<Option<StreamMessage>, LogError> {
        match self.stream.direct_get(position.0).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(LogError::unavailable("read an event")(error.into())),
        }
    }

    /// The messages after a position that are there now, in order, on any subject or on one: at most `max_messages`,
    /// and about `max_bytes`, but at least one where there is one.
    pub(crate) async fn range(
        &self,
        (after, subject): (Position, &str),
        max_messages: usize,
        max_bytes: usize,
        take: impl FnMut(StreamMessage) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let request = RangeRequest {
            seq: after.0 + 1,
            batch: max_messages,
            max_bytes,
            next_by_subj: subject,
        };
        self.ask_for_several(&request, take).await
    }

    /// All messages that are there now on any subject or on one, in order, however many there are.
    /// Of a stream that is not there nothing answers: [`Connection::facts`] tells.
    pub(crate) async fn all(
        &self,
        subject: &str,
        mut take: impl FnMut(StreamMessage),
    ) -> Result<(), LogError> {
        let (max_messages, max_bytes) = RANGE;
        let mut after = Position(0);
        loop {
            let before = after;
            self.range((after, subject), max_messages, max_bytes, |message| {
                after = Position(message.sequence);
                take(message);
                Ok(())
            })
            .await?;
            if after == before {
                return Ok(());
            }
        }
    }

    /// The last message of each subject that has one.
    pub(crate) async fn last_of_each(
        &self,
        subjects: Vec<String>,
        take: impl FnMut(StreamMessage) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let request = LastRequest {
            batch: subjects.len(),
            multi_last: subjects,
        };
        self.ask_for_several(&request, take).await
    }

    /// Sends a request that the stream answers with several messages, and takes each of them.
    async fn ask_for_several(
        &self,
        request: &impl Serialize,
        mut take: impl FnMut(StreamMessage) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let inbox = self.client.new_inbox();
        let mut replies = self
            .client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| LogError::unavailable("read events")(error.into()))?;
        let request = serde_json::to_vec(request)
            .map_err(|error| LogError::unavailable("ask for events")(error.into()))?;
        let subject = format!("$JS.API.DIRECT.GET.{}", self.needed.name);
        self.client
            .publish_with_reply(subject, inbox, request.into())
            .await
            .map_err(|error| LogError::unavailable("ask for events")(error.into()))?;
        loop {
            let reply = timeout(self.request_timeout, replies.next()).await;
            let Ok(Some(message)) = reply else {
                return Err(LogError::Unavailable {
                    what: "read events: no answer in time".to_owned(),
                });
            };
            match message.status.map(|status| status.as_u16()) {
                None => {}
                Some(END_OF_BATCH | NOTHING_THERE) => return Ok(()),
                Some(status) => {
                    return Err(LogError::Unavailable {
                        what: format!("read events: the broker answers {status}"),
                    });
                }
            }
            let message = StreamMessage::try_from(message)
                .map_err(|error| LogError::unavailable("read an event")(error.into()))?;
            take(message)?;
        }
    }

    /// Compares what the promise of the stream stands on, field by field.
    fn check(&self, found: &Config) -> Result<(), LogError> {
        let needed = &self.needed;
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
            allow_rollup,
            allow_message_ttl,
            allow_message_schedules,
            num_replicas,
            sealed,
            no_ack,
        );
        if !self.restores {
            same!(allow_atomic_publish);
        }
        if differences.is_empty() {
            return Ok(());
        }
        Err(LogError::Stream {
            stream: needed.name.clone(),
            differences: differences.join("; "),
        })
    }
}

/// JetStream's request for the last message of each subject.
#[derive(Serialize)]
struct LastRequest {
    multi_last: Vec<String>,
    batch: usize,
}

/// JetStream's request for a range of messages.
#[derive(Serialize)]
struct RangeRequest<'a> {
    seq: u64,
    batch: usize,
    max_bytes: usize,
    next_by_subj: &'a str,
}

fn log_of(config: &Config) -> Option<LogId> {
    config.metadata.get(LOG)?.parse().ok()
}

fn is_restoring(config: &Config) -> bool {
    config.metadata.contains_key(RESTORING)
}

fn is_missing(error: &jetstream::context::GetStreamError) -> bool {
    matches!(
        error.kind(),
        GetStreamErrorKind::JetStream(said) if said.error_code().0 == STREAM_NOT_FOUND
    )
}
