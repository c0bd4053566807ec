//! A broker with the log of a district, as intake writes it, with sealed parties of whom some are forgotten.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

use async_nats::jetstream::{self, stream};
use gridkeeper_backup::{Error, Known, Limits, Restored, Source, Taken, Target, restore, take};
use gridkeeper_broker::Broker;
use gridkeeper_eventlog::{
    Append, EventLog, KeyStore, Message, Options, Restoration,
    verify::{Against, Verified, verify},
};
use gridkeeper_proto::{
    access::Actor,
    anchor::Anchor,
    area::AreaCode,
    checkpoint::{Checkpoint, CheckpointSigner},
    command::{CaseCommand, Step},
    envelope::{EventHash, Header, Position},
    event::{Event, IntegrityEvent, MessageQuarantined},
    id::{CommandId, EventId, LogId},
    integrity::Integrity,
    sealed::{CaseKey, seal},
    time::Timestamp,
    tree::TreeHash,
};
use gridkeeper_tests::{
    WrittenLog, checkpoint_signer,
    history::{People, id, next, report},
    short_policy, until,
};
use uuid::Uuid;

/// Few enough that a log of a test has several segments.
pub(crate) const LIMITS: Limits = Limits {
    messages: 100,
    bytes: 30_000,
};

pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) broker: Broker,
    pub(crate) signer: CheckpointSigner,
    pub(crate) log: EventLog,
    pub(crate) keys: KeyStore,
    written: WrittenLog,
    people: People,
    reported: u64,
    heads: HashMap<AreaCode, (Position, EventHash)>,
    pub(crate) last: Position,
}

pub(crate) fn district() -> AreaCode {
    "510402".parse().unwrap()
}

fn grid(case: u64) -> AreaCode {
    format!("510402002005{:02}", case % 7).parse().unwrap()
}

/// The broker's own window for repeated ids is as short as it can be, so that nothing stands on it.
pub(crate) fn options() -> Options {
    Options {
        duplicate_window_ms: 100,
        ..Options::default()
    }
}

/// A broker without streams.
pub(crate) async fn empty() -> (tempfile::TempDir, Broker) {
    let folder = tempfile::tempdir().unwrap();
    let broker = gridkeeper_tests::broker(folder.path()).await;
    (folder, broker)
}

/// A site with a log of about so many events.
pub(crate) async fn site(events: u64) -> Site {
    let mut site = unwritten().await;
    site.write(events).await;
    site
}

async fn unwritten() -> Site {
    let (folder, broker) = empty().await;
    let signer = checkpoint_signer();
    let log_id = signer.origin().log;
    small_blocks(&broker.url(), log_id).await;
    let log = EventLog::open(&broker.url(), district(), &options())
        .await
        .unwrap();
    log.begin(log_id).await.unwrap();
    let keys = KeyStore::open(&broker.url(), district(), &options())
        .await
        .unwrap();
    keys.begin(log_id).await.unwrap();
    log.checkpoints()
        .await
        .unwrap()
        .begin(log_id)
        .await
        .unwrap();
    let written = WrittenLog::new(district(), short_policy());
    Site {
        people: People::of(district(), written.now),
        written,
        folder,
        broker,
        signer,
        log,
        keys,
        reported: 0,
        heads: HashMap::new(),
        last: Position(0),
    }
}

/// Makes the stream so that its files hold 32,000 bytes each until the server starts again.
async fn small_blocks(url: &str, log: LogId) {
    let context = jetstream::new(async_nats::connect(url).await.unwrap());
    let small = stream::Config {
        name: "EVT_510402".to_owned(),
        subjects: vec![district().subject_filter()],
        discard: stream::DiscardPolicy::New,
        max_bytes: 100_000,
        deny_delete: true,
        deny_purge: true,
        allow_direct: true,
        allow_atomic_publish: true,
        duplicate_window: options().duplicate_window(),
        metadata: [("gridkeeper.log".to_owned(), log.to_string())].into(),
        ..stream::Config::default()
    };
    context.create_stream(small.clone()).await.unwrap();
    let unbounded = stream::Config {
        max_bytes: -1,
        ..small
    };
    context.update_stream(unbounded).await.unwrap();
}

