//! From a log that lost its end, or holds what is no event, back to green: doctor, a statement, a restart.

use std::{
    fs,
    path::{Path, PathBuf},
};

use gridkeeper_proto::api::Receipt;
use gridkeeper_tests::{installation::SERVICES, sample_district, until};
use serde_json::{Value, json};

use crate::site::{Site, new_id, report};

const GRID: &str = "51040200200501";
const OTHER: &str = "51040200300101";

impl Site {
    fn stream(&self) -> PathBuf {
        self.path("broker/streams/jetstream/$G/streams/EVT_510402")
    }

    /// A service's health is red with this code.
    pub(crate) async fn until_red(&self, service: &'static str, code: &str) {
        self.until_red_with_any(service, &[code]).await;
    }

    /// A service's health is red with one of these codes.
    pub(crate) async fn until_red_with_any(&self, service: &'static str, codes: &[&str]) {
        let url = format!("{}/healthz", self.url(service));
        until(&format!("{service} is red with {codes:?}"), async || {
            let health: Value = self.http.get(&url).send().await.ok()?.json().await.ok()?;
            let mut checks = health["checks"].as_array()?.iter();
            let is_one = |check: &Value| {
                check["code"]
                    .as_str()
                    .is_some_and(|code| codes.contains(&code))
            };
            checks.any(is_one).then_some(())
        })
        .await;
    }

    /// What a command that ends with an error printed and said.
    pub(crate) async fn fails(&self, arguments: &[&str]) -> (String, String) {
        let output = self.command(arguments).output().await.unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    }

    pub(crate) async fn file(&self, count: usize, grid: &str) -> Vec<Receipt> {
        let reports: Vec<_> = (0..count).map(|_| report(&new_id(), grid)).collect();
        self.door().file(&reports).await
    }

