//! Disks that fill.

use std::{sync::atomic::Ordering, time::Duration};

use gridkeeper_proto::access::Role;
use gridkeeper_tests::SmallDisk;
use serde_json::json;

use super::site::{GRID, Site, id, report};
use crate::Options;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn below_the_second_mark_what_is_new_is_refused_and_the_rest_goes_on() {
    let site = Site::new();
    let marks = Options::default().disk;
    site.free.store(marks.alarm_below_bytes, Ordering::SeqCst);
    let intake = site.start().await;
    let body = report(&id(), GRID);
    let known = intake.file(&body).await;
    site.free
        .store(marks.alarm_below_bytes - 1, Ordering::SeqCst);
    let health = intake.until_tells("/healthz", 200, "GK0537", SOON).await;
    assert_eq!(health["ok"], json!(true), "{health}");
    intake.file(&report(&id(), GRID)).await;

    site.free
        .store(marks.refuse_below_bytes - 1, Ordering::SeqCst);
    intake.until_tells("/healthz", 503, "GK0534", SOON).await;
    intake.until("/readyz", 200, SOON).await;
    let before = site.log.all().len();
    let (status, code) = intake.refused(&report(&id(), GRID)).await;
    assert_eq!((status, code.as_str()), (503, "GK0534"));
    let mut imported = report(&id(), GRID);
    imported["channel"] = json!("import");
    let record = json!({ "system": "before", "record": "1" });
    imported["imported"] = json!({ "source": record, "reported_at": "2026-04-01T00:00:00Z" });
    let admin = intake.client_as(Role::Admin);
    assert_eq!(admin.refused(&imported).await.0, 503);
    let inquiry = format!("/v1/inquiries/{}/commands", id());
    let take = json!({ "inquiry": "take", "question": "低保怎么办理", "channel": "window" });
    let take = json!({ "id": id(), "command": take });
    let (status, answer) = intake.post(&inquiry, &take).await;
    assert_eq!(
        (status, &answer["code"]),
        (503, &json!("GK0534")),
        "{answer}"
    );
    assert_eq!(site.log.all().len(), before);

    let again = intake.file(&body).await;
    assert_eq!((again.position, again.repeated), (known.position, true));
    let path = format!("/v1/cases/{}/commands", known.case_id);
    let accept = json!({ "id": id(), "command": { "step": "accept" } });
    assert_eq!(intake.post(&path, &accept).await.0, 200);

    site.free.store(u64::MAX, Ordering::SeqCst);
    intake.until("/healthz", 200, SOON).await;
    intake.file(&report(&id(), GRID)).await;
    intake.stop().await;
}

#[tokio::test]
async fn nothing_is_acknowledged_that_could_not_be_noted_down_and_it_goes_on_with_space() {
    let Some(disk) = SmallDisk::mount(4 << 20) else {
        return;
    };
    let site = Site::keeping_evidence_in(disk.path());
    let options = Options {
        append_deadline_ms: 300,
        ..Options::default()
    };
    let intake = site.start_with(options).await;
    disk.fill(0);
    let mut acknowledged = Vec::new();
    let refused = loop {
        let body = report(&id(), GRID);
        let (status, answer) = intake
            .post("/v1/reports", &json!({ "reports": [body] }))
            .await;
        match status {
            200 => acknowledged.push(body),
            _ => {
                assert_eq!((status, &answer["code"]), (503, &json!("GK0531")));
                break body;
            }
        }
        // The hashes of about two thousand events are written at once.
        assert!(acknowledged.len() < 5_000, "the disk is full");
    };
    intake.until_tells("/healthz", 503, "GK0531", SOON).await;
    // What was acknowledged before is not answered either: nobody knows what the disk still holds.
    assert_eq!(intake.refused(&acknowledged[0]).await.1, "GK0531");
    let landed = site.log.recorded().len();
    assert_eq!(landed, acknowledged.len() + 1);
    disk.empty();
    intake.until("/healthz", 200, SOON).await;
    for body in acknowledged.iter().chain([&refused]) {
        assert!(intake.file(body).await.repeated);
    }
    assert_eq!(site.log.recorded().len(), landed);
    intake.file(&report(&id(), GRID)).await;
    intake.stop().await;
    // The evidence is of the log to its end.
    site.start().await.stop().await;
}
