//! An installation in a folder of its own: a broker, and a process of the real binary for each
//! service.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use gridkeeper_broker::Broker;
use gridkeeper_identity::{SigningKey, make_checkpoint_key};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::{BOUND, broker, free_address, until};

/// The services, in the order in which they are started. The query service answers from views of
/// its own process, in which an aggregator runs.
pub const SERVICES: [&str; 3] = ["intake", "query", "escalator"];
/// The endpoints that have a health of their own.
pub const ENDPOINTS: [&str; 4] = ["intake", "aggregator", "query", "escalator"];

/// An installation. Its processes end with it, and its folder goes unless [`Installation::keep`]
/// was called.
pub struct Installation {
    folder: tempfile::TempDir,
    /// The broker.
    pub broker: Broker,
    /// The key that signs its tokens.
    pub key: SigningKey,
    binary: PathBuf,
    district: PathBuf,
    addresses: BTreeMap<&'static str, String>,
    running: BTreeMap<&'static str, (Child, PathBuf)>,
    logs: AtomicUsize,
}

impl Installation {
    /// Starts a broker and writes keys and a configuration; no service runs yet.
    ///
    /// # Panics
    /// There is no nats-server, or the folder cannot be written to.
    pub async fn new(binary: &Path, district: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = broker(folder.path()).await;
        let keys = folder.path().join("data/keys");
        let key = SigningKey::create(&keys).unwrap();
        make_checkpoint_key(&keys).unwrap();
        let installation = Self {
            folder,
            broker,
            key,
            binary: binary.to_owned(),
            district: district.to_owned(),
            addresses: ENDPOINTS.map(|service| (service, free_address())).into(),
            running: BTreeMap::new(),
            logs: AtomicUsize::new(0),
        };
        std::fs::write(installation.config(), installation.configuration()).unwrap();
        installation
    }

    /// A file in its folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Leaves the folder behind when the installation ends; gives its path.
    pub fn keep(&mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }

    /// Its configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path("gridkeeper.toml")
    }

    /// The text of its configuration. The broker's window for repeated ids is as short as it can
    /// be, so that nothing depends on it.
    #[must_use]
    pub fn configuration(&self) -> String {
        let url = self.broker.url();
        let mut text = "[log]\nduplicate_window_ms = 100\nrequest_timeout_ms = 2000\n".to_owned();
        for (service, address) in &self.addresses {
            text += &format!("[{service}]\nlisten = \"{address}\"\nnats_url = \"{url}\"\n");
            if *service == "intake" {
                text += "follow_every_ms = 50\n";
            }
            if *service == "escalator" {
                text += &format!("intake_url = \"http://{}\"\n", self.addresses["intake"]);
            }
        }
        text
    }

    /// A command of the binary, with the configuration, the data and the district of this
    /// installation.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_with(&self.config(), arguments)
    }

    /// As [`Installation::command`], with another configuration.
    #[must_use]
    pub fn command_with(&self, config: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .arg("--config")
            .arg(config)
            .arg("--data")
            .arg(self.path("data"))
            .arg("--district")
            .arg(&self.district)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end; gives what it printed.
    ///
    /// # Panics
    /// The command fails.
    pub async fn run(&self, arguments: &[&str]) -> String {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(arguments).output().await.unwrap();
        let said = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "{arguments:?}: {said}");
        String::from_utf8(stdout).unwrap()
    }

    /// Starts a service. What it says goes to a file of its own in the folder.
    ///
    /// # Panics
    /// The binary cannot be started.
    pub fn start(&mut self, service: &'static str) {
        let number = self.logs.fetch_add(1, Ordering::Relaxed);
        let log = self.path(&format!("{service}-{number}.log"));
        let child = self
            .command(&[service])
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        self.running.insert(service, (child, log));
    }

    /// Starts all services and waits until each is ready.
    ///
    /// # Panics
    /// One is not ready within [`BOUND`].
    pub async fn start_all(&mut self) {
        for service in SERVICES {
            self.start(service);
        }
        for endpoint in ENDPOINTS {
            self.until_ready(endpoint).await;
        }
    }

    /// Waits until a service is ready.
    ///
    /// # Panics
    /// It is not within [`BOUND`].
    pub async fn until_ready(&self, service: &'static str) {
        let (url, http) = (
            format!("{}/readyz", self.url(service)),
            reqwest::Client::new(),
        );
        until(&format!("{service} is ready"), async || {
            let answer = http.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// Kills a service as a crash would.
    ///
    /// # Panics
    /// It was not started.
    pub async fn kill(&mut self, service: &'static str) {
        let (mut child, _) = self.running.remove(service).unwrap();
        child.kill().await.unwrap();
    }

    /// Kills all services.
    pub async fn kill_all(&mut self) {
        for service in SERVICES {
            self.kill(service).await;
        }
    }

    /// Asks a service to stop (SIGTERM) and waits until it has.
    ///
    /// # Panics
    /// It was not started, or does not stop within [`BOUND`].
    pub async fn stop(&mut self, service: &'static str) {
        let (mut child, _) = self.running.remove(service).unwrap();
        let Some(pid) = child.id() else { return };
        let asked = Command::new("kill")
            .args(["-TERM", &pid.to_string()])
            .status();
        asked.await.unwrap();
        timeout(BOUND, child.wait()).await.unwrap().unwrap();
    }

    /// Asks all services to stop and waits until they have.
    pub async fn stop_all(&mut self) {
        for service in SERVICES {
            self.stop(service).await;
        }
    }

    /// The status and the words of a started service that ended without being asked to; `None`
    /// while it runs.
    ///
    /// # Panics
    /// It was not started.
    pub fn ended(&mut self, service: &'static str) -> Option<(ExitStatus, String)> {
        let (child, log) = self.running.get_mut(service).unwrap();
        let status = child.try_wait().unwrap()?;
        Some((status, std::fs::read_to_string(log).unwrap_or_default()))
    }

    /// Host and port of an endpoint.
    #[must_use]
    pub fn address(&self, endpoint: &str) -> &str {
        &self.addresses[endpoint]
    }

    /// The address of an endpoint.
    #[must_use]
    pub fn url(&self, endpoint: &str) -> String {
        format!("http://{}", self.addresses[endpoint])
    }
}
