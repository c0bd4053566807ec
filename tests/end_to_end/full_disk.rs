//! `gridkeeper up` with all its data on one disk that fills, is full, and has space again.

use std::{path::PathBuf, process::Stdio};

use gridkeeper_tests::{BOUND, SmallDisk, free_address, sample_district, until};
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::{
    site::{new_id, report},
    up::end_broker,
};

const MIB: u64 = 1 << 20;
const SIZE: u64 = 96 * MIB;
const ALARM: u64 = 40 * MIB;
const REFUSE: u64 = 20 * MIB;
const GRID: &str = "51040200200501";
const SERVICES: [&str; 4] = ["intake", "aggregator", "escalator", "query"];

/// An `up` whose data are on the disk.
struct Site {
    disk: SmallDisk,
    addresses: [(&'static str, String); 4],
    http: reqwest::Client,
    log: tempfile::TempDir,
}

impl Site {
    /// An installation whose evidence of the log lies on the same disk, or on another one.
    fn new(disk: SmallDisk, evidence_beside: bool) -> Self {
        let addresses = SERVICES.map(|service| (service, free_address()));
        let broker = free_address();
        let (_, port) = broker.split_once(':').unwrap();
        let mut config = format!("[broker]\nport = {port}\n[log]\nrequest_timeout_ms = 1000\n");
        let log = tempfile::tempdir().unwrap();
        if !evidence_beside {
            let elsewhere = log.path().join("evidence");
            config += &format!("[intake]\nfolder = {:?}\n", elsewhere.display().to_string());
        }
        for (service, address) in &addresses {
            let listen = format!("listen = \"{address}\"\n");
            match config.find(&format!("[{service}]\n")) {
                Some(at) => config.insert_str(at + service.len() + 3, &listen),
                None => config += &format!("[{service}]\n{listen}"),
            }
        }
        config +=
            &format!("[intake.disk]\nalarm_below_bytes = {ALARM}\nrefuse_below_bytes = {REFUSE}\n");
        let site = Self {
            disk,
            addresses,
            http: reqwest::Client::new(),
            log,
        };
        std::fs::create_dir(site.data()).unwrap();
        std::fs::write(site.data().join("gridkeeper.toml"), config).unwrap();
        site
    }

    fn data(&self) -> PathBuf {
        self.disk.path().join("data")
    }

    fn up(&self) -> Child {
        let log = std::fs::File::create(self.log.path().join("up.log")).unwrap();
        Command::new(env!("CARGO_BIN_EXE_gridkeeper"))
            .args(["up", "--data"])
            .arg(self.data())
            .arg("--district")
            .arg(sample_district())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    fn url(&self, service: &str) -> String {
        let found = self.addresses.iter().find(|(name, _)| *name == service);
        format!("http://{}", found.unwrap().1)
    }

    async fn health(&self, service: &str) -> Option<(u16, String)> {
        let url = format!("{}/healthz", self.url(service));
        let answer = self.http.get(url).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// Waits until a service is green or red, and tells of these codes.
    async fn until_health(&self, service: &str, status: u16, codes: &[&str]) {
        until(&format!("{service} is {status} {codes:?}"), async || {
            let (found, text) = self.health(service).await?;
            let tells = codes.iter().any(|code| text.contains(code)) || codes.is_empty();
            (found == status && tells).then_some(())
        })
        .await;
    }

    async fn until_all_are_ready(&self) {
        for service in SERVICES {
            until(&format!("{service} is ready"), async || {
                let url = format!("{}/readyz", self.url(service));
                let answer = self.http.get(url).send().await.ok()?;
                answer.status().is_success().then_some(())
            })
            .await;
        }
    }

    fn token(&self) -> String {
        std::fs::read_to_string(self.data().join("tokens/centre.jwt")).unwrap()
    }

    /// Status and answer of intake.
    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.url("intake"));
        let request = self.http.post(url).bearer_auth(self.token()).json(body);
        let answer = request.send().await.unwrap();
        (
            answer.status().as_u16(),
            answer.json().await.unwrap_or_default(),
        )
    }

    async fn file(&self, id: &str) -> (u16, Value) {
        let reports = json!({ "reports": [report(id, GRID)] });
        self.post("/v1/reports", &reports).await
    }

    async fn record(&self, case: &str, note: &str) -> (u16, Value) {
        let command = json!({ "step": "record_handling", "measure": "visit", "note": note });
        let body = json!({ "id": new_id(), "command": command });
        self.post(&format!("/v1/cases/{case}/commands"), &body)
            .await
    }

    /// How many reports the views hold.
    async fn reported(&self) -> Option<u64> {
        let url = format!("{}/v1/areas/510402", self.url("query"));
        let request = self.http.get(url).bearer_auth(self.token());
        let answer: Value = request.send().await.ok()?.json().await.ok()?;
        answer["reported"].as_u64()
    }
}

impl Drop for Site {
    /// A test that fails half way leaves no broker running, and tells what `up` said.
    fn drop(&mut self) {
        end_broker(&self.data());
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.log.path().join("up.log"));
            eprintln!("up said: {}", said.unwrap_or_default());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_stops_new_reports_first_and_everything_comes_back_without_a_restart() {
    fill_and_empty(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_could_not_write_takes_events_again_without_a_command() {
    fill_and_empty(false).await;
}

async fn fill_and_empty(evidence_beside: bool) {
    let Some(disk) = SmallDisk::mount(SIZE) else {
        return;
    };
    let site = Site::new(disk, evidence_beside);
    let mut up = site.up();
    site.until_all_are_ready().await;
    let known = new_id();
    assert_eq!(site.file(&known).await.0, 200);
    let accept = json!({ "id": new_id(), "command": { "step": "accept" } });
    let accepted = site
        .post(&format!("/v1/cases/{known}/commands"), &accept)
        .await;
    assert_eq!(accepted.0, 200, "{accepted:?}");

    site.disk.fill(ALARM - 4 * MIB);
    site.until_health("intake", 200, &["GK0537"]).await;
    let alarmed = new_id();
    assert_eq!(site.file(&alarmed).await.0, 200);

    site.disk.fill(REFUSE - 4 * MIB);
    site.until_health("intake", 503, &["GK0534"]).await;
    let refused = new_id();
    let (status, answer) = site.file(&refused).await;
    assert_eq!((status, &answer["code"]), (503, &json!("GK0534")));
    let (status, again) = site.file(&alarmed).await;
    assert_eq!(
        (status, &again["results"][0]["receipt"]["repeated"]),
        (200, &json!(true)),
        "{again}"
    );
    let (status, answer) = site.record(&known, "on a nearly full disk").await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(site.reported().await, Some(2));

    site.disk.fill(0);
    let lost = until("the broker takes no more steps", async || {
        let (status, answer) = site.record(&known, &"full ".repeat(700)).await;
        (status == 503).then_some(answer)
    })
    .await;
    let codes: &[&str] = match evidence_beside {
        true => &["GK0501", "GK0531"],
        false => &["GK0501"],
    };
    let code = lost["code"].as_str().unwrap_or_default();
    assert!(codes.contains(&code), "{lost}");
    site.until_health("intake", 503, codes).await;

    site.disk.empty();
    for service in SERVICES {
        site.until_health(service, 200, &[]).await;
    }
    site.until_all_are_ready().await;
    assert_eq!(site.file(&refused).await.0, 200);
    assert_eq!(site.record(&known, "with space again").await.0, 200);
    until("the views hold every report", async || {
        (site.reported().await == Some(3)).then_some(())
    })
    .await;
    assert!(
        up.try_wait().unwrap().is_none(),
        "nobody restarted anything"
    );
    let said = std::fs::read_to_string(site.log.path().join("up.log")).unwrap();
    if !evidence_beside {
        assert!(said.contains("nats-server failed to write"), "{said}");
    }
    let pid = up.id().unwrap().to_string();
    let asked = Command::new("kill").args(["-INT", &pid]).status().await;
    assert!(asked.unwrap().success());
    let ended = timeout(BOUND, up.wait()).await.expect("it stops in time");
    assert!(ended.unwrap().success(), "{said}");
}
