//! The drill: a long log is backed up, goes on, is backed up again, checked, restored into an empty broker and
//! verified, and views are built from both; and what verifying takes beside reading the log and
//! doing nothing with it.

use std::{path::Path, time::Instant};

use async_nats::jetstream::{self, consumer::pull::OrderedConfig};
use futures::StreamExt as _;
use gridkeeper_backup::{Limits, Source, Target, check, restore, take};
use gridkeeper_districtviews::projection::SCHEMA;
use gridkeeper_eventlog::{
    EventLog, KeyStore, Options, Restoration,
    verify::{Against, Verified, verify},
};
use gridkeeper_http::Clock;
use gridkeeper_identity::load_checkpoint_signer;
use gridkeeper_proto::{area::AreaCode, checkpoint::CheckpointSigner, id::CaseId, sealed::CaseKey};
use gridkeeper_tests::history::{History, id};
use gridkeeper_viewstore::{Opened, Reader, ViewStore};
use uuid::Uuid;

use crate::{
    figures::{Figures, Goal},
    filling::Filling,
    projection::catch_up,
    site::{Site, bytes_of},
};

/// How many events come between two backups.
const NEW: u64 = 10_000;
/// How many cases have a key.
const KEYS: u64 = 20_000;
const VERIFY: &str = "verify";
const RAW: &str = "raw read";

/// Runs the benchmark on a log of so many events.
pub(crate) async fn run(rounds: usize, events: u64) -> Figures {
    let mut figures = Figures::of("drill");
    let mut site = Site::new().await;
    let district = site.grids[0].district();
    let mut filling = Filling::of(&site, district).await;
    let mut history = History::of(&site.grids);
    let make = move |events| history.next_events(events);
    let make = filling.fill(events, make).await;
    let there = There::of(&site, district).await;
    there.fill_keys().await;
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        let last = filling.last();
        // They take turns, so that neither is always the first.
        for turn in 0..2 {
            let began = Instant::now();
            let name = match (round + turn) % 2 {
                0 => {
                    raw_read(&site, district, last).await;
                    RAW
                }
                _ => {
                    there.verified().await;
                    VERIFY
                }
            };
            figures.add(
                name,
                "messages/s",
                last as f64 / began.elapsed().as_secs_f64(),
            );
        }
    }
    figures.compare_medians(VERIFY, RAW, Goal::Least(0.5));
    there.sign().await;
    let backup = site.folder.path().join("backup");
    there.take(&mut figures, &backup, "backup").await;
    let bytes = bytes_of(&backup) as f64;
    figures.add("size of the backup", "MiB", bytes / f64::from(1 << 20));
    let log = site
        .folder
        .path()
        .join("broker/streams/jetstream/$G/streams");
    let log = bytes_of(&log.join(format!("EVT_{district}"))) as f64;
    figures.add("size of the stream", "MiB", log / f64::from(1 << 20));
    let _ = filling.fill(filling.last() + NEW, make).await;
    there.sign().await;
    there
        .take(&mut figures, &backup, "backup of 10,000 more")
        .await;
    let began = Instant::now();
    let checked = check(&backup, None, |_| {}).unwrap();
    figures.add("check without a broker", "s", seconds(began));
    let mut elsewhere = Site::new().await;
    let restored = restore_elsewhere(&mut figures, &backup, &there, &elsewhere).await;
    assert_eq!(restored.end, checked.verified.end);
    assert_eq!(restored.digest, checked.verified.digest);
    let last = site.last_position().await;
    for site in [&mut site, &mut elsewhere] {
        catch_up(site, last).await;
    }
    let (views, bytes) = compared(&site, &elsewhere);
    figures.add("views, equal bit for bit", "views", views as f64);
    figures.add(
        "size of the views",
        "MiB",
        bytes as f64 / f64::from(1 << 20),
    );
    figures
}

/// The log's handles, with its key of checkpoints.
struct There {
    log: EventLog,
    keys: KeyStore,
    signer: CheckpointSigner,
}

impl There {
    async fn of(site: &Site, district: AreaCode) -> Self {
        let (url, options) = (site.broker.url(), Options::default());
        let signer = load_checkpoint_signer(&site.data().join("keys")).unwrap();
        let there = Self {
            log: EventLog::open(&url, district, &options).await.unwrap(),
            keys: KeyStore::open(&url, district, &options).await.unwrap(),
            signer,
        };
        there.keys.begin(site.log()).await.unwrap();
        let checkpoints = there.log.checkpoints().await.unwrap();
        checkpoints.begin(site.log()).await.unwrap();
        there
    }

