//! The district's rules, and what happens to cases by themselves under them.

use std::time::Duration;

use gridkeeper_proto::{
    access::{Actor, Role},
    calendar::CalendarYear,
    event::{CaseEvent, Event, RulesEvent},
    limit::Limit,
    rules::RulesCommand,
    time::Timestamp,
};
use serde_json::json;

use super::site::{GRID, NOW, Site, adopt, id, policy, report};

fn names(site: &Site) -> Vec<&'static str> {
    site.log
        .all()
        .iter()
        .map(|recorded| recorded.event.name())
        .collect()
}

#[tokio::test]
async fn the_folders_rules_are_adopted_once_and_a_newer_policy_later() {
    let mut site = Site::new();
    let year = CalendarYear {
        year: 2026,
        holidays: vec!["2026-10-01".parse().unwrap()],
        workdays: Vec::new(),
    };
    site.rules.insert(0, RulesCommand::AdoptCalendar { year });
    site.start().await.stop().await;
    site.start().await.stop().await;
    assert_eq!(names(&site), ["calendar_adopted", "policy_adopted"]);
    let first = &site.log.all()[0];
    assert_eq!(first.header.actor, Actor::gridkeeper());
    assert_eq!(first.header.area, "510402".parse().unwrap());

    let intake = site.start().await;
    intake.file(&report(&id(), GRID)).await;
    intake.stop().await;
    let mut newer = policy();
    newer.version = 2;
    newer.general.accept = Limit::Natural(30);
    site.rules[1] = adopt(newer);
    let intake = site.start().await;
    let old = site.log.recorded()[0].header.aggregate;
    intake.file(&report(&id(), GRID)).await;
    let step = json!({ "id": id(), "command": { "step": "escalate", "reason": "too big" } });
    let (status, _) = intake
        .post(&format!("/v1/cases/{old}/commands"), &step)
        .await;
    assert_eq!(status, 200);
    let due: Vec<_> = site
        .log
        .recorded()
        .iter()
        .filter_map(|recorded| match recorded.of_case()?.1 {
            CaseEvent::Reported(event) => Some((event.policy, event.due_at)),
            CaseEvent::Escalated(event) => Some((0, event.due_at)),
            _ => None,
        })
        .map(|(policy, due_at)| (policy, (due_at.millis() - NOW) / 60_000))
        .collect();
    assert_eq!(
        due,
        [(1, 10), (2, 30), (0, 10)],
        "a case keeps the policy it was reported under"
    );
    intake.stop().await;
}

#[tokio::test]
async fn a_policy_that_changed_under_its_version_closes_the_door_and_an_older_one_is_left_alone() {
    let mut site = Site::new();
    let mut second = policy();
    second.version = 2;
    site.rules = vec![adopt(second.clone())];
    site.start().await.stop().await;
    site.rules = vec![adopt(policy())];
    site.start().await.stop().await;
    assert_eq!(names(&site), ["policy_adopted"]);

    second.general.accept = Limit::Natural(11);
    site.rules = vec![adopt(second)];
    let intake = site.start_unready().await;
    let health = intake.until_unhealthy(Duration::from_secs(10)).await;
    assert_eq!(health["checks"][0]["code"], "GK0222");
    assert!(intake.end().await.is_err());
    assert_eq!(names(&site), ["policy_adopted"]);
}

#[tokio::test]
async fn a_log_without_any_policy_takes_no_reports() {
    let mut site = Site::new();
    site.rules.clear();
    let intake = site.start_unready().await;
    let health = intake.until_unhealthy(Duration::from_secs(10)).await;
    assert_eq!(health["checks"][0]["code"], "GK0220");
    assert!(intake.end().await.is_err());
}