impl Site {
    /// Writes about so many events more: cases go their way, of each fifth the parties are known, and of some of
    /// these forgotten.
    pub(crate) async fn write(&mut self, events: u64) {
        let mut destroyed = Vec::new();
        while (self.written.events.len() as u64) < events {
            self.written.now = self.written.now.plus_millis(300);
            let case = self.reported;
            let mut reported = report(case);
            if case.is_multiple_of(5) {
                let key = CaseKey([u8::try_from(case % 251).unwrap(); 32]);
                let key = self.keys.put_if_absent(id(case), key).await.unwrap();
                reported.parties = Some(seal(key, [1; 24], id(case), &[]).unwrap());
            }
            let handles = &self.people.handles;
            let command = CaseCommand::Report(reported);
            self.written
                .command(&command, id(case), grid(case), handles);
            for earlier in case.saturating_sub(3)..case {
                let found = &self.written.cases[&id(earlier)];
                if let Some(step) = next(found.state, found.grid) {
                    let claims = self.people.taking(&step);
                    let command = CaseCommand::Step(step);
                    self.written
                        .command(&command, id(earlier), grid(earlier), claims);
                }
            }
            if let Some(forgotten) = case.checked_sub(5).filter(|case| case.is_multiple_of(15)) {
                let reason = "asked for".to_owned();
                let command = CaseCommand::Step(Step::ForgetParties { reason });
                self.written
                    .command(&command, id(forgotten), grid(forgotten), handles);
                destroyed.push(id(forgotten));
            }
            self.reported += 1;
        }
        for event in self.written.take() {
            self.append(event.area, event.bytes).await;
        }
        for case in destroyed {
            self.keys.destroy(case).await.unwrap();
        }
    }

    /// Appends an event.
    pub(crate) async fn append(&mut self, area: AreaCode, bytes: Vec<u8>) -> Position {
        let (header, _) = Header::decode(&bytes).unwrap();
        let head = self.heads.get(&area).copied().unwrap_or_default();
        let hash = EventHash::of(&bytes);
        let append = Append {
            area,
            event_id: header.event_id,
            bytes: bytes.into(),
            expected: head.0,
        };
        let appended = self.log.append(&Anchor::default(), &[append]).await;
        self.last = appended.unwrap().last;
        self.heads.insert(area, (self.last, hash));
        self.last
    }

    /// Publishes what no intake would have written.
    pub(crate) async fn publish(&mut self, subject: &str, id: Option<&str>, bytes: &'static [u8]) {
        let context = jetstream::new(async_nats::connect(self.broker.url()).await.unwrap());
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Sent-By", "hand");
        if let Some(id) = id {
            headers.insert("Nats-Msg-Id", id);
        }
        let sent = context.publish_with_headers(subject.to_owned(), headers, bytes.into());
        let ack = sent.await.unwrap().await.unwrap();
        assert!(!ack.duplicate);
        self.last = Position(ack.sequence);
    }

    /// Publishes with an id that was there before, as soon as the broker takes it.
    pub(crate) async fn publish_again(&mut self, subject: &str, id: &str, bytes: &'static [u8]) {
        let context = jetstream::new(async_nats::connect(self.broker.url()).await.unwrap());
        let sequence = until("the id may come again", async || {
            let mut headers = async_nats::HeaderMap::new();
            headers.insert("Sent-By", "hand");
            headers.insert("Nats-Msg-Id", id);
            let sent = context.publish_with_headers(subject.to_owned(), headers, bytes.into());
            let ack = sent.await.unwrap().await.unwrap();
            (!ack.duplicate).then_some(ack.sequence)
        });
        self.last = Position(sequence.await);
    }

    /// Adds events that stand for any others of the district.
    pub(crate) async fn publish_marks(&mut self, count: usize) {
        for _ in 0..count {
            let quarantined = MessageQuarantined {
                position: Position(1_000_000 + self.last.0),
                leaf: TreeHash::EMPTY,
                reason: "a mark".into(),
            };
            self.state(IntegrityEvent::MessageQuarantined(quarantined))
                .await;
        }
    }

    /// Lets the log say something of itself.
    pub(crate) async fn state(&mut self, said: IntegrityEvent) -> Position {
        let area = district();
        let command = CommandId::new(Uuid::from_u128(u128::MAX - u128::from(self.last.0)));
        let payload = Event::Integrity(said).encode();
        let header = Header {
            event_id: EventId::of(command, 0),
            aggregate: Integrity::id(area),
            command_id: command,
            command_digest: [0; 8],
            area,
            occurred_at: Timestamp::EPOCH,
            recorded_at: Timestamp::EPOCH,
            actor: Actor::gridkeeper(),
            event_type: payload.event_type,
            schema_version: payload.schema_version,
            previous: self.heads[&area].1,
        };
        let bytes = header.encode(&payload.bytes);
        let hash = EventHash::of(&bytes);
        // Past the log's handle, which appends nothing to a log with a hole.
        let context = jetstream::new(async_nats::connect(self.broker.url()).await.unwrap());
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", header.event_id.to_string());
        let sent = context.publish_with_headers(area.subject(), headers, bytes.into());
        self.last = Position(sent.await.unwrap().await.unwrap().sequence);
        self.heads.insert(area, (self.last, hash));
        self.last
    }

