//! The services under test: the real binary in processes of its own, with a broker beside.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use gridkeeper_broker::Broker;
use gridkeeper_district::{Area, District};
use gridkeeper_http::Clock;
use gridkeeper_identity::SigningKey;
use gridkeeper_proto::{
    access::{Claims, Role},
    area::AreaCode,
};
use gridkeeper_tests::{free_address, sample_district, until};
use tokio::process::{Child, Command};

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

    /// A broker and a configuration for a district; no service runs yet.
    pub(crate) async fn of(district: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = gridkeeper_tests::broker(folder.path()).await;
        let loaded = District::load(district).unwrap();
        let code = loaded.code();
        let key = SigningKey::create(&folder.path().join("data/keys")).unwrap();
        let now = Clock::system().now();
        let claims = Claims::lasting("bench".to_owned(), Role::Admin, vec![code], now, 86_400);
        let addresses = ["intake", "aggregator", "query", "escalator"]
            .map(|service| (service, free_address()))
            .to_vec();
        let site = Self {
            token: key.issue(&claims).unwrap(),
            grids: loaded.grids().map(Area::code).collect(),
            district_folder: district.to_owned(),
            binary: beside_this("gridkeeper"),
            folder,
            broker,
            addresses,
            running: Vec::new(),
        };
        std::fs::write(site.config(), site.configuration()).unwrap();
        site
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("gridkeeper.toml")
    }

    fn configuration(&self) -> String {
        let url = self.broker.url();
        let mut text = String::new();
        for (service, address) in &self.addresses {
            text += &format!("[{service}]\nlisten = \"{address}\"\nnats_url = \"{url}\"\n");
            if *service == "escalator" {
                text += &format!("intake_url = \"http://{}\"\n", self.address("intake"));
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
        let log = self.folder.path().join(format!("{service}.log"));
        let child = Command::new(&self.binary)
            .arg(service)
            .arg("--config")
            .arg(self.config())
            .arg("--data")
            .arg(self.folder.path().join("data"))
            .arg("--district")
            .arg(&self.district_folder)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.running.push((service, child));
        let address = self.address(service).to_owned();
        until(&format!("{service} is ready"), async || {
            let answer = crate::load::ask(&address, "/readyz", "").await?;
            (answer.0 == 200).then_some(())
        })
        .await;
    }
}
