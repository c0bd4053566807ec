//! Reading a log that may be damaged: what is there, and what is not.

use bytes::Bytes;
use gridkeeper_proto::envelope::Position;

use crate::{EventLog, LogError};

/// How many messages, and how many bytes of them, are read at once.
const RANGE: (usize, usize) = (4_096, 4 << 20);

/// What a scan meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanned {
    /// A message.
    Message {
        /// Its position.
        position: Position,
        /// Its subject.
        subject: String,
        /// Its bytes.
        bytes: Bytes,
    },
    /// Positions without a message.
    Missing {
        /// The first of them.
        from: Position,
        /// The last of them.
        to: Position,
    },
}

impl EventLog {
    /// Reads the log after a position up to its end as of now, past whatever is missing, and hands out what it meets
    /// in order. Gives the end.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] and [`LogError::NoStream`].
    pub async fn scan(
        &self,
        after: Position,
        mut meet: impl FnMut(Scanned),
    ) -> Result<Position, LogError> {
        let last = self.reading.facts().await?.last;
        let (max_messages, max_bytes) = RANGE;
        let mut read = after;
        while read < last {
            let before = read;
            let range = (read, ">");
            let reading = self
                .reading
                .range(range, max_messages, max_bytes, |message| {
                    let position = Position(message.sequence);
                    if position.0 > read.0 + 1 {
                        meet(Scanned::Missing {
                            from: Position(read.0 + 1),
                            to: Position(position.0 - 1),
                        });
                    }
                    read = position;
                    meet(Scanned::Message {
                        position,
                        subject: message.subject.to_string(),
                        bytes: message.payload,
                    });
                    Ok(())
                });
            reading.await?;
            if read == before {
                meet(Scanned::Missing {
                    from: Position(read.0 + 1),
                    to: last,
                });
                break;
            }
        }
        Ok(last)
    }
}