    /// Signs what the log is now.
    pub(crate) async fn sign(&self) -> String {
        let end = self.verified().await.end;
        let note = self.signer.sign(&end).unwrap();
        let store = self.log.checkpoints().await.unwrap();
        store.add(&note).await.unwrap();
        note
    }

    pub(crate) async fn verified(&self) -> Verified {
        let against = Against {
            checkpoints: Vec::new(),
            keys: Some(self.keys.clone()),
        };
        verify(&self.log, against, |_, _| {}).await.unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn source(&self) -> Source {
        Source {
            acknowledged: None,
            log: self.log.clone(),
            keys: self.keys.clone(),
            notes: Vec::new(),
            verifier: Some(self.signer.verifier().clone()),
            limits: LIMITS,
        }
    }

    pub(crate) async fn take(&self, name: &str) -> Result<Taken, Error> {
        take(&self.path(name), &self.source(), Timestamp::EPOCH, |_| {}).await
    }

    /// The files that the broker keeps of the log, in their order.
    pub(crate) fn blocks(&self) -> Vec<PathBuf> {
        let messages = self
            .path("broker")
            .join("streams/jetstream/$G/streams/EVT_510402/msgs");
        let files = fs::read_dir(messages).unwrap();
        let files = files.map(|file| file.unwrap().path());
        let mut blocks: Vec<_> = files
            .filter(|path| path.extension().is_some_and(|e| e == "blk"))
            .collect();
        let number = |path: &PathBuf| -> u64 {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            stem.parse().unwrap()
        };
        blocks.sort_by_key(number);
        blocks
    }

    /// Goes on in a broker in which the log was restored; gives what has to live on for that, and the former broker.
    pub(crate) fn go_on_in(
        &mut self,
        there: RestoredSite,
        last: Position,
    ) -> (tempfile::TempDir, Broker) {
        self.log = there.log;
        self.keys = there.keys;
        self.last = last;
        let former = std::mem::replace(&mut self.broker, there.broker);
        (there.folder, former)
    }

    /// Removes one of the broker's files from the middle; gives the positions that are gone.
    pub(crate) async fn lose_block(&mut self, number: usize) -> (Position, Position) {
        let before = all(&self.log).await.len();
        self.broker.stop().await.unwrap();
        fs::remove_file(&self.blocks()[number]).unwrap();
        self.broker.restart().await.unwrap();
        let there = all(&self.log).await;
        let gap = there.windows(2);
        let mut gap = gap.filter(|pair| pair[0].position.0 + 1 != pair[1].position.0);
        let gap = gap.next().unwrap();
        let lost = (gap[0].position.0 + 1, gap[1].position.0 - 1);
        assert_eq!(
            before,
            there.len() + usize::try_from(lost.1 + 1 - lost.0).unwrap()
        );
        (Position(lost.0), Position(lost.1))
    }
}

/// Everything that the broker gives of a log.
pub(crate) async fn all(log: &EventLog) -> Vec<Message> {
    let mut all: Vec<Message> = Vec::new();
    loop {
        let after = all.last().map(|last| last.position).unwrap_or_default();
        let more = log.messages_after(after, 10_000, 100 << 20).await.unwrap();
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

/// A broker in which a log was restored.
pub(crate) struct RestoredSite {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) broker: Broker,
    pub(crate) outcome: Restored,
    pub(crate) log: EventLog,
    pub(crate) keys: KeyStore,
}

pub(crate) async fn target(broker: &Broker) -> Target {
    Target {
        streams: Restoration::open(&broker.url(), district(), &options())
            .await
            .unwrap(),
        district: district(),
        verifier: Some(checkpoint_signer().verifier().clone()),
    }
}

pub(crate) async fn restored(backup: &Path, known: &[Checkpoint]) -> RestoredSite {
    let (folder, broker) = empty().await;
    let known: Vec<_> = known
        .iter()
        .map(|checkpoint| Known {
            checkpoint: *checkpoint,
            by: "a test".to_owned(),
        })
        .collect();
    let outcome = restore(backup, &target(&broker).await, &known, |_| {}).await;
    let (url, options) = (broker.url(), options());
    RestoredSite {
        log: EventLog::open(&url, district(), &options).await.unwrap(),
        keys: KeyStore::open(&url, district(), &options).await.unwrap(),
        outcome: outcome.unwrap(),
        broker,
        folder,
    }
}

/// The files of a folder and those below, by name, but for the lock.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            let below = self::files(&path).into_iter();
            files.extend(below.map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
        } else if name != "lock" {
            files.insert(name, fs::read(&path).unwrap());
        }
    }
    files
}

/// Copies a folder.
pub(crate) fn copy(from: &Path, to: &Path) {
    for (name, bytes) in files(from) {
        let path = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}
