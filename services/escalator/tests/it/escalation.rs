//! What goes up, when, and how often.

use gridkeeper_proto::{
    access::Role,
    area::Level,
    event::{CaseEvent, Recorded},
};
use gridkeeper_tests::until;
use serde_json::json;

use crate::site::{Site, TO_ACCEPT};

#[tokio::test(flavor = "multi_thread")]
async fn a_case_goes_up_when_its_due_time_passes_and_not_before() {
    let site = Site::new().await;
    let escalator = site.escalator().await;
    let due_at = site.now().plus_millis(TO_ACCEPT * 60_000);
    let filed = site.file().await;
    site.forward(TO_ACCEPT - 1);
    site.until_shares(&[75]).await;
    assert_eq!(escalator.until_it_looked(&site.door).await, 0);
    assert_eq!(site.missed().await, []);
    site.forward(1);
    assert_eq!(site.until_missed(1).await, [(filed.case_id, due_at)]);
    let events = site.events().await;
    let of_case = |recorded: &&Recorded| recorded.of_case().is_some();
    let events: Vec<_> = events.iter().filter(of_case).collect();
    let Some((_, CaseEvent::Escalated(escalated))) = events[3].of_case() else {
        panic!("{:?}", events[3])
    };
    assert_eq!(
        (escalated.from, escalated.holder.level),
        (Level::Grid, Level::Community)
    );
    assert_eq!(events[3].header.actor.role, Role::Service);
    assert_eq!(events[3].header.recorded_at, due_at, "as soon as it passed");
    escalator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_days_away_every_step_comes_once_and_in_the_order_of_the_due_times() {
    let site = Site::new().await;
    let mut filed = Vec::new();
    for _ in 0..5 {
        filed.push(site.file().await.case_id);
        site.forward(7);
    }
    site.step(filed[4], json!({ "step": "accept" })).await;
    site.forward(TO_ACCEPT);
    let escalator = site.escalator().await;
    let missed = site.until_missed(4).await;
    let cases: Vec<_> = missed.iter().map(|(case, _)| *case).collect();
    assert_eq!(cases, filed[..4], "the earliest due first");

    escalator.stop().await;
    site.forward(3 * 24 * 60);
    let escalator = site.escalator().await;
    // In three days each of them used up the time of every level.
    let missed = site.until_missed(20).await;
    for case in &filed[..4] {
        let due: Vec<_> = missed.iter().filter(|(late, _)| late == case).collect();
        let gaps = due.iter().zip(due.iter().skip(1));
        let gaps: Vec<_> = gaps.map(|((_, a), (_, b))| b.since(*a)).collect();
        assert_eq!(
            gaps,
            [TO_ACCEPT * 60_000; 4],
            "as if somebody had looked all the time"
        );
    }
    assert_eq!(escalator.until_it_looked(&site.door).await, 0);
    assert_eq!(site.missed().await, missed, "nothing more is due");
    escalator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_nobody_takes_up_climbs_to_the_city_and_stays_there_overdue() {
    let site = Site::new().await;
    let escalator = site.escalator().await;
    site.file().await;
    for rung in 1..=5 {
        site.forward(TO_ACCEPT);
        assert_eq!(site.until_missed(rung).await.len(), rung);
    }
    site.forward(365 * 24 * 60);
    // Of all the reminders of a year only the last.
    site.until_shares(&[100 + 365 * 24 / 4 * 100]).await;
    assert_eq!(site.missed().await.len(), 5);
    let events = site.events().await;
    let levels: Vec<_> = events
        .iter()
        .filter_map(|recorded| match recorded.of_case()? {
            (_, CaseEvent::Escalated(event)) => Some(event.holder.level),
            _ => None,
        })
        .collect();
    assert_eq!(
        levels,
        [
            Level::Community,
            Level::Street,
            Level::District,
            Level::City
        ]
    );
    escalator.until_status("/healthz", 200).await;
    escalator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_case_resumes_at_its_end_and_does_not_go_up_before() {
    let site = Site::new().await;
    let escalator = site.escalator().await;
    let filed = site.file().await;
    site.step(filed.case_id, json!({ "step": "accept" })).await;
    let until_moment = site.now().plus_millis(10 * 86_400_000);
    let step = json!({ "step": "suspend", "reason": "away", "until": until_moment });
    site.step(filed.case_id, step).await;
    // Only who knows of the suspension leaves the case alone; whoever does not asks intake, which knows better.
    escalator.until_caught_up(&site.log).await;
    site.forward(10 * 24 * 60 - 1);
    assert_eq!(escalator.until_it_looked(&site.door).await, 0);
    site.forward(1);
    let resumed = until("it resumes", async || {
        let events = site.events().await;
        events
            .into_iter()
            .find(|recorded| matches!(recorded.of_case(), Some((_, CaseEvent::Resumed(_)))))
    })
    .await;
    assert_eq!(resumed.header.actor.role, Role::Service);
    assert!(site.missed().await.is_empty());
    escalator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_is_settled_in_time_is_left_alone() {
    let site = Site::new().await;
    let escalator = site.escalator().await;
    let filed = site.file().await;
    site.step(
        filed.case_id,
        json!({ "step": "cancel", "reason": "a mistake" }),
    )
    .await;
    site.forward(100 * 24 * 60);
    let other = site.file().await;
    site.forward(TO_ACCEPT);
    let missed = site.until_missed(1).await;
    assert_eq!(missed[0].0, other.case_id);
    escalator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_back_and_forth_changes_nothing() {
    let site = Site::new().await;
    let escalator = site.escalator().await;
    let filed = site.file().await;
    site.forward(TO_ACCEPT);
    site.until_missed(1).await;
    site.forward(-1_000);
    escalator.until_it_looked(&site.door).await;
    site.forward(1_000);
    escalator.until_it_looked(&site.door).await;
    let missed = site.missed().await;
    assert_eq!(
        missed.iter().map(|(case, _)| *case).collect::<Vec<_>>(),
        [filed.case_id]
    );
    escalator.stop().await;
}