#[tokio::test]
async fn an_admin_adopts_a_policy_while_intake_runs_and_nobody_else_does() {
    let site = Site::new();
    let intake = site.start().await;
    let mut newer = policy();
    newer.version = 5;
    let command = serde_json::to_value(adopt(newer)).unwrap();
    let body = json!({ "id": id(), "command": command });
    for role in [Role::Centre, Role::GridWorker, Role::Analyst] {
        let (status, answer) = intake
            .client_as(role)
            .post("/v1/rules/commands", &body)
            .await;
        assert_eq!(status, 403, "{answer}");
    }
    let admin = intake.client_as(Role::Admin);
    let (status, first) = admin.post("/v1/rules/commands", &body).await;
    assert_eq!((status, &first["version"]), (200, &json!(2)), "{first}");
    let (_, again) = admin.post("/v1/rules/commands", &body).await;
    assert_eq!(
        (&again["position"], &again["repeated"]),
        (&first["position"], &json!(true))
    );
    let mut other = body.clone();
    other["command"]["policy"]["general"]["accept"] = json!("1 hour");
    let (status, answer) = admin.post("/v1/rules/commands", &other).await;
    assert_eq!((status, &answer["code"]), (409, &json!("GK0201")));
    other["id"] = json!(id());
    let (status, answer) = admin.post("/v1/rules/commands", &other).await;
    assert_eq!((status, &answer["code"]), (409, &json!("GK0222")));
    let mut elsewhere = body.clone();
    elsewhere["id"] = json!(id());
    elsewhere["command"]["zone"] = json!("Asia/Urumqi");
    let (status, answer) = admin.post("/v1/rules/commands", &elsewhere).await;
    assert_eq!((status, &answer["code"]), (409, &json!("GK0222")));
    other["command"]["policy"]["version"] = json!(6);
    other["command"]["policy"]["general"]["accept"] = json!("2 workdays");
    let (status, answer) = admin.post("/v1/rules/commands", &other).await;
    assert_eq!(
        (status, &answer["code"]),
        (422, &json!("GK0190")),
        "there are no hours of service"
    );
    intake.file(&report(&id(), GRID)).await;
    let recorded = site.log.recorded();
    assert!(
        matches!(&recorded[0].event, Event::Case(CaseEvent::Reported(event)) if event.policy == 5)
    );
    let adopted = |recorded: &&gridkeeper_proto::event::Recorded| {
        matches!(recorded.event, Event::Rules(RulesEvent::PolicyAdopted(_)))
    };
    assert_eq!(site.log.all().iter().filter(adopted).count(), 2);
    site.log.check_chains();
    intake.stop().await;
}

#[tokio::test]
async fn what_has_happened_by_itself_is_recorded_before_a_step_is_decided() {
    let site = Site::new();
    let intake = site.start().await;
    let case = intake.file(&report(&id(), GRID)).await.case_id;
    let path = format!("/v1/cases/{case}/commands");
    site.forward(25);
    // Ten minutes to accept it, and ten more at the community.
    let accept = json!({ "id": id(), "command": { "step": "accept" } });
    let (status, answer) = intake
        .client_as(Role::GridWorker)
        .post(&path, &accept)
        .await;
    assert_eq!(
        (status, &answer["code"]),
        (403, &json!("GK0204")),
        "{answer}"
    );
    let by_itself = [
        "reported",
        "deadline_missed",
        "escalated",
        "supervised",
        "deadline_missed",
        "escalated",
        "reminded",
    ];
    assert_eq!(
        names(&site)[1..],
        by_itself,
        "the step was refused, and the time has passed"
    );
    let recorded = site.log.recorded();
    let now = Timestamp::from_millis(NOW + 25 * 60_000).unwrap();
    for recorded in &recorded[1..] {
        assert_eq!(recorded.header.actor, Actor::gridkeeper());
        assert_eq!(recorded.header.recorded_at, now);
    }
    let missed: Vec<_> = recorded
        .iter()
        .filter_map(|recorded| match recorded.of_case()?.1 {
            CaseEvent::DeadlineMissed(event) => Some((event.due_at.millis() - NOW) / 60_000),
            _ => None,
        })
        .collect();
    assert_eq!(missed, [10, 20], "each at its own moment");

    let (status, receipt) = intake.post(&path, &accept).await;
    assert_eq!((status, &receipt["version"]), (200, &json!(8)), "{receipt}");
    let at = Timestamp::from_millis(NOW + 20 * 60_000).unwrap();
    let pass = json!({ "id": id(), "command": { "step": "pass_moment", "at": at } });
    let service = intake.client_as(Role::Service);
    let (status, receipt) = service.post(&path, &pass).await;
    assert_eq!(
        (status, &receipt["version"]),
        (200, &json!(8)),
        "nothing is left to do: {receipt}"
    );
    let ahead = Timestamp::from_millis(NOW + 26 * 60_000).unwrap();
    let pass = json!({ "id": id(), "command": { "step": "pass_moment", "at": ahead } });
    let (status, answer) = service.post(&path, &pass).await;
    assert_eq!((status, &answer["code"]), (409, &json!("GK0211")));
    site.log.check_chains();
    intake.stop().await;
}

/// Adopts a second policy, whose cases are due for acceptance by hours of service.
fn by_service_hours() -> serde_json::Value {
    let mut newer = serde_json::to_value(adopt(policy())).unwrap();
    newer["policy"]["version"] = json!(2);
    newer["policy"]["general"]["accept"] = json!("4 service hours");
    newer["policy"]["service"] = json!({
        "calendar": "calendar",
        "hours": { "workday": [{ "from": "08:30", "to": "18:30" }], "weekend": [], "holiday": [] },
    });
    newer
}

