//! Bad input at the real door: each gets its code, and nothing is changed.

use gridkeeper_http::Clock;
use gridkeeper_proto::access::{Claims, Role};
use gridkeeper_tests::sample_district;
use serde_json::{Value, json};

use crate::site::{DISTRICT, Site, new_id, report};

const GRID: &str = "51040200200501";

/// A request as it goes over the wire.
struct Sent {
    path: String,
    token: String,
    content_type: &'static str,
    body: Vec<u8>,
}

struct Bad {
    what: &'static str,
    sent: Sent,
    status: u16,
    code: &'static str,
}

/// The bad requests, made from good ones.
struct Table<'a> {
    site: &'a Site,
    bad: Vec<Bad>,
}

impl Table<'_> {
    fn add(&mut self, what: &'static str, sent: Sent, status: u16, code: &'static str) {
        self.bad.push(Bad {
            what,
            sent,
            status,
            code,
        });
    }

    fn reports(&self, body: Vec<u8>) -> Sent {
        Sent {
            path: "/v1/reports".to_owned(),
            token: self.site.admin(),
            content_type: "application/json",
            body,
        }
    }

    /// A report with one field changed, or taken away by null.
    fn field(
        &mut self,
        what: &'static str,
        field: &str,
        value: Value,
        status: u16,
        code: &'static str,
    ) {
        let mut report = report(&new_id(), GRID);
        let fields = report.as_object_mut().unwrap();
        match value {
            Value::Null => drop(fields.remove(field)),
            value => drop(fields.insert(field.to_owned(), value)),
        }
        let body = json!({ "reports": [report] }).to_string();
        let sent = self.reports(body.into());
        self.add(what, sent, status, code);
    }

    /// A good report under another token.
    fn token(&mut self, what: &'static str, token: String, status: u16, code: &'static str) {
        let body = json!({ "reports": [report(&new_id(), GRID)] }).to_string();
        let sent = Sent {
            token,
            ..self.reports(body.into())
        };
        self.add(what, sent, status, code);
    }

    fn step(
        &mut self,
        what: &'static str,
        (case, role, area): (&str, Role, &str),
        request: &Value,
        status: u16,
        code: &'static str,
    ) {
        let sent = Sent {
            path: format!("/v1/cases/{case}/commands"),
            token: self.site.token(role, area),
            content_type: "application/json",
            body: request.to_string().into(),
        };
        self.add(what, sent, status, code);
    }
}

fn shapes(table: &mut Table<'_>) {
    let raw = |table: &Table<'_>, body: &[u8]| table.reports(body.to_vec());
    let sent = raw(table, b"{\"reports\": [");
    table.add("JSON that ends early", sent, 400, "GK0021");
    let sent = raw(table, b"");
    table.add("no body", sent, 400, "GK0021");
    let sent = raw(table, b"{\"reports\": [\"\xff\xfe\"]}");
    table.add("bytes that are not UTF-8", sent, 400, "GK0023");
    let sent = raw(table, &vec![b' '; 3 << 20]);
    table.add("a huge body", sent, 413, "GK0024");
    let sent = raw(table, b"[]");
    table.add("an array for an object", sent, 422, "GK0022");
    let sent = raw(table, b"{\"reports\": []}");
    table.add("no report", sent, 422, "GK0518");
    let many = vec![report(&new_id(), GRID); 501];
    let sent = raw(table, json!({ "reports": many }).to_string().as_bytes());
    table.add("too many reports", sent, 422, "GK0518");
    let sent = raw(table, b"{\"reports\": [], \"colour\": 1}");
    table.add("an unknown field", sent, 422, "GK0022");
    let mut sent = raw(table, b"reports=1");
    sent.content_type = "application/x-www-form-urlencoded";
    table.add("a form", sent, 415, "GK0020");
    let deep = "[".repeat(100_000);
    let sent = raw(table, deep.as_bytes());
    table.add("a hundred thousand brackets", sent, 422, "GK0022");
}

fn reports(table: &mut Table<'_>) {
    let now = Clock::system().now();
    let days = |days: i64| json!(now.plus_millis(days * 86_400_000));
    let place =
        |longitude: f64, latitude: f64| json!({ "longitude": longitude, "latitude": latitude });
    let v4 = "7b6bdb5e-2f0f-4c1c-9b6e-0a4f0f6f9a11";
    table.field("an id that is none", "id", json!("seven"), 422, "GK0022");
    table.field("an id that tells no time", "id", json!(v4), 422, "GK0510");
    table.field(
        "a kind that is none",
        "kind",
        json!("quarrel"),
        422,
        "GK0022",
    );
    table.field("the other kind", "kind", json!("incident"), 422, "GK0512");
    table.field(
        "an unknown category",
        "category",
        json!("dispute.ufo"),
        422,
        "GK0511",
    );
    table.field(
        "a severity that is none",
        "severity",
        json!("awful"),
        422,
        "GK0022",
    );
    table.field("nothing said", "description", json!(" \n"), 422, "GK0213");
    table.field(
        "too much said",
        "description",
        json!("水".repeat(4_001)),
        422,
        "GK0213",
    );
    table.field("no place", "grid", Value::Null, 422, "GK0513");
    table.field(
        "an unknown grid",
        "grid",
        json!("51040200200599"),
        422,
        "GK0514",
    );
    table.field(
        "a street for a grid",
        "grid",
        json!("510402002"),
        422,
        "GK0514",
    );
    table.field(
        "a grid of elsewhere",
        "grid",
        json!("51040300100101"),
        422,
        "GK0514",
    );
    table.field("text for a number", "people", json!("three"), 422, "GK0022");
    table.field("nobody", "people", json!(0), 422, "GK0516");
    table.field(
        "a point beyond the pole",
        "location",
        place(101.7, 91.0),
        422,
        "GK0122",
    );
    table.field("happened tomorrow", "occurred_at", days(1), 422, "GK0212");
    table.field(
        "happened in another century",
        "occurred_at",
        days(-40_000),
        422,
        "GK0212",
    );
    table.field("no time", "occurred_at", json!("yesterday"), 422, "GK0022");
    table.field("saved tomorrow", "filed_at", days(1), 422, "GK0212");
    let mut outside = report(&new_id(), GRID);
    outside.as_object_mut().unwrap().remove("grid");
    for (what, point) in [
        ("a point in the next district", place(101.95, 26.6)),
        ("a point in the sea", place(0.0, 0.0)),
    ] {
        outside["location"] = point;
        let body = json!({ "reports": [outside] }).to_string();
        let sent = table.reports(body.into());
        table.add(what, sent, 422, "GK0121");
    }
}

