//! Set-up, appending, repeating, racing, and acknowledgements that are lost.

use std::collections::BTreeSet;

use async_nats::jetstream::{self, stream::Config};
use bytes::Bytes;
use gridkeeper_eventlog::{Append, AppendError, EventLog, LogError};
use gridkeeper_proto::{anchor::Anchor, envelope::Position};

use crate::{
    proxy::Proxy,
    site::{append, appended, district, event, grid, impatient, log_id, site},
};

#[tokio::test]
async fn what_is_appended_stands_there_in_order() {
    let site = site().await;
    let log = site.log().await;
    assert_eq!(log.last_position().await.unwrap(), Position(0));
    assert_eq!(log.head(grid(1)).await.unwrap(), None);
    assert_eq!(
        log.append(&Anchor::default(), &[append(grid(1), 1, 0)])
            .await
            .unwrap(),
        appended(1, 1)
    );
    let batch = [
        append(grid(1), 2, 1),
        append(grid(2), 3, 0),
        append(grid(1), 4, 99),
        append(grid(2), 5, 99),
    ];
    assert_eq!(
        log.append(&Anchor::default(), &batch).await.unwrap(),
        appended(2, 5)
    );
    for (position, number, place) in [(1, 1, 1), (2, 2, 1), (3, 3, 2), (4, 4, 1), (5, 5, 2)] {
        let stored = log.read(Position(position)).await.unwrap();
        assert_eq!(stored.area, Some(grid(place)));
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
    log.append(&Anchor::default(), &[append(grid(1), 1, 0)])
        .await
        .unwrap();
    let single = [append(grid(1), 2, 0)];
    let batch = [
        append(grid(2), 3, 0),
        append(grid(1), 4, 0),
        append(grid(3), 5, 0),
    ];
    for wrong in [&single[..], &batch] {
        let Err(AppendError::Conflict { moved, .. }) = log.append(&Anchor::default(), wrong).await
        else {
            panic!("the grid's first event stands before this one");
        };
        assert_eq!(moved, [grid(1)], "the other grids are where they were");
    }
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
            log.append(&Anchor::default(), &single).await.unwrap(),
            appended(1, 1),
            "round {round}"
        );
        assert_eq!(
            log.append(&Anchor::default(), &batch).await.unwrap(),
            appended(2, 3),
            "round {round}"
        );
        assert_eq!(log.last_position().await.unwrap(), Position(3));
        site.kill_and_restart().await;
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
                    match log.append(&Anchor::default(), &one).await {
                        Ok(_) => break,
                        Err(AppendError::Conflict { .. }) => {}
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
    for wrong in [many(0), many(1_001), vec![elsewhere]] {
        assert!(matches!(
            log.append(&Anchor::default(), &wrong).await,
            Err(AppendError::Shape { .. })
        ));
    }
    assert_eq!(
        log.append(&Anchor::default(), &many(1_000)).await.unwrap(),
        appended(1, 1_000)
    );
    let own = append(district(), 1_001, 0);
    log.append(&Anchor::default(), &[own]).await.unwrap();
    let head = log.head(district()).await.unwrap().unwrap();
    assert_eq!(head.position, Position(1_001));
    let range = log.read_after(Position(1_000), 1, 1 << 20).await.unwrap();
    assert_eq!(
        range[0].area,
        Some(district()),
        "a district has events of its own"
    );
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
    let log = site.unbegun().await;
    log.begin(log_id()).await.unwrap_err();
    let refused = log.facts().await;
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

#[tokio::test]
async fn an_append_whose_acknowledgement_is_lost_is_found_to_have_landed() {
    let site = site().await;
    let proxy = Proxy::start(site.broker.port()).await;
    let log = EventLog::open(&proxy.url(), district(), &impatient())
        .await
        .unwrap();
    log.begin(log_id()).await.unwrap();
    let nothing = Anchor::default();
    let append_all = async |events: &[Append]| log.append(&nothing, events).await.unwrap();
    // Over each connection the log is confirmed before the first append.
    append_all(&[append(grid(3), 0, 0)]).await;
    let single = [append(grid(1), 1, 0)];
    proxy.lose_next_answer();
    assert_eq!(append_all(&single).await, appended(2, 2));
    append_all(&[append(grid(3), 9, 1)]).await;
    let batch = [
        append(grid(1), 2, 2),
        append(grid(2), 3, 0),
        append(grid(1), 4, 0),
    ];
    proxy.lose_next_answer();
    assert_eq!(append_all(&batch).await, appended(4, 6));
    assert_eq!(proxy.lost(), 2);
    assert_eq!(log.last_position().await.unwrap(), Position(6));
}

#[tokio::test]
async fn an_append_nobody_knows_of_is_unknown_and_the_same_again_finds_out() {
    let mut site = site().await;
    let log = site.log().await;
    log.append(&Anchor::default(), &[append(grid(1), 1, 0)])
        .await
        .unwrap();
    site.broker.kill().await.unwrap();
    let next = [append(grid(1), 2, 1)];
    assert!(matches!(
        log.append(&Anchor::default(), &next).await,
        Err(AppendError::Unknown { .. })
    ));
    site.broker.restart().await.unwrap();
    let landed = gridkeeper_tests::until("it is appended", async || {
        log.append(&Anchor::default(), &next).await.ok()
    })
    .await;
    assert_eq!(landed, appended(2, 2));
    assert_eq!(log.last_position().await.unwrap(), Position(2));
}
