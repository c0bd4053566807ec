//! Clocks that step for a while, beside a broker whose clock is right.

use std::sync::{Arc, atomic::Ordering};

use gridkeeper_proto::event::CaseEvent;
use serde_json::json;

use crate::site::Site;

const DAY: i64 = 24 * 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_40_days_ahead_for_a_while_leaves_nothing_behind() {
    for step in [40 * DAY, -40 * DAY] {
        let site = Site::on_time().await;
        let escalator = site.escalator().await;
        let before = site.file().await;
        site.forward(step);
        escalator.until_health_tells("GK0535").await;
        site.until_intake_tells("GK0535").await;
        // What a person sends is taken, at the broker's time.
        let during = site.file().await;
        site.step(before.case_id, json!({ "step": "accept" })).await;
        let asked = site.passes(before.case_id).await;
        assert_eq!(asked, (503, "GK0535".to_owned()));
        for _ in 0..20 {
            assert_eq!(escalator.until_it_looked(&site.door).await, 0);
        }
        site.forward(-step);
        escalator.until_status("/healthz", 200).await;
        site.until_intake_is_green().await;
        let after = site.file().await;
        let events = site.events().await;
        let events: Vec<_> = events
            .iter()
            .filter_map(|it| Some((it, it.of_case()?)))
            .collect();
        let names: Vec<_> = events.iter().map(|(_, (_, event))| event.name()).collect();
        let expected = [
            "reported",
            "reported",
            "clock_differed",
            "accepted",
            "clock_differed",
            "reported",
        ];
        assert_eq!(names, expected, "{step}");
        let cases = [before, during, after].map(|receipt| receipt.case_id);
        let times: Vec<_> = events.iter().map(|(it, _)| it.header.recorded_at).collect();
        assert!(times.is_sorted(), "{times:?}");
        assert!(times[5].since(times[0]) < 300_000, "{times:?}");
        assert_eq!(events[1].1.0, cases[1]);
        let CaseEvent::ClockDiffered(differed) = events[2].1.1 else {
            panic!("{:?}", events[2]);
        };
        let difference = differed.own.since(differed.broker) - step * 60_000;
        assert!(difference.abs() < 60_000, "{difference}");
        escalator.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_escalator_whose_clock_alone_is_ahead_sends_nothing() {
    let site = Site::on_time().await;
    let off = Arc::clone(&site.escalators_off);
    let escalator = site.escalator().await;
    site.file().await;
    off.store(40 * DAY * 60_000, Ordering::SeqCst);
    escalator.until_health_tells("GK0535").await;
    assert_eq!(escalator.until_it_looked(&site.door).await, 0);
    assert_eq!(site.missed().await, []);
    off.store(0, Ordering::SeqCst);
    escalator.until_status("/healthz", 200).await;
    assert_eq!(escalator.until_it_looked(&site.door).await, 0);
    assert_eq!(site.missed().await, []);
    escalator.stop().await;
}
