//! Following: in order, without a gap, whatever happens to the broker in between.

use std::time::Duration;

use async_nats::jetstream::{self, stream::Config};
use futures::FutureExt as _;
use gridkeeper_eventlog::{EventLog, Follower, LogError};
use gridkeeper_proto::{anchor::Anchor, envelope::Position, id::LogId, tree::TreeHash};
use gridkeeper_tests::{BOUND, until};
use tokio::time::timeout;

use crate::{
    proxy::Proxy,
    site::{Site, append, at, district, grid, impatient, log_id, site},
};

/// Appends events up to this number, each number at its own position, over three grids.
async fn fill(log: &EventLog, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        let grid = grid(u8::try_from(number % 3).unwrap());
        let head = log.head(grid).await.unwrap();
        let expected = head.map_or(0, |head| head.position.0);
        log.append(&Anchor::default(), &[append(grid, number, expected)])
            .await
            .unwrap();
    }
}

/// Reads up to a position, through whatever makes the broker unavailable in between.
async fn read_up_to(follower: &mut Follower, last: u64) -> Vec<u64> {
    let reading = async {
        let mut seen = Vec::new();
        while follower.position().0 < last {
            match follower.next_batch(7, 1 << 20).await {
                Ok(batch) => {
                    assert!(batch.events.len() <= 7);
                    assert!(batch.last_known >= follower.position());
                    for event in batch.events {
                        let text = format!("event {}", event.position);
                        assert_eq!(event.bytes, text, "each number at its own position");
                        seen.push(event.position.0);
                    }
                }
                Err(error) if error.is_unavailable() => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
        seen
    };
    timeout(BOUND, reading).await.expect("all events in time")
}

async fn raw_stream(site: &Site) -> jetstream::Context {
    jetstream::new(async_nats::connect(site.broker.url()).await.unwrap())
}

#[tokio::test]
async fn events_come_in_order_from_any_position_and_new_ones_as_they_are_appended() {
    let site = site().await;
    let log = site.log().await;
    fill(&log, 1..=20).await;
    for after in [0, 7, 19, 20] {
        let mut follower = log.follow(at(&log, after).await);
        let seen = read_up_to(&mut follower, 20).await;
        assert_eq!(seen, (after + 1..=20).collect::<Vec<_>>());
    }
    let mut follower = log.follow(at(&log, 20).await);
    let (batch, ()) = tokio::join!(read_up_to(&mut follower, 30), fill(&log, 21..=30));
    assert_eq!(batch, (21..=30).collect::<Vec<_>>());
    let idle = follower.next_batch(7, 1 << 20).await.unwrap();
    assert!(idle.events.is_empty(), "nothing comes, and it says so");
    assert_eq!(idle.last_known, Position(30));
}

#[tokio::test]
async fn a_batch_keeps_to_its_bytes_and_holds_at_least_one_event() {
    let site = site().await;
    let log = site.log().await;
    fill(&log, 1..=10).await;
    let mut follower = log.follow(Anchor::default());
    for position in 1..=10 {
        let batch = follower.next_batch(100, 1).await.unwrap();
        let positions: Vec<_> = batch.events.iter().map(|event| event.position.0).collect();
        assert_eq!(positions, [position]);
    }
}

#[tokio::test]
async fn a_batch_that_nobody_waited_for_comes_again() {
    let site = site().await;
    let log = site.log().await;
    let mut follower = log.follow(Anchor::default());
    for _ in 0..50 {
        assert!(follower.next_batch(7, 1_000).now_or_never().is_none());
    }
    fill(&log, 1..=30).await;
    let mut seen = Vec::new();
    for _ in 0..200 {
        if let Ok(Ok(batch)) =
            timeout(Duration::from_micros(300), follower.next_batch(2, 1_000)).await
        {
            seen.extend(batch.events.iter().map(|event| event.position.0));
        }
    }
    seen.extend(read_up_to(&mut follower, 30).await);
    assert_eq!(seen, (1..=30).collect::<Vec<_>>());
}

#[tokio::test]
async fn nothing_is_left_out_when_the_broker_is_killed_again_and_again() {
    let mut site = site().await;
    let log = site.log().await;
    let mut follower = log.follow(Anchor::default());
    let mut seen = Vec::new();
    for round in 0..4 {
        let (from, to) = (round * 10 + 1, round * 10 + 10);
        until("the log answers", async || log.last_position().await.ok()).await;
        fill(&log, from..=to).await;
        // Every second time the follower has not read what was appended before the kill.
        if round % 2 == 0 {
            seen.extend(read_up_to(&mut follower, to.into()).await);
        }
        site.kill_and_restart().await;
    }
    seen.extend(read_up_to(&mut follower, 40).await);
    assert_eq!(seen, (1..=40).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_consumer_that_vanishes_and_a_connection_that_is_cut_are_made_good() {
    let site = site().await;
    let proxy = Proxy::start(site.broker.port()).await;
    let log = site.log().await;
    let behind_proxy = EventLog::open(&proxy.url(), district(), &impatient())
        .await
        .unwrap();
    assert_eq!(behind_proxy.facts().await.unwrap().log, Some(log_id()));
    fill(&log, 1..=5).await;
    let mut follower = behind_proxy.follow(Anchor::default());
    assert_eq!(read_up_to(&mut follower, 5).await.len(), 5);

    let context = raw_stream(&site).await;
    let stream = context.get_stream("EVT_510402").await.unwrap();
    let names: Vec<String> = futures::TryStreamExt::try_collect(stream.consumer_names())
        .await
        .unwrap();
    assert_eq!(names.len(), 1);
    stream.delete_consumer(&names[0]).await.unwrap();
    fill(&log, 6..=10).await;
    assert_eq!(read_up_to(&mut follower, 10).await.len(), 5);

    proxy.lose_next_answer();
    fill(&log, 11..=15).await;
    assert_eq!(read_up_to(&mut follower, 15).await.len(), 5);
}

#[tokio::test]
async fn missing_events_and_a_log_that_became_shorter_are_final_errors() {
    let site = site().await;
    let context = raw_stream(&site).await;
    let log = site.log().await;
    fill(&log, 1..=5).await;
    let fifth = at(&log, 5).await;
    let ninth = Anchor {
        position: Position(9),
        ..fifth
    };
    let shorter = log.follow(ninth).next_batch(7, 1_000).await;
    let Err(LogError::Shorter { last, read }) = shorter else {
        panic!("{shorter:?}")
    };
    assert_eq!((last, read), (Position(5), Position(9)));
    let other = Anchor {
        leaf: TreeHash::of_leaf(b"event 9"),
        ..fifth
    };
    let other = log.follow(other).next_batch(7, 1_000).await;
    let Err(LogError::AnotherEvent { position }) = other else {
        panic!("{other:?}")
    };
    assert_eq!(position, Position(5));
    drop(log);

    // As only somebody with the broker's own rights could do: another stream in its place, with a hole.
    context.delete_stream("EVT_510402").await.unwrap();
    let open = Config {
        name: "EVT_510402".into(),
        subjects: vec!["evt.510402.>".into()],
        allow_direct: true,
        allow_atomic_publish: true,
        ..Config::default()
    };
    let stream = context.create_stream(open.clone()).await.unwrap();
    for number in 1..=5 {
        let subject = grid(1).subject();
        let acknowledged = context.publish(subject, format!("event {number}").into());
        acknowledged.await.unwrap().await.unwrap();
    }
    stream.delete_message(3).await.unwrap();
    let sealed = Config {
        deny_delete: true,
        deny_purge: true,
        discard: jetstream::stream::DiscardPolicy::New,
        ..open
    };
    context.update_stream(sealed).await.unwrap();
    let log = site.unbegun().await;
    let gone = log.confirm(&fifth).await.unwrap_err();
    assert!(
        matches!(gone, LogError::AnotherLog { found: None, .. }),
        "{gone:?}"
    );
    log.begin(LogId::from_bytes([6; 16])).await.unwrap();
    let another = log.confirm(&fifth).await.unwrap_err();
    assert!(
        matches!(another, LogError::AnotherLog { found: Some(_), .. }),
        "{another:?}"
    );
    let mut follower = log.follow(Anchor::default());
    let broken = timeout(BOUND, async {
        loop {
            if let Err(error) = follower.next_batch(7, 1_000).await {
                return error;
            }
        }
    });
    let broken = broken.await.unwrap();
    let LogError::Hole { missing, last } = broken else {
        panic!("{broken:?}")
    };
    assert_eq!((missing, last), (1, Position(5)));
    let gap = log.read_after(Position(0), 7, 1_000).await.unwrap_err();
    let LogError::Gap { after, found } = gap else {
        panic!("{gap:?}")
    };
    assert_eq!((after, found), (Position(2), Position(4)));
}

#[tokio::test]
async fn a_range_is_read_at_once_and_ends_with_the_log() {
    let site = site().await;
    let log = site.log().await;
    let positions = async |after: u64, events, bytes| {
        let range = log
            .read_after(Position(after), events, bytes)
            .await
            .unwrap();
        range
            .iter()
            .map(|event| event.position.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(positions(0, 10, 1_000).await, [0; 0]);
    fill(&log, 1..=10).await;
    assert_eq!(positions(0, 4, 1_000).await, [1, 2, 3, 4]);
    assert_eq!(positions(4, 100, 1_000).await, [5, 6, 7, 8, 9, 10]);
    assert_eq!(positions(10, 100, 1_000).await, [0; 0]);
    let few = positions(0, 100, 1).await;
    assert!((1..10).contains(&few.len()), "{few:?}");
}
