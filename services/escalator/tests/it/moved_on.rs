//! Cases that move on while their step is on its way, or before the escalator has read of it.

use gridkeeper_proto::{
    event::{CaseEvent, Recorded},
    id::CaseId,
};
use gridkeeper_tests::until;
use serde_json::json;

use crate::site::{MINUTE, Site, TO_ACCEPT};

const DAY: i64 = 24 * 60;

async fn suspend(site: &Site, case: CaseId, days: i64) {
    let until = site.now().plus_millis(days * DAY * MINUTE);
    let step = json!({ "step": "suspend", "reason": "away", "until": until });
    site.step(case, step).await;
}

async fn until_one_waits(site: &Site) {
    until("a step is on its way", async || {
        (site.door.waiting().len() == 1).then_some(())
    })
    .await;
}

fn resumptions(events: &[Recorded]) -> usize {
    let resumed =
        |recorded: &&Recorded| matches!(recorded.of_case(), Some((_, CaseEvent::Resumed(_))));
    events.iter().filter(resumed).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumption_on_its_way_does_not_end_a_suspension_begun_meanwhile() {
    let site = Site::new().await;
    let escalator = site.escalator().await;
    let case = site.file().await.case_id;
    site.step(case, json!({ "step": "accept" })).await;
    suspend(&site, case, 10).await;
    site.door.keep_requests();
    site.forward(10 * DAY);
    until_one_waits(&site).await;
    // That its suspension had ended is recorded first.
    suspend(&site, case, 20).await;
    site.door.open();
    until("the late resumption is answered", async || {
        site.door.waiting().is_empty().then_some(())
    })
    .await;
    assert_eq!(escalator.until_it_looked(&site.door).await, 0);
    assert_eq!(resumptions(&site.events().await), 1, "the first");
    escalator.until_status("/healthz", 200).await;

    site.forward(20 * DAY);
    until("it resumes at its end", async || {
        (resumptions(&site.events().await) == 2).then_some(())
    })
    .await;
    escalator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_a_case_that_ends_meanwhile_changes_nothing_and_is_no_failure() {
    let site = Site::new().await;
    let escalator = site.escalator().await;
    let case = site.file().await.case_id;
    site.door.keep_requests();
    site.forward(TO_ACCEPT);
    until_one_waits(&site).await;
    site.step(case, json!({ "step": "cancel", "reason": "a mistake" }))
        .await;
    site.door.open();
    let other = site.file().await.case_id;
    site.forward(TO_ACCEPT);
    let missed = site.until_missed(2).await;
    let cases: Vec<_> = missed.iter().map(|(case, _)| *case).collect();
    assert_eq!(
        cases,
        [case, other],
        "that it was late is recorded once, before it ended"
    );
    assert_eq!(escalator.until_it_looked(&site.door).await, 0);
    escalator.until_status("/healthz", 200).await;
    escalator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_before_the_timers_have_caught_up_with_the_log() {
    const CASES: usize = 100;
    let site = Site::new().await;
    let mut cases = Vec::new();
    for _ in 0..CASES {
        cases.push(site.file().await.case_id);
    }
    site.forward(TO_ACCEPT);
    for case in &cases {
        site.step(*case, json!({ "step": "accept" })).await;
    }
    let mut options = site.options("timers");
    options.views.batch_events = 1;
    options.views.catch_up_events = 1;
    options.http.ready_behind_events = 0;
    let escalator = site.escalator_of(options).await;
    // Half of the way through the log every case was late.
    assert_eq!(escalator.until_it_looked(&site.door).await, 0);
    assert_eq!(site.door.asked.load(std::sync::atomic::Ordering::SeqCst), 0);
    escalator.stop().await;
}
