//! Bad input: each with its status and code, and the log as it was.

use gridkeeper_proto::access::Role;
use serde_json::{Value, json};

use super::site::{GRID, NOW, OTHER_GRID, Site, id, report};

/// A report that differs from a good one in one field.
fn with(field: &str, value: Value) -> Value {
    let mut report = report(&id(), GRID);
    report[field] = value;
    report
}

fn without(field: &str) -> Value {
    let mut report = report(&id(), GRID);
    report.as_object_mut().unwrap().remove(field);
    report
}

fn at(days: i64) -> Value {
    let moment = gridkeeper_proto::time::Timestamp::from_millis(NOW).unwrap();
    json!(moment.plus_millis(days * 24 * 60 * 60_000))
}

fn party(field: &str, value: &str) -> Value {
    let mut party = json!({ "name": "甲" });
    party[field] = json!(value);
    with("parties", json!([party]))
}

fn imported(field: &str, value: Value) -> Value {
    let mut imported = json!({
        "source": { "system": "old", "record": "7", "state": null },
        "reported_at": at(-30),
    });
    imported[field] = value;
    with("imported", imported)
}

fn source(system: &str, record: &str, state: &str) -> Value {
    imported(
        "source",
        json!({ "system": system, "record": record, "state": state }),
    )
}

fn bad_reports() -> Vec<(Value, u16, &'static str)> {
    let long = |length: usize| "网".repeat(length);
    let place = |longitude: f64, latitude: f64| {
        let mut report = without("grid");
        report["location"] = json!({ "longitude": longitude, "latitude": latitude });
        report
    };
    vec![
        (
            with("id", json!("01980000-0000-4000-8000-000000000000")),
            422,
            "GK0510",
        ),
        (with("id", json!("no id")), 422, "GK0022"),
        (with("id", json!(7)), 422, "GK0022"),
        (without("id"), 422, "GK0022"),
        (with("kind", json!("quarrel")), 422, "GK0022"),
        (without("kind"), 422, "GK0022"),
        (with("kind", json!("incident")), 422, "GK0512"),
        (with("category", json!("dispute.nonesuch")), 422, "GK0511"),
        (with("category", json!("")), 422, "GK0511"),
        (with("category", json!("incident.fire")), 422, "GK0512"),
        (without("category"), 422, "GK0022"),
        (with("severity", json!("awful")), 422, "GK0022"),
        (with("channel", json!("pigeon")), 422, "GK0022"),
        (without("channel"), 422, "GK0022"),
        (with("description", json!("")), 422, "GK0213"),
        (with("description", json!(" \n\t")), 422, "GK0213"),
        (with("description", json!(long(4_001))), 422, "GK0213"),
        (with("description", json!(null)), 422, "GK0022"),
        (without("grid"), 422, "GK0513"),
        (with("grid", json!("51040200200599")), 422, "GK0514"),
        (with("grid", json!("510402002005")), 422, "GK0514"),
        (with("grid", json!("51040300100101")), 422, "GK0514"),
        (with("grid", json!("here")), 422, "GK0022"),
        (place(101.7, 26.6), 422, "GK0120"),
        (place(181.0, 26.6), 422, "GK0122"),
        (place(101.7, -90.5), 422, "GK0122"),
        (
            with("location", json!({ "longitude": 181.0, "latitude": 0.0 })),
            422,
            "GK0122",
        ),
        (
            with("location", json!({ "longitude": 101.7 })),
            422,
            "GK0022",
        ),
        (
            with(
                "location",
                json!({ "longitude": 101.7, "latitude": 26.6, "system": "BD-09" }),
            ),
            422,
            "GK0022",
        ),
        (with("address", json!(long(301))), 422, "GK0213"),
        (with("people", json!(0)), 422, "GK0516"),
        (with("people", json!(1_000_001)), 422, "GK0516"),
        (with("people", json!(-1)), 422, "GK0022"),
        (with("people", json!(2.5)), 422, "GK0022"),
        (
            with("parties", json!(vec![json!({ "name": "甲" }); 51])),
            422,
            "GK0517",
        ),
        (party("name", ""), 422, "GK0213"),
        (party("name", &long(101)), 422, "GK0213"),
        (party("phone", &long(31)), 422, "GK0213"),
        (party("id_number", &long(31)), 422, "GK0213"),
        (party("part", &long(101)), 422, "GK0213"),
        (party("age", "7"), 422, "GK0022"),
        (with("occurred_at", at(1)), 422, "GK0212"),
        (with("occurred_at", at(-4_000)), 422, "GK0212"),
        (with("occurred_at", json!("yesterday")), 422, "GK0022"),
        (with("filed_at", at(1)), 422, "GK0212"),
        (with("filed_at", at(-400)), 422, "GK0212"),
        (imported("reported_at", at(1)), 422, "GK0212"),
        (imported("closed", json!({ "at": at(1) })), 422, "GK0212"),
        (imported("closed", json!({ "at": at(-31) })), 422, "GK0212"),
        (source("", "7", "done"), 422, "GK0213"),
        (source("old", &long(101), "done"), 422, "GK0213"),
        (source("old", "7", &long(101)), 422, "GK0213"),
        (with("colour", json!("red")), 422, "GK0022"),
    ]
}

