//! The commands for rosters and policies, as somebody types them.

use std::process::Output;

use gridkeeper_proto::access::Role;
use gridkeeper_tests::sample_district;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::site::{DISTRICT, Site, new_id, report};

const COMMUNITY: &str = "510402002005";
const GRID: &str = "51040200200501";

/// One of two on the morning of Saturday, two until 17:00.
const PLAN: &str = r#"
area = "510402002005"
from = "2026-11-28"
to = "2026-11-28"
member = [{ person = "li.na", post = "民政" }, { person = "wang.wei", post = "调解" }]
shift = [
  { person = "li.na", on = ["saturday"], from = "09:00", to = "17:00" },
  { person = "wang.wei", on = ["2026-11-28"], from = "09:00", to = "13:00" },
  { person = "wang.wei", on = ["weekend"], from = "15:00", to = "17:00" },
]
"#;

/// A command with the sample district; gives whether it succeeded, what it printed and what it said.
async fn gridkeeper(arguments: &[&str]) -> (bool, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_gridkeeper"))
        .args(arguments)
        .arg("--district")
        .arg(sample_district())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.success(), text(stdout), text(stderr))
}

/// A file in the site's folder.
fn file(site: &Site, name: &str, text: &str) -> String {
    let path = site.path(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_checked_and_loaded_and_the_gaps_are_the_same_everywhere() {
    let site = Site::started(&sample_district()).await;
    let plan = file(&site, "plan.toml", PLAN);
    let token = file(&site, "token", &site.token(Role::Community, COMMUNITY));
    let (done, told, said) = gridkeeper(&["roster", "check", &plan, "--json"]).await;
    assert!(done, "{said}");
    let gap = json!({
        "area": COMMUNITY, "rule": "5+2", "at_least": 2, "on_duty": ["li.na"],
        "from": "2026-11-28T05:00:00.000Z", "to": "2026-11-28T07:00:00.000Z",
    });
    let gaps: Vec<Value> = serde_json::from_str(&told).unwrap();
    assert_eq!(
        gaps,
        std::slice::from_ref(&gap),
        "13:00 to 15:00: one of two"
    );
    let before = site.last_position().await;

    let (url, to) = (site.url("intake"), ["--token-file", &token, "--intake"]);
    let load = [&["roster", "load", &plan][..], &to, &[&url]].concat();
    let (done, told, said) = gridkeeper(&load).await;
    assert!(
        done && told.contains("1 of 2 on duty li.na"),
        "{told} {said}"
    );
    let loaded = site.last_position().await;
    assert_eq!(loaded, before + 1, "checking has changed nothing");
    let path = format!(
        "/v1/staffing-gaps?area={COMMUNITY}&from=2026-11-28&to=2026-11-28&at_least={loaded}"
    );
    assert_eq!(site.answer(&path).await["gaps"], json!([gap]));

    let twice = PLAN.replace("\"调解\"", "\"民政\"");
    let wrong = file(&site, "wrong.toml", &twice);
    let load = [&["roster", "load", &wrong][..], &to, &[&url]].concat();
    let (done, _, said) = gridkeeper(&load).await;
    assert!(!done && said.contains("GK0195"), "{said}");
    assert_eq!(site.last_position().await, loaded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_tried_for_a_span_of_days_and_adopted_under_a_version_of_its_own() {
    let site = Site::started(&sample_district()).await;
    let mut late = report(&new_id(), GRID);
    late["imported"] = json!({
        "source": { "system": "old", "record": "1" },
        "reported_at": "2026-01-05T02:00:00Z", "due_at": "2026-01-06T02:00:00Z",
    });
    site.door().file(&[late]).await;
    let own = sample_district().join("policy.toml");
    let text = std::fs::read_to_string(&own).unwrap();
    let rows = async |span: &[&str]| -> Value {
        let own = own.to_str().unwrap();
        let arguments = [&["policy", "try", own, "--json"], span].concat();
        serde_json::from_str(&site.run(&arguments).await).unwrap()
    };
    // It was late on the sixth of January, and went up when it was taken over.
    let count =
        |rows: &Value| ["missed", "went_up", "would_go_up"].map(|name| rows[0][name].clone());
    assert_eq!(count(&rows(&[]).await), [1, 1, 1]);
    let january = ["--from", "2026-01-01", "--to", "2026-01-31"];
    assert_eq!(count(&rows(&january).await), [1, 0, 0]);
    let earlier = ["--to", "2026-01-05"];
    assert_eq!(count(&rows(&earlier).await), [0, 0, 0]);
    let cases = ["policy", "try", own.to_str().unwrap(), "--cases"];
    let cases: Value = serde_json::from_str(&site.run(&cases).await).unwrap();
    assert_eq!(cases, json!([]), "the same policy gives what happened");

    let token = file(&site, "token", &site.token(Role::Admin, DISTRICT));
    let url = site.url("intake");
    let adopt = async |name: &str, text: String| {
        let policy = file(&site, name, &text);
        // The calendar is found from the district's folder.
        gridkeeper(&[
            "policy",
            "adopt",
            &policy,
            "--token-file",
            &token,
            "--intake",
            &url,
        ])
        .await
    };
    let longer = text.replace("accept = \"4 hours\"", "accept = \"8 hours\"");
    let (done, _, said) = adopt("same.toml", longer.clone()).await;
    assert!(!done && said.contains("GK0222"), "{said}");
    let longer = longer.replace("version = 1", "version = 2");
    let (done, told, said) = adopt("longer.toml", longer).await;
    assert!(done && told.contains("is in force"), "{told} {said}");
    let path = format!("/v1/policies?at_least={}", site.last_position().await);
    assert_eq!(site.answer(&path).await["policies"][1]["in_force"], true);
    let unknown = text.replace("accept =", "acept =");
    let (done, _, said) = adopt("unknown.toml", unknown).await;
    assert!(!done && said.contains("acept"), "{said}");
}
