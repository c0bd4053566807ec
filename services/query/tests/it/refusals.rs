//! What the service refuses, each with its code.

use gridkeeper_proto::access::Role;
use serde_json::json;

use crate::site::{DISTRICT, GRID, Site};

const CASE: &str = "01980000-0000-7000-8000-000000000001";

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_question_gets_its_code() {
    let site = Site::new().await;
    site.file(GRID, json!({})).await;
    let questions = [
        (404, "GK0620", format!("/v1/cases/{CASE}")),
        (400, "GK0025", "/v1/cases/no-id".to_owned()),
        (404, "GK0621", "/v1/areas/51040299999999".to_owned()),
        (404, "GK0621", "/v1/areas/510403".to_owned()),
        (400, "GK0025", "/v1/areas/5104".to_owned()),
        (400, "GK0025", "/v1/areas/%E4%B8%9C%E5%8C%BA".to_owned()),
        (400, "GK0026", "/v1/cases?state=lost".to_owned()),
        (400, "GK0026", "/v1/cases?level=moon".to_owned()),
        (400, "GK0026", "/v1/cases?overdue=maybe".to_owned()),
        (400, "GK0026", "/v1/cases?area=51".to_owned()),
        (400, "GK0026", "/v1/cases?limit=-1".to_owned()),
        (400, "GK0026", "/v1/cases?limit=many".to_owned()),
        (400, "GK0026", "/v1/cases?colour=red".to_owned()),
        (400, "GK0632", "/v1/cases?limit=0".to_owned()),
        (400, "GK0632", "/v1/escalations?limit=1001".to_owned()),
        (400, "GK0632", "/v1/events?limit=0".to_owned()),
        (400, "GK0632", "/v1/events?limit=10001".to_owned()),
        (400, "GK0623", "/v1/cases?after=yesterday".to_owned()),
        (400, "GK0623", "/v1/escalations?after=12.x".to_owned()),
        (
            400,
            "GK0026",
            "/v1/escalations?due_before=tomorrow".to_owned(),
        ),
        (400, "GK0026", format!("/v1/areas/{DISTRICT}?at_least=-3")),
        (
            400,
            "GK0026",
            format!("/v1/areas/{DISTRICT}?wait_ms=99999999999"),
        ),
        (
            400,
            "GK0026",
            format!("/v1/areas/{DISTRICT}/rollups?by=hour&from=2026-01-01&to=2026-01-02"),
        ),
        (
            400,
            "GK0026",
            format!("/v1/areas/{DISTRICT}/rollups?by=day&from=2026-01-01"),
        ),
        (
            400,
            "GK0026",
            format!("/v1/areas/{DISTRICT}/rollups?from=2026-02-30&to=2026-03-01"),
        ),
        (
            400,
            "GK0624",
            format!("/v1/areas/{DISTRICT}/rollups?from=2026-01-02&to=2026-01-01"),
        ),
        (
            400,
            "GK0624",
            format!("/v1/areas/{DISTRICT}/rollups?from=2020-01-01&to=2026-01-01"),
        ),
        (400, "GK0625", "/v1/events?after=99".to_owned()),
        (400, "GK0625", "/v1/live?after=99".to_owned()),
        (400, "GK0026", "/v1/live?after=x".to_owned()),
        (404, "GK0030", "/v1/nothing".to_owned()),
    ];
    for (status, code, path) in questions {
        let (found, answer) = site.get(&site.centre(), &path).await;
        assert_eq!(
            (found, answer["code"].as_str()),
            (status, Some(code)),
            "{path}: {answer}"
        );
        assert!(
            !answer["detail"].as_str().unwrap_or_default().is_empty(),
            "{path}"
        );
    }
    let (status, answer) = {
        let request = site.request(&site.centre(), "/v1/live");
        let answer = request
            .header("Last-Event-ID", "seven")
            .send()
            .await
            .unwrap();
        (
            answer.status().as_u16(),
            answer.json::<serde_json::Value>().await.unwrap(),
        )
    };
    assert_eq!((status, answer["code"].as_str()), (400, Some("GK0626")));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_answered_without_a_token_that_holds() {
    let site = Site::new().await;
    let old = site.token(Role::Centre, &[DISTRICT]);
    let other = Site::new().await.token(Role::Centre, &[DISTRICT]);
    let mut forged = old.clone();
    let last = if forged.ends_with('A') { 'B' } else { 'A' };
    let middle = forged.rfind('.').unwrap() + 10;
    forged.replace_range(middle..=middle, &last.to_string());
    site.forward(2 * 24 * 60);
    for token in ["", "rubbish", old.as_str(), other.as_str(), forged.as_str()] {
        for path in ["/v1/cases", "/v1/live", "/v1/events", "/v1/escalations"] {
            let (status, answer) = site.get(token, path).await;
            assert_eq!(status, 401, "{path} {answer}");
        }
    }
}