    async fn fill_keys(&self) {
        let keys = (0..KEYS).map(|number| {
            let key = CaseKey([u8::try_from(number % 256).unwrap(); 32]);
            self.keys.put_if_absent(case(number), key)
        });
        let mut putting = futures::stream::iter(keys).buffer_unordered(64);
        while let Some(put) = putting.next().await {
            put.unwrap();
        }
    }

    async fn verified(&self) -> Verified {
        let against = Against {
            checkpoints: Vec::new(),
            keys: Some(self.keys.clone()),
        };
        verify(&self.log, against, |_, _| {}).await.unwrap()
    }

    async fn sign(&self) {
        let note = self.signer.sign(&self.verified().await.end).unwrap();
        let checkpoints = self.log.checkpoints().await.unwrap();
        checkpoints.add(&note).await.unwrap();
    }

    async fn take(&self, figures: &mut Figures, folder: &Path, name: &str) {
        let source = Source {
            acknowledged: None,
            log: self.log.clone(),
            keys: self.keys.clone(),
            notes: Vec::new(),
            verifier: Some(self.signer.verifier().clone()),
            limits: Limits::default(),
        };
        let began = Instant::now();
        let now = Clock::system().now();
        let taken = take(folder, &source, now, |_| {}).await.unwrap();
        figures.add(name, "s", seconds(began));
        assert_eq!(
            taken.manifest.verified_against,
            Some(taken.manifest.position)
        );
    }
}

/// Compares every key and value of the views of two sites; gives how many there are, and their
/// bytes.
fn compared(one: &Site, other: &Site) -> (usize, usize) {
    let [one, other] = [one, other].map(|site| {
        let folder = site.data().join("aggregator");
        let (store, opened) = ViewStore::open(&folder, SCHEMA, Default::default()).unwrap();
        assert!(matches!(opened, Opened::Continued), "{opened:?}");
        store
    });
    one.read(|one| {
        other.read(|other| {
            let entries = |reader: &Reader<'_>| -> Vec<_> {
                let entries = reader.range(..).map(Result::unwrap);
                entries.map(|entry| (entry.key, entry.value)).collect()
            };
            let (one, other) = (entries(one), entries(other));
            assert!(one == other, "the views differ");
            let bytes = one.iter().map(|(key, value)| key.len() + value.len());
            (one.len(), bytes.sum())
        })
    })
}

async fn restore_elsewhere(
    figures: &mut Figures,
    backup: &Path,
    there: &There,
    elsewhere: &Site,
) -> Verified {
    let district = there.log.district();
    let url = elsewhere.broker.url();
    let streams = Restoration::open(&url, district, &Options::default()).await;
    let target = Target {
        streams: streams.unwrap(),
        district,
        verifier: Some(there.signer.verifier().clone()),
    };
    let mut phases: Vec<(&str, Instant)> = Vec::new();
    let began = Instant::now();
    let restored = restore(backup, &target, &[], |at| match phases.last_mut() {
        Some((doing, ended)) if *doing == at.doing => *ended = Instant::now(),
        _ => phases.push((at.doing, Instant::now())),
    });
    let restored = restored.await.unwrap();
    figures.add("restore", "s", seconds(began));
    let mut before = began;
    for (doing, ended) in phases {
        figures.add(
            &format!("restore: {doing}"),
            "s",
            (ended - before).as_secs_f64(),
        );
        before = ended;
    }
    restored.verified
}

/// Reads the whole log and looks at nothing.
async fn raw_read(site: &Site, district: AreaCode, last: u64) {
    let client = async_nats::connect(site.broker.url()).await.unwrap();
    let context = jetstream::new(client);
    let stream = context.get_stream(format!("EVT_{district}")).await.unwrap();
    let consumer = stream.create_consumer(OrderedConfig::default()).await;
    let mut messages = consumer.unwrap().messages().await.unwrap();
    for _ in 0..last {
        messages.next().await.unwrap().unwrap();
    }
}

fn case(number: u64) -> CaseId {
    CaseId::new(Uuid::from_u128(id(number).uuid().as_u128() ^ 1))
}

fn seconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64()
}
