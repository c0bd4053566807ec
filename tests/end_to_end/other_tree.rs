//! Checkpoints and proofs hold for implementations that are not ours.

use std::{fs, process::Command};

use gridkeeper_proto::{api::Receipt, envelope::Position};
use gridkeeper_tests::{repository, sample_district};
use serde_json::{Value, json};

use crate::site::{Site, new_id, report};

const GRIDS: [&str; 3] = ["51040200200501", "51040200200502", "51040200300101"];

impl Site {
    /// What intake answers under a path.
    async fn of_intake(&self, path: &str) -> reqwest::Response {
        let url = format!("{}{path}", self.url("intake"));
        let asked = self.http.get(url).bearer_auth(self.admin()).send().await;
        asked.unwrap()
    }

    async fn json_of_intake(&self, path: &str) -> Value {
        let answer = self.of_intake(path).await;
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        answer.json().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_and_proofs_hold_for_implementations_that_are_not_ours() {
    let Some(python) = std::env::var_os("TREE_PYTHON") else {
        println!("skipped: TREE_PYTHON names no Python with pymerkle and cryptography");
        return;
    };
    let site = Site::started(&sample_district()).await;
    let mut receipts: Vec<Receipt> = Vec::new();
    let mut checkpoints = Vec::new();
    for round in 0..6 {
        let grid = GRIDS[round % GRIDS.len()];
        let reports: Vec<_> = (0..=round).map(|_| report(&new_id(), grid)).collect();
        receipts.extend(site.door().file(&reports).await);
        let note = site.of_intake("/v1/log/checkpoint").await;
        checkpoints.push(note.text().await.unwrap());
    }
    let log = site.log().await;
    let stored = log.read_after(Position(0), 10_000, 64 << 20).await.unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let events: Vec<String> = stored.iter().map(|stored| hex(&stored.bytes)).collect();
    let last = events.len();

    let mut inclusions = Vec::new();
    for receipt in &receipts {
        let (position, leaf) = (receipt.position, receipt.leaf_hash.unwrap());
        for to in [position.0, last as u64] {
            let path = format!("/v1/log/inclusion?position={position}&leaf_hash={leaf}&to={to}");
            inclusions.push(site.json_of_intake(&path).await);
        }
    }
    let mut consistencies = Vec::new();
    for from in 1..=last {
        let path = format!("/v1/log/consistency?from={from}&to={last}");
        consistencies.push(site.json_of_intake(&path).await);
    }
    let given = json!({
        "key": fs::read_to_string(site.path("data/keys/checkpoint.vkey")).unwrap(),
        "events": events,
        "checkpoints": checkpoints,
        "inclusions": inclusions,
        "consistencies": consistencies,
    });
    let file = site.path("given.json");
    fs::write(&file, given.to_string()).unwrap();
    let script = repository().join("tests/oracle/tree.py");
    let checked = Command::new(python)
        .arg(script)
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}");
    let counts = String::from_utf8(checked.stdout).unwrap();
    let expected = format!("{last} 6 {} {last}\n", 2 * receipts.len());
    assert_eq!(counts, expected);

    // What is not there is refused by name.
    let beyond = format!("/v1/log/inclusion?position={}", last + 1);
    assert_eq!(site.of_intake(&beyond).await.status().as_u16(), 404);
    let leaf = receipts[0].leaf_hash.unwrap();
    let another = format!("/v1/log/inclusion?position={last}&leaf_hash={leaf}");
    let refused = site.of_intake(&another).await;
    assert_eq!(refused.status().as_u16(), 409);
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["code"], "GK0532");
}
