//! A backup is taken while everything runs, and restored after everything on the broker is gone.

use std::fs;

use gridkeeper_proto::api::Receipt;
use gridkeeper_tests::{installation::SERVICES, sample_district, until};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use crate::site::{Site, new_id, report};

const GRID: &str = "51040200200501";
const OTHER: &str = "51040200300101";
/// How often the command is killed.
const KILLS: usize = 6;

impl Site {
    fn backup_folder(&self) -> String {
        self.path("backup").to_str().unwrap().to_owned()
    }

    /// Everything on the broker is gone, and the broker runs again.
    async fn lose_the_broker(&mut self) {
        self.stop_all().await;
        self.broker.stop().await.unwrap();
        let streams = self.path("broker/streams");
        fs::remove_dir_all(streams).unwrap();
        self.broker.restart().await.unwrap();
    }

    async fn forget(&self, case: &str) {
        let url = format!("{}/v1/cases/{case}/commands", self.url("intake"));
        let command = json!({ "step": "forget_parties", "reason": "asked for" });
        let body = json!({ "id": new_id(), "command": command });
        let asked = self.http.post(url).bearer_auth(self.admin()).json(&body);
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{:?}", answer.text().await);
    }

    async fn reported(&self) -> Value {
        let last = self.last_position().await;
        let all = format!("/v1/areas/510402?at_least={last}&wait_ms=10000");
        self.answer(&all).await["reported"].clone()
    }
}

