//! The keys of personal data, one per case, in a stream of their own from which they can be erased.

use async_nats::{
    HeaderMap, header,
    jetstream::stream::{
        Config, DirectGetErrorKind, DiscardPolicy, RetentionPolicy, StorageType, Stream,
    },
};
use bytes::Bytes;
use gridkeeper_proto::{area::AreaCode, envelope::Position, id::CaseId, sealed::CaseKey};

use crate::{
    LogError, Options,
    append::send,
    stream::{connect, open_stream},
};

/// The store of a district's keys.
#[derive(Clone, Debug)]
pub struct KeyStore {
    client: async_nats::Client,
    stream: Stream<()>,
    district: AreaCode,
}

impl KeyStore {
    /// Connects to the broker and to the district's keys, which are begun where there are none.
    ///
    /// # Errors
    /// The broker is not there, or has a stream of that name that is not as needed.
    pub async fn open(url: &str, district: AreaCode, options: &Options) -> Result<Self, LogError> {
        let client = connect(url, "gridkeeper keys", options).await?;
        let stream = open_stream(&client, needed(district, options)).await?;
        Ok(Self {
            client,
            stream,
            district,
        })
    }

    /// Keeps the key unless the case has one; gives the one it has then.
    ///
    /// # Errors
    /// [`LogError::Unavailable`]; the same call may be repeated.
    pub async fn put_if_absent(&self, case: CaseId, key: CaseKey) -> Result<CaseKey, LogError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
        let bytes = Bytes::copy_from_slice(&key.0);
        match send(&self.client, self.subject(case), headers, bytes).await {
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

    /// Erases the case's key; nothing happens when there is none.
    ///
    /// # Errors
    /// [`LogError::Unavailable`]; the same call may be repeated.
    pub async fn destroy(&self, case: CaseId) -> Result<(), LogError> {
        while let Some((position, _)) = self.find(case).await? {
            // The broker overwrites the bytes on its disk.
            if let Err(error) = self.stream.delete_message(position.0).await {
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
        let message = match self.stream.direct_get_last_for_subject(subject).await {
            Ok(message) => message,
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LogError::unavailable("read a key")(error.into())),
        };
        let position = Position(message.sequence);
        let key =
            <[u8; 32]>::try_from(&*message.payload).map_err(|_| LogError::Foreign { position })?;
        Ok(Some((position, CaseKey(key))))
    }

    fn subject(&self, case: CaseId) -> String {
        format!("key.{}.{case}", self.district)
    }
}

fn needed(district: AreaCode, options: &Options) -> Config {
    Config {
        name: format!("KEY_{district}"),
        subjects: vec![format!("key.{district}.*")],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_bytes: -1,
        allow_direct: true,
        duplicate_window: options.duplicate_window(),
        num_replicas: options.replicas,
        ..Config::default()
    }
}
