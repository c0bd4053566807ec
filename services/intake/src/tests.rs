//! The endpoint and the decider on a log in memory, whose faults come when they are called for.

mod clocks;
mod decider;
mod disks;
mod job;
mod memory;
mod queue;
mod refusals;
mod rules;
mod site;

use std::time::Duration;

use gridkeeper_proto::{
    access::Role,
    api::{Receipt, ReportsAnswer},
    command::Step,
    envelope::Position,
};
use serde_json::json;

use self::{
    memory::Fault,
    site::{GRID, OTHER_GRID, Site, id, report},
};
use crate::Options;

#[tokio::test]
async fn a_report_is_acknowledged_and_stands_in_the_log() {
    let site = Site::new();
    let intake = site.start().await;
    let receipt = intake.file(&report(&id(), GRID)).await;
    assert_eq!(
        (receipt.position, receipt.version, receipt.repeated),
        (Position(2), 1, false),
        "the policy was adopted before"
    );
    let events = site.log.recorded();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].header.aggregate, receipt.case_id.into());
    intake.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_report_a_hundred_times_at_once_is_one_event() {
    let site = Site::new();
    let intake = site.start().await;
    let body = report(&id(), GRID);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (intake, body) = (intake.client(), body.clone());
        all.spawn(async move { intake.file(&body).await });
    }
    let receipts = all.join_all().await;
    let repeated = receipts.iter().filter(|receipt| receipt.repeated).count();
    assert_eq!(repeated, 99);
    for receipt in &receipts {
        let expected = Receipt {
            repeated: receipt.repeated,
            ..receipts[0].clone()
        };
        assert_eq!(*receipt, expected);
    }
    assert_eq!(site.log.recorded().len(), 1);
    intake.stop().await;
}

#[tokio::test]
async fn a_restarted_intake_knows_what_it_answered() {
    let site = Site::new();
    let body = report(&id(), GRID);
    let intake = site.start().await;
    let first = intake.file(&body).await;
    intake.stop().await;
    let intake = site.start().await;
    let again = intake.file(&body).await;
    assert_eq!(
        again,
        Receipt {
            repeated: true,
            ..first
        }
    );
    assert_eq!(site.log.recorded().len(), 1);
    intake.stop().await;
}

#[tokio::test]
async fn the_same_id_with_another_content_is_refused() {
    let site = Site::new();
    let intake = site.start().await;
    let mut body = report(&id(), GRID);
    intake.file(&body).await;
    body["description"] = json!("something else");
    assert_eq!(intake.refused(&body).await, (409, "GK0201".to_owned()));
    intake.stop().await;
}

#[tokio::test]
async fn a_refused_report_does_not_stop_the_others_of_its_batch() {
    let site = Site::new();
    let intake = site.start().await;
    let mut wrong = report(&id(), GRID);
    wrong["category"] = json!("dispute.nonesuch");
    let reports = [report(&id(), GRID), wrong, report(&id(), OTHER_GRID)];
    let (status, answer) = intake
        .post("/v1/reports", &json!({ "reports": reports }))
        .await;
    assert_eq!(status, 200);
    let answer: ReportsAnswer = serde_json::from_value(answer).unwrap();
    let recorded: Vec<bool> = answer
        .results
        .iter()
        .map(|result| result.receipt.is_some())
        .collect();
    assert_eq!(recorded, [true, false, true]);
    assert_eq!(answer.results[1].refused.as_ref().unwrap().code, "GK0511");
    assert_eq!(site.log.recorded().len(), 2);
    intake.stop().await;
}

#[tokio::test]
async fn an_acknowledgement_that_is_lost_makes_no_second_event() {
    let site = Site::new();
    let intake = site.start().await;
    site.log.next_append(Fault::LoseAnswer);
    let receipt = intake.file(&report(&id(), GRID)).await;
    assert!(
        !receipt.repeated,
        "it is the first answer that the sender gets"
    );
    assert_eq!(site.log.recorded().len(), 1);
    intake.stop().await;
}

