//! Reading a log ahead of what checks it.

use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use futures::{FutureExt as _, StreamExt as _};
use gridkeeper_proto::envelope::Position;
use tokio::{sync::mpsc, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::{EventLog, LogError, Stored};

/// How many events, and how many bytes, are checked at once.
const BATCH: (usize, usize) = (4_096, 4 << 20);
/// After how long without a message the positions themselves are asked for.
const SILENCE: Duration = Duration::from_secs(1);
/// How many batches are read ahead of the check.
const AHEAD: usize = 4;

/// The log, read by a task of its own while what came is checked.
pub(super) struct ReadAhead {
    pub(super) batches: mpsc::Receiver<Result<Vec<Stored>, LogError>>,
    _reading: AbortOnDropHandle<()>,
}

pub(super) fn read_ahead(log: &EventLog, last: Position) -> ReadAhead {
    let (sender, batches) = mpsc::channel(AHEAD);
    let mut reader = Reader {
        log: log.clone(),
        read: Position(0),
        last,
        messages: None,
    };
    let reading = tokio::spawn(async move {
        while reader.read < reader.last {
            let batch = reader.next_batch().await;
            let failed = batch.is_err();
            if sender.send(batch).await.is_err() || failed {
                return;
            }
        }
    });
    ReadAhead {
        batches,
        _reading: AbortOnDropHandle::new(reading),
    }
}

/// Reads the log in order up to its end, from a consumer, which is the fastest way. Where anything about that is in
/// doubt it asks for the positions, which names what is not there.
struct Reader {
    log: EventLog,
    read: Position,
    last: Position,
    messages: Option<pull::Stream>,
}

impl Reader {
    async fn next_batch(&mut self) -> Result<Vec<Stored>, LogError> {
        let mut batch = Vec::new();
        if self.messages.is_none() {
            self.messages = Some(self.log.consume(self.read).await?);
        }
        let (max_events, max_bytes) = BATCH;
        let mut bytes = 0;
        while batch.len() < max_events && bytes < max_bytes && self.read < self.last {
            let Some(stored) = self.next(batch.is_empty()).await else {
                break;
            };
            bytes += stored.bytes.len();
            self.read = stored.position;
            batch.push(stored);
        }
        match batch.is_empty() {
            true => self.ask().await,
            false => Ok(batch),
        }
    }

    /// The very next message. `None` if it is in doubt, or did not come yet and nobody waits.
    async fn next(&mut self, wait: bool) -> Option<Stored> {
        let messages = self.messages.as_mut()?;
        let came = match wait {
            true => timeout(SILENCE, messages.next()).await.ok().flatten(),
            false => match messages.next().now_or_never() {
                Some(came) => came,
                None => return None,
            },
        };
        let stored = came.and_then(Result::ok).and_then(|message| {
            let position = Position(message.info().ok()?.stream_sequence);
            let message = message.message;
            let stored = self.log.stored(position, &message.subject, message.payload);
            stored.ok().filter(|_| position.0 == self.read.0 + 1)
        });
        if stored.is_none() {
            self.messages = None;
        }
        stored
    }

    async fn ask(&mut self) -> Result<Vec<Stored>, LogError> {
        self.messages = None;
        let (max_events, max_bytes) = BATCH;
        let left = usize::try_from(self.last.0 - self.read.0).unwrap_or(usize::MAX);
        let batch = self
            .log
            .read_after(self.read, max_events.min(left), max_bytes)
            .await?;
        match batch.last() {
            Some(stored) => {
                self.read = stored.position;
                Ok(batch)
            }
            None => Err(LogError::Unreadable {
                from: Position(self.read.0 + 1),
                to: self.last,
                said: "the broker gives no message after them".to_owned(),
            }),
        }
    }
}