#[tokio::test]
async fn bad_reports_are_refused_and_leave_the_log_as_it_was() {
    let site = Site::new();
    let intake = site.start().await;
    let admin = intake.client_as(Role::Admin);
    let table = bad_reports();
    assert!(table.len() >= 40);
    for (report, status, code) in table {
        let refused = admin.refused(&report).await;
        assert_eq!(refused, (status, code.to_owned()), "{report}");
    }
    assert_eq!(site.log.recorded().len(), 0);
    assert_eq!(site.keys.count(), 0);
    intake.stop().await;
}

#[tokio::test]
async fn reports_of_who_may_not_file_them_are_refused() {
    let site = Site::new();
    let intake = site.start().await;
    let import = imported("due_at", at(-20));
    let mut with_parties = report(&id(), OTHER_GRID);
    with_parties["parties"] = json!([{ "name": "甲" }]);
    for (role, report, code) in [
        (Role::Analyst, report(&id(), GRID), "GK0006"),
        (Role::GridWorker, report(&id(), OTHER_GRID), "GK0005"),
        (Role::GridWorker, with_parties, "GK0005"),
        (Role::Centre, import, "GK0006"),
    ] {
        let refused = intake.client_as(role).refused(&report).await;
        assert_eq!(refused, (403, code.to_owned()), "{role:?} {report}");
    }
    let mut stranger = intake.client();
    stranger.token = "nonsense".to_owned();
    assert_eq!(stranger.refused(&report(&id(), GRID)).await.0, 401);
    assert_eq!(site.log.recorded().len(), 0);
    assert_eq!(
        site.keys.count(),
        0,
        "whoever may not file leaves no key behind"
    );
    intake.stop().await;
}

#[tokio::test]
async fn a_batch_holds_1_to_500_reports() {
    let site = Site::new();
    let intake = site.start().await;
    for count in [0, 501] {
        let reports: Vec<Value> = (0..count).map(|_| report(&id(), GRID)).collect();
        let (status, answer) = intake
            .post("/v1/reports", &json!({ "reports": reports }))
            .await;
        assert_eq!(
            (status, answer["code"].as_str()),
            (422, Some("GK0518")),
            "{count}"
        );
    }
    assert_eq!(site.log.recorded().len(), 0);
    intake.stop().await;
}

#[tokio::test]
async fn bad_steps_are_refused_and_leave_the_log_as_it_was() {
    let site = Site::new();
    let intake = site.start().await;
    let case = id();
    intake.file(&report(&case, GRID)).await;
    let to = |area: &str| json!({ "step": "assign", "to": { "area": area } });
    let unit =
        |unit: &str| json!({ "step": "assign", "to": { "area": "510402002005", "unit": unit } });
    let merge = |into: &str| json!({ "step": "merge", "into": into });
    for (role, command, status, code) in [
        (Role::Centre, json!({ "step": "fly" }), 422, "GK0022"),
        (Role::Centre, json!({ "step": "resume" }), 409, "GK0202"),
        (Role::Centre, json!({ "step": "close" }), 409, "GK0202"),
        (
            Role::Centre,
            json!({ "step": "cancel", "reason": "" }),
            422,
            "GK0213",
        ),
        (Role::Centre, to("510403"), 422, "GK0515"),
        (Role::Centre, unit(""), 422, "GK0213"),
        (Role::Centre, merge(&case), 422, "GK0210"),
        (Role::Centre, merge(&id()), 422, "GK0210"),
        (
            Role::Centre,
            json!({ "step": "pass_moment", "at": at(0) }),
            403,
            "GK0205",
        ),
        (
            Role::Centre,
            json!({ "step": "extend", "by": "a while", "reason": "x" }),
            422,
            "GK0022",
        ),
        (
            Role::Centre,
            json!({ "step": "extend", "by": "2 workdays", "reason": "x" }),
            422,
            "GK0217",
        ),
        (
            Role::Centre,
            json!({ "step": "extend", "by": "6 minutes", "reason": "x" }),
            422,
            "GK0216",
        ),
        (
            Role::Centre,
            json!({ "step": "forget_parties", "reason": "x" }),
            403,
            "GK0205",
        ),
        (
            Role::Admin,
            json!({ "step": "forget_parties", "reason": "x" }),
            409,
            "GK0202",
        ),
        (
            Role::GridWorker,
            json!({ "step": "cancel", "reason": "x" }),
            403,
            "GK0205",
        ),
        (Role::Analyst, json!({ "step": "accept" }), 403, "GK0205"),
    ] {
        let body = json!({ "id": id(), "command": command });
        let path = format!("/v1/cases/{case}/commands");
        let (found, answer) = intake.client_as(role).post(&path, &body).await;
        assert_eq!(
            (found, answer["code"].as_str()),
            (status, Some(code)),
            "{command}: {answer}"
        );
    }
    for role in [Role::Centre, Role::GridWorker] {
        let body = json!({ "id": id(), "command": { "step": "accept" } });
        let path = format!("/v1/cases/{}/commands", id());
        let (status, answer) = intake.client_as(role).post(&path, &body).await;
        assert_eq!((status, answer["code"].as_str()), (404, Some("GK0200")));
    }
    assert_eq!(site.log.recorded().len(), 1);
    intake.stop().await;
}
