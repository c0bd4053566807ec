//! What the decider needs of the log and of the store of keys.
//!
//! These are seams for tests: what matters most, an acknowledgement that is lost and an append that
//! somebody else overtakes, cannot be brought about on demand with a broker.

use std::{future::Future, sync::Arc};

use gridkeeper_proto::{
    anchor::Anchor,
    area::AreaCode,
    checkpoint::Checkpoint,
    envelope::Position,
    id::{CaseId, EventId, LogId},
    integrity::{Integrity, Standing},
    sealed::CaseKey,
    time::Timestamp,
    tree::TreeHash,
};

use crate::Error;

/// An event to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Its grid, or the area whose own it is.
    pub area: AreaCode,
    /// Its id.
    pub event_id: EventId,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// For the first event of each area: the place of the area's last event.
    pub expected: Option<Position>,
}

/// Why events were not appended, as far as is known.
#[derive(Clone, Debug, PartialEq)]
pub enum AppendError {
    /// Nothing was appended: these areas went on in between.
    Conflict(Vec<AreaCode>),
    /// Nothing was appended: for the broker, the last message of this area is at this position;
    /// zero for none.
    Counted(AreaCode, Position),
    /// Nobody knows whether they were appended.
    Unknown(String),
    /// Nothing was appended, and never will be.
    NotTaken(String),
    /// Nothing was appended: the log is not the one that the events were decided on.
    Broken(Error),
}

/// Why the log cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadError {
    /// It does not answer now.
    Unavailable(String),
    /// It holds what cannot be read.
    Broken(Error),
}

/// A message of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its position.
    pub position: Position,
    /// The area of its subject; `None` where the subject is no area's, and where nothing is left of
    /// what is lost.
    pub area: Option<AreaCode>,
    /// Its bytes; none where it is lost.
    pub bytes: Vec<u8>,
    /// The hash of its leaf in the tree.
    pub leaf: TreeHash,
    /// What it is to a reader.
    pub standing: Standing,
}

/// A log that was compared with what was read of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmed {
    /// Its last position.
    pub last: Position,
    /// What it says of itself.
    pub statements: Arc<Integrity>,
    /// What the broker's clock said; `None` where it does not say.
    pub time: Option<Timestamp>,
}

/// The log of a district.
pub trait Log: Send + Sync + 'static {
    /// Tells the runs of the server apart that gives the log.
    type Run: PartialEq + Send;

    /// The run of the server that gives the log now. Another one may give another log.
    fn server_run(&self) -> Self::Run;

    /// Reads the log from its start and compares its root at a position with the given one.
    fn compare_history(
        &self,
        known: Checkpoint,
    ) -> impl Future<Output = Result<(), ReadError>> + Send;

    /// The roots that others of the installation know the log with this id to have.
    fn witnessed_roots(&self, log: LogId) -> Vec<Checkpoint>;

    /// Begins the log with this id, its keys and its checkpoints, where the district has none and none was known to
    /// reach beyond its start. A log that is there and has no id gets it.
    fn begin(
        &self,
        log: LogId,
        known_to: Position,
    ) -> impl Future<Output = Result<(), ReadError>> + Send;

    /// Adds a signed checkpoint to those that the broker keeps.
    fn add_checkpoint(&self, note: &str) -> impl Future<Output = Result<(), Error>> + Send;

    /// Adds a signed checkpoint, after appends were not acknowledged; says whether they are to be expected to land again.
    fn probe(&self, note: &str) -> impl Future<Output = Result<bool, Error>> + Send;

    /// The signed checkpoints that the broker keeps.
    fn checkpoints(&self) -> impl Future<Output = Result<Vec<String>, ReadError>> + Send;

    /// Appends all or none; gives the position of the first. Before the first append, and after each loss of the
    /// connection, the log is compared with the anchor.
    fn append(
        &self,
        anchor: Anchor,
        events: Vec<NewEvent>,
    ) -> impl Future<Output = Result<Position, AppendError>> + Send;

    /// Compares the log with what was read of it.
    fn confirm(&self, anchor: Anchor) -> impl Future<Output = Result<Confirmed, ReadError>> + Send;

    /// The events after a place, in order, at least one where there is one.
    fn read_after(
        &self,
        position: Position,
    ) -> impl Future<Output = Result<Vec<Stored>, ReadError>> + Send;
}

/// The keys of personal data, one per case.
pub trait Keys: Send + Sync + 'static {
    /// Begins the store for a log that is new; else checks that it is there and is that log's.
    fn begin(&self, log: LogId, new: bool) -> impl Future<Output = Result<(), ReadError>> + Send;

    /// Keeps the key unless the case has one; gives the one it has then.
    fn put_if_absent(
        &self,
        case: CaseId,
        key: CaseKey,
    ) -> impl Future<Output = Result<CaseKey, Error>> + Send;

    /// Destroys the case's key; nothing happens when there is none.
    fn destroy(&self, case: CaseId) -> impl Future<Output = Result<(), Error>> + Send;
}
