//! Duty and first inquiries: who answers for whom, where too few are, and who owes a resident an answer.

use gridkeeper_proto::access::Role;
use serde_json::{Value, json};

use crate::site::{COMMUNITY, DISTRICT, GRID, OTHER_GRID, Site};

/// Ten days from the tests' first on, the Friday on which the holidays of Labour Day begin: two at work, one at the
/// weekend.
fn plan() -> Value {
    json!({ "duty": "plan", "plan": {
        "area": COMMUNITY,
        "from": "2026-05-01",
        "to": "2026-05-10",
        "member": [
            { "person": "li.na", "post": "社区党组织书记" },
            { "person": "wang.wei", "post": "民政" },
        ],
        "shift": [
            { "person": "li.na", "on": ["monday", "tuesday", "wednesday", "thursday", "friday"],
              "from": "08:30", "to": "18:30" },
            { "person": "wang.wei", "on": ["friday", "saturday", "sunday"], "from": "08:30", "to": "18:30" },
        ],
    }})
}

async fn change(site: &Site, path: &str, role: Role, area: &str, command: Value) -> Value {
    let token = site.token_of("li.na", role, &[area]);
    let body = json!({ "id": uuid::Uuid::now_v7().to_string(), "command": command });
    site.post(&token, path, &body).await
}

async fn change_roster(site: &Site, command: Value) -> u64 {
    let path = format!("/v1/rosters/{COMMUNITY}/commands");
    let receipt = change(site, &path, Role::Community, COMMUNITY, command).await;
    receipt["position"]
        .as_u64()
        .unwrap_or_else(|| panic!("{receipt}"))
}

