//! The service on a real broker.

use std::{collections::HashMap, path::Path, time::Duration};

use gridkeeper_aggregator::{Error, rebuild};
use gridkeeper_districtviews::projection::SCHEMA;
use gridkeeper_liveviews::{Report, log::RawEvent};
use gridkeeper_proto::{
    code::{Code, Coded as _},
    envelope::{Header, Position},
    event::{ByAggregate, Recorded},
    view::{AreaSummary, CaseView, ViewAnswer, ViewError, ViewQuestion, ViewRequest},
};
use gridkeeper_tests::until;
use gridkeeper_viewstore::ViewStore;
use proptest::{strategy::Strategy as _, strategy::ValueTree as _, test_runner::TestRunner};

use crate::{
    history::{History, attempts, district},
    site::{Site, garble, overwrite_pages, site},
};

/// So long that only a fault reaches it.
const LONG: Duration = Duration::from_secs(60);

pub(crate) fn log() -> Vec<RawEvent> {
    let mut runner = TestRunner::deterministic();
    let attempts = attempts(300).new_tree(&mut runner).unwrap().current();
    History::of(&attempts).log()
}

pub(crate) fn last(log: &[RawEvent]) -> Position {
    Position(log.len() as u64)
}

/// The district's figures, counted from the cases as they are at the end of the log.
pub(crate) fn expected(log: &[RawEvent]) -> AreaSummary {
    let mut cases: HashMap<_, CaseView> = HashMap::new();
    for raw in log {
        let recorded = Recorded::decode(raw.position, &raw.bytes).unwrap();
        if let ByAggregate::Case(recorded) = recorded.by_aggregate() {
            let id = recorded.header.aggregate;
            let evolved = CaseView::evolve(cases.remove(&id).map(Box::new), &recorded).unwrap();
            cases.insert(id, *evolved);
        }
    }
    let mut summary = AreaSummary::default();
    for case in cases.values() {
        summary.replace(None, case);
    }
    summary
}

pub(crate) fn summary_question() -> ViewQuestion {
    ViewQuestion::Summaries(vec![district()])
}

/// The district's figures, from views that hold all of the log.
pub(crate) async fn summary(site: &Site, log: &[RawEvent]) -> AreaSummary {
    let reply = site.ask(last(log), summary_question()).await;
    assert_eq!(reply.position, last(log));
    match reply.answer.unwrap() {
        ViewAnswer::Summaries(mut all) => all.remove(0).1,
        other => panic!("{other:?}"),
    }
}

/// How many generations of the views there are.
fn generations(views: &Path) -> usize {
    let entries = std::fs::read_dir(views).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with("gen-"))
        .count()
}

