//! Figures of areas.

use gridkeeper_proto::access::Role;
use serde_json::{Value, json};

use crate::site::{COMMUNITY, DISTRICT, GRID, NEXT_GRID, OTHER_GRID, STREET, Site};

fn sum(children: &Value, figure: &str) -> u64 {
    let children = children["children"].as_array().unwrap();
    children
        .iter()
        .map(|child| child[figure].as_u64().unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_of_an_area_are_the_sums_of_those_below_it() {
    let site = Site::new().await;
    for grid in [GRID, GRID, NEXT_GRID, OTHER_GRID] {
        site.file(grid, json!({})).await;
    }
    let filed = site.file(GRID, json!({ "severity": "extreme" })).await;
    let step = json!({ "step": "supervise", "note": "watched" });
    let last = site.step(Role::Centre, &filed, step).await;

    let grid = site.ask(&last, &format!("/v1/areas/{GRID}")).await;
    assert_eq!(
        (&grid["reported"], &grid["open"], &grid["level"]),
        (&json!(3), &json!(3), &json!("grid"))
    );
    assert_eq!(grid["supervised"], 1);
    assert_eq!(grid["open_by_level"]["district"], 1);
    assert_eq!(
        grid["open_by_severity"],
        json!({ "general": 2, "larger": 0, "major": 0, "extreme": 1 })
    );
    assert_eq!(
        grid["open_by_category"],
        json!({ "dispute.neighbour.noise": 3 })
    );
    for area in [DISTRICT, STREET, COMMUNITY] {
        let own = site.ask(&last, &format!("/v1/areas/{area}")).await;
        let children = site.ask(&last, &format!("/v1/areas/{area}/children")).await;
        for figure in ["reported", "open", "supervised"] {
            assert_eq!(own[figure], sum(&children, figure), "{area} {figure}");
        }
    }
    let district = site
        .ask(&last, &format!("/v1/areas/{DISTRICT}/children"))
        .await;
    assert_eq!(
        district["children"].as_array().unwrap().len(),
        10,
        "9 streets and 1 town"
    );
    let names: Vec<_> = district["children"]
        .as_array()
        .unwrap()
        .iter()
        .map(|child| &child["name"])
        .collect();
    assert!(names.contains(&&json!("大渡口街道办事处")), "{names:?}");
    let none = site.ask(&last, &format!("/v1/areas/{GRID}/children")).await;
    assert_eq!(none["children"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_those_of_the_districts_zone_and_quiet_ones_have_zeros() {
    let site = Site::new().await;
    // 08:00 on 1 May in Panzhihua.
    let first = site.file(GRID, json!({})).await;
    site.forward(10);
    site.step(Role::Community, &first, json!({ "step": "accept" }))
        .await;
    site.forward(24 * 60 + 15 * 60 + 40);
    // 23:50 on 2 May, and then 00:10 on 3 May.
    site.file(GRID, json!({})).await;
    site.forward(20);
    let last = site.file(NEXT_GRID, json!({})).await;
    let days = site
        .ask(
            &last,
            &format!("/v1/areas/{COMMUNITY}/rollups?by=day&from=2026-04-30&to=2026-05-04"),
        )
        .await;
    let days = days["days"].as_array().unwrap();
    let reported: Vec<_> = days
        .iter()
        .map(|day| {
            (
                day["day"].as_str().unwrap(),
                day["reported"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        reported,
        [
            ("2026-04-30", 0),
            ("2026-05-01", 1),
            ("2026-05-02", 1),
            ("2026-05-03", 1),
            ("2026-05-04", 0)
        ]
    );
    let edge = format!("/v1/areas/{COMMUNITY}/rollups?from=2199-12-30&to=2199-12-31");
    let last_days = site.ask(&last, &edge).await;
    assert_eq!(
        last_days["days"].as_array().unwrap().len(),
        2,
        "to the last year that can be asked for"
    );
    assert_eq!(days[1]["time_to_accept"]["count"], 1);
    let median = days[1]["time_to_accept"]["median_s"].as_u64().unwrap();
    assert!(
        (600..=620).contains(&median),
        "ten minutes to three per cent: {median}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assessment_tells_what_was_in_time_and_what_was_not() {
    let site = Site::new().await;
    let accept = || json!({ "step": "accept" });
    let resolve = || json!({ "step": "resolve", "outcome": "settled", "note": "talked" });
    let rate = |satisfied: bool| json!({ "step": "rate", "satisfied": satisfied });
    // In time, in the same minute.
    let quick = site.file(GRID, json!({})).await;
    site.step(Role::Community, &quick, accept()).await;
    site.step(Role::Community, &quick, resolve()).await;
    site.step(Role::Centre, &quick, rate(true)).await;
    // Late, though nobody had said so before it was accepted; then resolved in time.
    let slow = site.file(NEXT_GRID, json!({})).await;
    site.forward(241);
    site.step(Role::Community, &slow, accept()).await;
    site.step(Role::Community, &slow, resolve()).await;
    site.step(Role::Centre, &slow, rate(false)).await;
    // Found late, sent up, and accepted within the new limit: late all the same.
    let late = site.file(OTHER_GRID, json!({})).await;
    let path = format!("/v1/cases/{}/escalation", late.case_id);
    let due_at = site.ask(&late, &path).await["due_at"].clone();
    site.forward(241);
    let step = json!({ "step": "pass_moment", "at": due_at });
    site.step(Role::Service, &late, step).await;
    let last = site.step(Role::Community, &late, accept()).await;

    let path = format!("/v1/areas/{DISTRICT}/assessment?from=2026-05-01&to=2026-05-02");
    let assessed = site.ask(&last, &path).await;
    let figures = |assessment: &Value, names: &[&str]| -> Vec<u64> {
        let figure = |name: &&str| assessment[*name].as_u64().unwrap();
        names.iter().map(figure).collect()
    };
    let names = [
        "reported",
        "accepted",
        "accepted_in_time",
        "resolved",
        "resolved_in_time",
        "escalated",
        "satisfied",
        "dissatisfied",
    ];
    assert_eq!(figures(&assessed["area"], &names), [3, 3, 1, 2, 2, 2, 1, 1]);
    let street = assessed["children"]
        .as_array()
        .unwrap()
        .iter()
        .find(|child| child["code"] == STREET)
        .unwrap();
    assert_eq!(figures(street, &names), [2, 2, 1, 2, 2, 1, 1, 1]);
    for name in names {
        assert_eq!(assessed["area"][name], sum(&assessed, name), "{name}");
    }
    assert_eq!(assessed["area"]["time_to_accept"]["count"], 3);
    let quiet = site
        .ask(
            &last,
            &format!("/v1/areas/{DISTRICT}/assessment?from=2026-04-01&to=2026-04-02"),
        )
        .await;
    assert_eq!(figures(&quiet["area"], &names), [0; 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_sees_the_figures_of_the_own_areas_only() {
    let site = Site::new().await;
    let worker = site.token(Role::GridWorker, &[GRID]);
    let street = site.token(Role::Street, &[STREET]);
    for (token, path, status) in [
        (&worker, format!("/v1/areas/{GRID}"), 200),
        (&worker, format!("/v1/areas/{NEXT_GRID}"), 403),
        (&worker, format!("/v1/areas/{COMMUNITY}/children"), 403),
        (&street, format!("/v1/areas/{COMMUNITY}/children"), 200),
        (&street, format!("/v1/areas/{DISTRICT}"), 403),
        (&street, format!("/v1/cases?area={DISTRICT}"), 403),
        (&street, format!("/v1/escalations?area={OTHER_GRID}"), 403),
        (&street, format!("/v1/events?area={DISTRICT}"), 403),
        (&street, format!("/v1/live?area={DISTRICT}"), 403),
    ] {
        let (found, answer) = site.get(token, &path).await;
        assert_eq!(found, status, "{path}: {answer}");
        if status == 403 {
            assert_eq!(answer["code"], "GK0005", "{path}");
        }
    }
}
