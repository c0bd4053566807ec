//! What the decider needs of the log and of the store of keys.
//!
//! These are seams for tests: what matters most, an acknowledgement that is lost and an append that
//! somebody else overtakes, cannot be brought about on demand with a broker.

use std::future::Future;

use gridkeeper_proto::{
    area::AreaCode,
    envelope::Position,
    id::{CaseId, EventId},
    sealed::CaseKey,
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
    /// Nobody knows whether they were appended.
    Unknown(String),
    /// Nothing was appended, and never will be.
    NotTaken(String),
}

/// Why the log cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadError {
    /// It does not answer now.
    Unavailable(String),
    /// It holds what cannot be read.
    Broken(Error),
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place.
    pub position: Position,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The log of a district.
pub trait Log: Send + Sync + 'static {
    /// Appends all or none; gives the place of the first.
    fn append(
        &self,
        events: Vec<NewEvent>,
    ) -> impl Future<Output = Result<Position, AppendError>> + Send;

    /// The place of the last event.
    fn last_position(&self) -> impl Future<Output = Result<Position, ReadError>> + Send;

    /// The events after a place, in order, at least one where there is one.
    fn read_after(
        &self,
        position: Position,
    ) -> impl Future<Output = Result<Vec<Stored>, ReadError>> + Send;
}

/// The keys of personal data, one per case.
pub trait Keys: Send + Sync + 'static {
    /// Keeps the key unless the case has one; gives the one it has then.
    fn put_if_absent(
        &self,
        case: CaseId,
        key: CaseKey,
    ) -> impl Future<Output = Result<CaseKey, Error>> + Send;

    /// Destroys the case's key; nothing happens when there is none.
    fn destroy(&self, case: CaseId) -> impl Future<Output = Result<(), Error>> + Send;
}
