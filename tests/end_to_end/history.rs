//! Real histories: after importing them the query service counts what an independent script counts.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command as Process,
};

use serde::Deserialize;
use serde_json::Value;
use tokio::process::Command;

use gridkeeper_tests::repository;

use crate::site::Site;

type Counts = BTreeMap<String, u64>;

/// What the script counts.
#[derive(Deserialize)]
struct Counted {
    streets: Counts,
    communities: Counts,
    #[serde(default)]
    types: Counts,
    #[serde(default)]
    states: Counts,
    /// Records that were closed after their own due time, and by it.
    #[serde(default)]
    late: Vec<String>,
    #[serde(default)]
    in_time: Vec<String>,
    #[serde(default)]
    refused: Vec<String>,
}

/// What the import reports.
#[derive(Deserialize)]
struct Outcome {
    rows: u64,
    recorded: u64,
    repeated: u64,
    refused: u64,
    refused_rows: Vec<RefusedRow>,
}

#[derive(Deserialize)]
struct RefusedRow {
    record: String,
    code: String,
}

/// A history: its file, its mapping, and what the script calls it.
struct History {
    name: &'static str,
    file: PathBuf,
    map: PathBuf,
}

impl History {
    /// None, with a notice, where the file is not there.
    fn find(name: &'static str, file: &str) -> Option<Self> {
        let file = repository().join("../shared/data/events").join(file);
        if !file.exists() {
            eprintln!("skipped: there is no {}", file.display());
            return None;
        }
        let map = repository().join(format!("tests/mappings/{name}.toml"));
        Some(Self { name, file, map })
    }

