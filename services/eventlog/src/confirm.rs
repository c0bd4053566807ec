//! Whether the log is the one that a reader has read, and holds all of it.

use std::sync::{Arc, MutexGuard, PoisonError};

use gridkeeper_proto::{
    anchor::Anchor,
    envelope::{Header, Position},
    event::{Event, IntegrityEvent, Recorded},
    id::LogId,
    integrity::{Integrity, Standing},
    time::Timestamp,
    tree::TreeHash,
};

use crate::{
    EventLog, LogError,
    connection::{Connection, ServerRun, StreamFacts},
    witness::Witnessed,
};

/// A log that was confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// The log; `None` for one that was begun before logs had ids.
    pub log: Option<LogId>,
    /// Its last position; zero for an empty log.
    pub last: Position,
    /// What the broker's clock said; `None` where the broker does not say.
    pub time: Option<Timestamp>,
}

/// Positions without a message that were all given up as lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holes {
    server: ServerRun,
    /// The last statement by then.
    statement: Position,
    missing: u64,
}

impl EventLog {
    /// Compares the log with what a reader has read of it: the same log, no message missing, at least as long, the
    /// same event at the reader's position.
    ///
    /// # Errors
    /// [`LogError::AnotherLog`], [`LogError::Shorter`], [`LogError::AnotherEvent`], [`LogError::Superseded`],
    /// [`LogError::Hole`], [`LogError::Unreadable`]; [`LogError::Stream`], [`LogError::NoStream`] where the reader
    /// has read nothing, and [`LogError::Unavailable`].
    pub async fn confirm(&self, anchor: &Anchor) -> Result<Confirmed, LogError> {
        self.confirm_over(&self.reading, anchor).await
    }

    /// The anchor of a reader that has read the log up to a position.
    ///
    /// # Errors
    /// [`LogError::Missing`] for a position that has no message, and [`LogError::Unavailable`].
    pub async fn anchor(&self, position: Position) -> Result<Anchor, LogError> {
        let statements = self.read_statements().await?;
        let log = self.facts().await?.log;
        let leaf = match position {
            Position(0) => Anchor::default().leaf,
            _ => self.read(position).await?.leaf,
        };
        Ok(Anchor {
            log,
            position,
            leaf,
            stated: statements.stated,
        })
    }

    /// Reads what the log says of itself.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] and [`LogError::NoStream`].
    pub async fn read_statements(&self) -> Result<Arc<Integrity>, LogError> {
        self.read_statements_over(&self.reading).await
    }

