//! Cases: whole, in lists, and who holds them by when.

use std::{collections::BTreeSet, fs, path::Path};

use gridkeeper_proto::{access::Role, sealed::CaseKey};
use gridkeeper_tests::{repository, sample_district};
use serde_json::{Value, json};

use crate::site::{
    COMMUNITY, DISTRICT, GRID, NEXT_GRID, OTHER_COMMUNITY, OTHER_GRID, STREET, Site,
};

fn with_parties() -> Value {
    json!({ "parties": [{ "name": "甲", "phone": "0812-0000000", "part": "applicant" }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_is_told_whole_and_its_parties_only_to_those_who_may_see_them() {
    let site = Site::new().await;
    let mut more = with_parties();
    more["people"] = json!(3);
    more["filed_at"] = json!(site.now().plus_millis(-90_000));
    let filed = site.file(GRID, more).await;
    let path = format!("/v1/cases/{}", filed.case_id);
    let case = site.ask(&filed, &path).await;
    assert_eq!(case["grid"], GRID);
    assert_eq!(case["state"], "reported");
    assert_eq!(case["description"], "water from above");
    assert_eq!(case["people"], 3);
    assert_eq!(case["waited_ms"], 90_000);
    assert_eq!(case["version"], 1);
    assert_eq!(case["parties"][0]["name"], "甲");

    for (role, area, sees) in [
        (Role::Community, COMMUNITY, true),
        (Role::GridWorker, GRID, true),
        (Role::Analyst, DISTRICT, false),
    ] {
        let (status, case) = site.get(&site.token(role, &[area]), &path).await;
        assert_eq!(status, 200, "{role:?}");
        assert_eq!(case["parties"].is_array(), sees, "{role:?}");
        assert_eq!(case["parties_state"], "sealed");
    }
    for (role, area) in [
        (Role::Community, OTHER_COMMUNITY),
        (Role::GridWorker, NEXT_GRID),
    ] {
        let token = site.token(role, &[area]);
        for path in [
            path.clone(),
            format!("{path}/timeline"),
            format!("{path}/escalation"),
        ] {
            let (status, answer) = site.get(&token, &path).await;
            assert_eq!((status, &answer["code"]), (404, &json!("GK0620")), "{path}");
        }
    }

    let (keys, id) = (site.keys().await, filed.case_id);
    let own = keys.get(id).await.unwrap().unwrap();
    let unreadable = async |code: &str| {
        let case = site.ask(&filed, &path).await;
        let analyst = site.token(Role::Analyst, &[DISTRICT]);
        let (_, to_others) = site.get(&analyst, &path).await;
        assert_eq!(case["parties_unreadable"], code);
        assert_eq!(
            (&case["state"], &case["parties"]),
            (&json!("reported"), &Value::Null)
        );
        assert_eq!(to_others["parties_unreadable"], Value::Null);
    };
    keys.destroy(id).await.unwrap();
    unreadable("GK0329").await;
    keys.put_if_absent(id, CaseKey([7; 32])).await.unwrap();
    unreadable("GK0314").await;
    keys.destroy(id).await.unwrap();
    keys.put_if_absent(id, own).await.unwrap();
    assert_eq!(site.ask(&filed, &path).await["parties"][0]["name"], "甲");

    let step = json!({ "step": "forget_parties", "reason": "asked for" });
    let forgotten = site.step(Role::Admin, &filed, step).await;
    let case = site.ask(&forgotten, &path).await;
    assert_eq!(
        (&case["parties"], &case["parties_state"]),
        (&Value::Null, &json!("forgotten"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_has_every_event_in_order_and_nothing_sealed() {
    let site = Site::new().await;
    let filed = site.file(GRID, with_parties()).await;
    let accepted = site
        .step(Role::Community, &filed, json!({ "step": "accept" }))
        .await;
    site.file(OTHER_GRID, json!({})).await;
    let visit = json!({ "step": "record_handling", "measure": "visit", "note": "talked" });
    let handled = site.step(Role::Community, &filed, visit).await;
    let timeline = site
        .ask(&handled, &format!("/v1/cases/{}/timeline", filed.case_id))
        .await;
    let events = timeline["events"].as_array().unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event["event"]["type"].as_str().unwrap(),
                event["position"].as_u64().unwrap(),
            )
        })
        .collect();
    let positions = [&filed, &accepted, &handled].map(|receipt| receipt.position.0);
    let types = ["reported", "accepted", "handling_recorded"];
    assert_eq!(told, types.into_iter().zip(positions).collect::<Vec<_>>());
    assert_eq!(events[0]["event"]["parties"], Value::Null);
    assert_eq!(
        events[1]["actor"],
        json!({ "id": "Community", "role": "community" })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_says_who_holds_it_by_when_and_where_it_goes_next() {
    let site = Site::new().await;
    let filed = site.file(GRID, json!({})).await;
    let path = format!("/v1/cases/{}/escalation", filed.case_id);
    let new = site.ask(&filed, &path).await;
    assert_eq!(new["holder"]["level"], "grid");
    assert_eq!(
        (&new["used_permille"], &new["overdue"]),
        (&json!(0), &json!(false))
    );
    assert_eq!(new["next"]["action"], "escalate");
    assert_eq!(
        (&new["next"]["level"], &new["next"]["at"]),
        (&json!("community"), &new["due_at"])
    );

    // 4 hours to accept a general one.
    site.forward(120);
    let half = site.ask(&filed, &path).await;
    assert_eq!(half["used_permille"], 500);
    assert_eq!(half["reminder_at"], json!(site.now()));
    assert_eq!(half["limit"]["path"], "general.accept");
    let step = json!({ "step": "pass_moment", "at": site.now() });
    let reminded = site.step(Role::Service, &filed, step).await;
    let reminded = site.ask(&reminded, &path).await;
    let at = site.now().plus_millis(60 * 60_000);
    assert_eq!(reminded["reminder_at"], json!(at), "three quarters");
    site.forward(120);
    let step = json!({ "step": "pass_moment", "at": new["due_at"] });
    let missed = site.step(Role::Service, &filed, step).await;
    let late = site.ask(&missed, &path).await;
    assert_eq!(
        (&late["holder"]["level"], &late["holder"]["area"]),
        (&json!("community"), &json!(COMMUNITY))
    );
    assert_eq!(late["since"], json!(site.now()));
    assert_eq!(late["next"]["level"], "street");
    let history: Vec<_> = late["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["event"]["type"])
        .collect();
    assert_eq!(
        history,
        ["reminded", "deadline_missed", "escalated", "supervised"]
    );
    let rule = &late["history"][1]["event"]["rule"];
    assert_eq!(rule["limit"], "4 hours", "{rule}");
    assert_eq!(late["post"], "社区党组织书记");

    let accepted = site
        .step(Role::Community, &filed, json!({ "step": "accept" }))
        .await;
    let until = site.now().plus_millis(86_400_000);
    let step = json!({ "step": "suspend", "reason": "away", "until": until });
    let suspended = site.step(Role::Community, &accepted, step).await;
    let before = site.ask(&suspended, &path).await["used_permille"].clone();
    site.forward(600);
    let standing = site.ask(&suspended, &path).await;
    assert_eq!(standing["used_permille"], before, "the clock stands");
    assert_eq!(
        standing["next"],
        json!({ "action": "resume", "at": until, "level": "community" })
    );

    let resumed = site
        .step(Role::Community, &filed, json!({ "step": "resume" }))
        .await;
    let running = site.ask(&resumed, &path).await;
    assert_eq!(
        (&running["used_permille"], &running["clock"]),
        (&before, &json!("runs")),
        "the time that it stood does not count"
    );

    let cancelled = site
        .step(
            Role::Centre,
            &filed,
            json!({ "step": "cancel", "reason": "no" }),
        )
        .await;
    let ended = site.ask(&cancelled, &path).await;
    assert_eq!(
        (&ended["next"], &ended["due_at"], &ended["used_permille"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(ended["history"].as_array().unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_filter_and_their_pages_give_each_case_once() {
    let site = Site::new().await;
    let mut all = BTreeSet::new();
    for number in 0..12 {
        let grid = [GRID, NEXT_GRID, OTHER_GRID][number % 3];
        let severity = ["general", "larger", "major"][number % 3];
        let filed = site.file(grid, json!({ "severity": severity })).await;
        all.insert(filed.case_id.to_string());
        if number % 4 == 0 {
            site.step(Role::Street, &filed, json!({ "step": "accept" }))
                .await;
        }
    }
    let last = site
        .file(OTHER_GRID, json!({ "category": "dispute.family.custody" }))
        .await;
    all.insert(last.case_id.to_string());

    let to = json!({ "area": OTHER_GRID, "unit": "judicial office" });
    site.step(Role::Community, &last, json!({ "step": "accept" }))
        .await;
    let last = site
        .step(
            Role::Community,
            &last,
            json!({ "step": "assign", "to": to }),
        )
        .await;

    for list in ["/v1/cases?limit=5", "/v1/escalations?limit=5"] {
        let mut seen = Vec::new();
        let mut path = list.to_owned();
        loop {
            let page = site.ask(&last, &path).await;
            let cases = page["cases"].as_array().unwrap();
            seen.extend(
                cases
                    .iter()
                    .map(|case| case["id"].as_str().unwrap().to_owned()),
            );
            let Some(next) = page["next"].as_str() else {
                break;
            };
            path = format!("{list}&after={next}");
        }
        assert_eq!(seen.len(), all.len(), "{list}");
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), all, "{list}");
    }
    let due = site.ask(&last, "/v1/escalations").await;
    let due: Vec<_> = due["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| case["due_at"].as_str().unwrap())
        .collect();
    assert!(due.is_sorted(), "the earliest due first");

    for (filter, count) in [
        (format!("area={GRID}"), 4),
        (format!("area={STREET}"), 8),
        ("state=accepted".to_owned(), 3),
        ("state=closed".to_owned(), 0),
        ("level=street".to_owned(), 4),
        ("overdue=true".to_owned(), 0),
        ("category=dispute.family".to_owned(), 1),
        ("category=dispute.neighbour&level=grid".to_owned(), 4),
        ("person=nobody".to_owned(), 0),
        ("unit=judicial%20office".to_owned(), 1),
    ] {
        let page = site.ask(&last, &format!("/v1/cases?{filter}")).await;
        assert_eq!(page["cases"].as_array().unwrap().len(), count, "{filter}");
    }
    let before = site.now().plus_millis(60 * 60_000);
    let soon = site
        .ask(
            &last,
            &format!("/v1/escalations?due_before={before}&level=street"),
        )
        .await;
    assert!(
        soon["cases"]
            .as_array()
            .unwrap()
            .iter()
            .all(|case| case["severity"] == "major")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_any_past_moment_is_the_one_that_was_told_then() {
    let site = Site::new().await;
    let filed = site.file(GRID, json!({})).await;
    let path = format!("/v1/cases/{}/escalation", filed.case_id);
    let before = site.now().plus_millis(-1);
    let mut told = Vec::new();
    let mut last = filed.clone();
    let due_at = site.ask(&filed, &path).await["due_at"].clone();
    for step in [
        None,
        Some((
            Role::Service,
            json!({ "step": "pass_moment", "at": due_at }),
        )),
        Some((Role::Street, json!({ "step": "accept" }))),
        Some((
            Role::Centre,
            json!({ "step": "supervise", "note": "watched" }),
        )),
        Some((Role::Centre, json!({ "step": "cancel", "reason": "no" }))),
    ] {
        if let Some((role, step)) = step {
            last = site.step(role, &filed, step).await;
        }
        let mut status = site.ask(&last, &path).await;
        status.as_object_mut().unwrap().remove("position");
        told.push((site.now(), status));
        site.forward(241);
    }
    for (moment, then) in told {
        let mut now = site.ask(&last, &format!("{path}?as_of={moment}")).await;
        now.as_object_mut().unwrap().remove("position");
        assert_eq!(now, then, "{moment}");
    }
    let ahead = site.now().plus_millis(1);
    for (as_of, status, code) in [(before, 404, "GK0634"), (ahead, 400, "GK0633")] {
        let (found, answer) = site
            .get(&site.centre(), &format!("{path}?as_of={as_of}"))
            .await;
        assert_eq!((found, &answer["code"]), (status, &json!(code)));
    }
}

/// The sample district with a policy whose limits run by hours of service.
fn district_with_hours(folder: &Path) {
    let sample = sample_district();
    for entry in fs::read_dir(&sample).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    let calendar = repository().join("deploy/calendars/china");
    let policy = fs::read_to_string(sample.join("policy.toml")).unwrap();
    let policy = policy
        .replace("../../calendars/china", &calendar.display().to_string())
        .replace("accept = \"4 hours\"", "accept = \"4 service hours\"")
        .replace("= \"7 days\"", "= \"7 workdays\"");
    fs::write(folder.join("policy.toml"), policy).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_service_time_nothing_passes_on_holidays_and_at_night() {
    let folder = tempfile::tempdir().unwrap();
    district_with_hours(folder.path());
    // 8:00 on the first of five days off for Labour Day.
    let site = Site::of(folder.path(), gridkeeper_query::Options::default()).await;
    let filed = site.file(GRID, json!({})).await;
    let path = format!("/v1/cases/{}/escalation", filed.case_id);
    let status = async |receipt| {
        let status = site.ask(receipt, &path).await;
        let figures = ["due_at", "used_permille", "clock"].map(|name| status[name].clone());
        json!(figures)
    };
    let noon_of_the_first_workday = "2026-05-06T04:30:00.000Z";
    assert_eq!(
        status(&filed).await,
        json!([noon_of_the_first_workday, 0, "closed"])
    );
    site.forward(5 * 24 * 60 + 150);
    assert_eq!(
        status(&filed).await,
        json!([noon_of_the_first_workday, 500, "runs"])
    );
    let accepted = site
        .step(Role::Community, &filed, json!({ "step": "accept" }))
        .await;
    // 7 to 9 May are worked, Saturday in exchange; 11 to 14 May are.
    let end_of_the_seventh = "2026-05-14T10:30:00.000Z";
    assert_eq!(
        status(&accepted).await,
        json!([end_of_the_seventh, 0, "runs"])
    );
    site.forward(8 * 60);
    let evening = status(&accepted).await;
    assert_eq!(evening[2], "closed");
    site.forward(12 * 60);
    let morning = status(&accepted).await;
    assert_eq!(evening[1], morning[1], "nothing passed at night");
    assert!(morning[1].as_u64().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_calendar_it_is_still_told_who_holds_a_case_by_when() {
    let folder = tempfile::tempdir().unwrap();
    district_with_hours(folder.path());
    let site = Site::of(folder.path(), gridkeeper_query::Options::default()).await;
    let filed = site.file(GRID, json!({})).await;
    let path = format!("/v1/cases/{}/escalation", filed.case_id);
    let before = site.ask(&filed, &path).await;
    assert_eq!(before["beyond_calendar"], false);
    site.forward(250 * 24 * 60);
    let after = site.ask(&filed, &path).await;
    assert_eq!(after["beyond_calendar"], true);
    for name in ["holder", "since", "due_at"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    assert_eq!(
        (&after["used_permille"], &after["clock"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_any_past_moment_are_those_that_were_told_then() {
    let site = Site::new().await;
    let questions = [
        "/v1/cases?level=grid",
        "/v1/cases?state=accepted",
        "/v1/cases?overdue=false&limit=2",
        "/v1/escalations?limit=3",
        "/v1/escalations?level=community",
    ];
    let mut told = Vec::new();
    for number in 0..6 {
        let grid = [GRID, NEXT_GRID, OTHER_GRID][number % 3];
        let filed = site.file(grid, json!({})).await;
        let last = match number % 2 {
            0 => {
                site.step(Role::Community, &filed, json!({ "step": "accept" }))
                    .await
            }
            _ => filed,
        };
        for question in questions {
            let mut answer = site.ask(&last, question).await;
            answer.as_object_mut().unwrap().remove("position");
            told.push((site.now(), question, answer));
        }
        site.forward(90);
    }
    for (moment, question, then) in told {
        let path = format!("{question}&as_of={moment}");
        let (status, mut now) = site.get(&site.centre(), &path).await;
        assert_eq!(status, 200, "{now}");
        now.as_object_mut().unwrap().remove("position");
        assert_eq!(now, then, "{question} as of {moment}");
    }
    let ahead = site.now().plus_millis(1);
    let (status, answer) = site
        .get(&site.centre(), &format!("/v1/cases?as_of={ahead}"))
        .await;
    assert_eq!((status, &answer["code"]), (400, &json!("GK0633")));
}