    fn counted(&self) -> Counted {
        let output = Process::new("python3")
            .arg(repository().join("tests/oracle/history_counts.py"))
            .arg(self.name)
            .arg(&self.file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    async fn derive(&self, folder: &Path) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridkeeper"));
        command.args(["district", "derive", "--map"]).arg(&self.map);
        command.arg(&self.file).arg("--out").arg(folder);
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    async fn import(&self, site: &Site) -> Outcome {
        let (token, report) = (site.path("admin.jwt"), site.path("import.json"));
        std::fs::write(&token, site.admin()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridkeeper"));
        command.arg("import").arg("--map").arg(&self.map);
        command.arg("--token-file").arg(token);
        command.args(["--intake", &site.url("intake")]);
        command.arg("--report").arg(&report).arg(&self.file);
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap()
    }
}

/// Reported cases of the areas below one, those without any left out.
async fn reported_below(site: &Site, area: &str) -> Counts {
    let last = site.last_position().await;
    let path = format!("/v1/areas/{area}/children?at_least={last}&wait_ms=10000");
    let answer = site.answer(&path).await;
    let children = answer["children"].as_array().unwrap();
    children
        .iter()
        .map(|child| {
            (
                child["code"].as_str().unwrap().to_owned(),
                child["reported"].as_u64().unwrap(),
            )
        })
        .filter(|(_, reported)| *reported > 0)
        .collect()
}

async fn district(site: &Site) -> Value {
    let last = site.last_position().await;
    let path = format!("/v1/areas/{}?at_least={last}&wait_ms=10000", site.code);
    site.answer(&path).await
}

/// Imports a history twice; the second time adds nothing. Gives what the script counts, the outcome of the
/// first import, and the district's figures.
async fn imported(history: &History, folder: &Path) -> (Site, Counted, Outcome, Value) {
    history.derive(folder).await;
    let site = Site::started(folder).await;
    let counted = history.counted();
    let first = history.import(&site).await;
    assert_eq!(first.recorded + first.refused, first.rows);
    assert_eq!(first.refused_rows.len() as u64, first.refused);

    let streets = reported_below(&site, site.code.as_str()).await;
    assert_eq!(streets, counted.streets);
    let mut communities = Counts::new();
    for street in streets.keys() {
        communities.extend(reported_below(&site, street).await);
    }
    assert_eq!(communities, counted.communities);

    let figures = district(&site).await;
    assert_eq!(figures["reported"], first.recorded);
    let again = history.import(&site).await;
    assert_eq!((again.recorded, again.repeated), (0, first.recorded));
    assert_eq!(district(&site).await["reported"], first.recorded);
    (site, counted, first, figures)
}

/// Of each record that was closed, whether that was in time, from the events themselves.
async fn closed_by_record(site: &Site) -> BTreeMap<String, Option<bool>> {
    let (mut records, mut closed) = (BTreeMap::new(), BTreeMap::new());
    let mut after = 0;
    loop {
        let path = format!("/v1/events?area={}&after={after}&limit=10000", site.code);
        let events = site.lines(&path).await;
        let Some(last) = events.last() else {
            return closed;
        };
        after = last["position"].as_u64().unwrap();
        for event in &events {
            let case = event["aggregate"].as_str().unwrap().to_owned();
            match event["event"]["type"].as_str().unwrap() {
                "reported" => {
                    let record = event["event"]["source"]["record"].as_str().unwrap();
                    records.insert(case, record.to_owned());
                }
                "closed" => {
                    let in_time = event["event"]["in_time"].as_bool();
                    closed.insert(records[&case].clone(), in_time);
                }
                _ => {}
            }
        }
    }
}

fn counts(figures: &Value, by: &str) -> Counts {
    serde_json::from_value(figures[by].clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pingshan_counts_by_street_community_and_type_as_the_script_does() {
    let Some(history) = History::find("pingshan", "pingshan_10000.csv") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (_site, counted, first, figures) = imported(&history, folder.path()).await;
    let mut types = Counts::new();
    for (category, count) in counts(&figures, "by_category") {
        let kind = category.split('.').nth(1).unwrap().to_owned();
        *types.entry(kind).or_default() += count;
    }
    assert_eq!(types, counted.types);

    let mut refused: Vec<_> = first
        .refused_rows
        .iter()
        .map(|row| row.record.clone())
        .collect();
    refused.sort_by_key(|record| record.parse::<u64>().unwrap());
    assert_eq!(refused, counted.refused, "rows without area, by name");
    assert_eq!(refused.len(), 10);
    assert!(first.refused_rows.iter().all(|row| row.code == "GK0702"));
}

#[tokio::test(flavor = "multi_thread")]
async fn baltimore_counts_by_district_post_and_status_and_the_late_ones_as_the_script_does() {
    let Some(history) = History::find("baltimore", "baltimore311_clean.csv") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (site, counted, first, figures) = imported(&history, folder.path()).await;
    assert_eq!(first.refused, 0);
    assert_eq!(counts(&figures, "by_source_state"), counted.states);
    assert_eq!(figures["closed_late"], counted.late.len());
    // Not the counts alone: every single row.
    let closed = closed_by_record(&site).await;
    let judged = |in_time| {
        let records = closed.iter().filter(|(_, judged)| **judged == in_time);
        records
            .map(|(record, _)| record.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(judged(Some(false)), counted.late);
    assert_eq!(judged(Some(true)), counted.in_time);
    assert!(counted.late.len() > 1_000 && counted.in_time.len() > 1_000);
    let whole = site.run(&["verify"]).await;
    assert!(whole.contains("are whole"), "{whole}");

    // Without another policy nothing would have been otherwise.
    let policy = folder.path().join("policy.toml");
    let tried = site
        .run(&["policy", "try", policy.to_str().unwrap(), "--json"])
        .await;
    let rows: Vec<Value> = serde_json::from_str(&tried).unwrap();
    let cases: u64 = rows.iter().map(|row| row["cases"].as_u64().unwrap()).sum();
    assert_eq!(cases, first.recorded);
    for row in &rows {
        assert_eq!(row["missed"], row["would_be_missed"], "{row}");
        assert_eq!(row["impossible"], 0, "{row}");
    }
}
