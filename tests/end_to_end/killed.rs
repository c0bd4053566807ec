//! Each process is killed in turn, under load, again and again.

use std::{collections::BTreeMap, sync::Arc};

use gridkeeper_http::Clock;
use gridkeeper_proto::api::Receipt;
use serde_json::{Value, json};
use tokio::sync::watch;

use gridkeeper_tests::{installation::SERVICES, sample_district, until};

use crate::site::{DISTRICT, Site, new_id, report};

const ROUNDS: usize = 20;
const GRIDS: [&str; 4] = [
    "51040200200501",
    "51040200200502",
    "51040200300101",
    "51040200300102",
];
/// How many reports each loader has to have acknowledged between two kills.
const BETWEEN_KILLS: usize = 5;

/// A record of another system whose due time passed, for the escalator to send up.
fn late_record(id: &str, grid: &str) -> Value {
    let now = Clock::system().now();
    let mut late = report(id, grid);
    late["channel"] = json!("import");
    late["imported"] = json!({
        "source": { "system": "before", "record": id },
        "reported_at": now.plus_millis(-7_200_000),
        "due_at": now.plus_millis(-3_600_000),
    });
    late
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_report_is_there_once_and_the_views_equal_a_rebuild() {
    let mut site = Site::started(&sample_district()).await;
    let (count, counts) = watch::channel(0_usize);
    let (stop, stopped) = watch::channel(false);
    let count = Arc::new(count);
    let mut loaders = tokio::task::JoinSet::new();
    for grid in GRIDS {
        let (door, stopped, count) = (site.door(), stopped.clone(), Arc::clone(&count));
        loaders.spawn(async move {
            let mut receipts: Vec<Receipt> = Vec::new();
            while !*stopped.borrow() {
                let mut reports: Vec<_> = (0..3).map(|_| report(&new_id(), grid)).collect();
                reports.push(late_record(&new_id(), grid));
                receipts.extend(door.file(&reports).await);
                count.send_modify(|count| *count += 1);
            }
            receipts
        });
    }
    for round in 0..ROUNDS {
        let victims = SERVICES.len() + 1;
        let so_far = *counts.borrow();
        let load = until("the load goes on", async || {
            (*counts.borrow() >= so_far + BETWEEN_KILLS).then_some(())
        });
        load.await;
        match SERVICES.get(round % victims) {
            Some(service) => {
                site.kill(service).await;
                site.start(service);
            }
            None => {
                site.broker.kill().await.unwrap();
                site.broker.restart().await.unwrap();
            }
        }
    }
    stop.send_replace(true);
    let receipts: Vec<_> = loaders.join_all().await.into_iter().flatten().collect();
    for service in SERVICES {
        site.until_ready(service).await;
    }

    let mut by_case: BTreeMap<_, Receipt> = BTreeMap::new();
    for receipt in receipts {
        assert!(by_case.insert(receipt.case_id, receipt).is_none());
    }
    let late = by_case.len() / 4;
    let missed = until("every late case went up", async || {
        let today = site.days().await;
        (sum(&today, "deadlines_missed") >= late as u64).then_some(today)
    });
    let days = missed.await;
    assert_eq!(sum(&days, "deadlines_missed"), late as u64, "once each");
    assert_eq!(sum(&days, "escalated"), late as u64, "once each");

    let last = site.last_position().await;
    let district = site
        .answer(&format!(
            "/v1/areas/{DISTRICT}?at_least={last}&wait_ms=10000"
        ))
        .await;
    assert_eq!(
        district["reported"],
        by_case.len(),
        "each once, and no other"
    );
    for (id, receipt) in &by_case {
        let case = site.answer(&format!("/v1/cases/{id}")).await;
        assert_eq!(case["grid"], json!(receipt.grid));
    }
    let whole = site.run(&["verify"]).await;
    assert!(whole.starts_with(&format!("{last} events")), "{whole}");
    let same = site.run(&["rebuild", "--diff"]).await;
    assert!(same.contains(" 0 different"), "{same}");
}

fn sum(days: &Value, figure: &str) -> u64 {
    let days = days["days"].as_array().unwrap();
    days.iter().map(|day| day[figure].as_u64().unwrap()).sum()
}

impl Site {
    async fn days(&self) -> Value {
        let now = Clock::system().now();
        let day = |millis| {
            let text = serde_json::to_value(now.plus_millis(millis)).unwrap();
            text.as_str().unwrap()[..10].to_owned()
        };
        let (from, to) = (day(-2 * 86_400_000), day(86_400_000));
        self.answer(&format!(
            "/v1/areas/{DISTRICT}/rollups?by=day&from={from}&to={to}"
        ))
        .await
    }
}
