//! The district's stream, and its store of keys, as intake writes and reads them.

use gridkeeper_eventlog::{
    Append, AppendError as StreamAppendError, EventLog, KeyStore, LogError, ServerRun,
};
use gridkeeper_proto::{
    anchor::Anchor,
    checkpoint::Checkpoint,
    code::Coded as _,
    envelope::Position,
    id::{CaseId, LogId},
    sealed::CaseKey,
};

use crate::{
    Error,
    log::{AppendError, Confirmed, Keys, Log, NewEvent, ReadError, Stored},
};

/// How many events, and how many bytes of them, are read at once.
const RANGE: (usize, usize) = (4_096, 4 << 20);

impl Log for EventLog {
    type Run = ServerRun;

    fn server_run(&self) -> ServerRun {
        Self::server_run(self)
    }

    async fn compare_history(&self, known: Checkpoint) -> Result<(), ReadError> {
        Ok(Self::compare_history(self, known).await?)
    }

    fn witnessed_roots(&self, log: LogId) -> Vec<Checkpoint> {
        Self::witnessed_roots(self, log)
    }

    async fn begin(&self, log: LogId, known_to: Position) -> Result<(), ReadError> {
        match self.facts().await {
            Err(LogError::NoStream { .. }) if known_to > Position(0) => {
                return Err(ReadError::Broken(Error::Shorter {
                    last: Position(0),
                    seen: known_to,
                }));
            }
            Err(LogError::NoStream { .. }) => {}
            found => drop(found?),
        }
        Self::begin(self, log).await?;
        self.checkpoints().await?.begin(log).await?;
        Ok(())
    }

    async fn add_checkpoint(&self, note: &str) -> Result<(), Error> {
        let added = async { Self::checkpoints(self).await?.add(note).await };
        added.await.map_err(|error: LogError| Error::Log {
            code: error.code(),
            detail: error.to_string(),
        })
    }

    async fn probe(&self, note: &str) -> Result<bool, Error> {
        Self::probe(self, note).await.map_err(|error| Error::Log {
            code: error.code(),
            detail: error.to_string(),
        })
    }

    async fn checkpoints(&self) -> Result<Vec<String>, ReadError> {
        Ok(Self::checkpoints(self).await?.all().await?)
    }

    async fn append(&self, anchor: Anchor, events: Vec<NewEvent>) -> Result<Position, AppendError> {
        let appends: Vec<_> = events
            .into_iter()
            .map(|event| Append {
                area: event.area,
                event_id: event.event_id,
                bytes: event.bytes.into(),
                expected: event.expected.unwrap_or_default(),
            })
            .collect();
        let area = appends.first().map(|first| first.area);
        let area = area.filter(|area| appends.iter().all(|append| append.area == *area));
        match Self::append(self, &anchor, &appends).await {
            Ok(appended) => Ok(appended.first),
            Err(StreamAppendError::Conflict { moved, counted }) => Err(match (area, counted) {
                (Some(area), Some(last)) => AppendError::Counted(area, last),
                _ => AppendError::Conflict(moved),
            }),
            Err(StreamAppendError::Unknown { what }) => Err(AppendError::Unknown(what)),
            Err(StreamAppendError::Log(error)) => Err(match ReadError::from(error) {
                ReadError::Unavailable(detail) => AppendError::Unknown(detail),
                ReadError::Broken(error) => AppendError::Broken(error),
            }),
            Err(refused) => Err(AppendError::NotTaken(refused.to_string())),
        }
    }

    async fn confirm(&self, anchor: Anchor) -> Result<Confirmed, ReadError> {
        if anchor.position == Position(0) {
            self.read_statements().await?;
        }
        let confirmed = Self::confirm(self, &anchor).await?;
        Ok(Confirmed {
            last: confirmed.last,
            statements: self.statements(),
            time: confirmed.time,
        })
    }

    async fn read_after(&self, position: Position) -> Result<Vec<Stored>, ReadError> {
        let (max_events, max_bytes) = RANGE;
        let range = Self::read_after(self, position, max_events, max_bytes).await?;
        let stored = |event: gridkeeper_eventlog::Stored| Stored {
            position: event.position,
            area: event.area,
            bytes: event.bytes.into(),
            leaf: event.leaf,
            standing: event.standing,
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
    async fn begin(&self, log: LogId, new: bool) -> Result<(), ReadError> {
        if new {
            return Ok(Self::begin(self, log).await?);
        }
        match self.confirm(log).await {
            // It was made before logs had ids.
            Err(LogError::AnotherLog { found: None, .. }) => Ok(Self::begin(self, log).await?),
            Err(error @ LogError::NoStream { .. }) => Err(ReadError::Broken(Error::Log {
                code: error.code(),
                detail: error.to_string(),
            })),
            confirmed => Ok(confirmed?),
        }
    }

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