#[tokio::test]
async fn an_append_that_is_lost_is_tried_again() {
    let site = Site::new();
    let intake = site.start().await;
    site.log.next_append(Fault::LoseEvents);
    intake.file(&report(&id(), GRID)).await;
    assert_eq!(site.log.recorded().len(), 1);
    intake.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn however_the_log_fails_every_acknowledged_report_stands_there_once() {
    let site = Site::new();
    let intake = site.start().await;
    for _ in 0..5 {
        for fault in [
            Fault::LoseAnswer,
            Fault::None,
            Fault::LoseEvents,
            Fault::LoseAnswer,
        ] {
            site.log.next_append(fault);
        }
    }
    let mut all = tokio::task::JoinSet::new();
    for round in 0..60 {
        let client = intake.client();
        let body = report(&id(), if round % 2 == 0 { GRID } else { OTHER_GRID });
        all.spawn(async move {
            let first = client.file(&body).await;
            (first, client.file(&body).await)
        });
    }
    let events = all.join_all().await;
    let recorded = site.log.recorded();
    assert_eq!(recorded.len(), 60);
    for (first, again) in events {
        assert!(!first.repeated && again.repeated);
        assert_eq!(first.position, again.position);
        let stands = recorded
            .iter()
            .find(|event| event.position == first.position);
        assert_eq!(stands.unwrap().header.aggregate, first.case_id.into());
    }
    site.log.check_chains();
    intake.stop().await;
}

#[tokio::test]
async fn nothing_is_acknowledged_while_the_log_is_away() {
    let site = Site::new();
    let options = Options {
        append_deadline_ms: 200,
        ..Options::default()
    };
    let intake = site.start_with(options).await;
    site.log.away(true);
    let body = report(&id(), GRID);
    assert_eq!(intake.refused(&body).await, (503, "GK0501".to_owned()));
    site.log.away(false);
    assert!(!intake.file(&body).await.repeated);
    assert_eq!(site.log.recorded().len(), 1);
    intake.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_intakes_on_one_log_lose_no_step_and_break_no_chain() {
    let site = Site::new();
    let (left, right) = (site.start().await, site.start().await);
    let case = id();
    left.file(&report(&case, GRID)).await;
    let mut all = tokio::task::JoinSet::new();
    for round in 0..40 {
        let intake = if round % 2 == 0 {
            left.client()
        } else {
            right.client()
        };
        let case = case.clone();
        all.spawn(async move {
            let supervise = json!({ "step": "supervise", "note": format!("round {round}") });
            let body = json!({ "id": id(), "command": supervise });
            let (status, answer) = intake
                .post(&format!("/v1/cases/{case}/commands"), &body)
                .await;
            assert_eq!(status, 200, "{answer}");
            serde_json::from_value::<Receipt>(answer).unwrap().version
        });
    }
    let mut versions = all.join_all().await;
    versions.sort_unstable();
    assert_eq!(versions, (2..=41).collect::<Vec<u32>>());
    site.log.check_chains();
    left.stop().await;
    right.stop().await;
}

#[tokio::test]
async fn a_step_on_a_version_that_another_intake_moved_on_is_refused() {
    let site = Site::new();
    let (left, right) = (site.start().await, site.start().await);
    let case = id();
    left.file(&report(&case, GRID)).await;
    let path = format!("/v1/cases/{case}/commands");
    let accept = json!({ "id": id(), "if_version": 1, "command": { "step": "accept" } });
    let (status, answer) = right.post(&path, &accept).await;
    assert_eq!(status, 200, "a case filed elsewhere is found: {answer}");
    let cancel = json!({ "step": "cancel", "reason": "seen at version 1" });
    let cancel = json!({ "id": id(), "if_version": 1, "command": cancel });
    let (status, answer) = left.post(&path, &cancel).await;
    assert_eq!((status, answer["code"].as_str()), (409, Some("GK0203")));
    assert_eq!(answer["version"], 2);
    left.stop().await;
    right.stop().await;
}

#[tokio::test]
async fn one_command_id_for_two_cases_is_two_commands() {
    let site = Site::new();
    let intake = site.start().await;
    let accept = json!({ "id": id(), "command": { "step": "accept" } });
    for _ in 0..2 {
        let case = id();
        intake.file(&report(&case, GRID)).await;
        let (status, answer) = intake
            .post(&format!("/v1/cases/{case}/commands"), &accept)
            .await;
        assert_eq!((status, &answer["repeated"]), (200, &json!(false)));
    }
    let ids: std::collections::BTreeSet<_> = site
        .log
        .recorded()
        .iter()
        .map(|event| event.header.event_id)
        .collect();
    assert_eq!(ids.len(), 4);
    intake.stop().await;
}

#[tokio::test]
async fn a_case_is_found_by_its_id_whatever_grid_the_repetition_names() {
    let site = Site::new();
    let intake = site.start().await;
    let case = id();
    intake.file(&report(&case, GRID)).await;
    assert_eq!(
        intake.refused(&report(&case, OTHER_GRID)).await,
        (409, "GK0201".to_owned())
    );
    assert_eq!(site.log.recorded().len(), 1);
    intake.stop().await;
}

#[tokio::test]
async fn a_full_queue_turns_commands_away_with_a_time_to_come_back() {
    let site = Site::new();
    let options = Options {
        queue_commands: 1,
        append_deadline_ms: 5_000,
        ..Options::default()
    };
    let intake = site.start_with(options).await;
    site.log.away(true);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = intake.client();
        all.spawn(async move { client.refused(&report(&id(), GRID)).await });
    }
    let first = all.join_next().await.unwrap().unwrap();
    assert_eq!(first, (429, "GK0500".to_owned()));
    site.log.away(false);
    all.abort_all();
    intake.stop().await;
}

#[tokio::test]
async fn forgetting_the_parties_destroys_their_key_even_after_a_crash_in_between() {
    let site = Site::new();
    let intake = site.start().await;
    let case = id();
    let mut body = report(&case, GRID);
    body["parties"] = json!([{ "name": "甲" }]);
    intake.file(&body).await;
    assert_eq!(site.keys.count(), 1);
    let forget = serde_json::to_value(Step::ForgetParties {
        reason: "asked for".into(),
    })
    .unwrap();
    let forget = json!({ "id": id(), "command": forget });
    let path = format!("/v1/cases/{case}/commands");
    site.keys.away(true);
    let (status, answer) = intake.client_as(Role::Admin).post(&path, &forget).await;
    assert_eq!((status, answer["code"].as_str()), (503, Some("GK0505")));
    assert_eq!(site.keys.count(), 1);
    intake.stop().await;
    site.keys.away(false);
    let intake = site.start().await;
    assert_eq!(site.keys.count(), 0, "destroyed before commands are taken");
    let (status, answer) = intake.client_as(Role::Admin).post(&path, &forget).await;
    assert_eq!((status, &answer["repeated"]), (200, &json!(true)));
    assert!(
        intake.file(&body).await.repeated,
        "a repetition makes no new key"
    );
    assert_eq!(site.keys.count(), 0);
    intake.stop().await;
}

#[tokio::test]
async fn a_log_that_breaks_its_chain_closes_the_door() {
    let site = Site::new();
    let intake = site.start().await;
    intake.file(&report(&id(), GRID)).await;
    intake.file(&report(&id(), GRID)).await;
    intake.stop().await;
    site.log.remove_first();
    let intake = site.start_unready().await;
    let health = intake.until_unhealthy(Duration::from_secs(5)).await;
    assert_eq!(health["checks"][0]["code"], "GK0317");
    assert_eq!(
        intake.refused(&report(&id(), GRID)).await,
        (503, "GK0503".to_owned())
    );
    assert!(intake.end().await.is_err());
}

#[tokio::test]
async fn given_an_event_changed_while_the_broker_was_away_when_it_is_back_then_intake_stops() {
    let site = Site::new();
    let intake = site.start().await;
    intake.file(&report(&id(), GRID)).await;
    site.log.change_first_and_restart();
    let health = intake.until_unhealthy(Duration::from_secs(10)).await;
    assert_eq!(health["checks"][0]["code"], "GK0322");
    let ended = intake.end().await;
    assert!(
        matches!(ended, Err(crate::Error::AnotherHistory { .. })),
        "{ended:?}"
    );
}
