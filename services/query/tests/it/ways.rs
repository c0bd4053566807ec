//! Both ways to the views: those of the aggregator in the same process, and over the broker.

use gridkeeper_proto::{access::Role, area::AreaCode};
use gridkeeper_query::{Keeper, Options};
use gridkeeper_tests::until;
use serde_json::{Value, json};

use crate::site::{COMMUNITY, DISTRICT, GRID, NEXT_GRID, OTHER_GRID, STREET, Site};

const WAYS: [Keeper; 2] = [Keeper::Own, Keeper::Aggregators];

fn options(views: Keeper) -> Options {
    Options {
        views,
        answer_timeout_ms: 200,
        ..Options::default()
    }
}

/// Every list with all its pages, from the address of a query service.
async fn pages(site: &Site, url: &str, list: &str) -> Vec<Value> {
    let mut pages = Vec::new();
    let mut path = list.to_owned();
    loop {
        let (status, page) = site.get_at(url, &site.centre(), &path).await;
        assert_eq!(status, 200, "{path}: {page}");
        let next = page["next"].as_str().map(str::to_owned);
        pages.push(page);
        let Some(next) = next else {
            return pages;
        };
        path = format!("{list}&after={next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_give_the_same_answers_and_the_same_pages() {
    let site = Site::with(options(Keeper::Own)).await;
    let urls = [site.url(), site.other_url().unwrap()];
    // Long enough that what one reply holds, and not the limit, ends a page.
    let description = "水".repeat(1_990);
    let mut last = site.file(GRID, json!({})).await;
    for number in 0..220 {
        let grid = [GRID, NEXT_GRID, OTHER_GRID][number % 3];
        last = site.file(grid, json!({ "description": description })).await;
    }
    let case = site
        .step(Role::Community, &last, json!({ "step": "accept" }))
        .await;
    let (id, at_least) = (case.case_id, case.position);
    for path in [
        format!("/v1/cases/{id}?at_least={at_least}"),
        format!("/v1/cases/{id}/timeline?at_least={at_least}"),
        format!("/v1/cases/{id}/escalation?at_least={at_least}"),
        format!("/v1/areas/{STREET}"),
        format!("/v1/areas/{COMMUNITY}/children"),
        format!("/v1/areas/{DISTRICT}/rollups?from=2026-04-30&to=2026-05-02"),
        "/v1/cases?served_by=nobody".to_owned(),
        "/v1/policies".to_owned(),
        "/v1/cases/01980000-0000-7000-8000-000000000001".to_owned(),
    ] {
        let own = site.get_at(&urls[0], &site.centre(), &path).await;
        let other = site.get_at(&urls[1], &site.centre(), &path).await;
        assert_eq!(own, other, "{path}");
    }
    for list in [
        "/v1/cases?limit=1000",
        "/v1/cases?limit=50",
        "/v1/escalations?limit=1000",
        "/v1/escalations?limit=50&level=grid",
    ] {
        let own = pages(&site, &urls[0], list).await;
        assert!(own.len() > 1, "{list}: the reply has a limit of its own");
        assert_eq!(own, pages(&site, &urls[1], list).await, "{list}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_waits_for_the_position_it_has_to_hold_up_to_a_limit() {
    for views in WAYS {
        let site = Site::with(options(views)).await;
        let filed = site.file(GRID, json!({})).await;
        let ahead = filed.position.0 + 1;
        let path = format!("/v1/areas/{GRID}?at_least={ahead}");
        let (status, behind) = site
            .get(&site.centre(), &format!("{path}&wait_ms=50"))
            .await;
        assert_eq!(
            (status, &behind["code"]),
            (503, &json!("GK0600")),
            "{views:?}"
        );
        assert_eq!(behind["position"], filed.position.0, "{views:?}");
        let (token, path) = (site.centre(), format!("{path}&wait_ms=9000"));
        let (waited, _) = tokio::join!(site.get(&token, &path), site.file(GRID, json!({})));
        let (status, answer) = waited;
        assert_eq!(
            (status, &answer["reported"]),
            (200, &json!(2)),
            "{views:?}: {answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_aggregator_the_service_says_so_and_goes_on_when_one_is_there() {
    for views in WAYS {
        let mut site = Site::with(options(views)).await;
        let filed = site.file(GRID, json!({})).await;
        site.stop_aggregator().await;
        let (status, answer) = site.get(&site.centre(), &format!("/v1/areas/{GRID}")).await;
        assert_eq!(
            (status, &answer["code"]),
            (503, &json!("GK0628")),
            "{views:?}: {answer}"
        );
        site.start_aggregator().await;
        site.until_status(&format!("/v1/areas/{GRID}"), 200).await;
        let area = site.ask(&filed, &format!("/v1/areas/{GRID}")).await;
        assert_eq!(area["reported"], 1, "{views:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_waits_ends_with_the_views_of_its_own_process() {
    let mut site = Site::with(options(Keeper::Own)).await;
    let path = format!("/v1/areas/{GRID}?at_least=1000&wait_ms=10000");
    let request = site.request(&site.centre(), &path);
    let waiting = tokio::spawn(async move { request.send().await.unwrap() });
    // The service takes it before it is told that the views are closed, or after: the answer is the same.
    site.file(GRID, json!({})).await;
    site.stop_aggregator().await;
    let answer: Value = waiting.await.unwrap().json().await.unwrap();
    assert_eq!(answer["code"], "GK0628", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stopped_the_views_is_the_answer() {
    for views in WAYS {
        let site = Site::with(options(views)).await;
        site.file(GRID, json!({})).await;
        let broker = async_nats::connect(site.broker.url()).await.unwrap();
        let subject = GRID.parse::<AreaCode>().unwrap();
        broker
            .publish(subject.subject(), "no event".into())
            .await
            .unwrap();
        broker.flush().await.unwrap();
        let path = format!("/v1/areas/{GRID}");
        let answer = until(&format!("{views:?}: the views have stopped"), async || {
            let (status, answer) = site.get(&site.centre(), &path).await;
            (status == 503).then_some(answer)
        })
        .await;
        assert_eq!(answer["code"], "GK0601", "{views:?}: {answer}");
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.contains("(GK0310)"), "{views:?}: {detail}");
        site.until_status("/readyz", 503).await;
    }
}
