//! The district's stream, and its store of keys, as intake writes and reads them.

use gridkeeper_eventlog::{Append, AppendError as StreamAppendError, EventLog, KeyStore, LogError};
use gridkeeper_proto::{code::Coded as _, envelope::Position, id::CaseId, sealed::CaseKey};

use crate::{
    Error,
    log::{AppendError, Keys, Log, NewEvent, ReadError, Stored},
};

/// How many events, and how many bytes of them, are read at once.
const RANGE: (usize, usize) = (4_096, 4 << 20);

impl Log for EventLog {
    async fn append(&self, events: Vec<NewEvent>) -> Result<Position, AppendError> {
        let appends: Vec<_> = events
            .into_iter()
            .map(|event| Append {
                area: event.area,
                event_id: event.event_id,
                bytes: event.bytes.into(),
                expected: event.expected.unwrap_or_default(),
            })
            .collect();
        match Self::append(self, &appends).await {
            Ok(appended) => Ok(appended.first),
            Err(StreamAppendError::Conflict { moved }) => Err(AppendError::Conflict(moved)),
            Err(StreamAppendError::Unknown { what }) => Err(AppendError::Unknown(what)),
            Err(refused) => Err(AppendError::NotTaken(refused.to_string())),
        }
    }

    async fn last_position(&self) -> Result<Position, ReadError> {
        Self::last_position(self).await.map_err(ReadError::from)
    }

    async fn read_after(&self, position: Position) -> Result<Vec<Stored>, ReadError> {
        let (max_events, max_bytes) = RANGE;
        let range = Self::read_after(self, position, max_events, max_bytes).await?;
        let stored = |event: gridkeeper_eventlog::Stored| Stored {
            position: event.position,
            bytes: event.bytes.into(),
        };
        Ok(range.into_iter().map(stored).collect())
    }
}

impl From<LogError> for ReadError {
    fn from(error: LogError) -> Self {
        let detail = error.to_string();
        match error.is_unavailable() {
            true => Self::Unavailable(detail),
            false => Self::Broken(Error::Log {
                code: error.code(),
                detail,
            }),
        }
    }
}

impl Keys for KeyStore {
    async fn put_if_absent(&self, case: CaseId, key: CaseKey) -> Result<CaseKey, Error> {
        Self::put_if_absent(self, case, key)
            .await
            .map_err(|error| keys(&error))
    }

    async fn destroy(&self, case: CaseId) -> Result<(), Error> {
        Self::destroy(self, case)
            .await
            .map_err(|error| keys(&error))
    }
}

fn keys(error: &LogError) -> Error {
    Error::Keys {
        detail: error.to_string(),
    }
}