#[tokio::test]
async fn a_policy_whose_calendar_does_not_know_today_is_refused() {
    let site = Site::new();
    let intake = site.start().await;
    let admin = intake.client_as(Role::Admin);
    let send = async |command: serde_json::Value| {
        let body = json!({ "id": id(), "command": command });
        admin.post("/v1/rules/commands", &body).await
    };
    let newer = by_service_hours();
    let year = |year: i16| json!({ "rule": "adopt_calendar", "year": { "year": year, "holidays": [format!("{year}-10-01")], "workdays": [] } });
    let unpublished = json!({ "rule": "adopt_calendar", "year": { "year": 2026, "holidays": [], "workdays": [] } });
    let (status, answer) = send(unpublished).await;
    assert_eq!(
        (status, &answer["code"]),
        (422, &json!("GK0192")),
        "no plain weekends"
    );
    for (before, status, code) in [
        (None, 422, "GK0192"),
        (Some(year(2025)), 422, "GK0191"),
        (Some(year(2026)), 200, ""),
    ] {
        if let Some(year) = before {
            assert_eq!(send(year).await.0, 200);
        }
        let (found, answer) = send(newer.clone()).await;
        let found_code = answer["code"].as_str().unwrap_or_default();
        assert_eq!((found, found_code), (status, code), "{answer}");
    }
    intake.stop().await;
}

#[tokio::test]
async fn a_policy_is_adopted_with_its_calendar_or_nothing_is() {
    let site = Site::new();
    let intake = site.start().await;
    let admin = intake.client_as(Role::Admin);
    let year =
        |year: i16| json!({ "year": year, "holidays": [format!("{year}-10-01")], "workdays": [] });
    let newer = by_service_hours();
    let send = async |calendar: Vec<serde_json::Value>, version: u32| {
        let mut command = newer.clone();
        command["calendar"] = json!(calendar);
        command["policy"]["version"] = json!(version);
        let body = json!({ "id": id(), "command": command });
        let (status, answer) = admin.post("/v1/rules/commands", &body).await;
        (
            status,
            answer["code"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let before = names(&site);
    assert_eq!(send(vec![year(2025)], 2).await, (422, "GK0191".into()));
    assert_eq!(
        names(&site),
        before,
        "the year is not kept without the policy"
    );
    assert_eq!(
        send(vec![year(2026), year(2025)], 2).await,
        (200, String::new())
    );
    assert_eq!(
        names(&site)[before.len()..],
        ["calendar_adopted", "calendar_adopted", "policy_adopted"]
    );
    // Years before the first that is known may come in any order; one beyond a gap ahead may not.
    assert_eq!(
        send(vec![year(2022), year(2025)], 3).await,
        (200, String::new())
    );
    assert_eq!(send(vec![year(2028)], 4).await, (422, "GK0192".into()));
    assert_eq!(
        send(vec![year(2023), year(2024)], 4).await,
        (200, String::new())
    );
    intake.file(&report(&id(), GRID)).await;
    site.log.check_chains();
}

/// An id stands for one thing: whoever uses that of a case for an inquiry, or the other way round, is refused, and
/// intake goes on.
#[tokio::test]
async fn an_id_of_something_else_is_refused_and_nothing_stops() {
    let site = Site::new();
    let intake = site.start().await;
    let (case, inquiry) = (id(), id());
    intake.file(&report(&case, GRID)).await;
    let command = |command: serde_json::Value| json!({ "id": id(), "command": command });
    let take = json!({ "inquiry": "take", "question": "who mends it", "channel": "window" });
    let path = |id: &str| format!("/v1/inquiries/{id}/commands");
    let (status, answer) = intake.post(&path(&case), &command(take.clone())).await;
    assert_eq!((status, &answer["code"]), (409, &json!("GK0201")));
    let (status, _) = intake.post(&path(&inquiry), &command(take)).await;
    assert_eq!(status, 200);
    let reports = json!({ "reports": [report(&inquiry, GRID)] });
    let (status, answer) = intake.post("/v1/reports", &reports).await;
    assert_eq!((status, &answer["code"]), (409, &json!("GK0201")));
    let accept = command(json!({ "step": "accept" }));
    let steps = format!("/v1/cases/{inquiry}/commands");
    let (status, answer) = intake.post(&steps, &accept).await;
    assert_eq!((status, &answer["code"]), (409, &json!("GK0201")));

    let answered =
        |case: &str| command(json!({ "inquiry": "answer", "answer": "soon", "case": case }));
    let (status, answer) = intake.post(&path(&inquiry), &answered(&id())).await;
    assert_eq!((status, &answer["code"]), (404, &json!("GK0200")));
    let offer = |to: &str| command(json!({ "inquiry": "offer", "to": to }));
    let (status, answer) = intake.post(&path(&inquiry), &offer("a\nb")).await;
    assert_eq!((status, &answer["code"]), (422, &json!("GK0213")));
    let (status, _) = intake.post(&path(&inquiry), &answered(&case)).await;
    assert_eq!(status, 200);
    let mut misspelt = command(json!({ "step": "accept" }));
    misspelt["if_verison"] = json!(99);
    let (status, answer) = intake
        .post(&format!("/v1/cases/{case}/commands"), &misspelt)
        .await;
    assert_eq!((status, &answer["code"]), (422, &json!("GK0022")));
    site.log.check_chains();
}
