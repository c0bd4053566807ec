//! The same report, however often and wherever it is sent, is one event.

use std::collections::BTreeSet;

use serde_json::Value;

use gridkeeper_tests::sample_district;

use crate::site::{Site, new_id, report};

const GRID: &str = "51040200200507";

/// Sends the same report over four connections at once; gives the positions that were answered, and how
/// many answers were not repetitions.
async fn hundred_times(site: &Site, report: &Value) -> (BTreeSet<u64>, usize) {
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..4 {
        // A connection of its own.
        let door = crate::site::Door::fresh(site.door());
        let report = report.clone();
        senders.spawn(async move {
            let mut receipts = Vec::new();
            for _ in 0..25 {
                receipts.extend(door.file(std::slice::from_ref(&report)).await);
            }
            receipts
        });
    }
    let receipts: Vec<_> = senders.join_all().await.into_iter().flatten().collect();
    assert_eq!(receipts.len(), 100);
    let positions = receipts.iter().map(|receipt| receipt.position.0).collect();
    let first = receipts.iter().filter(|receipt| !receipt.repeated).count();
    (positions, first)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_report_is_one_event_now_after_a_restart_of_everything_and_beyond_the_brokers_window()
 {
    let mut site = Site::started(&sample_district()).await;
    let one = report(&new_id(), GRID);
    let (positions, first) = hundred_times(&site, &one).await;
    assert_eq!((positions.len(), first), (1, 1), "{positions:?}");
    let last = site.last_position().await;
    assert_eq!(positions, BTreeSet::from([last]));

    site.kill_all().await;
    site.broker.kill().await.unwrap();
    site.broker.restart().await.unwrap();
    site.start_all().await;
    // The broker forgets ids after 100 ms here, and a start takes longer.
    let (again, first) = hundred_times(&site, &one).await;
    assert_eq!((again, first), (positions, 0));
    assert_eq!(site.last_position().await, last);

    let reported = &site
        .answer(&format!("/v1/areas/{GRID}?at_least={last}"))
        .await["reported"];
    assert_eq!(*reported, 1);
    assert!(
        site.run(&["verify"])
            .await
            .contains(&format!("{last} events of 2 areas are whole"))
    );
}
