//! The whole log from a broker: all of it only read, and all of it in the views of the real aggregator.

use std::time::{Duration, Instant};

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, pull},
};
use futures::StreamExt as _;
use gridkeeper_districtviews::projection::SCHEMA;
use gridkeeper_tests::history::History;
use gridkeeper_viewstore::{Options, ViewStore};

use crate::{
    figures::Figures,
    filling::Filling,
    site::{Site, bytes_of},
};

pub(super) const RAW: &str = "raw consumer";
pub(super) const CATCH_UP: &str = "catch-up of the aggregator";
pub(super) const DISK: &str = "catch-up: views on the disk";
pub(super) const LIVE: &str = "catch-up: keys and values in the views";
/// How many messages the raw consumer asks for ahead.
const AHEAD: usize = 10_000;

/// A broker that holds a log.
pub(super) struct CatchUp {
    site: Site,
    last: u64,
}

impl CatchUp {
    /// Writes a log of so many events.
    pub(super) async fn of(events: usize) -> Self {
        let site = Site::new().await;
        let mut filling = Filling::of(&site, site.grids[0].district()).await;
        let mut history = History::of(&site.grids);
        let make = move |count| history.next_events(count);
        drop(filling.fill(events as u64, make).await);
        let last = filling.last();
        Self { site, last }
    }

    /// One round.
    pub(super) async fn measure(&mut self, figures: &mut Figures) {
        figures.add(RAW, "events/s", self.read().await);
        let caught_up = catch_up(&mut self.site, self.last).await;
        let (events, folder) = (self.last as f64, self.site.data().join("aggregator"));
        figures.add(CATCH_UP, "events/s", caught_up.per_second);
        figures.add("catch-up: peak memory", "MiB", caught_up.peak);
        figures.add(DISK, "bytes/event", bytes_of(&folder) as f64 / events);
        let (store, _) = ViewStore::open(&folder, SCHEMA, Options::default()).unwrap();
        let live: usize = store.read(|reader| {
            let entries = reader.range(..).map(Result::unwrap);
            entries
                .map(|entry| entry.key.len() + entry.value.len())
                .sum()
        });
        figures.add(LIVE, "bytes/event", live as f64 / events);
    }

    /// Reads all events in their order and does nothing with them; gives events in a second.
    async fn read(&self) -> f64 {
        let client = async_nats::connect(self.site.broker.url()).await.unwrap();
        let name = format!("EVT_{}", self.site.grids[0].district());
        let stream = jetstream::new(client).get_stream(name).await.unwrap();
        let began = Instant::now();
        let config = pull::Config {
            ack_policy: AckPolicy::None,
            memory_storage: true,
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await.unwrap();
        let ahead = consumer.stream().max_messages_per_batch(AHEAD);
        let mut messages = ahead.messages().await.unwrap();
        for position in 1..=self.last {
            let message = messages.next().await.unwrap().unwrap();
            assert_eq!(message.info().unwrap().stream_sequence, position);
        }
        self.last as f64 / began.elapsed().as_secs_f64()
    }
}

/// What it took to make all views anew.
pub(crate) struct CaughtUp {
    /// Events in a second.
    pub(crate) per_second: f64,
    /// Highest memory of the aggregator, in MiB.
    pub(crate) peak: f64,
    /// Time of the processor that the aggregator took until it had them.
    pub(crate) cpu: Duration,
    /// How long it took until it had them.
    pub(crate) until_there: Duration,
    /// How long it took to hand them to the disk and to end.
    pub(crate) until_ended: Duration,
}

/// Lets the aggregator make its views anew.
pub(crate) async fn catch_up(site: &mut Site, last: u64) -> CaughtUp {
    let folder = site.data().join("aggregator");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    let began = Instant::now();
    site.spawn("aggregator");
    site.until_at("aggregator", last).await;
    let until_there = began.elapsed();
    let (peak, cpu) = (site.memory("aggregator").peak, site.cpu("aggregator"));
    // It hands its views to the disk before it ends.
    site.stop("aggregator").await;
    let took = began.elapsed();
    CaughtUp {
        per_second: last as f64 / took.as_secs_f64(),
        peak,
        cpu,
        until_there,
        until_ended: took - until_there,
    }
}