fn people(table: &mut Table<'_>, elsewhere: &str) {
    let site = table.site;
    let now = Clock::system().now();
    let areas = vec![DISTRICT.parse().unwrap()];
    let then = now.plus_millis(-7_200_000);
    let old = Claims::lasting("old".to_owned(), Role::Admin, areas, then, 3_600);
    table.token("an expired token", site.sign(&old), 401, "GK0004");
    table.token(
        "a token of another installation",
        elsewhere.to_owned(),
        401,
        "GK0003",
    );
    let good = site.admin();
    let (head, signature) = good.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    table.token(
        "a forged token",
        format!("{head}.{other}{}", &signature[1..]),
        401,
        "GK0003",
    );
    table.token("no token", String::new(), 401, "GK0001");
    table.token("rubbish", "rubbish".to_owned(), 401, "GK0002");
    table.token(
        "an analyst",
        site.token(Role::Analyst, DISTRICT),
        403,
        "GK0006",
    );
    table.token(
        "other people's grid",
        site.token(Role::GridWorker, "51040200200502"),
        403,
        "GK0005",
    );
    table.token(
        "another street",
        site.token(Role::Street, "510402003"),
        403,
        "GK0005",
    );
}

fn steps(table: &mut Table<'_>, case: &str) {
    let centre = (case, Role::Centre, DISTRICT);
    let command = |step: Value| json!({ "id": new_id(), "command": step });
    let accept = || json!({ "step": "accept" });
    table.step(
        "a step that is none",
        centre,
        &command(json!({ "step": "fly" })),
        422,
        "GK0022",
    );
    table.step(
        "a step out of turn",
        centre,
        &command(json!({ "step": "close" })),
        409,
        "GK0202",
    );
    let mut stale = command(accept());
    stale["if_version"] = json!(7);
    table.step("a stale version", centre, &stale, 409, "GK0203");
    let unknown = new_id();
    table.step(
        "a case that is not there",
        (&unknown, Role::Centre, DISTRICT),
        &command(accept()),
        404,
        "GK0200",
    );
    table.step(
        "no id of a case",
        ("seven", Role::Centre, DISTRICT),
        &command(accept()),
        400,
        "GK0025",
    );
    let worker = (case, Role::GridWorker, "51040200200502");
    table.step(
        "a case of another grid",
        worker,
        &command(accept()),
        403,
        "GK0005",
    );
    let analyst = (case, Role::Analyst, DISTRICT);
    table.step(
        "a step of an analyst",
        analyst,
        &command(accept()),
        403,
        "GK0205",
    );
    let worker = (case, Role::GridWorker, GRID);
    let supervise = json!({ "step": "supervise", "note": "x" });
    table.step(
        "supervision from below",
        worker,
        &command(supervise),
        403,
        "GK0205",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_request_gets_its_code_and_changes_nothing() {
    let site = Site::started(&sample_district()).await;
    let elsewhere = Site::new(&sample_district()).await.admin();
    let good = site.door().file(&[report(&new_id(), GRID)]).await;
    let before = site.last_position().await;
    let mut table = Table {
        site: &site,
        bad: Vec::new(),
    };
    shapes(&mut table);
    reports(&mut table);
    people(&mut table, &elsewhere);
    steps(&mut table, &good[0].case_id.to_string());
    assert!(table.bad.len() >= 40, "{}", table.bad.len());
    let mut wrong = Vec::new();
    for Bad {
        what,
        sent,
        status,
        code,
    } in table.bad
    {
        let url = format!("{}{}", site.url("intake"), sent.path);
        let mut request = site
            .http
            .post(url)
            .header("content-type", sent.content_type);
        if !sent.token.is_empty() {
            request = request.bearer_auth(sent.token);
        }
        let answer = request.body(sent.body).send().await.unwrap();
        let found = answer.status().as_u16();
        let problem: Value = answer.json().await.unwrap();
        let told = problem["code"].as_str().unwrap_or_default().to_owned();
        if (found, told.as_str()) != (status, code) {
            wrong.push(format!(
                "{what}: {found} {told}, not {status} {code}: {problem}"
            ));
        }
        assert!(
            !problem["detail"].as_str().unwrap_or_default().is_empty(),
            "{what}"
        );
        assert_eq!(site.last_position().await, before, "{what}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
