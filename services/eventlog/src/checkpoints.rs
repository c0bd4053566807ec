//! Checkpoints of the log, in a stream of their own.

use async_nats::{HeaderMap, jetstream::stream::Config};
use bytes::Bytes;
use gridkeeper_proto::{area::AreaCode, id::LogId};

use crate::{EventLog, LogError, append::send, connection::Connection, stream::kept_for_ever};

/// The signed checkpoints of a district's log, in the order in which they were signed.
#[derive(Clone, Debug)]
pub struct CheckpointStore {
    pub(crate) connection: Connection,
    district: AreaCode,
}

impl EventLog {
    /// A handle on the log's checkpoints.
    ///
    /// # Errors
    /// [`LogError::Unavailable`].
    pub async fn checkpoints(&self) -> Result<CheckpointStore, LogError> {
        let district = self.district;
        let needed = Config {
            name: format!("CHK_{district}"),
            subjects: vec![format!("chk.{district}")],
            deny_delete: true,
            deny_purge: true,
            ..kept_for_ever(&self.options)
        };
        let client = self.reading.client.clone();
        Ok(CheckpointStore {
            connection: Connection::over(client, needed, &self.options).await?,
            district,
        })
    }
}

impl CheckpointStore {
    /// Makes the stream where there is none, for the log with this id.
    ///
    /// # Errors
    /// As [`crate::EventLog::begin`].
    pub async fn begin(&self, log: LogId) -> Result<(), LogError> {
        self.connection.begin(log).await
    }

    /// Adds a signed checkpoint.
    ///
    /// # Errors
    /// [`LogError::Unavailable`].
    pub async fn add(&self, note: &str) -> Result<(), LogError> {
        let bytes = Bytes::copy_from_slice(note.as_bytes());
        let sent = send(
            &self.connection.client,
            self.subject(),
            HeaderMap::new(),
            bytes,
        )
        .await;
        sent.map(drop).map_err(|error| LogError::Unavailable {
            what: format!("keep a checkpoint: {error}"),
        })
    }

    pub(crate) fn subject(&self) -> String {
        format!("chk.{}", self.district)
    }

    /// All checkpoints that can be read, oldest first. What is no text is left out: the caller checks the signatures.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] and [`LogError::NoStream`].
    pub async fn all(&self) -> Result<Vec<String>, LogError> {
        self.connection.facts().await?;
        let mut notes = Vec::new();
        let reading = self.connection.all(">", |message| {
            notes.extend(String::from_utf8(message.payload.to_vec()).ok());
        });
        reading.await?;
        Ok(notes)
    }
}