async fn get(site: &Site, path: &str) -> Value {
    let (status, answer) = site.get(&site.centre(), path).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_a_holder_is_away_the_status_names_the_x_and_until_when() {
    let site = Site::new().await;
    // 8:00 on Friday.
    change_roster(&site, plan()).await;
    let filed = site.file(GRID, json!({ "severity": "larger" })).await;
    let path = format!("/v1/cases/{}/escalation", filed.case_id);
    let early = site.ask(&filed, &path).await;
    assert_eq!(early["post"], "社区党组织书记");
    let morning = "2026-05-01T00:30:00.000Z";
    assert_eq!(
        early["held_by"],
        json!({ "post": "社区党组织书记", "person": "li.na", "stand_in": null, "on_duty": false,
                "next_on_duty": morning })
    );
    site.forward(60);
    assert_eq!(site.ask(&filed, &path).await["held_by"]["on_duty"], true);

    let (from, to) = (site.now(), site.now().plus_millis(3 * 3_600_000));
    let away = json!({ "duty": "record_absence", "person": "li.na", "from": from, "to": to, "reason": "ill" });
    let at_least = change_roster(&site, away).await;
    let held = get(&site, &format!("{path}?at_least={at_least}")).await["held_by"].clone();
    assert_eq!(
        held["stand_in"],
        json!({ "person": "wang.wei", "post": "民政", "until": to })
    );
    assert_eq!(
        (&held["person"], &held["on_duty"]),
        (&json!("li.na"), &json!(true))
    );

    // It is held by the post of the ladder: whoever answers for that has it among the own cases.
    for (person, count) in [("wang.wei", 1), ("li.na", 0), ("nobody", 0)] {
        let path = format!("/v1/cases?area={COMMUNITY}&served_by={person}&at_least={at_least}");
        let cases = get(&site, &path).await["cases"].clone();
        assert_eq!(cases.as_array().unwrap().len(), count, "{person}");
    }
    let before = format!(
        "/v1/cases?area={COMMUNITY}&served_by=li.na&as_of={}",
        site.now().plus_millis(-1)
    );

    // A case that names the person goes by the person's post.
    let to_her = json!({ "step": "assign", "to": { "area": COMMUNITY, "person": "li.na" } });
    site.step(Role::Community, &filed, json!({ "step": "accept" }))
        .await;
    let assigned = site.step(Role::Community, &filed, to_her).await;
    let status = site.ask(&assigned, &path).await;
    assert_eq!((&status["post"], &status["held_by"]), (&Value::Null, &held));
    for (person, count) in [("wang.wei", 1), ("li.na", 0), ("nobody", 0)] {
        let path = format!("/v1/cases?area={COMMUNITY}&served_by={person}");
        let cases = site.ask(&assigned, &path).await["cases"].clone();
        assert_eq!(cases.as_array().unwrap().len(), count, "{person}");
    }

    // A moment before the absence was recorded she was there, by what was known then.
    let cases = site.ask(&assigned, &before).await["cases"].clone();
    assert_eq!(cases.as_array().unwrap().len(), 1, "{cases}");

    let duty = get(
        &site,
        &format!("/v1/rosters/{COMMUNITY}/duty?at_least={at_least}"),
    )
    .await;
    assert_eq!(duty["on_duty"], json!(["wang.wei"]));
    assert_eq!(duty["posts"].as_array().unwrap().len(), 2);
    site.forward(3 * 60);
    let back = site.ask(&assigned, &path).await["held_by"].clone();
    assert_eq!(
        (&back["stand_in"], &back["on_duty"]),
        (&Value::Null, &json!(true))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_no_position_sees_a_changed_roster_too_and_from_which_position() {
    let site = Site::new().await;
    let planned = change_roster(&site, plan()).await;
    let path = format!("/v1/rosters/{COMMUNITY}/duty");
    let first = get(&site, &format!("{path}?at_least={planned}")).await;
    assert!(first["position"].as_u64().unwrap() >= planned);
    assert_eq!(first["on_duty"], json!([]), "half an hour too early");

    let (from, to) = (site.now(), site.now().plus_millis(3 * 3_600_000));
    site.forward(60);
    let away = json!({ "duty": "record_absence", "person": "li.na", "from": from, "to": to, "reason": "ill" });
    let changed = change_roster(&site, away).await;
    let there = site.until_answer(&path, |duty| duty["position"].as_u64() >= Some(changed));
    assert_eq!(there.await["on_duty"], json!(["wang.wei"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_are_listed_by_rule_and_areas_without_a_plan_are_named() {
    let site = Site::new().await;
    let planned = change_roster(&site, plan()).await;
    let path = format!("/v1/rosters/{COMMUNITY}?from=2026-05-01&to=2026-05-10&at_least={planned}");
    let roster = get(&site, &path).await;
    assert_eq!(roster["shifts"].as_array().unwrap().len(), 12);
    let gaps: Vec<_> = roster["gaps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|gap| {
            json!([
                gap["rule"],
                gap["from"],
                gap["to"],
                gap["at_least"],
                gap["on_duty"]
            ])
        })
        .collect();
    // One of two on Sunday. The first five days are holidays, and Saturday 9 May is worked in exchange: somebody is
    // there at each midday.
    assert_eq!(
        gaps,
        [json!([
            "5+2",
            "2026-05-10T01:00:00.000Z",
            "2026-05-10T09:00:00.000Z",
            2,
            ["wang.wei"]
        ])]
    );
    let noon = "2026-05-08T05:00:00.000Z";
    let away = |person| {
        json!({ "duty": "record_absence", "person": person, "from": "2026-05-08T04:00:00Z",
        "to": noon, "reason": "training" })
    };
    change_roster(&site, away("li.na")).await;
    let last = change_roster(&site, away("wang.wei")).await;
    let all = get(
        &site,
        &format!("/v1/staffing-gaps?from=2026-05-01&to=2026-05-08&at_least={last}"),
    )
    .await;
    let found = &all["gaps"][0];
    assert_eq!(
        (&found["rule"], &found["to"]),
        (&json!("8+2"), &json!(noon))
    );
    assert_eq!(all["gaps"].as_array().unwrap().len(), 1);
    assert_eq!(
        all["unplanned"].as_array().unwrap().len(),
        59,
        "the other communities"
    );
    let path = format!("/v1/staffing-gaps?area={COMMUNITY}&from=2026-05-01&to=2026-05-01");
    assert_eq!(get(&site, &path).await["unplanned"], json!([]));

    // Over the end of the calendar what is known is told; outside of all calendars nothing is.
    for path in [
        "/v1/staffing-gaps?from=2026-12-30&to=2027-01-03".to_owned(),
        format!("/v1/rosters/{COMMUNITY}?from=2026-12-30&to=2027-01-03"),
    ] {
        let answer = get(&site, &path).await;
        assert_eq!(answer["unchecked"], true, "{path}");
        let days = answer["gaps"].as_array().unwrap().iter();
        assert_eq!(days.count(), 2, "the middays of two workdays");
    }
    for span in [
        "from=9999-12-30&to=9999-12-31",
        "from=0001-01-01&to=0001-01-02",
        "from=2026-05-02&to=2026-05-01",
    ] {
        for path in ["staffing-gaps", &format!("rosters/{COMMUNITY}")] {
            let path = format!("/v1/{path}?{span}");
            let (status, answer) = site.get(&site.centre(), &path).await;
            assert_eq!((status, &answer["code"]), (400, &json!("GK0624")), "{path}");
        }
    }

    let worker = site.token(Role::GridWorker, &[GRID]);
    let (status, answer) = site
        .get(&worker, &format!("/v1/rosters/{COMMUNITY}/duty"))
        .await;
    assert_eq!((status, &answer["code"]), (403, &json!("GK0005")));
}

#[tokio::test(flavor = "multi_thread")]
async fn open_inquiries_are_listed_by_who_owes_the_answer() {
    let site = Site::new().await;
    let id = || uuid::Uuid::now_v7().to_string();
    let send = async |who: &str, inquiry: &str, command: Value| {
        let token = site.token_of(who, Role::Community, &[COMMUNITY]);
        let body = json!({ "id": id(), "area": COMMUNITY, "command": command });
        let path = format!("/v1/inquiries/{inquiry}/commands");
        site.post(&token, &path, &body).await
    };
    let take =
        |question: &str| json!({ "inquiry": "take", "question": question, "channel": "window" });
    let (first, second, third) = (id(), id(), id());
    send("li.na", &first, take("低保怎么办理")).await;
    send("li.na", &second, take("楼道灯谁来修")).await;
    send("zhao.min", &third, take("居住证在哪里领")).await;
    send(
        "li.na",
        &second,
        json!({ "inquiry": "offer", "to": "wang.wei" }),
    )
    .await;
    let refused = send("zhao.min", &second, json!({ "inquiry": "accept" })).await;
    assert_eq!(refused["code"], "GK0232");
    send("wang.wei", &second, json!({ "inquiry": "accept" })).await;
    let answer = json!({ "inquiry": "answer", "answer": "社区服务大厅" });
    let last = send("zhao.min", &third, answer).await["position"].clone();

    let owners = async |query: &str| -> Vec<String> {
        let path = format!("/v1/inquiries?area={COMMUNITY}&at_least={last}{query}");
        let answer = get(&site, &path).await;
        let inquiries = answer["inquiries"].as_array().unwrap();
        let owners = inquiries
            .iter()
            .map(|one| one["owner"].as_str().unwrap().to_owned());
        owners.collect()
    };
    assert_eq!(owners("&open=true").await, ["li.na", "wang.wei"]);
    assert_eq!(owners("&open=true&owner=li.na").await, ["li.na"]);
    assert_eq!(owners("").await.len(), 3);
    assert_eq!(owners("&open=true&limit=1").await, ["li.na"]);
    let path = format!("/v1/inquiries?area={COMMUNITY}&open=true&limit=1");
    let next = get(&site, &path).await["next"].as_str().unwrap().to_owned();
    assert_eq!(
        owners(&format!("&open=true&after={next}")).await,
        ["wang.wei"]
    );

    // Somebody of elsewhere sees what they are asked to take over, and what they owe.
    send(
        "li.na",
        &first,
        json!({ "inquiry": "offer", "to": "sun.li" }),
    )
    .await;
    let elsewhere = site.token_of("sun.li", Role::Community, &["510402003001"]);
    let own = async |query: &str, count: usize| {
        let path = format!("/v1/inquiries?{query}");
        let found = site.until_answer_to(&elsewhere, &path, |answer| {
            answer["inquiries"]
                .as_array()
                .is_some_and(|all| all.len() == count)
        });
        found.await;
    };
    own("offered_to=sun.li", 1).await;
    let accept = json!({ "id": id(), "command": { "inquiry": "accept" } });
    let path = format!("/v1/inquiries/{first}/commands");
    site.post(&elsewhere, &path, &accept).await;
    own("open=true&owner=sun.li", 1).await;
    own("offered_to=sun.li", 0).await;
    let path = format!("/v1/inquiries?open=true&owner=li.na&area={COMMUNITY}");
    assert_eq!(
        site.get(&elsewhere, &path).await.0,
        403,
        "only the own ones"
    );

    let handed = get(&site, &format!("/v1/inquiries/{second}")).await;
    assert_eq!(
        (
            &handed["owner"],
            &handed["taken_by"],
            &handed["handovers"],
            &handed["version"]
        ),
        (&json!("wang.wei"), &json!("li.na"), &json!(1), &json!(3))
    );
    let worker = site.token(Role::GridWorker, &[OTHER_GRID]);
    let (status, answer) = site.get(&worker, &format!("/v1/inquiries/{second}")).await;
    assert_eq!((status, &answer["code"]), (404, &json!("GK0230")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policies_and_the_calendar_are_told_as_they_were_adopted() {
    let site = Site::new().await;
    let policies = get(&site, &format!("/v1/policies?at_least={}", site.adopted())).await;
    assert_eq!(policies["policies"][0]["version"], 1);
    assert_eq!(policies["policies"][0]["in_force"], true);
    let years = get(&site, "/v1/calendar").await["years"].clone();
    assert_eq!(years.as_array().unwrap().len(), 9);
    let year = json!({ "year": 2026, "holidays": ["2026-05-01"], "workdays": ["2026-05-09"] });
    let command = json!({ "rule": "adopt_calendar", "year": year });
    let adopted = change(&site, "/v1/rules/commands", Role::Admin, DISTRICT, command).await;
    let path = format!("/v1/calendar?at_least={}", adopted["position"]);
    assert_eq!(get(&site, &path).await["years"][8], year);
    let mut policy = get(&site, "/v1/policies/1").await["policy"].clone();
    assert_eq!(policy["general"]["accept"], "4 hours");
    let (status, answer) = site.get(&site.centre(), "/v1/policies/2").await;
    assert_eq!((status, &answer["code"]), (404, &json!("GK0221")));

    policy["version"] = json!(2);
    policy["general"]["accept"] = json!("8 hours");
    let command = json!({ "rule": "adopt_policy", "zone": "Asia/Shanghai", "policy": policy });
    let old = site.file(GRID, json!({})).await;
    let adopted = change(&site, "/v1/rules/commands", Role::Admin, DISTRICT, command).await;
    let new = site.file(GRID, json!({})).await;
    assert!(new.position.0 > adopted["position"].as_u64().unwrap());
    for (case, hours) in [(&old, 4), (&new, 8)] {
        let path = format!("/v1/cases/{}/escalation", case.case_id);
        let status = site.ask(&new, &path).await;
        let due = site.now().plus_millis(hours * 3_600_000);
        assert_eq!(status["due_at"], json!(due));
        assert_eq!(status["limit"]["limit"], format!("{hours} hours"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn units_are_assessed_by_the_cases_that_they_held() {
    let site = Site::new().await;
    let filed = site.file(GRID, json!({})).await;
    site.step(Role::Community, &filed, json!({ "step": "accept" }))
        .await;
    let to = json!({ "area": COMMUNITY, "unit": "物业公司" });
    let escalate = json!({ "step": "escalate", "reason": "too big for the grid" });
    site.step(Role::Community, &filed, escalate).await;
    let assign = json!({ "step": "assign", "to": to });
    site.step(Role::Community, &filed, assign).await;
    site.step(
        Role::Community,
        &filed,
        json!({ "step": "return", "reason": "not ours" }),
    )
    .await;
    let to = json!({ "area": COMMUNITY, "unit": "司法所" });
    site.step(
        Role::Community,
        &filed,
        json!({ "step": "assign", "to": to }),
    )
    .await;
    let resolve = json!({ "step": "resolve", "outcome": "settled", "note": "agreed" });
    site.step(Role::Community, &filed, resolve).await;
    // What becomes of the case then is about the work of the unit that resolved it.
    for step in [
        json!({ "step": "rate", "satisfied": false }),
        json!({ "step": "verify" }),
        json!({ "step": "close" }),
    ] {
        site.step(Role::Street, &filed, step).await;
    }
    let reopen = json!({ "step": "reopen", "reason": "it drips again" });
    let last = site.step(Role::Street, &filed, reopen).await;
    let path = "/v1/assessment/units?from=2026-05-01&to=2026-05-02";
    let assessed = site.ask(&last, path).await;
    let told: Vec<_> = assessed["units"]
        .as_array()
        .unwrap()
        .iter()
        .map(|unit| {
            json!([
                unit["unit"],
                unit["returned"],
                unit["resolved"],
                unit["resolved_in_time"],
                unit["dissatisfied"],
                unit["closed"],
                unit["reopened"]
            ])
        })
        .collect();
    assert_eq!(
        told,
        [
            json!(["司法所", 0, 1, 1, 1, 1, 1]),
            json!(["物业公司", 1, 0, 0, 0, 0, 0])
        ]
    );
    let community = site.token(Role::Community, &[COMMUNITY]);
    let (status, _) = site.get(&community, path).await;
    assert_eq!(status, 403);
}
