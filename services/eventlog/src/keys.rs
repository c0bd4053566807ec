//! The keys of personal data, one per case, in a stream of their own from which they can be erased.

use std::collections::BTreeMap;

use async_nats::{HeaderMap, HeaderValue, header, jetstream::stream::Config};
use bytes::Bytes;
use gridkeeper_proto::{
    area::AreaCode,
    envelope::Position,
    id::{CaseId, LogId},
    sealed::CaseKey,
};

use crate::{LogError, Options, append::send, connection::Connection, stream::kept_for_ever};

const KEY_BYTES: usize = 32;

/// How many messages under one case, and how many bytes of them, are read at once.
const RANGE: (usize, usize) = (4_096, 1 << 20);

/// The store of a district's keys.
#[derive(Clone, Debug)]
pub struct KeyStore {
    pub(crate) connection: Connection,
    district: AreaCode,
}

/// A message under a case's subject.
struct KeyMessage {
    position: Position,
    /// `None` where it is no key.
    key: Option<CaseKey>,
}

fn first_key(messages: &[KeyMessage]) -> Option<CaseKey> {
    messages.iter().find_map(|message| message.key)
}

impl KeyStore {
    /// A handle on the keys of a district. A broker that is not there is waited for by each request, up to its limit.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] for an address that is none.
    pub async fn open(url: &str, district: AreaCode, options: &Options) -> Result<Self, LogError> {
        let needed = needed(district, options);
        Ok(Self {
            connection: Connection::open(url, "gridkeeper keys", needed, options).await?,
            district,
        })
    }

    /// Makes the stream where there is none, for the log with this id.
    ///
    /// # Errors
    /// As [`crate::EventLog::begin`].
    pub async fn begin(&self, log: LogId) -> Result<(), LogError> {
        self.connection.begin(log).await
    }

    /// Whether the stream is there and is that of a log.
    ///
    /// # Errors
    /// [`LogError::NoStream`], [`LogError::AnotherLog`], [`LogError::Stream`] and [`LogError::Unavailable`].
    pub async fn confirm(&self, log: LogId) -> Result<(), LogError> {
        let found = self.connection.facts().await?.log;
        match found == Some(log) {
            true => Ok(()),
            false => Err(LogError::AnotherLog {
                expected: log,
                found,
            }),
        }
    }

    /// Keeps the key unless the case has one; gives the one it has then.
    ///
    /// # Errors
    /// [`LogError::Unavailable`]; the same call may be repeated.
    pub async fn put_if_absent(&self, case: CaseId, key: CaseKey) -> Result<CaseKey, LogError> {
        let found = self.messages(case).await?;
        if let Some(found) = first_key(&found) {
            return Ok(found);
        }
        let last = found.last().map_or(0, |message| message.position.0);
        let mut headers = HeaderMap::new();
        headers.insert(
            header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
            HeaderValue::from(last),
        );
        let bytes = Bytes::copy_from_slice(&key.0);
        match send(&self.connection.client, self.subject(case), headers, bytes).await {
            Ok(_) => Ok(key),
            // Somebody's is there; perhaps our own, whose acknowledgement was lost.
            Err(refused) => match self.get(case).await? {
                Some(found) => Ok(found),
                None => Err(LogError::Unavailable {
                    what: format!("keep a key: {refused}"),
                }),
            },
        }
    }

    /// The case's key; `None` if it never had one, or its key is destroyed. What came later on its subject is no key:
    /// a case has one.
    ///
    /// # Errors
    /// [`LogError::Unavailable`].
    pub async fn get(&self, case: CaseId) -> Result<Option<CaseKey>, LogError> {
        Ok(first_key(&self.messages(case).await?))
    }

    /// All keys. What is no key is left out.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] and [`LogError::NoStream`].
    pub async fn all(&self) -> Result<BTreeMap<CaseId, CaseKey>, LogError> {
        // Of a stream that is not there nothing would answer.
        self.connection.facts().await?;
        let prefix = format!("key.{}.", self.district);
        let mut keys = BTreeMap::new();
        let reading = self.connection.all(">", |message| {
            let case = message.subject.strip_prefix(&prefix);
            let case = case.and_then(|case| case.parse::<CaseId>().ok());
            let key = <[u8; KEY_BYTES]>::try_from(&*message.payload).ok();
            if let Some((case, key)) = case.zip(key) {
                // A case has the first one under its subject.
                keys.entry(case).or_insert(CaseKey(key));
            }
        });
        reading.await?;
        Ok(keys)
    }

    /// Erases the case's key; nothing happens when there is none.
    ///
    /// # Errors
    /// [`LogError::Unavailable`]; the same call may be repeated.
    pub async fn destroy(&self, case: CaseId) -> Result<(), LogError> {
        loop {
            let found = self.messages(case).await?;
            if found.is_empty() {
                return Ok(());
            }
            for KeyMessage { position, .. } in found {
                // The broker overwrites the bytes on its disk.
                let erased = self.connection.stream.delete_message(position.0).await;
                if let Err(error) = erased {
                    // Somebody else may have erased it at the same moment.
                    let left = self.messages(case).await?;
                    if left.iter().any(|message| message.position == position) {
                        return Err(LogError::unavailable("erase a key")(error.into()));
                    }
                }
            }
        }
    }

    /// The messages under a case's subject, in order: its key, and what else somebody may have published there.
    async fn messages(&self, case: CaseId) -> Result<Vec<KeyMessage>, LogError> {
        let subject = self.subject(case);
        let (max_keys, max_bytes) = RANGE;
        let mut messages = Vec::new();
        let range = (Position(0), subject.as_str());
        let reading = self
            .connection
            .range(range, max_keys, max_bytes, |message| {
                messages.push(KeyMessage {
                    position: Position(message.sequence),
                    key: <[u8; KEY_BYTES]>::try_from(&*message.payload)
                        .ok()
                        .map(CaseKey),
                });
                Ok(())
            });
        reading.await?;
        Ok(messages)
    }

    pub(crate) fn subject(&self, case: CaseId) -> String {
        format!("key.{}.{case}", self.district)
    }
}

fn needed(district: AreaCode, options: &Options) -> Config {
    Config {
        name: format!("KEY_{district}"),
        subjects: vec![format!("key.{district}.*")],
        ..kept_for_ever(options)
    }
}
