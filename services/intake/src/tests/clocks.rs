//! Clocks that are wrong for a while.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use gridkeeper_http::Clock;
use gridkeeper_proto::{
    access::Role,
    event::{CaseEvent, Recorded},
    time::Timestamp,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::site::{Client, GRID, NOW, Running, Site, id, report};
use crate::Options;

const SOON: Duration = Duration::from_secs(10);
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// A site whose broker says the time, and an intake that asks for it often.
async fn start() -> (Site, Running) {
    let site = Site::new();
    let broker = Arc::clone(&site.broker_now);
    site.log.set_clock(Clock::new(move || {
        Timestamp::from_millis(broker.load(Ordering::SeqCst)).unwrap()
    }));
    let options = Options {
        follow_every_ms: 5,
        ..Options::default()
    };
    let intake = site.start_with(options).await;
    (site, intake)
}

/// What is recorded of a case by itself, with its own moment, to the minute.
fn brought_by_time(recorded: &[Recorded]) -> Vec<(usize, &'static str, i64)> {
    let mut cases = Vec::new();
    let mut brought = Vec::new();
    for (case, event) in recorded.iter().filter_map(Recorded::of_case) {
        if !cases.contains(&case) {
            cases.push(case);
        }
        let number = cases.iter().position(|known| *known == case).unwrap();
        let minute = |at: Timestamp| (at.millis() - NOW + MINUTE / 2).div_euclid(MINUTE);
        match event {
            CaseEvent::DeadlineMissed(it) => brought.push((number, "missed", minute(it.due_at))),
            CaseEvent::Escalated(it) => brought.push((number, "escalated", minute(it.due_at))),
            // Reminders that something later overtook are left out whenever somebody looks late.
            _ => {}
        }
    }
    brought.sort_unstable();
    brought
}

#[tokio::test]
async fn while_the_clock_is_ahead_time_decides_nothing_and_reports_are_marked() {
    let (site, intake) = start().await;
    let known = intake.file(&report(&id(), GRID)).await;
    site.set_off(40 * DAY);
    let body = report(&id(), GRID);
    let receipt = intake.file(&body).await;
    assert_eq!(receipt.version, 2, "the report, and the mark");
    let health = intake.until_tells("/healthz", 503, "GK0535", SOON).await;
    assert_eq!(health["ready"], json!(true), "it still takes reports");
    let (status, answer) = pass_moment(&intake, &known.case_id.to_string(), NOW).await;
    assert_eq!((status, &answer["code"]), (503, &json!("GK0535")));
    let mut imported = report(&id(), GRID);
    imported["channel"] = json!("import");
    let record = json!({ "system": "before", "record": "1" });
    imported["imported"] = json!({ "source": record, "reported_at": "2026-04-01T00:00:00Z" });
    let admin = intake.client_as(Role::Admin);
    assert_eq!(admin.refused(&imported).await, (503, "GK0535".to_owned()));
    site.set_off(0);
    intake.until("/healthz", 200, SOON).await;
    assert!(intake.file(&body).await.repeated);
    let recorded = site.log.recorded();
    assert_eq!(brought_by_time(&recorded), []);
    let names: Vec<_> = recorded.iter().map(|it| it.event.name()).collect();
    assert_eq!(names, ["reported", "reported", "clock_differed"]);
    for recorded in &recorded {
        let passed = recorded.header.recorded_at.millis() - NOW;
        assert!((0..MINUTE).contains(&passed), "{recorded:?}");
    }
    site.log.check_chains();
    intake.stop().await;
}

#[tokio::test]
async fn a_clock_behind_the_log_is_in_doubt_also_within_the_tolerance() {
    let (site, intake) = start().await;
    intake.file(&report(&id(), GRID)).await;
    site.set_off(-30_000);
    intake.until_tells("/healthz", 503, "GK0536", SOON).await;
    let receipt = intake.file(&report(&id(), GRID)).await;
    assert_eq!(receipt.version, 2, "marked");
    site.set_off(0);
    intake.until("/healthz", 200, SOON).await;
    intake.stop().await;
}

async fn pass_moment(intake: &Running, case: &str, at: i64) -> (u16, Value) {
    let at = Timestamp::from_millis(at).unwrap();
    let pass = json!({ "id": id(), "command": { "step": "pass_moment", "at": at } });
    let path = format!("/v1/cases/{case}/commands");
    let service: Client = intake.client_as(Role::Service);
    service.post(&path, &pass).await
}

/// What happens in a stretch of time: how many minutes pass, by how many minutes the clock is off meanwhile, and
/// whether a case is reported and the first one is accepted.
type Stretch = (i64, i64, bool, bool);

/// Lets stretches of time pass, with an escalator that believes the same clock as intake; gives what time brought.
async fn run(stretches: &[Stretch], right: bool) -> Vec<(usize, &'static str, i64)> {
    let (site, intake) = start().await;
    let first = intake.file(&report(&id(), GRID)).await.case_id.to_string();
    let mut cases = vec![first.clone()];
    let mut now = NOW;
    for (minutes, off, reports, accepts) in stretches {
        site.forward(*minutes);
        now += minutes * MINUTE;
        let off = if right { 0 } else { off * MINUTE };
        site.set_off(off);
        site.until_compared().await;
        for case in &cases {
            // Whatever becomes of it, the escalator goes on.
            let _answer = pass_moment(&intake, case, now + off).await;
        }
        // People act a little later, so that nothing is due at the very moment at which somebody looks.
        site.forward_seconds(20);
        now += 20_000;
        site.until_compared().await;
        if *reports {
            let receipt = intake.file(&report(&id(), GRID)).await;
            cases.push(receipt.case_id.to_string());
        }
        if *accepts {
            let accept = json!({ "id": id(), "command": { "step": "accept" } });
            intake
                .post(&format!("/v1/cases/{first}/commands"), &accept)
                .await;
        }
        site.forward_seconds(40);
        now += 40_000;
    }
    site.set_off(0);
    site.forward(5);
    site.until_compared().await;
    for case in &cases {
        let (status, answer) = pass_moment(&intake, case, now).await;
        assert_eq!(status, 200, "{answer}");
    }
    site.log.check_chains();
    intake.stop().await;
    brought_by_time(&site.log.recorded())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Clocks ahead of the broker's, or behind it by less than the tolerance.
    #[test]
    fn whatever_the_clock_does_what_time_brings_is_that_of_a_right_clock(
        stretches in prop::collection::vec(
            (1..6_i64, prop_oneof![Just(0), Just(40 * 1_440), 2..600_i64], any::<bool>(), any::<bool>()),
            1..8,
        ),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (right, wrong) = runtime.block_on(async {
            tokio::join!(run(&stretches, true), run(&stretches, false))
        });
        prop_assert_eq!(right, wrong);
    }

    /// Clocks behind the broker's too, where nobody acts on a case meanwhile: what was late by then is recorded after.
    #[test]
    fn a_clock_that_is_behind_for_a_while_only_delays_what_time_brings(
        stretches in prop::collection::vec(
            (1..6_i64, prop_oneof![Just(0), Just(-40 * 1_440), -600..600_i64], any::<bool>(), Just(false)),
            1..8,
        ),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (right, wrong) = runtime.block_on(async {
            tokio::join!(run(&stretches, true), run(&stretches, false))
        });
        prop_assert_eq!(right, wrong);
    }
}
