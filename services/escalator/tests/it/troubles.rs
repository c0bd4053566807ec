//! Outages on the way: nothing is lost, and nothing happens twice.

use std::sync::atomic::Ordering;

use gridkeeper_escalator::Options;
use gridkeeper_identity::SigningKey;
use gridkeeper_tests::until;

use crate::site::{Site, TO_ACCEPT};

const CASES: usize = 12;

async fn late_cases(site: &Site) {
    for _ in 0..CASES {
        site.file().await;
    }
    site.forward(TO_ACCEPT);
}

/// Each case was found late once, and no other.
async fn once_each(site: &Site) {
    let mut missed = site.until_missed(CASES).await;
    missed.sort();
    missed.dedup();
    assert_eq!((missed.len(), site.missed().await.len()), (CASES, CASES));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_intake_takes_nothing_health_turns_red_and_then_everything_goes_up() {
    for status in [503, 429, 500, 401] {
        let site = Site::new().await;
        site.door.shut(status);
        let escalator = site.escalator().await;
        late_cases(&site).await;
        escalator.until_health_tells("GK0651").await;
        assert!(site.missed().await.is_empty());
        let token = site.door.last_token();
        // Longer than a token holds.
        site.forward(10);
        site.door.open();
        once_each(&site).await;
        assert_ne!(site.door.last_token(), token);
        escalator.until_status("/healthz", 200).await;
        escalator.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_intake_does_not_answer_health_turns_red_and_then_everything_goes_up() {
    let site = Site::new().await;
    site.door.keep_requests();
    let mut options = site.options("timers");
    options.http.request_timeout_ms = 100;
    let escalator = site.escalator_of(options).await;
    late_cases(&site).await;
    escalator.until_health_tells("GK0651").await;
    site.door.open();
    once_each(&site).await;
    escalator.until_status("/healthz", 200).await;
    escalator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_are_under_way_than_allowed_and_no_two_of_one_case() {
    let site = Site::new().await;
    site.door.keep_requests();
    let escalator = site
        .escalator_of(Options {
            steps_at_once: 4,
            ..site.options("timers")
        })
        .await;
    let until_waiting = async |count: usize| {
        until("so many wait at the door", async || {
            (site.door.waiting().len() == count).then_some(())
        })
        .await;
        // Nothing more comes, and no case comes a second time.
        assert_eq!(escalator.until_it_looked(&site.door).await, 0);
        let mut waiting = site.door.waiting();
        waiting.sort();
        waiting.dedup();
        assert_eq!(waiting.len(), count);
    };
    for _ in 0..3 {
        site.file().await;
    }
    site.forward(TO_ACCEPT);
    until_waiting(3).await;
    for _ in 3..CASES {
        site.file().await;
    }
    site.forward(TO_ACCEPT);
    until_waiting(4).await;
    site.door.open();
    // The first three may have been found late at the next level too.
    let mut missed = site.until_missed(CASES).await;
    let count = missed.len();
    missed.sort();
    missed.dedup();
    assert_eq!(missed.len(), count);
    escalator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_refused_is_seen_and_holds_up_no_other() {
    let problem = r#"{ "code": "GK0205", "detail": "may not" }"#;
    for (status, body, tells) in [(403, problem, "GK0205"), (404, "what?", "404")] {
        let site = Site::new().await;
        let escalator = site.escalator().await;
        let refused = site.file().await.case_id;
        site.door.refuse(refused, status, body);
        site.forward(1);
        late_cases(&site).await;
        let missed = site.until_missed(CASES).await;
        assert!(missed.iter().all(|(case, _)| *case != refused));
        escalator.until_health_tells("GK0651").await;
        escalator.until_health_tells(tells).await;
        let metrics = escalator.metrics().await;
        assert!(metrics.contains("gridkeeper_escalator_steps_total{outcome=\"refused\"}"));
        assert!(metrics.contains("gridkeeper_escalator_lateness_seconds_count"));
        site.door.open();
        let missed = site.until_missed(CASES + 1).await;
        assert_eq!(missed[CASES].0, refused);
        escalator.until_status("/healthz", 200).await;
        escalator.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_make_no_second_step() {
    let site = Site::new().await;
    site.door.lose.store(5, Ordering::SeqCst);
    let escalator = site.escalator().await;
    late_cases(&site).await;
    once_each(&site).await;
    assert_eq!(site.door.lose.load(Ordering::SeqCst), 0, "five were lost");
    escalator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_middle_and_a_lost_folder_make_no_second_step() {
    let site = Site::new().await;
    late_cases(&site).await;
    site.door.keep_answers();
    let escalator = site.escalator().await;
    // The first is recorded, and the escalator knows nothing of it yet.
    site.until_missed(1).await;
    escalator.abort(&site.views("timers")).await;
    site.door.open();
    let escalator = site.escalator().await;
    site.until_missed(CASES / 2).await;
    escalator.abort(&site.views("timers")).await;
    let escalator = site.escalator_in("anew").await;
    once_each(&site).await;
    escalator.stop().await;
    let escalator = site.escalator_in("and anew").await;
    assert_eq!(escalator.until_it_looked(&site.door).await, 0);
    once_each(&site).await;
    escalator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_make_one_step_each() {
    let site = Site::new().await;
    let one = site.escalator_in("one").await;
    let other = site.escalator_in("other").await;
    late_cases(&site).await;
    once_each(&site).await;
    one.until_it_looked(&site.door).await;
    once_each(&site).await;
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_killed_in_between_changes_nothing() {
    let mut site = Site::new().await;
    let escalator = site.escalator().await;
    late_cases(&site).await;
    site.until_missed(1).await;
    site.broker.kill().await.unwrap();
    site.broker.restart().await.unwrap();
    until("the log answers", async || {
        site.log.last_position().await.ok()
    })
    .await;
    once_each(&site).await;
    escalator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_should_not_occur_turns_health_red_and_is_not_forgotten() {
    let site = Site::new().await;
    let strange = SigningKey::create(&site.views("other keys")).unwrap();
    let escalator = site.escalator_with("timers", strange).await;
    late_cases(&site).await;
    escalator.until_health_tells("GK0651").await;
    assert!(site.missed().await.is_empty());
    escalator.stop().await;
    let escalator = site.escalator().await;
    once_each(&site).await;
    escalator.stop().await;
}
