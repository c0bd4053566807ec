//! The services under test: the real binary in processes of its own, with a broker beside.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use async_nats::jetstream;
use gridkeeper_broker::Broker;
use gridkeeper_district::{Area, District};
use gridkeeper_http::{Clock, HealthReport};
use gridkeeper_identity::{SigningKey, load_checkpoint_verifier, make_checkpoint_key};
use gridkeeper_proto::{
    access::{Claims, Role},
    area::AreaCode,
    id::LogId,
};
use gridkeeper_tests::{BOUND, free_address, sample_district, until};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// A query service that asks the aggregator over the broker; `query` answers from the views of its own process, in which
/// an aggregator runs.
pub(crate) const OVER_THE_BROKER: &str = "query over the broker";

/// An installation in a folder of its own.
pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) broker: Broker,
    pub(crate) token: String,
    pub(crate) grids: Vec<AreaCode>,
    district_folder: PathBuf,
    binary: PathBuf,
    addresses: Vec<(&'static str, String)>,
    running: Vec<(&'static str, Child)>,
}

/// Where cargo has put the binaries.
pub(crate) fn beside_this(name: &str) -> PathBuf {
    std::env::current_exe().unwrap().with_file_name(name)
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::of(&sample_district()).await
    }

    /// A site whose services run from another build, with the keys that it makes.
    pub(crate) async fn of_build(binary: &Path) -> Self {
        let mut site = Self::without_keys(&sample_district(), binary).await;
        site.make_keys().await;
        let token = Command::new(binary)
            .args(["token", "--role", "admin", "--id", "bench", "--area"])
            .arg(site.grids[0].district().to_string())
            .arg("--data")
            .arg(site.data())
            .output();
        let token = token.await.unwrap();
        assert!(token.status.success(), "{token:?}");
        String::from_utf8(token.stdout)
            .unwrap()
            .trim()
            .clone_into(&mut site.token);
        site
    }

    /// Lets the build begin an installation of its own, and takes its keys.
    async fn make_keys(&self) {
        let begun = self.folder.path().join("begun");
        let mut up = self.command("up", &self.config("intake"), &begun);
        let mut up = up.stderr(Stdio::null()).spawn().unwrap();
        let address = self.address("intake");
        until("the build has made its keys", async || {
            crate::load::ask(address, "/readyz", "").await
        })
        .await;
        stop(&mut up).await;
        std::fs::create_dir_all(self.data()).unwrap();
        std::fs::rename(begun.join("keys"), self.data().join("keys")).unwrap();
    }

    /// A broker, a configuration for a district, and keys; no service runs yet.
    pub(crate) async fn of(district: &Path) -> Self {
        let mut site = Self::without_keys(district, &beside_this("gridkeeper")).await;
        let keys = site.data().join("keys");
        let key = SigningKey::create(&keys).unwrap();
        make_checkpoint_key(&keys).unwrap();
        let now = Clock::system().now();
        let areas = vec![site.grids[0].district()];
        let claims = Claims::lasting("bench".to_owned(), Role::Admin, areas, now, 86_400);
        site.token = key.issue(&claims).unwrap();
        site
    }

    async fn without_keys(district: &Path, binary: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = gridkeeper_tests::broker(folder.path()).await;
        let loaded = District::load(district).unwrap();
        let addresses = [
            "intake",
            "aggregator",
            "query",
            "escalator",
            OVER_THE_BROKER,
        ]
        .map(|service| (service, free_address()))
        .to_vec();
        let site = Self {
            token: String::new(),
            grids: loaded.grids().map(Area::code).collect(),
            district_folder: district.to_owned(),
            binary: binary.to_owned(),
            folder,
            broker,
            addresses,
            running: Vec::new(),
        };
        for service in ["query", OVER_THE_BROKER] {
            std::fs::write(site.config(service), site.configuration(service)).unwrap();
        }
        site
    }

    /// The configuration that a service is started with.
    fn config(&self, service: &str) -> PathBuf {
        let name = match service {
            OVER_THE_BROKER => "over-the-broker.toml",
            _ => "gridkeeper.toml",
        };
        self.folder.path().join(name)
    }

    /// Lets the aggregator's views take so many bytes of the disk in any case.
    pub(crate) fn allow_views(&self, bytes: u64) {
        let mut text = self.configuration("query");
        text += &format!("[aggregator.views.store]\nallowed_disk_bytes = {bytes}\n");
        std::fs::write(self.config("aggregator"), text).unwrap();
    }

    fn configuration(&self, query: &str) -> String {
        let url = self.broker.url();
        // Of the broker that a build has while it begins an installation.
        let mut text = "[broker]\nport = 0\n".to_owned();
        for service in ["intake", "aggregator", "query", "escalator"] {
            let address = match service {
                "query" => self.address(query),
                _ => self.address(service),
            };
            text += &format!("[{service}]\nlisten = \"{address}\"\nnats_url = \"{url}\"\n");
            match service {
                "escalator" => {
                    text += &format!("intake_url = \"http://{}\"\n", self.address("intake"));
                }
                "query" if query == OVER_THE_BROKER => text += "views = \"aggregators\"\n",
                _ => {}
            }
        }
        text
    }

    /// Host and port of a service.
    pub(crate) fn address(&self, service: &str) -> &str {
        let mut all = self.addresses.iter();
        &all.find(|(name, _)| *name == service).unwrap().1
    }

    /// Starts a service and waits until it is ready.
    pub(crate) async fn start(&mut self, service: &'static str) {
        self.spawn(service);
        self.until_ready(service).await;
    }

    /// Waits until a service is ready.
    pub(crate) async fn until_ready(&self, service: &str) {
        let address = self.address(service).to_owned();
        until(&format!("{service} is ready"), async || {
            let answer = crate::load::ask(&address, "/readyz", "").await?;
            (answer.0 == 200).then_some(())
        })
        .await;
    }

    /// Starts a service, which may have a long log to read before it is ready.
    pub(crate) fn spawn(&mut self, service: &'static str) {
        let log = self.folder.path().join(format!("{service}.log"));
        let name = match service {
            OVER_THE_BROKER => "query",
            service => service,
        };
        let child = self
            .command(name, &self.config(service), &self.data())
            .stderr(std::fs::File::create(log).unwrap())
            .spawn()
            .unwrap();
        self.running.push((service, child));
    }

    fn command(&self, name: &str, config: &Path, data: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .arg(name)
            .arg("--config")
            .arg(config)
            .arg("--data")
            .arg(data)
            .arg("--district")
            .arg(&self.district_folder)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Asks a service to stop, and waits until it has.
    pub(crate) async fn stop(&mut self, service: &str) {
        let mut running = self.running.iter();
        let index = running.position(|(name, _)| *name == service).unwrap();
        let (_, mut child) = self.running.remove(index);
        stop(&mut child).await;
    }

    /// The position that a service tells of itself.
    pub(crate) async fn position(&self, service: &str) -> Option<u64> {
        let (_, body) = crate::load::ask(self.address(service), "/readyz", "").await?;
        let report: HealthReport = serde_json::from_slice(&body).ok()?;
        let check = report.checks.first()?;
        assert!(check.code.is_none(), "{service}: {}", check.detail);
        check.position
    }

    /// Waits until a service has come to a position, as long as it goes on; gives the moment, and the position
    /// that it had by then.
    pub(crate) async fn until_at(&self, service: &str, wanted: u64) -> (Instant, u64) {
        let mut at = 0;
        loop {
            at = until(
                &format!("{service} goes on from {at} to {wanted}"),
                async || {
                    let position = self.position(service).await?;
                    (position > at || position >= wanted).then_some(position)
                },
            )
            .await;
            if at >= wanted {
                return (Instant::now(), at);
            }
        }
    }

    /// The last position of the log, as the broker knows it.
    pub(crate) async fn last_position(&self) -> u64 {
        let client = async_nats::connect(self.broker.url()).await.unwrap();
        let name = format!("EVT_{}", self.grids[0].district());
        let mut stream = jetstream::new(client).get_stream(name).await.unwrap();
        stream.info().await.unwrap().state.last_sequence
    }

    /// The memory of a service, or of the broker.
    pub(crate) fn memory(&self, service: &str) -> Memory {
        Memory::of(self.pid(service))
    }

    /// The time of the processor that a service, or the broker, has taken so far.
    pub(crate) fn cpu(&self, service: &str) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid(service))).unwrap();
        // The name stands in brackets and may hold anything. The twelfth and thirteenth field
        // behind it are the ticks in user and in system mode, a hundred a second.
        let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
        let ticks = fields
            .skip(11)
            .take(2)
            .map(|field| field.parse::<u64>().unwrap());
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    fn pid(&self, service: &str) -> u32 {
        let mut running = self.running.iter();
        let pid = match running.find(|(name, _)| *name == service) {
            Some((_, child)) => child.id(),
            None => self.broker.pid(),
        };
        pid.unwrap()
    }

    /// The log that its intake writes.
    pub(crate) fn log(&self) -> LogId {
        let verifier = load_checkpoint_verifier(&self.data().join("keys"));
        verifier.unwrap().origin().log
    }

    /// The folder of what services keep.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where the district is described.
    pub(crate) fn district_folder(&self) -> &Path {
        &self.district_folder
    }
}

/// Asks a process to stop, and waits until it has.
async fn stop(child: &mut Child) {
    let pid = child.id().unwrap().to_string();
    let asked = Command::new("kill").args(["-TERM", &pid]).status().await;
    assert!(asked.unwrap().success());
    timeout(BOUND, child.wait()).await.unwrap().unwrap();
}

/// The resident memory of a process, in MiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) now: f64,
    /// At its highest.
    pub(crate) peak: f64,
}

impl Memory {
    fn of(pid: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let mebibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kibibytes = line.and_then(|line| line.split_whitespace().next());
            kibibytes.unwrap().parse::<f64>().unwrap() / 1_024.0
        };
        Self {
            now: mebibytes("VmRSS:"),
            peak: mebibytes("VmHWM:"),
        }
    }
}

/// Bytes of all files of a folder.
pub(crate) fn bytes_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap();
    let bytes = entries.map(|entry| {
        let entry = entry.unwrap();
        let about = entry.metadata().unwrap();
        match about.is_dir() {
            true => bytes_of(&entry.path()),
            false => about.len(),
        }
    });
    bytes.sum()
}
