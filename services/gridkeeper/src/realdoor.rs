//! The real intake in tests, on a log that lives in memory.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

use gridkeeper_district::District;
use gridkeeper_http::Clock;
use gridkeeper_identity::{SigningKey, Verifier};
use gridkeeper_intake::{
    Error as IntakeError, Options, Parts,
    log::{AppendError, Confirmed, Keys, Log, NewEvent, ReadError, Stored},
    run_on,
};
use gridkeeper_proto::{
    access::{Claims, Role},
    anchor::Anchor,
    checkpoint::Checkpoint,
    envelope::Position,
    id::{CaseId, LogId},
    integrity::Standing,
    sealed::CaseKey,
    tree::TreeHash,
};
use tokio_util::sync::CancellationToken;

/// A log without other writers.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    events: Arc<Mutex<Vec<Stored>>>,
    keys: Arc<Mutex<BTreeMap<CaseId, CaseKey>>>,
}

impl Memory {
    /// How many events were appended.
    pub(crate) fn events(&self) -> usize {
        self.events.lock().unwrap().len()
    }
}

impl Log for Memory {
    type Run = ();

    fn server_run(&self) {}

    fn witnessed_roots(&self, _: LogId) -> Vec<Checkpoint> {
        Vec::new()
    }

    async fn compare_history(&self, _: Checkpoint) -> Result<(), ReadError> {
        Ok(())
    }

    async fn begin(&self, _: LogId, _: Position) -> Result<(), ReadError> {
        Ok(())
    }

    async fn add_checkpoint(&self, _: &str) -> Result<(), IntakeError> {
        Ok(())
    }

    async fn probe(&self, _: &str) -> Result<bool, IntakeError> {
        Ok(true)
    }

    async fn checkpoints(&self) -> Result<Vec<String>, ReadError> {
        Ok(Vec::new())
    }

    async fn append(&self, _: Anchor, new: Vec<NewEvent>) -> Result<Position, AppendError> {
        let mut events = self.events.lock().unwrap();
        let first = Position(events.len() as u64 + 1);
        for event in new {
            let position = Position(events.len() as u64 + 1);
            events.push(Stored {
                position,
                area: Some(event.area),
                leaf: TreeHash::of_leaf(&event.bytes),
                bytes: event.bytes,
                standing: Standing::Event,
            });
        }
        Ok(first)
    }

    async fn confirm(&self, _: Anchor) -> Result<Confirmed, ReadError> {
        Ok(Confirmed {
            last: Position(self.events.lock().unwrap().len() as u64),
            statements: Arc::default(),
            time: None,
        })
    }

    async fn read_after(&self, position: Position) -> Result<Vec<Stored>, ReadError> {
        let from = usize::try_from(position.0).unwrap();
        let events = self.events.lock().unwrap();
        Ok(events.iter().skip(from).take(1_000).cloned().collect())
    }
}

impl Keys for Memory {
    async fn begin(&self, _: LogId, _: bool) -> Result<(), ReadError> {
        Ok(())
    }

    async fn put_if_absent(&self, case: CaseId, key: CaseKey) -> Result<CaseKey, IntakeError> {
        Ok(*self.keys.lock().unwrap().entry(case).or_insert(key))
    }

    async fn destroy(&self, case: CaseId) -> Result<(), IntakeError> {
        self.keys.lock().unwrap().remove(&case);
        Ok(())
    }
}

/// A running intake of a district.
pub(crate) struct RealDoor {
    /// Its address.
    pub(crate) address: String,
    /// The key that signs its tokens.
    pub(crate) key: Arc<SigningKey>,
    /// The token of an admin.
    pub(crate) admin: String,
    /// What it wrote.
    pub(crate) log: Memory,
    _keys: tempfile::TempDir,
}

/// Starts intake for the district in this folder.
pub(crate) async fn start(folder: &Path) -> RealDoor {
    let district = Arc::new(District::load(folder).unwrap());
    let keys = tempfile::tempdir().unwrap();
    let key = Arc::new(SigningKey::create(keys.path()).unwrap());
    let clock = Clock::system();
    let areas = vec![district.code()];
    let claims = Claims::lasting("admin".to_owned(), Role::Admin, areas, clock.now(), 3_600);
    let admin = key.issue(&claims).unwrap();
    let parts = Parts {
        rules: district.rules(),
        verifier: Arc::new(Verifier::load(keys.path(), Some(district.code())).unwrap()),
        district,
        clock,
        signer: gridkeeper_tests::checkpoint_signer(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let log = Memory::default();
    let stores = (log.clone(), log.clone());
    let serving = run_on(
        listener,
        Options {
            folder: keys.path().join("log"),
            ..Options::default()
        },
        parts,
        stores,
        CancellationToken::new(),
    );
    tokio::spawn(async move { serving.await.unwrap() });
    RealDoor {
        address,
        key,
        admin,
        log,
        _keys: keys,
    }
}
