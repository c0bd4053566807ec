//! `gridkeeper init`, and each service alone in what it made.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use gridkeeper_broker::Broker;
use gridkeeper_tests::{BOUND, free_address, sample_district, until};
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::site::{new_id, report};

const SERVICES: [&str; 4] = ["intake", "aggregator", "query", "escalator"];
const GRID: &str = "51040200200507";

/// A data folder, and a broker beside it.
struct Installation {
    folder: tempfile::TempDir,
    broker: Broker,
    addresses: [String; 4],
}

impl Installation {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            broker: gridkeeper_tests::broker(folder.path()).await,
            addresses: SERVICES.map(|_| free_address()),
            folder,
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn url(&self, service: &str) -> String {
        let index = SERVICES.iter().position(|name| *name == service).unwrap();
        format!("http://{}", self.addresses[index])
    }

    async fn run(&self, arguments: &[&str]) -> String {
        run(&self.data(), arguments, true).await.unwrap()
    }

    /// Puts this installation's addresses into the configuration that `init` made, and lets the
    /// query service ask an aggregator that runs alone.
    fn configure(&self) {
        let path = self.data().join("gridkeeper.toml");
        let mut text = std::fs::read_to_string(&path).unwrap();
        let defaults = [8401, 8403, 8402, 8404].map(|port| format!("127.0.0.1:{port}"));
        for (default, address) in defaults.iter().zip(&self.addresses) {
            text = text.replace(default, address);
        }
        text = text.replace("nats://127.0.0.1:4222", &self.broker.url());
        text = text.replace("views = \"own\"", "views = \"aggregators\"");
        std::fs::write(&path, text).unwrap();
    }

    fn start(&self, service: &str) -> Child {
        let log = self.folder.path().join(format!("{service}.log"));
        command(&self.data(), &[service], true)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(log).unwrap())
            .spawn()
            .unwrap()
    }

    async fn until_ready(&self, service: &str) {
        let url = format!("{}/readyz", self.url(service));
        until(&format!("{service} is ready"), async || {
            let answer = reqwest::get(&url).await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }
}

/// A command of the binary in a data folder.
fn command(data: &Path, arguments: &[&str], district: bool) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridkeeper"));
    command.args(arguments).arg("--data").arg(data);
    if district {
        command.arg("--district").arg(sample_district());
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// What a command printed, or what it said when it failed.
async fn run(data: &Path, arguments: &[&str], district: bool) -> Result<String, String> {
    let ended = command(data, arguments, district).output();
    let Output {
        status,
        stdout,
        stderr,
    } = timeout(BOUND, ended).await.expect("it ends").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    match status.success() {
        true => Ok(text(stdout)),
        false => Err(text(stderr)),
    }
}

/// Every file and folder of the data folder is its owner's only.
pub(crate) fn assert_private(data: &Path) {
    let mut left = vec![data.to_owned()];
    let mut seen = 0;
    while let Some(path) = left.pop() {
        // The broker and the database remove files while they work.
        let Ok(metadata) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        if metadata.is_dir() {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| entry.path()));
        }
        let mode = metadata.permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{} {mode:o}", path.display());
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_alone_starts_from_what_init_made_and_a_report_is_acknowledged() {
    let installation = Installation::new().await;
    let said = installation.run(&["init"]).await;
    assert!(said.contains("gridkeeper intake --data"), "{said}");
    let again = installation.run(&["init"]).await;
    assert!(again.contains("nothing was changed"), "{again}");
    installation.configure();

    let mut running = Vec::new();
    for service in SERVICES {
        running.push(installation.start(service));
    }
    for service in SERVICES {
        installation.until_ready(service).await;
    }
    let data = installation.data();
    let token = [
        "token", "--role", "admin", "--area", "510402", "--id", "zhou",
    ];
    let token = run(&data, &token, false).await.unwrap();
    let id = new_id();
    let http = reqwest::Client::new();
    let answer = http
        .post(format!("{}/v1/reports", installation.url("intake")))
        .bearer_auth(token.trim())
        .json(&json!({ "reports": [report(&id, GRID)] }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    let position = answer["results"][0]["receipt"]["position"].as_u64();
    let position = position.unwrap_or_else(|| panic!("{answer}"));
    let case = format!(
        "{}/v1/cases/{id}?at_least={position}",
        installation.url("query")
    );
    let asked = http.get(case).bearer_auth(token.trim()).send().await;
    assert_eq!(asked.unwrap().status(), 200);
    // The views were written by now, or are after the next flush.
    until("the views are on disk", async || {
        data.join("aggregator/current").exists().then_some(())
    })
    .await;
    assert_private(&data);
    let again = installation.run(&["init"]).await;
    assert!(again.contains("nothing was changed"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_init_each_service_refuses_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("data");
    for data in [folder.path(), &missing] {
        for service in SERVICES {
            let said = run(data, &[service], true).await.unwrap_err();
            assert!(said.contains("GK0830"), "{service}: {said}");
            assert!(said.contains("gridkeeper init"), "{service}: {said}");
        }
        for other in [
            &["keys", "rotate"][..],
            &["token", "--role", "admin", "--area", "510402", "--id", "x"],
        ] {
            let said = run(data, other, false).await.unwrap_err();
            assert!(said.contains("GK0830"), "{other:?}: {said}");
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_lost_key_is_named_at_every_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    run(&data, &["init"], true).await.unwrap();
    let publics = data.join("keys/public");
    let public = std::fs::read_dir(&publics).unwrap().next().unwrap();
    let public = public.unwrap().path();
    let whole = std::fs::read(&public).unwrap();
    let mut damaged = whole.clone();
    // A digit in the second half of the key.
    damaged[80] ^= 1;
    std::fs::write(&public, damaged).unwrap();
    for start in SERVICES.into_iter().chain(["init", "up"]) {
        let said = run(&data, &[start], true).await.unwrap_err();
        assert!(said.contains("GK0029"), "{start}: {said}");
        assert!(said.contains(public.to_str().unwrap()), "{start}: {said}");
    }
    std::fs::write(&public, whole).unwrap();

    std::fs::remove_file(data.join("keys/signing.pem")).unwrap();
    for start in ["escalator", "init", "up"] {
        let said = run(&data, &[start], true).await.unwrap_err();
        assert!(said.contains("GK0028"), "{start}: {said}");
        assert!(said.contains("gridkeeper keys rotate"), "{start}: {said}");
    }
    let rotated = run(&data, &["keys", "rotate"], false).await.unwrap();
    assert!(rotated.contains("signs from now on"), "{rotated}");
    let again = run(&data, &["init"], true).await.unwrap();
    assert!(again.contains("nothing was changed"), "{again}");
    assert_eq!(std::fs::read_dir(&publics).unwrap().count(), 2);

    std::fs::remove_dir_all(data.join("keys")).unwrap();
    std::fs::write(data.join("aggregator/current"), "1\n").unwrap();
    for start in SERVICES.into_iter().chain(["init", "up"]) {
        let said = run(&data, &[start], true).await.unwrap_err();
        assert!(said.contains("GK0832"), "{start}: {said}");
    }
    run(&data, &["keys", "rotate"], false).await.unwrap();
    let again = run(&data, &["init"], true).await.unwrap();
    assert!(again.contains("is whole"), "{again}");
}
