//! The keys of personal data, one per case, in a stream of their own from which they can be erased.

use std::collections::{BTreeMap, HashSet};

use async_nats::{
    HeaderMap, header,
    jetstream::stream::{Config, DirectGetErrorKind},
};
use bytes::Bytes;
use gridkeeper_proto::{
    area::AreaCode,
    envelope::Position,
    id::{CaseId, LogId},
    sealed::CaseKey,
};

use crate::{LogError, Options, append::send, connection::Connection, stream::kept_for_ever};

/// How many keys, and how many bytes of them, are read at once.
const RANGE: (usize, usize) = (4_096, 1 << 20);

/// The store of a district's keys.
#[derive(Clone, Debug)]
pub struct KeyStore {
    pub(crate) connection: Connection,
    district: AreaCode,
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
        let mut headers = HeaderMap::new();
        headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
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

    /// The case's key; none where it never had one, or its key is destroyed.
    ///
    /// # Errors
    /// [`LogError::Unavailable`], and [`LogError::Foreign`] for what is no key.
    pub async fn get(&self, case: CaseId) -> Result<Option<CaseKey>, LogError> {
        Ok(self.find(case).await?.map(|(_, key)| key))
    }

    /// The cases that have a key.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] and [`LogError::NoStream`].
    pub async fn cases(&self) -> Result<HashSet<CaseId>, LogError> {
        Ok(self.all().await?.into_keys().collect())
    }

    /// All keys. What is no key is left out.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] and [`LogError::NoStream`].
    pub async fn all(&self) -> Result<BTreeMap<CaseId, CaseKey>, LogError> {
        let last = self.connection.facts().await?.last;
        let prefix = format!("key.{}.", self.district);
        let mut keys = BTreeMap::new();
        let mut after = Position(0);
        while after < last {
            let before = after;
            let (max_keys, max_bytes) = RANGE;
            let range = (after, ">");
            let reading = self
                .connection
                .range(range, max_keys, max_bytes, |message| {
                    after = Position(message.sequence);
                    let case = message.subject.strip_prefix(&prefix);
                    let case = case.and_then(|case| case.parse::<CaseId>().ok());
                    let key = <[u8; 32]>::try_from(&*message.payload).ok();
                    keys.extend(case.zip(key.map(CaseKey)));
                    Ok(())
                });
            reading.await?;
            if after == before {
                // The last ones may have been destroyed.
                break;
            }
        }
        Ok(keys)
    }

    /// Erases the case's key; nothing happens when there is none.
    ///
    /// # Errors
    /// [`LogError::Unavailable`]; the same call may be repeated.
    pub async fn destroy(&self, case: CaseId) -> Result<(), LogError> {
        while let Some((position, _)) = self.find(case).await? {
            // The broker overwrites the bytes on its disk.
            if let Err(error) = self.connection.stream.delete_message(position.0).await {
                // Somebody else may have erased it at the same moment.
                return match self.find(case).await? {
                    None => Ok(()),
                    Some(_) => Err(LogError::unavailable("erase a key")(error.into())),
                };
            }
        }
        Ok(())
    }

    async fn find(&self, case: CaseId) -> Result<Option<(Position, CaseKey)>, LogError> {
        let subject = self.subject(case);
        let message = match self
            .connection
            .stream
            .direct_get_last_for_subject(subject)
            .await
        {
            Ok(message) => message,
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LogError::unavailable("read a key")(error.into())),
        };
        let position = Position(message.sequence);
        let key =
            <[u8; 32]>::try_from(&*message.payload).map_err(|_| LogError::Foreign { position })?;
        Ok(Some((position, CaseKey(key))))
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
