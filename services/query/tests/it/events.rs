//! Events: live and pulled, each once and in order.

use std::time::Duration;

use futures::StreamExt as _;
use gridkeeper_proto::access::Role;
use gridkeeper_tests::BOUND;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::site::{COMMUNITY, DISTRICT, GRID, NEXT_GRID, OTHER_GRID, Site};

/// One who listens to live events.
struct Listener {
    chunks: futures::stream::BoxStream<'static, reqwest::Result<Vec<u8>>>,
    text: String,
}

/// An event as it came.
#[derive(Debug, PartialEq)]
struct Came {
    id: Option<u64>,
    name: String,
    data: Value,
}

impl Listener {
    async fn new(site: &Site, area: &str, last_event_id: Option<u64>) -> Self {
        let mut request = site.request(&site.centre(), &format!("/v1/live?area={area}"));
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id.to_string());
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let chunks = answer
            .bytes_stream()
            .map(|chunk| chunk.map(|bytes| bytes.to_vec()));
        Self {
            chunks: chunks.boxed(),
            text: String::new(),
        }
    }

    async fn next(&mut self) -> Came {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(came) = parse(&event) {
                    return came;
                }
                continue;
            }
            let chunk = timeout(BOUND, self.chunks.next()).await.expect("in time");
            let chunk = chunk.expect("a stream without end").unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn positions(&mut self, count: usize) -> Vec<u64> {
        let mut positions = Vec::new();
        for _ in 0..count {
            let came = self.next().await;
            assert_eq!(came.data["position"].as_u64(), came.id, "{came:?}");
            positions.push(came.id.unwrap());
        }
        positions
    }
}

fn parse(event: &str) -> Option<Came> {
    let field = |name: &str| {
        let mut lines = event.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    Some(Came {
        id: field("id").map(|id| id.parse().unwrap()),
        name: field("event")?.to_owned(),
        data: serde_json::from_str(field("data")?).unwrap(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn live_events_come_as_they_happen_and_only_those_of_the_area() {
    let site = Site::new().await;
    site.file(GRID, json!({})).await;
    let mut community = Listener::new(&site, COMMUNITY, None).await;
    let mut district = Listener::new(&site, DISTRICT, None).await;
    site.file(OTHER_GRID, json!({})).await;
    let filed = site.file(NEXT_GRID, json!({})).await;
    let came = community.next().await;
    assert_eq!(
        (came.id, came.name.as_str()),
        (Some(site.adopted() + 3), "reported")
    );
    assert_eq!(came.data["aggregate"], json!(filed.case_id));
    assert_eq!(came.data["event"]["parties"], Value::Null);
    let first = site.adopted() + 2;
    assert_eq!(district.positions(2).await, [first, first + 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_back_gets_every_event_once_also_after_the_broker_was_killed() {
    let mut site = Site::new().await;
    for _ in 0..10 {
        site.file(GRID, json!({})).await;
    }
    let first = site.adopted();
    let span = |from: u64, to: u64| (first + from..=first + to).collect::<Vec<_>>();
    let mut listener = Listener::new(&site, DISTRICT, Some(first)).await;
    assert_eq!(listener.positions(7).await, span(1, 7));
    drop(listener);
    for _ in 0..5 {
        site.file(GRID, json!({})).await;
    }
    let mut listener = Listener::new(&site, DISTRICT, Some(first + 7)).await;
    assert_eq!(listener.positions(8).await, span(8, 15));

    site.broker.kill().await.unwrap();
    site.broker.restart().await.unwrap();
    for _ in 0..5 {
        site.file(GRID, json!({})).await;
    }
    assert_eq!(listener.positions(5).await, span(16, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_falls_behind_reads_on_from_the_log() {
    let options = gridkeeper_query::Options {
        live_buffer: 1,
        ..gridkeeper_query::Options::default()
    };
    let site = Site::with(options).await;
    let mut listener = Listener::new(&site, DISTRICT, None).await;
    let filing = async {
        let mut filing = Vec::new();
        for _ in 0..8 {
            filing.push(async {
                for _ in 0..10 {
                    site.file(GRID, json!({})).await;
                }
            });
        }
        futures::future::join_all(filing).await;
    };
    let (positions, ()) = tokio::join!(listener.positions(80), filing);
    let first = site.adopted() + 1;
    assert_eq!(positions, (first..first + 80).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn more_listeners_than_places_are_told_to_come_back() {
    let options = gridkeeper_query::Options {
        live_clients: 1,
        ..gridkeeper_query::Options::default()
    };
    let site = Site::with(options).await;
    let first = Listener::new(&site, DISTRICT, None).await;
    let (status, answer) = site.get(&site.centre(), "/v1/live").await;
    assert_eq!((status, &answer["code"]), (429, &json!("GK0627")));
    drop(first);
    let freed = async {
        loop {
            let answer = site
                .request(&site.centre(), "/v1/live")
                .send()
                .await
                .unwrap();
            if answer.status() == 200 {
                return;
            }
        }
    };
    timeout(BOUND, freed)
        .await
        .expect("the place is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_in_pages_gives_every_event_once_and_goes_on_past_other_areas() {
    let site = Site::new().await;
    for number in 0..30 {
        site.file([GRID, OTHER_GRID, OTHER_GRID][number % 3], json!({}))
            .await;
    }
    let pull = async |path: String| {
        let answer = site.request(&site.centre(), &path).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let (position, more) = (header("gridkeeper-position"), header("gridkeeper-more"));
        let text = answer.text().await.unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let positions: Vec<_> = lines
            .map(|line| line["position"].as_u64().unwrap())
            .collect();
        (positions, position, more == "true")
    };
    let first = site.adopted() + 1;
    let last = first + 29;
    for (area, wanted) in [
        (DISTRICT, (1..=last).collect::<Vec<_>>()),
        (COMMUNITY, (first..=last).step_by(3).collect()),
    ] {
        let (mut seen, mut after, mut more) = (Vec::new(), "0".to_owned(), true);
        while more {
            let path = format!("/v1/events?area={area}&limit=4&after={after}");
            let (positions, position, goes_on) = pull(path).await;
            assert!(positions.len() <= 4);
            seen.extend(positions);
            (after, more) = (position, goes_on);
        }
        assert_eq!(seen, wanted, "{area}");
        assert_eq!(after, last.to_string());
    }
    let path = format!("/v1/events?after={last}&wait_ms=9000");
    let ((waited, ..), _) = tokio::join!(pull(path), site.file(GRID, json!({})));
    assert_eq!(waited, [last + 1]);
    let limit = Duration::from_secs(5);
    let path = format!("/v1/events?after={}&wait_ms=20", last + 1);
    let (none, position, more) = timeout(limit, pull(path)).await.unwrap();
    assert_eq!(
        (none.len(), position, more),
        (0, (last + 1).to_string(), false)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_several_areas_has_to_say_which_one() {
    let site = Site::new().await;
    let both = site.token(Role::GridWorker, &[GRID, OTHER_GRID]);
    let (status, answer) = site.get(&both, "/v1/cases").await;
    assert_eq!((status, &answer["code"]), (400, &json!("GK0622")));
    let (status, _) = site
        .get(&both, &format!("/v1/cases?area={OTHER_GRID}"))
        .await;
    assert_eq!(status, 200);
}