    pub(crate) async fn step(&self, case: &str) -> (u16, Value) {
        let url = format!("{}/v1/cases/{case}/commands", self.url("intake"));
        let body = json!({ "id": new_id(), "command": { "step": "accept" } });
        let asked = self.http.post(url).bearer_auth(self.admin()).json(&body);
        let answer = asked.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_its_end_is_named_given_up_and_goes_on() {
    let mut site = Site::started(&sample_district()).await;
    let kept = site.file(10, GRID).await;
    let aside = site.path("older");
    site.kill_all().await;
    site.broker.stop().await.unwrap();
    copy(&site.stream(), &aside);
    site.broker.restart().await.unwrap();
    site.start_all().await;
    let lost = site.file(5, OTHER).await;
    let last = site.last_position().await;
    let all = format!("/v1/areas/510402?at_least={last}&wait_ms=10000");
    assert_eq!(site.answer(&all).await["reported"], 15);
    // What the views know outlives a stop; after a kill they may be a second behind.
    site.stop_all().await;
    site.broker.stop().await.unwrap();
    fs::remove_dir_all(site.stream()).unwrap();
    copy(&aside, &site.stream());
    site.broker.restart().await.unwrap();
    for service in SERVICES {
        site.start(service);
    }
    for service in ["intake", "aggregator", "query", "escalator"] {
        site.until_red(service, "GK0308").await;
    }
    let from = lost.iter().map(|receipt| receipt.position.0).min().unwrap();
    let (said, _) = site.fails(&["doctor"]).await;
    let missing = format!("positions {from} to {last} are missing");
    assert!(said.contains(&missing), "{said}");
    let (_, refused) = site.fails(&["verify"]).await;
    assert!(refused.contains("GK0308"), "{refused}");
    let wrong = ["log", "accept-loss", "--from", "2", "--reason", "disk"];
    let (_, refused) = site.fails(&wrong).await;
    assert!(refused.contains("GK0841"), "{refused}");

    let first = from.to_string();
    let accept = [
        "log",
        "accept-loss",
        "--from",
        &first,
        "--reason",
        "the disk failed",
    ];
    let said = site.run(&accept).await;
    assert!(said.contains("5 of their events are known"), "{said}");
    site.kill_all().await;
    site.start_all().await;
    let now = site.last_position().await;
    let all = format!("/v1/areas/510402?at_least={now}&wait_ms=10000");
    assert_eq!(site.answer(&all).await["reported"], 10);
    let shown = site.run(&["verify"]).await;
    assert!(
        shown.contains(&format!("LOST: positions {from} to {last}")),
        "{shown}"
    );
    assert!(shown.contains("the disk failed"), "{shown}");
    let healthy = site.run(&["doctor"]).await;
    assert!(healthy.contains("nothing is wrong"), "{healthy}");

    // Whoever holds a receipt of it is told to file again, and what is filed again counts once.
    let gone = &lost[0];
    let (status, answer) = site.step(&gone.case_id.to_string()).await;
    assert_eq!(
        (status, answer["code"].as_str()),
        (410, Some("GK0530")),
        "{answer}"
    );
    let path = format!("/v1/cases/{}", gone.case_id);
    let (status, answer) = site.ask(&site.admin(), &path).await;
    assert_eq!(
        (status, answer["code"].as_str()),
        (410, Some("GK0530")),
        "{answer}"
    );
    let again = site
        .door()
        .file(&[report(&gone.case_id.to_string(), OTHER)])
        .await;
    assert!(!again[0].repeated && again[0].position.0 > now);
    let repeated = site
        .door()
        .file(&[report(&kept[0].case_id.to_string(), GRID)])
        .await;
    assert_eq!(
        (repeated[0].position, repeated[0].repeated),
        (kept[0].position, true)
    );
    assert_eq!(repeated[0].leaf_hash, kept[0].leaf_hash);
    let now = site.last_position().await;
    let all = format!("/v1/areas/510402?at_least={now}&wait_ms=10000");
    assert_eq!(site.answer(&all).await["reported"], 11);
    let same = site.run(&["rebuild", "--diff"]).await;
    assert!(same.contains(" 0 different"), "{same}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_no_event_is_named_quarantined_and_passed_over() {
    let mut site = Site::started(&sample_district()).await;
    site.file(3, GRID).await;
    let garbage = site.last_position().await + 1;
    let client = async_nats::connect(site.broker.url()).await.unwrap();
    let subject = format!("evt.510402.{}.{}.{}", "002", "005", "01");
    client.request(subject, "garbage".into()).await.unwrap();
    site.until_red("intake", "GK0310").await;
    site.until_red("aggregator", "GK0310").await;
    let (said, _) = site.fails(&["doctor"]).await;
    let named = format!("the message at position {garbage} is no event");
    assert!(said.contains(&named), "{said}");
    let (_, refused) = site
        .fails(&[
            "log",
            "quarantine",
            "--position",
            "1",
            "--reason",
            "by mistake",
        ])
        .await;
    assert!(refused.contains("GK0842"), "{refused}");
    let position = garbage.to_string();
    let quarantine = [
        "log",
        "quarantine",
        "--position",
        &position,
        "--reason",
        "by hand",
    ];
    site.run(&quarantine).await;
    site.kill_all().await;
    site.start_all().await;
    let filed = site.file(2, GRID).await;
    assert!(filed.iter().all(|receipt| receipt.position.0 > garbage + 1));
    let now = site.last_position().await;
    let all = format!("/v1/areas/510402?at_least={now}&wait_ms=10000");
    assert_eq!(site.answer(&all).await["reported"], 5);
    let shown = site.run(&["verify"]).await;
    assert!(
        shown.contains(&format!("QUARANTINED: position {garbage}")),
        "{shown}"
    );
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_gone_under_running_services_are_named_and_given_up() {
    let mut site = Site::started(&sample_district()).await;
    let mut reports = [(); 3].map(|()| report(&new_id(), GRID));
    for report in &mut reports {
        report["parties"] = json!([{ "name": "甲" }]);
    }
    site.door().file(&reports).await;
    let client = async_nats::connect(site.broker.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    context.delete_stream("KEY_510402").await.unwrap();
    site.until_red("intake", "GK0324").await;
    let (_, refused) = site.fails(&["verify"]).await;
    assert!(refused.contains("GK0329"), "{refused}");
    let (said, _) = site.fails(&["doctor"]).await;
    assert!(said.contains("3 sealed sections have no key"), "{said}");
    site.run(&["log", "accept-loss", "--keys", "--reason", "a bad disk"])
        .await;
    site.kill_all().await;
    site.start_all().await;
    site.file(2, GRID).await;
    let shown = site.run(&["verify"]).await;
    let named = "KEYS LOST: those of 3 cases were given up at position";
    assert!(
        shown.contains(named) && shown.contains("a bad disk"),
        "{shown}"
    );
}

/// Changes a byte of the one record in the log's files that holds this text, so that the broker
/// gives no message there.
fn damage_record(stream: &Path, text: &str) {
    let entries = fs::read_dir(stream.join("msgs")).unwrap();
    let mut blocks = entries.map(|entry| entry.unwrap().path());
    let (path, mut bytes, at) = blocks
        .find_map(|path| {
            let bytes = fs::read(&path).ok()?;
            let mut windows = bytes.windows(text.len());
            let at = windows.position(|window| window == text.as_bytes())?;
            Some((path, bytes, at))
        })
        .unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// What was given up is filed again, and new reports come, in the grids where the broker still
/// counts it.
#[tokio::test(flavor = "multi_thread")]
async fn where_messages_are_given_up_that_the_broker_still_has_all_grids_go_on() {
    for (damaged, given_up) in [(4, 8), (11, 1)] {
        let mut site = Site::started(&sample_district()).await;
        let reports: Vec<_> = (0..12)
            .map(|number| {
                let grid = [GRID, OTHER][number % 2];
                let mut report = report(&new_id(), grid);
                report["description"] = json!(format!("the roof of house {number:03} leaks"));
                report
            })
            .collect();
        for report in &reports {
            site.door().file(std::slice::from_ref(report)).await;
        }
        let last = site.last_position().await;
        site.stop_all().await;
        site.broker.stop().await.unwrap();
        let text = format!("house {damaged:03} leaks");
        damage_record(&site.stream(), &text);
        site.broker.restart().await.unwrap();
        for service in SERVICES {
            site.start(service);
        }
        for service in ["intake", "aggregator", "escalator"] {
            site.until_red_with_any(service, &["GK0302", "GK0309", "GK0323"])
                .await;
        }
        let (said, _) = site.fails(&["doctor"]).await;
        assert!(!said.contains("other events"), "{said}");
        let from = (last + 1 - given_up as u64).to_string();
        let to = last.to_string();
        let accept = [
            "log",
            "accept-loss",
            "--from",
            &from,
            "--to",
            &to,
            "--reason",
            "disk",
        ];
        site.run(&accept).await;
        site.kill_all().await;
        site.start_all().await;
        let gone = reports.len() - given_up;
        let again = site.door().file(&reports[gone..]).await;
        assert!(again.iter().all(|receipt| receipt.position.0 > last));
        for grid in [GRID, OTHER] {
            site.file(2, grid).await;
        }
        let now = site.last_position().await;
        let all = format!("/v1/areas/510402?at_least={now}&wait_ms=10000");
        assert_eq!(site.answer(&all).await["reported"], 12 + 4);
        site.run(&["verify"]).await;
        let same = site.run(&["rebuild", "--diff"]).await;
        assert!(same.contains(" 0 different"), "{same}");
        // A start later as well.
        site.stop_all().await;
        site.start_all().await;
        for grid in [GRID, OTHER] {
            site.file(1, grid).await;
        }
    }
}

/// The signed checkpoints are all that is left of what the log had.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_only_a_checkpoint_knows_to_be_short_is_named_by_every_service() {
    let mut site = Site::started(&sample_district()).await;
    site.file(5, GRID).await;
    site.stop_all().await;
    site.broker.stop().await.unwrap();
    let aside = site.path("older");
    copy(&site.stream(), &aside);
    site.broker.restart().await.unwrap();
    site.start_all().await;
    site.file(5, OTHER).await;
    // A clean stop signs a checkpoint.
    site.stop_all().await;
    site.broker.stop().await.unwrap();
    fs::remove_dir_all(site.stream()).unwrap();
    copy(&aside, &site.stream());
    for gone in ["data/log/watermark", "data/aggregator", "data/escalator"] {
        let path = site.path(gone);
        match path.is_dir() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }
    site.broker.restart().await.unwrap();
    for service in SERVICES {
        site.start(service);
    }
    for service in ["intake", "aggregator", "query", "escalator"] {
        site.until_red(service, "GK0308").await;
    }
}

/// The broker takes a stream whose file of options is damaged for none.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_options_are_damaged_or_gone_comes_back_whole() {
    for name in ["meta.inf", "meta.sum"] {
        let mut site = Site::started(&sample_district()).await;
        site.file(7, GRID).await;
        site.stop_all().await;
        site.broker.stop().await.unwrap();
        let options = site.stream().join(name);
        let mut bytes = fs::read(&options).unwrap();
        bytes[3] ^= 4;
        fs::write(&options, bytes).unwrap();
        site.broker.restart().await.unwrap();
        for service in SERVICES {
            site.start(service);
        }
        site.until_red("intake", "GK0308").await;
        site.fails(&["doctor"]).await;
        let accept = ["log", "accept-loss", "--from", "1", "--reason", "options"];
        let said = site.run(&accept).await;
        assert!(said.contains("nothing is given up"), "{said}");
        site.kill_all().await;
        site.broker.restart().await.unwrap();
        site.start_all().await;
        site.file(2, OTHER).await;
        let now = site.last_position().await;
        let all = format!("/v1/areas/510402?at_least={now}&wait_ms=10000");
        assert_eq!(site.answer(&all).await["reported"], 9);
        site.run(&["verify"]).await;
        let healthy = site.run(&["doctor"]).await;
        assert!(healthy.contains("nothing is wrong"), "{healthy}");
    }
}

/// No case has sealed parties, so that no key is missed.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_keys_that_is_gone_and_not_missed_is_named_and_made_anew() {
    let mut site = Site::started(&sample_district()).await;
    site.file(3, GRID).await;
    site.stop_all().await;
    let client = async_nats::connect(site.broker.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    context.delete_stream("KEY_510402").await.unwrap();
    for service in SERVICES {
        site.start(service);
    }
    site.until_red("intake", "GK0324").await;
    let (said, _) = site.fails(&["doctor"]).await;
    assert!(said.contains("GK0324") && said.contains("--keys"), "{said}");
    site.run(&["log", "accept-loss", "--keys", "--reason", "gone"])
        .await;
    site.kill_all().await;
    site.start_all().await;
    site.file(2, OTHER).await;
    let healthy = site.run(&["doctor"]).await;
    assert!(healthy.contains("nothing is wrong"), "{healthy}");
}
