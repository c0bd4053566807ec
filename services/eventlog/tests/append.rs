//! The log on a real broker: set-up, appending, repeating, racing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;

use async_nats::jetstream::{self, stream::Config};
use bytes::Bytes;
use gridkeeper_broker::{Binary, Broker};
use gridkeeper_eventlog::{Append, AppendError, Appended, EventLog, LogError, Options};
use gridkeeper_proto::{area::AreaCode, envelope::Position, id::EventId};

struct Site {
    broker: Broker,
    _folder: tempfile::TempDir,
}

async fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let options = gridkeeper_broker::Options {
        folder: folder.path().to_owned(),
        port: 0,
    };
    let broker = Broker::start(Binary::find().await.unwrap(), &options)
        .await
        .unwrap();
    Site {
        broker,
        _folder: folder,
    }
}

impl Site {
    async fn log(&self) -> EventLog {
        EventLog::open(&self.broker.url(), district(), &Options::default())
            .await
            .unwrap()
    }
}

fn district() -> AreaCode {
    "510402".parse().unwrap()
}

fn grid(number: u8) -> AreaCode {
    format!("510402002005{number:02}").parse().unwrap()
}

fn event(number: u32) -> EventId {
    format!("01980000-0000-8000-8000-{number:012}")
        .parse()
        .unwrap()
}

fn append(grid: AreaCode, number: u32, expected: u64) -> Append {
    let bytes = Bytes::from(format!("event {number}"));
    Append {
        grid,
        event_id: event(number),
        bytes,
        expected: Position(expected),
    }
}

fn appended(first: u64, last: u64) -> Appended {
    Appended {
        first: Position(first),
        last: Position(last),
    }
}

#[tokio::test]
async fn what_is_appended_stands_there_in_order() {
    let site = site().await;
    let log = site.log().await;
    assert_eq!(log.last_position().await.unwrap(), Position(0));
    assert_eq!(log.head(grid(1)).await.unwrap(), None);
    assert_eq!(
        log.append(&[append(grid(1), 1, 0)]).await.unwrap(),
        appended(1, 1)
    );
    let batch = [
        append(grid(1), 2, 1),
        append(grid(2), 3, 0),
        append(grid(1), 4, 99),
        append(grid(2), 5, 99),
    ];
    assert_eq!(log.append(&batch).await.unwrap(), appended(2, 5));
    for (position, number, place) in [(1, 1, 1), (2, 2, 1), (3, 3, 2), (4, 4, 1), (5, 5, 2)] {
        let stored = log.read(Position(position)).await.unwrap();
        assert_eq!(stored.grid, grid(place));
        assert_eq!(stored.bytes, Bytes::from(format!("event {number}")));
    }
    assert_eq!(log.head(grid(1)).await.unwrap().unwrap().event_id, event(4));
    assert_eq!(log.last_position().await.unwrap(), Position(5));
    assert!(matches!(
        log.read(Position(6)).await,
        Err(LogError::Missing { .. })
    ));
}

#[tokio::test]
async fn an_append_that_expects_wrongly_leaves_nothing_behind() {
    let site = site().await;
    let log = site.log().await;
    log.append(&[append(grid(1), 1, 0)]).await.unwrap();
    let single = [append(grid(1), 2, 0)];
    assert!(matches!(
        log.append(&single).await,
        Err(AppendError::Conflict)
    ));
    let batch = [append(grid(2), 3, 0), append(grid(1), 4, 0)];
    assert!(matches!(
        log.append(&batch).await,
        Err(AppendError::Conflict)
    ));
    assert_eq!(log.last_position().await.unwrap(), Position(1));
    assert_eq!(log.head(grid(2)).await.unwrap(), None);
}

#[tokio::test]
async fn the_same_append_again_answers_as_the_first_time() {
    let mut site = site().await;
    let single = [append(grid(1), 1, 0)];
    let batch = [append(grid(2), 2, 0), append(grid(3), 3, 0)];
    for round in 0..3 {
        let log = site.log().await;
        assert_eq!(
            log.append(&single).await.unwrap(),
            appended(1, 1),
            "round {round}"
        );
        assert_eq!(
            log.append(&batch).await.unwrap(),
            appended(2, 3),
            "round {round}"
        );
        assert_eq!(log.last_position().await.unwrap(), Position(3));
        site.broker.kill().await.unwrap();
        site.broker.restart().await.unwrap();
    }
}

#[tokio::test]
async fn appenders_that_race_on_a_grid_lose_nothing() {
    const WRITERS: u32 = 10;
    const EACH: u32 = 20;
    let site = site().await;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let log = site.log().await;
        writers.push(tokio::spawn(async move {
            for number in 0..EACH {
                loop {
                    let head = log.head(grid(1)).await.unwrap();
                    let expected = head.map_or(0, |head| head.position.0);
                    let one = [append(grid(1), writer * EACH + number, expected)];
                    match log.append(&one).await {
                        Ok(_) => break,
                        Err(AppendError::Conflict) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let log = site.log().await;
    let mut found = BTreeSet::new();
    for position in 1..=log.last_position().await.unwrap().0 {
        assert!(
            found.insert(log.read(Position(position)).await.unwrap().bytes),
            "twice"
        );
    }
    assert_eq!(found.len(), usize::try_from(WRITERS * EACH).unwrap());
}

#[tokio::test]
async fn a_batch_holds_up_to_a_thousand_events_of_this_districts_grids() {
    let site = site().await;
    let log = site.log().await;
    let many = |count| {
        (0..count)
            .map(|number| append(grid(1), number, 0))
            .collect::<Vec<_>>()
    };
    let elsewhere = append("51040300200501".parse().unwrap(), 1, 0);
    for wrong in [
        many(0),
        many(1_001),
        vec![append(district(), 1, 0)],
        vec![elsewhere],
    ] {
        assert!(matches!(
            log.append(&wrong).await,
            Err(AppendError::Shape { .. })
        ));
    }
    assert_eq!(log.append(&many(1_000)).await.unwrap(), appended(1, 1_000));
}

#[tokio::test]
async fn a_stream_that_could_lose_events_is_refused_and_left_as_it_is() {
    let site = site().await;
    let client = async_nats::connect(site.broker.url()).await.unwrap();
    let context = jetstream::new(client);
    let lossy = Config {
        name: "EVT_510402".into(),
        subjects: vec!["evt.510402.>".into()],
        max_messages: 10,
        ..Config::default()
    };
    context.create_stream(lossy).await.unwrap();
    let refused = EventLog::open(&site.broker.url(), district(), &Options::default()).await;
    let Err(LogError::Stream { differences, .. }) = refused else {
        panic!("{refused:?}")
    };
    for field in [
        "max_messages is 10",
        "deny_delete",
        "deny_purge",
        "allow_atomic_publish",
    ] {
        assert!(differences.contains(field), "{differences}");
    }
    let found = context.get_stream("EVT_510402").await.unwrap();
    assert_eq!(found.cached_info().config.max_messages, 10);
}
