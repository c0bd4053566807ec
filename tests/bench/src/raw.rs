//! The broker's own limits: plain publishes and atomic batches, with nothing of Gridkeeper between.

use std::time::{Duration, Instant};

use async_nats::{
    Client, HeaderMap,
    jetstream::{self, stream},
};
use bytes::Bytes;
use gridkeeper_proto::area::AreaCode;
use tokio::task::JoinSet;

/// The bytes of an event of a usual report.
pub(crate) const EVENT_BYTES: usize = 420;
/// How many messages the broker takes in one atomic batch.
pub(crate) const BATCH: usize = 1_000;

/// A stream of its own for raw messages, kept as the log is.
pub(crate) async fn stream(client: &Client, name: &str) {
    let config = stream::Config {
        name: name.to_owned(),
        subjects: vec![format!("{name}.>")],
        allow_direct: true,
        allow_atomic_publish: true,
        ..stream::Config::default()
    };
    let context = jetstream::new(client.clone());
    context.create_stream(config).await.unwrap();
}

/// Plain publishes with so many under way; gives each one's time in microseconds.
pub(crate) async fn publish(
    client: &Client,
    name: &str,
    grids: &[AreaCode],
    under_way: usize,
    time: Duration,
) -> (f64, Vec<u32>) {
    let mut all = JoinSet::new();
    let began = Instant::now();
    for number in 0..under_way {
        let client = client.clone();
        let subject = format!("{name}.{}", grids[number % grids.len()]);
        all.spawn(async move {
            let mut micros = Vec::new();
            let payload = Bytes::from(vec![7; EVENT_BYTES]);
            while began.elapsed() < time {
                let sent = Instant::now();
                let answer = client.request(subject.clone(), payload.clone()).await;
                assert!(answer.unwrap().payload.starts_with(b"{\"stream\""));
                micros.push(u32::try_from(sent.elapsed().as_micros()).unwrap());
            }
            micros
        });
    }
    let mut micros = Vec::new();
    while let Some(one) = all.join_next().await {
        micros.extend(one.unwrap());
    }
    let rate = micros.len() as f64 / began.elapsed().as_secs_f64();
    micros.sort_unstable();
    (rate, micros)
}

/// Atomic batches of 1,000 one after the other, each grid's first message with its expectation, as intake sends
/// them; gives messages in a second.
pub(crate) async fn batches(
    client: &Client,
    name: &str,
    grids: &[AreaCode],
    time: Duration,
) -> f64 {
    let payload = Bytes::from(vec![7; EVENT_BYTES]);
    let (began, mut sent) = (Instant::now(), 0_u64);
    while began.elapsed() < time {
        let batch = uuid::Uuid::now_v7().to_string();
        for number in 1..=BATCH {
            let mut headers = HeaderMap::new();
            let id = uuid::Uuid::now_v7().to_string();
            headers.insert("Nats-Msg-Id", id.as_str());
            headers.insert("Nats-Batch-Id", batch.as_str());
            headers.insert("Nats-Batch-Sequence", number.to_string().as_str());
            let subject = format!("{name}.{}", grids[number % grids.len()]);
            if number < BATCH {
                let sent = client.publish_with_headers(subject, headers, payload.clone());
                sent.await.unwrap();
            } else {
                headers.insert("Nats-Batch-Commit", "1");
                let answer = client.request_with_headers(subject, headers, payload.clone());
                let answer = answer.await.unwrap().payload;
                assert!(
                    !answer.windows(7).any(|word| word == b"\"error\""),
                    "{answer:?}"
                );
            }
        }
        sent += BATCH as u64;
    }
    sent as f64 / began.elapsed().as_secs_f64()
}
