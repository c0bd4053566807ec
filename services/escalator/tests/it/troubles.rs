//! Outages on the way: nothing is lost, and nothing happens twice.

use std::sync::atomic::Ordering;

use gridkeeper_identity::SigningKey;

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
    for status in [503, 429, 500] {
        let site = Site::new().await;
        site.door.shut(status);
        let escalator = site.escalator().await;
        late_cases(&site).await;
        escalator.until_health_tells("GK0651").await;
        assert!(site.missed().await.is_empty());
        site.door.open();
        once_each(&site).await;
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
    let escalator = site.escalator().await;
    site.until_missed(1).await;
    escalator.abort().await;
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
    gridkeeper_tests::until("the log answers", async || {
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
