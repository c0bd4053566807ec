//! A log and a store of keys in memory.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
};

use gridkeeper_http::Clock;
use gridkeeper_proto::{
    anchor::Anchor,
    area::AreaCode,
    checkpoint::Checkpoint,
    envelope::{EventHash, Position},
    event::Recorded,
    id::{CaseId, LogId},
    integrity::Standing,
    sealed::CaseKey,
    tree::{Frontier, TreeHash},
};

use tokio::sync::watch;

use crate::{
    Error,
    log::{AppendError, Confirmed, Keys, Log, NewEvent, ReadError, Stored},
};

/// What goes wrong with an append.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// Nothing.
    None,
    /// The events never reach the log.
    LoseEvents,
    /// The events land, and nobody is told.
    LoseAnswer,
}

#[derive(Debug, Default)]
pub(super) struct MemoryLog {
    events: Mutex<Vec<NewEvent>>,
    faults: Mutex<VecDeque<Fault>>,
    away: AtomicBool,
    /// How many events each append had.
    appends: Mutex<Vec<usize>>,
    held: watch::Sender<bool>,
    checkpoints: Mutex<Vec<String>>,
    confirmed: AtomicUsize,
    /// How often the broker was started again.
    run: AtomicU32,
    /// The broker's clock; none where it does not say the time.
    time: Mutex<Option<Clock>>,
}

impl MemoryLog {
    /// Keeps appends waiting, or lets them go.
    pub(super) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// How many events each append had.
    pub(super) fn appends(&self) -> Vec<usize> {
        self.appends.lock().unwrap().clone()
    }

    /// How often it was compared with what was read of it.
    pub(super) fn confirmed(&self) -> usize {
        self.confirmed.load(Ordering::SeqCst)
    }

    /// Lets the broker say the time.
    pub(super) fn set_clock(&self, clock: Clock) {
        *self.time.lock().unwrap() = Some(clock);
    }

    pub(super) fn next_append(&self, fault: Fault) {
        self.faults.lock().unwrap().push_back(fault);
    }

    pub(super) fn away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// The events of cases.
    pub(super) fn recorded(&self) -> Vec<Recorded> {
        let mut events = self.all();
        events.retain(|recorded| recorded.of_case().is_some());
        events
    }

    /// All events, the adoption of the district's rules among them.
    pub(super) fn all(&self) -> Vec<Recorded> {
        let events = self.events.lock().unwrap();
        let numbered = (1..).zip(events.iter());
        numbered
            .map(|(at, event)| Recorded::decode(Position(at), &event.bytes).unwrap())
            .collect()
    }

    pub(super) fn check_chains(&self) {
        let mut heads: HashMap<AreaCode, EventHash> = HashMap::new();
        let recorded = self.all();
        for (event, recorded) in self.events.lock().unwrap().iter().zip(recorded) {
            let head = heads.entry(event.area).or_default();
            assert_eq!(recorded.header.previous, *head);
            *head = EventHash::of(&event.bytes);
        }
    }

    /// Removes the first event of a case.
    pub(super) fn remove_first(&self) {
        let first = self.recorded()[0].position.0 - 1;
        let mut events = self.events.lock().unwrap();
        events.remove(usize::try_from(first).unwrap());
    }

    /// Changes the first event, as if in the broker's files, and starts the broker again.
    pub(super) fn change_first_and_restart(&self) {
        self.events.lock().unwrap()[0].bytes[0] ^= 1;
        self.run.fetch_add(1, Ordering::SeqCst);
    }

    fn answers(&self) -> Result<(), String> {
        match self.away.load(Ordering::SeqCst) {
            true => Err("away".to_owned()),
            false => Ok(()),
        }
    }
}

impl Log for Arc<MemoryLog> {
    type Run = u32;

    fn server_run(&self) -> u32 {
        self.run.load(Ordering::SeqCst)
    }

    fn witnessed_roots(&self, _: LogId) -> Vec<Checkpoint> {
        Vec::new()
    }

    async fn compare_history(&self, known: Checkpoint) -> Result<(), ReadError> {
        let mut frontier = Frontier::default();
        for event in self.events.lock().unwrap().iter() {
            frontier.append(TreeHash::of_leaf(&event.bytes));
            let position = frontier.position();
            if position == known.position && frontier.root() != known.root {
                return Err(ReadError::Broken(Error::AnotherHistory { position }));
            }
        }
        Ok(())
    }