fn with_parties(count: usize) -> Vec<Value> {
    let reports = (0..count).map(|_| {
        let mut report = report(&new_id(), GRID);
        report["parties"] = json!([{ "name": "甲", "phone": "13800000000" }]);
        report
    });
    reports.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_log_gives_the_same_views_and_answers_the_same_receipts() {
    let mut site = Site::started(&sample_district()).await;
    let dir = site.backup_folder();
    let sealed = with_parties(6);
    let sealed_receipts = site.door().file(&sealed).await;
    site.forget(&sealed_receipts[0].case_id.to_string()).await;
    let (stop, stopped) = watch::channel(false);
    let mut loader = JoinSet::new();
    let door = site.door();
    loader.spawn(async move {
        let mut filed: Vec<(Value, Receipt)> = Vec::new();
        while !*stopped.borrow() {
            let reports: Vec<_> = (0..5).map(|_| report(&new_id(), OTHER)).collect();
            let receipts = door.file(&reports).await;
            filed.extend(reports.into_iter().zip(receipts));
        }
        filed
    });
    // The command is killed again and again while reports are filed, at other moments each time.
    for kill in 0..KILLS {
        let mut child = site.command(&["backup", &dir]).spawn().unwrap();
        let segments = site.path("backup/segments");
        let written = until("the command is at work", async || {
            let so_far = site.path("backup").exists() || kill % 2 == 0;
            (so_far || segments.exists()).then_some(())
        });
        written.await;
        child.kill().await.unwrap();
    }
    site.run(&["backup", &dir]).await;
    stop.send_replace(true);
    let mut filed = loader.join_next().await.unwrap().unwrap();
    filed.extend(sealed.into_iter().zip(sealed_receipts));
    let (_, refused) = site.fails(&["restore", &dir]).await;
    assert!(refused.contains("GK0349"), "{refused}");
    let reported = site.reported().await;
    // What a clean stop writes is in the last one.
    site.stop_all().await;
    site.run(&["backup", &dir]).await;
    let checked = site.run(&["backup", &dir, "--check"]).await;
    assert!(checked.contains("1 forgotten"), "{checked}");
    let verified = site.run(&["verify"]).await;
    for service in SERVICES {
        site.start(service);
    }
    site.lose_the_broker().await;
    let restored = site.run(&["restore", &dir]).await;
    assert!(restored.contains("5 keys"), "{restored}");
    assert_eq!(site.run(&["verify"]).await, verified, "root, digest, all");
    site.start_all().await;
    assert_eq!(site.reported().await, reported);
    // The views that served before against those that the restored log gives.
    let same = site.run(&["rebuild", "--diff"]).await;
    assert!(same.contains(" 0 different"), "{same}");
    for pairs in filed.chunks(50) {
        let (reports, receipts): (Vec<_>, Vec<_>) = pairs.iter().cloned().unzip();
        let again = site.door().file(&reports).await;
        for (again, receipt) in again.iter().zip(&receipts) {
            assert!(again.repeated);
            assert_eq!(again.position, receipt.position);
            assert_eq!(again.leaf_hash, receipt.leaf_hash);
        }
    }
    let case = format!("/v1/cases/{}", filed[0].1.case_id);
    assert_eq!(site.ask(&site.admin(), &case).await.0, 200);
    site.file(3, GRID).await;
    let taken = site.run(&["backup", &dir]).await;
    assert!(taken.contains("(3 messages are new)"), "{taken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_restore_of_an_older_backup_no_phone_gets_a_wrong_receipt() {
    let mut site = Site::started(&sample_district()).await;
    let dir = site.backup_folder();
    let kept = reports(20, GRID);
    let kept_receipts = site.door().file(&kept).await;
    site.run(&["backup", &dir]).await;
    let late = reports(10, OTHER);
    let late_receipts = site.door().file(&late).await;
    site.reported().await;
    let last = site.last_position().await;
    site.lose_the_broker().await;

    let output = site.command(&["restore", &dir]).output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    let from = late_receipts[0].position;
    let missing = format!("positions {from} to {last} are missing");
    assert!(said.contains("GK0353") && said.contains(&missing), "{said}");

    // What intake has acknowledged is known beside the broker: phones that retry get no receipt at all.
    for service in SERVICES {
        site.start(service);
    }
    for service in ["intake", "aggregator", "query"] {
        site.until_red(service, "GK0308").await;
    }
    for _ in 0..5 {
        let (_, answer) = site.door().send(&late).await.unwrap();
        let results = answer["results"].as_array().unwrap();
        let refused =
            |result: &Value| result["receipt"].is_null() && result["refused"]["code"] == "GK0503";
        assert!(
            results.len() == late.len() && results.iter().all(refused),
            "{answer}"
        );
    }
    assert_eq!(site.last_position().await, from.0 - 1);
    let from = from.to_string();
    let accept = ["log", "accept-loss", "--from", &from, "--reason", "disk"];
    let said = site.run(&accept).await;
    assert!(said.contains("10 of their events are known"), "{said}");
    site.kill_all().await;
    site.start_all().await;
    site.filed_again(&kept, &kept_receipts, &late, last).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_machine_that_knows_nothing_more_what_is_missing_is_filed_again() {
    let mut site = Site::started(&sample_district()).await;
    let dir = site.backup_folder();
    let kept = reports(20, GRID);
    let kept_receipts = site.door().file(&kept).await;
    site.run(&["backup", &dir]).await;
    let position = site.last_position().await;
    let late = reports(10, OTHER);
    site.door().file(&late).await;
    site.lose_the_broker().await;
    // The keys are all that was kept beside the backup.
    for entry in fs::read_dir(site.path("data")).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("keys") && path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        }
    }
    site.run(&["restore", &dir]).await;
    site.start_all().await;
    site.filed_again(&kept, &kept_receipts, &late, position)
        .await;
}

impl Site {
    /// Reports of the backup are answered as before, and each of the others gets a new receipt and counts once.
    async fn filed_again(&self, kept: &[Value], receipts: &[Receipt], late: &[Value], last: u64) {
        let again = self.door().file(late).await;
        assert!(again.iter().all(|receipt| !receipt.repeated));
        let first = again.iter().map(|receipt| receipt.position.0).min();
        assert!(first > Some(last - late.len() as u64), "{first:?}");
        let twice = self.door().file(late).await;
        for (again, twice) in again.iter().zip(&twice) {
            assert_eq!((again.position, twice.repeated), (twice.position, true));
        }
        let repeated = self.door().file(kept).await;
        for (again, receipt) in repeated.iter().zip(receipts) {
            assert!(again.repeated);
            assert_eq!(
                (again.position, again.leaf_hash),
                (receipt.position, receipt.leaf_hash)
            );
        }
        assert_eq!(self.reported().await, kept.len() + late.len());
        let same = self.run(&["rebuild", "--diff"]).await;
        assert!(same.contains(" 0 different"), "{same}");
        self.run(&["verify"]).await;
    }
}

fn reports(count: usize, grid: &str) -> Vec<Value> {
    (0..count).map(|_| report(&new_id(), grid)).collect()
}