    pub(crate) async fn confirm_over(
        &self,
        connection: &Connection,
        anchor: &Anchor,
    ) -> Result<Confirmed, LogError> {
        // Before the log is asked, which grows meanwhile.
        let witnessed = self.witnessed();
        let read = anchor.position;
        let positions = witnessed.iter().map(|known| known.checkpoint.position);
        let known = positions.fold(read, Position::max);
        let facts = match connection.facts().await {
            Err(LogError::NoStream { .. }) if known > Position(0) => {
                let last = Position(0);
                return Err(LogError::Shorter { last, read: known });
            }
            facts => facts?,
        };
        let confirmed = Confirmed {
            log: facts.log,
            last: facts.last,
            time: facts.time,
        };
        for known in &witnessed {
            if known.checkpoint.position <= read {
                continue;
            }
            match self.confirm_witnessed(connection, known, &facts).await {
                // The witness has not taken in what was given up; whoever reads on from here has.
                Ok(()) | Err(LogError::Superseded { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.confirm_one(connection, anchor, &facts).await?;
        Ok(confirmed)
    }

    async fn confirm_witnessed(
        &self,
        connection: &Connection,
        known: &Witnessed,
        facts: &StreamFacts,
    ) -> Result<(), LogError> {
        let position = known.checkpoint.position;
        // Where they do not know the leaf, only the length is compared here; the roots are compared
        // with the history.
        if known.leaf.is_none() && facts.log == Some(known.log) && facts.last >= position {
            return Ok(());
        }
        let anchor = Anchor {
            log: Some(known.log),
            position,
            leaf: known.leaf.unwrap_or(TreeHash::EMPTY),
            stated: known.checkpoint.stated,
        };
        self.confirm_one(connection, &anchor, facts).await
    }

    async fn confirm_one(
        &self,
        connection: &Connection,
        anchor: &Anchor,
        facts: &StreamFacts,
    ) -> Result<(), LogError> {
        if let Some(expected) = anchor.log.filter(|expected| facts.log != Some(*expected)) {
            return Err(LogError::AnotherLog {
                expected,
                found: facts.log,
            });
        }
        let compared = self.compare(connection, anchor, facts).await?;
        if compared.is_ok() {
            return Ok(());
        }
        // It may be as it is because somebody accepted that.
        self.read_statements_over(connection).await?;
        self.compare(connection, anchor, facts).await?
    }

    /// The outer error is one of asking, the inner one what the comparison found.
    async fn compare(
        &self,
        connection: &Connection,
        anchor: &Anchor,
        facts: &StreamFacts,
    ) -> Result<Result<(), LogError>, LogError> {
        let statements = self.statements();
        let read = anchor.position;
        if let Some(loss) = statements.superseding(read, anchor.stated) {
            let statement = loss.statement;
            return Ok(Err(LogError::Superseded { read, statement }));
        }
        let last = facts.last;
        if last < read {
            return Ok(Err(LogError::Shorter { last, read }));
        }
        let missing = last.0.saturating_sub(facts.messages);
        if missing > 0 && !self.is_given_up(connection, missing, &statements).await? {
            return Ok(Err(LogError::Hole { missing, last }));
        }
        if read == Position(0) {
            return Ok(Ok(()));
        }
        let standing = statements.standing(read);
        let found = match connection.message(read).await? {
            Some(message) => standing.leaf(&message.payload),
            None if standing.leaf(&[]) == anchor.leaf => anchor.leaf,
            None => {
                return Ok(Err(LogError::Unreadable {
                    from: read,
                    to: read,
                    said: "the broker has no message there".to_owned(),
                }));
            }
        };
        if found != anchor.leaf {
            return Ok(Err(LogError::AnotherEvent { position: read }));
        }
        Ok(Ok(()))
    }

    /// Whether every position without a message was given up as lost. Positions are never filled
    /// again, so that as many of them in the same run of a server are the same ones.
    async fn is_given_up(
        &self,
        connection: &Connection,
        missing: u64,
        statements: &Integrity,
    ) -> Result<bool, LogError> {
        let holes = Holes {
            server: connection.run(),
            statement: statements.position,
            missing,
        };
        if self.given_up().as_ref() == Some(&holes) {
            return Ok(true);
        }
        let mut found = 0;
        for position in connection.without_message().await? {
            if statements.standing(position) != Standing::Lost {
                return Ok(false);
            }
            found += 1;
        }
        let all = found >= missing;
        *self.given_up() = all.then_some(holes);
        Ok(all)
    }

    fn given_up(&self) -> MutexGuard<'_, Option<Holes>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read_statements_over(
        &self,
        connection: &Connection,
    ) -> Result<Arc<Integrity>, LogError> {
        // Of a stream that is not there nothing would answer.
        connection.facts().await?;
        let subject = self.district.subject();
        let mut integrity = Integrity::default();
        let reading = connection.all(&subject, |message| {
            if let Some(statement) = statement(Position(message.sequence), &message.payload) {
                integrity.evolve(&statement);
            }
        });
        reading.await?;
        Ok(self.keep_statements(integrity))
    }
}

/// The statement in a message; `None` if it holds none.
#[must_use]
pub fn statement(position: Position, bytes: &[u8]) -> Option<Recorded<IntegrityEvent>> {
    let (header, _) = Header::decode(bytes).ok()?;
    let is_statement = |known: &(u16, u16, &str)| known.0 == header.event_type;
    if !IntegrityEvent::TYPES.iter().any(is_statement) {
        return None;
    }
    let recorded = Recorded::decode(position, bytes).ok()?;
    match recorded.event {
        Event::Integrity(event) => Some(Recorded {
            position,
            header: recorded.header,
            event,
        }),
        _ => None,
    }
}
