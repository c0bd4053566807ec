//! Views on a disk that is full for a while.

use gridkeeper_proto::{envelope::Position, view::ViewRequest};
use gridkeeper_tests::{SmallDisk, until};

use crate::{
    service::{expected, log, summary, summary_question},
    site::site,
};

#[tokio::test(flavor = "multi_thread")]
async fn views_that_a_full_disk_stopped_go_on_without_a_restart_when_there_is_space() {
    let Some(disk) = SmallDisk::mount(16 << 20) else {
        return;
    };
    let (site, log) = (site().await, log());
    let third = log.len() / 3;
    site.append(&log[..third]).await;
    let aggregator = site.aggregator_in(disk.path().join("views")).await;
    assert_eq!(summary(&site, &log[..third]).await, expected(&log[..third]));
    aggregator.until_status("/readyz", 200).await;
    let request = ViewRequest {
        at_least: Position(0),
        wait_ms: 0,
        question: summary_question(),
    };
    for (from, to) in [(third, 2 * third), (2 * third, log.len())] {
        disk.fill(0);
        site.append(&log[from..to]).await;
        let health = aggregator.until_status("/healthz", 503).await;
        assert!(health.contains("\"GK04"), "{health}");
        until("nobody answers from views that stopped", async || {
            site.try_ask(&request).await.is_none().then_some(())
        })
        .await;
        disk.empty();
        aggregator.until_status("/readyz", 200).await;
        let so_far = &log[..to];
        assert_eq!(summary(&site, so_far).await, expected(so_far));
        aggregator.until_status("/healthz", 200).await;
    }
    aggregator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn views_that_cannot_be_opened_on_a_full_disk_are_opened_when_there_is_space() {
    let Some(disk) = SmallDisk::mount(16 << 20) else {
        return;
    };
    let (site, log) = (site().await, log());
    site.append(&log).await;
    disk.fill(0);
    let aggregator = site.aggregator_in(disk.path().join("views")).await;
    let health = aggregator.until_status("/healthz", 503).await;
    assert!(health.contains("\"GK04"), "{health}");
    disk.empty();
    aggregator.until_status("/readyz", 200).await;
    assert_eq!(summary(&site, &log).await, expected(&log));
    aggregator.stop().await.unwrap();
}