    async fn begin(&self, _: LogId, _: Position) -> Result<(), ReadError> {
        self.answers().map_err(ReadError::Unavailable)
    }

    async fn add_checkpoint(&self, note: &str) -> Result<(), Error> {
        self.checkpoints.lock().unwrap().push(note.to_owned());
        Ok(())
    }

    async fn probe(&self, note: &str) -> Result<bool, Error> {
        self.answers()
            .map_err(|detail| Error::Unacknowledged { detail })?;
        self.add_checkpoint(note).await?;
        Ok(true)
    }

    async fn checkpoints(&self) -> Result<Vec<String>, ReadError> {
        Ok(self.checkpoints.lock().unwrap().clone())
    }

    async fn append(&self, _: Anchor, new: Vec<NewEvent>) -> Result<Position, AppendError> {
        // Whoever waits for an answer lets others go on.
        tokio::task::yield_now().await;
        self.appends.lock().unwrap().push(new.len());
        let mut held = self.held.subscribe();
        held.wait_for(|held| !held).await.unwrap();
        self.answers().map_err(AppendError::Unknown)?;
        let fault = self.faults.lock().unwrap().pop_front();
        let lost = || AppendError::Unknown("lost".to_owned());
        if matches!(fault, Some(Fault::LoseEvents)) {
            return Err(lost());
        }
        let mut events = self.events.lock().unwrap();
        for event in &new {
            let last = events.iter().rposition(|stored| stored.area == event.area);
            let last = Position(last.map_or(0, |index| index as u64 + 1));
            if event.expected.is_some_and(|expected| expected != last) {
                return Err(AppendError::Conflict(vec![event.area]));
            }
        }
        let first = Position(events.len() as u64 + 1);
        events.extend(new);
        match fault {
            None | Some(Fault::None) => Ok(first),
            Some(_) => Err(lost()),
        }
    }

    async fn confirm(&self, anchor: Anchor) -> Result<Confirmed, ReadError> {
        self.answers().map_err(ReadError::Unavailable)?;
        self.confirmed.fetch_add(1, Ordering::SeqCst);
        let last = Position(self.events.lock().unwrap().len() as u64);
        if last < anchor.position {
            let seen = anchor.position;
            return Err(ReadError::Broken(Error::Shorter { last, seen }));
        }
        Ok(Confirmed {
            last,
            statements: Arc::default(),
            time: self.time.lock().unwrap().as_ref().map(Clock::now),
        })
    }

    async fn read_after(&self, position: Position) -> Result<Vec<Stored>, ReadError> {
        self.answers().map_err(ReadError::Unavailable)?;
        let events = self.events.lock().unwrap();
        let numbered = (1..).zip(events.iter()).filter(|(at, _)| *at > position.0);
        let stored = numbered.map(|(at, event)| Stored {
            position: Position(at),
            area: Some(event.area),
            leaf: TreeHash::of_leaf(&event.bytes),
            bytes: event.bytes.clone(),
            standing: Standing::Event,
        });
        // A few at a time, as a broker hands them out.
        Ok(stored.take(7).collect())
    }
}

#[derive(Debug, Default)]
pub(super) struct MemoryKeys {
    keys: Mutex<HashMap<CaseId, CaseKey>>,
    away: AtomicBool,
}

impl MemoryKeys {
    pub(super) fn count(&self) -> usize {
        self.keys.lock().unwrap().len()
    }

    pub(super) fn away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn answers(&self) -> Result<(), Error> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(Error::Keys {
                detail: "away".to_owned(),
            }),
            false => Ok(()),
        }
    }
}

impl Keys for Arc<MemoryKeys> {
    async fn begin(&self, _: LogId, _: bool) -> Result<(), ReadError> {
        Ok(())
    }

    async fn put_if_absent(&self, case: CaseId, key: CaseKey) -> Result<CaseKey, Error> {
        self.answers()?;
        Ok(*self.keys.lock().unwrap().entry(case).or_insert(key))
    }

    async fn destroy(&self, case: CaseId) -> Result<(), Error> {
        self.answers()?;
        self.keys.lock().unwrap().remove(&case);
        Ok(())
    }
}
