//! A clock that steps for a while, beside a broker whose clock is right.

use serde_json::json;

use crate::site::{GRID, Site};

const DAY: i64 = 24 * 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_days_off_changes_no_answer_and_is_named() {
    let site = Site::on_time().await;
    let filed = site.file(GRID, json!({})).await;
    let path = format!("/v1/cases/{}/escalation", filed.case_id);
    let used = async || {
        let answer = site.ask(&filed, &path).await;
        assert_eq!(answer["overdue"], false, "{answer}");
        answer["used_permille"].as_u64().unwrap()
    };
    let before = used().await;
    for step in [5 * DAY, -5 * DAY] {
        site.forward_query(step);
        site.until_answer("/healthz", |health| health.to_string().contains("GK0535"))
            .await;
        let during = used().await;
        assert!((before..before + 50).contains(&during), "{during}");
        site.forward_query(-step);
        site.until_status("/healthz", 200).await;
    }
}
