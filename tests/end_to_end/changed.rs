//! From a log of which an event was changed back to green: everybody names it, nobody appends, and
//! where there is no backup that one event is given up.

use async_nats::{
    HeaderMap,
    jetstream::{self, message::StreamMessage},
};
use gridkeeper_tests::{installation::SERVICES, sample_district};

use crate::site::{Site, new_id, report};

const GRID: &str = "51040200200501";
const OTHER: &str = "51040200300101";
const STREAM: &str = "EVT_510402";

/// Writes the stream anew with one message changed, as whoever has the broker's rights can.
async fn change(url: &str, position: u64) {
    let context = jetstream::new(async_nats::connect(url).await.unwrap());
    let mut stream = context.get_stream(STREAM).await.unwrap();
    let info = stream.info().await.unwrap().clone();
    let mut messages = Vec::new();
    for sequence in 1..=info.state.last_sequence {
        messages.push(stream.get_raw_message(sequence).await.unwrap());
    }
    context.delete_stream(STREAM).await.unwrap();
    context.create_stream(info.config).await.unwrap();
    for StreamMessage {
        subject,
        sequence,
        headers,
        payload,
        ..
    } in messages
    {
        let mut kept = HeaderMap::new();
        if let Some(id) = headers.get("Nats-Msg-Id") {
            kept.insert("Nats-Msg-Id", id.as_str());
        }
        let mut bytes = payload.to_vec();
        if sequence == position {
            // Of the description's characters, so that what is changed is an event still.
            let last = bytes.windows(5).rposition(|text| text == b"water").unwrap();
            bytes[last] ^= 1;
        }
        let sent = context.publish_with_headers(subject, kept, bytes.into());
        assert_eq!(sent.await.unwrap().await.unwrap().sequence, sequence);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_changed_far_back_is_named_given_up_and_the_rest_goes_on() {
    let mut site = Site::started(&sample_district()).await;
    let filed = site.file(6, GRID).await;
    site.file(6, OTHER).await;
    let changed = &filed[2];
    let position = changed.position.0;
    site.stop_all().await;
    change(&site.broker.url(), position).await;
    for service in SERVICES {
        site.start(service);
    }
    site.until_red("intake", "GK0317").await;
    for service in ["aggregator", "escalator"] {
        site.until_red(service, "GK0322").await;
    }
    let (said, _) = site.fails(&["doctor"]).await;
    let named = format!("positions {position} to {position} hold other events");
    assert!(
        said.contains(&named) && !said.contains("quarantine"),
        "{said}"
    );
    let next = (position + 1).to_string();
    let quarantine = ["log", "quarantine", "--position", &next, "--reason", "?"];
    let (_, refused) = site.fails(&quarantine).await;
    assert!(refused.contains("GK0328"), "{refused}");

    let accept = ["log", "accept-loss", "--changed", "--reason", "a bad disk"];
    let said = site.run(&accept).await;
    assert!(said.contains("1 of their events are known"), "{said}");
    site.kill_all().await;
    site.start_all().await;
    let now = site.last_position().await;
    let all = format!("/v1/areas/510402?at_least={now}&wait_ms=10000");
    assert_eq!(site.answer(&all).await["reported"], 11);
    let path = format!("/v1/cases/{}", changed.case_id);
    let (status, answer) = site.ask(&site.admin(), &path).await;
    assert_eq!((status, answer["code"].as_str()), (410, Some("GK0530")));
    let again = report(&changed.case_id.to_string(), GRID);
    let filed = site.door().file(&[again, report(&new_id(), GRID)]).await;
    assert!(filed.iter().all(|receipt| !receipt.repeated));
    let healthy = site.run(&["doctor"]).await;
    assert!(healthy.contains("nothing is wrong"), "{healthy}");
    let shown = site.run(&["verify"]).await;
    assert!(shown.contains("a bad disk"), "{shown}");
}
