//! What the tests of several packages share: a broker, waiting for a condition, the sample district, a log, an installation.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

pub mod history;
pub mod installation;
mod small_disk;
mod written_log;

pub use small_disk::SmallDisk;
pub use written_log::{WrittenLog, short_policy};

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use gridkeeper_broker::{Binary, Broker, Options};
use gridkeeper_proto::{
    checkpoint::{CheckpointSigner, Origin, key_texts},
    id::LogId,
    tree::TreeHash,
};
use tokio::time::{interval, timeout};

/// How long a condition may take to come true, on a machine that is busy with other tests.
pub const BOUND: Duration = Duration::from_secs(120);
const INTERVAL: Duration = Duration::from_millis(10);

/// A real nats-server on a free port, with its streams in the folder. It ends with what is returned.
///
/// # Panics
/// There is no nats-server, or it does not start.
pub async fn broker(folder: &Path) -> Broker {
    let options = Options {
        folder: folder.join("broker"),
        port: 0,
    };
    // Tests run in the folders of their packages: what `deploy/nats-server.sh` installs lies in the checkout's.
    let installed = repository().join(".venv/bin/nats-server");
    let binary = match std::env::var_os("NATS_SERVER") {
        None if installed.exists() => Binary::at(&installed).await,
        _ => Binary::find().await,
    };
    let binary = binary.expect("./tests/run installs a nats-server where there is none");
    Broker::start(binary, &options).await.unwrap()
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// There is none within [`BOUND`].
pub async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let asking = async {
        let mut interval = interval(INTERVAL);
        loop {
            interval.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    match timeout(BOUND, asking).await {
        Ok(answer) => answer,
        Err(_) => panic!("within {BOUND:?} it did not come to this: {what}"),
    }
}

/// Ports below those that Linux gives to outgoing connections (`ip_local_port_range`): those of
/// tests that run beside would take one before the process for which it was chosen listens on it.
const PORTS: std::ops::Range<u16> = 10_000..32_000;
/// How many ports a process tries before it comes to those of the next one.
const PORTS_OF_A_PROCESS: u32 = 16;

/// An address on which nobody listens now. A process does not get the same one twice, as long as it
/// does not ask for all of them.
///
/// # Panics
/// The machine has no free port.
#[must_use]
pub fn free_address() -> String {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(PORTS_OF_A_PROCESS);
    let ports = u32::try_from(PORTS.len()).unwrap();
    for _ in PORTS {
        let asked = ASKED.fetch_add(1, Ordering::Relaxed);
        let port = u32::from(PORTS.start) + first.wrapping_add(asked) % ports;
        if let Ok(listener) = TcpListener::bind(format!("127.0.0.1:{port}")) {
            return listener.local_addr().unwrap().to_string();
        }
    }
    panic!("no port of {PORTS:?} is free");
}

/// The key of checkpoints of a log in tests: the first test vector of RFC 8032, section 7.1.
///
/// # Panics
/// Never.
#[must_use]
pub fn checkpoint_signer() -> CheckpointSigner {
    let bytes = |text: &str| text.parse::<TreeHash>().unwrap().0;
    let seed = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let public = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let origin = Origin {
        log: LogId::from_bytes([5; 16]),
    };
    let (private, public) = key_texts(origin, &seed, &public);
    CheckpointSigner::parse(&private, &public).unwrap()
}

/// The checkout.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The folder of the sample district.
#[must_use]
pub fn sample_district() -> PathBuf {
    repository().join("deploy/districts/panzhihua-dongqu")
}