async fn rebuild(site: &Site, diff_only: bool) -> Result<Report, Error> {
    rebuild::request(&site.client, district(), diff_only, LONG).await
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_from_views_as_fresh_as_they_ask_for() {
    let (site, log) = (site().await, log());
    let (early, late) = log.split_at(log.len() - 10);
    site.append(early).await;
    let aggregator = site.aggregator().await;
    assert_eq!(summary(&site, early).await, expected(early));
    aggregator.until_status("/readyz", 200).await;

    let request = |wait_ms| ViewRequest {
        at_least: last(&log),
        wait_ms,
        question: summary_question(),
    };
    let behind = site.try_ask(&request(50)).await.unwrap();
    let position = last(early);
    assert_eq!(behind.answer, Err(ViewError::Behind { position }));

    let (waited, ()) = tokio::join!(summary(&site, &log), site.append(late));
    assert_eq!(waited, expected(&log));
    let garbage = site.request(b"hello".to_vec()).await.unwrap();
    assert_eq!(garbage.answer, Err(ViewError::Release));
    aggregator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_aggregators_share_the_questions_and_one_alone_answers_them_all() {
    let (site, log) = (site().await, log());
    site.append(&log).await;
    let first = site.aggregator().await;
    let second = site.aggregator_in(site.views().join("of the second")).await;
    for aggregator in [&first, &second] {
        aggregator.until_status("/readyz", 200).await;
    }
    for _ in 0..50 {
        assert_eq!(summary(&site, &log).await, expected(&log));
    }
    first.stop().await.unwrap();
    // The other one alone; each question is answered at once, none goes to the one that left.
    let request = ViewRequest {
        at_least: last(&log),
        wait_ms: 0,
        question: summary_question(),
    };
    for _ in 0..50 {
        let reply = site.try_ask(&request).await.unwrap();
        assert_eq!(reply.position, last(&log));
    }
    second.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_after_the_broker_was_killed_and_after_itself_was_stopped() {
    let (mut site, log) = (site().await, log());
    let third = log.len() / 3;
    site.append(&log[..third]).await;
    let aggregator = site.aggregator().await;
    assert_eq!(summary(&site, &log[..third]).await, expected(&log[..third]));

    site.broker.kill().await.unwrap();
    site.broker.restart().await.unwrap();
    until("the log answers again", async || {
        site.log.last_position().await.ok()
    })
    .await;
    site.append(&log[third..2 * third]).await;
    let so_far = &log[..2 * third];
    assert_eq!(summary(&site, so_far).await, expected(so_far));
    aggregator.stop().await.unwrap();

    site.append(&log[2 * third..]).await;
    let aggregator = site.aggregator().await;
    assert_eq!(summary(&site, &log).await, expected(&log));
    assert!(rebuild(&site, true).await.unwrap().is_equal());
    aggregator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_folder_is_set_aside_and_the_views_come_from_the_log_again() {
    let (site, log) = (site().await, log());
    site.append(&log).await;
    let aggregator = site.aggregator().await;
    assert_eq!(summary(&site, &log).await, expected(&log));
    aggregator.stop().await.unwrap();
    garble(&site.views());
    let aggregator = site.aggregator().await;
    assert_eq!(summary(&site, &log).await, expected(&log));
    let aside = site.views().join("corrupt-000001");
    assert!(aside.exists(), "what was corrupt is kept");
    let (_, metrics) = aggregator.get("/metrics").await;
    assert!(metrics.contains("gridkeeper_views_quarantined_total"));
    assert!(rebuild(&site, true).await.unwrap().is_equal());
    aggregator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn overwritten_pages_lead_to_an_earlier_position_or_a_new_start_and_never_to_wrong_views() {
    let (site, log) = (site().await, log());
    for part in log.chunks(40) {
        site.append(part).await;
        let aggregator = site.aggregator().await;
        let position = part.last().unwrap().position;
        let reply = site.ask(position, ViewQuestion::Position).await;
        assert_eq!(reply.position, position);
        aggregator.stop().await.unwrap();
    }
    overwrite_pages(&site.views());
    let aggregator = site.aggregator().await;
    assert_eq!(summary(&site, &log).await, expected(&log));
    assert!(rebuild(&site, true).await.unwrap().is_equal());
    aggregator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_compares_swaps_and_is_the_only_one() {
    let (site, log) = (site().await, log());
    let (early, late) = log.split_at(log.len() - 10);
    site.append(early).await;
    let aggregator = site.aggregator().await;
    assert_eq!(summary(&site, early).await, expected(early));

    let compared = rebuild(&site, true).await.unwrap();
    assert!(compared.is_equal() && compared.equal > 0 && !compared.swapped);
    assert_eq!(compared.position, last(early));

    // Held at the log's door, the first is still running when the second asks.
    site.hold.send_replace(true);
    let second = async {
        until("the first has begun", async || {
            (generations(&site.views()) == 2).then_some(())
        })
        .await;
        until("the second is refused", async || {
            match rebuild::request(&site.client, district(), true, Duration::from_millis(300)).await
            {
                Err(error) if error.code() == Code(406) => Some(()),
                _ => None,
            }
        })
        .await;
        site.hold.send_replace(false);
    };
    let (swapped, ()) = tokio::join!(rebuild(&site, false), second);
    let swapped = swapped.unwrap();
    assert!(swapped.is_equal() && swapped.swapped);

    site.append(late).await;
    assert_eq!(summary(&site, &log).await, expected(&log));
    aggregator.stop().await.unwrap();
    let aggregator = site.aggregator().await;
    assert_eq!(summary(&site, &log).await, expected(&log));
    aggregator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn views_that_are_compacted_all_the_time_follow_and_answer_and_stay_the_same() {
    let (site, log) = (site().await, log());
    let always = || {
        let store = gridkeeper_viewstore::Options {
            allowed_disk_bytes: 1,
            ..Default::default()
        };
        let views = gridkeeper_liveviews::Options {
            flush_every_ms: 1,
            store,
            ..Default::default()
        };
        site.aggregator_with(site.views(), views)
    };
    let mut aggregator = always().await;
    let mut done = 0;
    for part in log.chunks(25) {
        site.append(part).await;
        done += part.len();
        assert_eq!(summary(&site, &log[..done]).await, expected(&log[..done]));
        if done == 100 {
            aggregator.stop().await.unwrap();
            assert_eq!(generations(&site.views()), 1);
            aggregator = always().await;
        }
    }
    until("views were compacted", async || {
        let (_, metrics) = aggregator.get("/metrics").await;
        let counted = "gridkeeper_views_compactions_total{views=\"aggregator\"}";
        metrics.contains(counted).then_some(())
    })
    .await;
    let compared = until("a rebuild has its turn", async || {
        match rebuild(&site, true).await {
            Err(error) if error.code() == Code(415) => None,
            compared => Some(compared.unwrap()),
        }
    })
    .await;
    assert!(compared.is_equal() && compared.position == last(&log));
    aggregator.stop().await.unwrap();
    assert_eq!(generations(&site.views()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_finds_and_mends_views_that_do_not_follow_from_the_log() {
    let (site, log) = (site().await, log());
    let before = &log[..log.len() - 1];
    site.append(before).await;
    let aggregator = site.aggregator().await;
    assert_eq!(summary(&site, before).await, expected(before));
    aggregator.stop().await.unwrap();

    // As a mistake in the folding would leave them: an event left out, and a key too many.
    let options = gridkeeper_viewstore::Options::default();
    let (store, _) = ViewStore::open(site.views(), SCHEMA, options).unwrap();
    let mut changes = store.changes();
    changes.put(vec![200], vec![1]).unwrap();
    changes.commit(last(&log)).unwrap();
    store.flush().unwrap();
    drop(store);
    site.append(&log[before.len()..]).await;

    let aggregator = site.aggregator().await;
    let _listens = site.ask(last(&log), ViewQuestion::Position).await;
    let compared = rebuild(&site, true).await.unwrap();
    assert!(compared.different > 0 && compared.only_running == 1);
    assert!(
        compared
            .first
            .iter()
            .any(|key| key == "01" || key.len() > 2)
    );
    assert!(!rebuild(&site, false).await.unwrap().is_equal());
    assert!(rebuild(&site, true).await.unwrap().is_equal());
    assert_eq!(summary(&site, &log).await, expected(&log));
    aggregator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_type_of_event_turns_health_red_and_is_the_answer_to_every_question() {
    let (site, mut log) = (site().await, log());
    site.append(&log).await;
    let aggregator = site.aggregator().await;
    assert_eq!(summary(&site, &log).await, expected(&log));
    aggregator.until_status("/healthz", 200).await;

    let mut history = History::new();
    history.report(1, 0);
    let mut unknown = history.log().remove(1);
    let (mut header, payload) = Header::decode(&unknown.bytes).unwrap();
    header.event_type = 999;
    header.event_id = gridkeeper_proto::id::EventId::from_bytes([9; 16]);
    unknown.bytes = header.encode(payload);
    unknown.position = Position(log.len() as u64 + 1);
    site.append(&[unknown.clone()]).await;
    log.push(unknown);

    let health = aggregator.until_status("/healthz", 503).await;
    assert!(health.contains("GK0313"), "{health}");
    assert!(
        health.contains(&format!("position {}", log.len())),
        "{health}"
    );
    aggregator.until_status("/readyz", 503).await;
    for at_least in [Position(0), last(&log)] {
        let reply = site.ask(at_least, summary_question()).await;
        let stopped = matches!(reply.answer, Err(ViewError::Stopped { code: 313, .. }));
        assert!(stopped, "{:?}", reply.answer);
        assert_eq!(reply.position.0, log.len() as u64 - 1);
    }
    assert_eq!(rebuild(&site, true).await.unwrap_err().code(), Code(313));
    assert_eq!(aggregator.stop().await.unwrap_err().code(), Code(313));

    // Views that start after the fact say the same instead of staying silent.
    let aggregator = site.aggregator().await;
    let reply = site.ask(Position(0), ViewQuestion::Position).await;
    let stopped = matches!(reply.answer, Err(ViewError::Stopped { code: 313, .. }));
    assert!(stopped, "{:?}", reply.answer);
    aggregator.stop().await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_to_rebuild_is_said_so() {
    let site = site().await;
    assert_eq!(rebuild(&site, true).await.unwrap_err().code(), Code(610));
}
