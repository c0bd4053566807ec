//! Whether the log before a reader's position is still the one that was read.
//!
//! An anchor shows that the event at the reader's own position is the same. Of those before it only
//! the root of the tree speaks, and only who reads them all can tell the root.

use std::{collections::BTreeMap, time::Instant};

use gridkeeper_proto::{
    checkpoint::Checkpoint,
    envelope::Position,
    tree::{Frontier, TreeHash},
};
use tokio::time::sleep;

use crate::{EventLog, LogError, connection::ServerRun};

/// How many messages, and how many bytes of them, are read at once.
const RANGE: (usize, usize) = (1_024, 1 << 20);

impl EventLog {
    /// The run of the server that gives the log now. Another one may give another log.
    #[must_use]
    pub fn server_run(&self) -> ServerRun {
        self.reading.run()
    }

    /// Reads the log from its start and compares its roots with the ones that it is known to have
    /// had: the given one, and what the witness knows. Roots of a history that was given up, or
    /// beyond the end of the log, are left out. Half of the time is left to others who read.
    ///
    /// # Errors
    /// [`LogError::AnotherHistory`], [`LogError::Gap`], [`LogError::Foreign`],
    /// [`LogError::NoStream`] and [`LogError::Unavailable`].
    pub async fn compare_history(&self, known: Checkpoint) -> Result<(), LogError> {
        let witnessed = self.witnessed().into_iter();
        let witnessed = witnessed.map(|known| known.checkpoint);
        let statements = self.read_statements().await?;
        let mut roots: BTreeMap<Position, Vec<TreeHash>> = BTreeMap::new();
        for known in witnessed.chain([known]) {
            if known.position > Position(0) && !statements.supersedes(&known) {
                roots.entry(known.position).or_default().push(known.root);
            }
        }
        let (max_messages, max_bytes) = RANGE;
        let mut frontier = Frontier::default();
        while !roots.is_empty() {
            let began = Instant::now();
            let read = frontier.position();
            let range = self.read_after(read, max_messages, max_bytes).await?;
            if range.is_empty() {
                return Ok(());
            }
            for stored in range {
                frontier.append(stored.leaf);
                let position = frontier.position();
                let Some(known) = roots.remove(&position) else {
                    continue;
                };
                let found = frontier.root();
                if known.iter().any(|known| *known != found) {
                    return Err(LogError::AnotherHistory { position });
                }
            }
            sleep(began.elapsed()).await;
        }
        Ok(())
    }
}
