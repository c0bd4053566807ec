//! `gridkeeper up`: what a newcomer sees, and that everything is there again at the next start.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use gridkeeper_tests::{BOUND, free_address, sample_district, until};

use crate::init::assert_private;

/// An installation that `up` runs.
struct Installation {
    folder: tempfile::TempDir,
    query: String,
}

/// A running `up`, and what it printed until it was ready.
struct Up {
    child: Child,
    said: Vec<String>,
}

impl Installation {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let query = free_address();
        let broker = free_address();
        let (_, port) = broker.split_once(':').unwrap();
        let mut config = format!("[broker]\nport = {port}\n[query]\nlisten = \"{query}\"\n");
        for service in ["intake", "aggregator", "escalator"] {
            config += &format!("[{service}]\nlisten = \"{}\"\n", free_address());
        }
        let installation = Self { folder, query };
        std::fs::create_dir(installation.data()).unwrap();
        std::fs::write(installation.data().join("gridkeeper.toml"), config).unwrap();
        installation
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    async fn up(&self, more: &[&str]) -> Up {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gridkeeper"))
            .args(["up", "--data"])
            .arg(self.data())
            .arg("--district")
            .arg(sample_district())
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        let reading = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                let ready = line.starts_with("Ctrl-C");
                said.push(line);
                if ready {
                    return;
                }
            }
        };
        timeout(BOUND, reading).await.expect("it is up in time");
        assert!(
            said.last().is_some_and(|line| line.starts_with("Ctrl-C")),
            "{said:?}"
        );
        Up { child, said }
    }

    /// What a question answers that `up` printed, with the token it names.
    async fn ask(&self, path: &str) -> Value {
        let token = std::fs::read_to_string(self.data().join("tokens/centre.jwt")).unwrap();
        let url = format!("http://{}{path}", self.query);
        let answer = reqwest::Client::new()
            .get(url)
            .bearer_auth(token)
            .send()
            .await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    /// The process of the broker, by the file it wrote.
    fn broker(&self) -> String {
        let pid = std::fs::read_to_string(self.data().join("broker/nats-server.pid")).unwrap();
        pid.trim().to_owned()
    }

    async fn reported(&self) -> u64 {
        self.ask("/v1/areas/510402").await["reported"]
            .as_u64()
            .unwrap()
    }
}

impl Drop for Installation {
    /// A test that fails half way leaves nothing running either.
    fn drop(&mut self) {
        end_broker(&self.data());
    }
}

/// Ends the broker of a data folder, where one still runs.
pub(crate) fn end_broker(data: &Path) {
    let pid = std::fs::read_to_string(data.join("broker/nats-server.pid"));
    if let Ok(pid) = pid
        && works(pid.trim())
    {
        let _ended_by_itself = std::process::Command::new("kill").arg(pid.trim()).status();
    }
}

/// Whether the process works; one that ended and that nobody waited for does not.
fn works(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| {
        let (_, state) = stat.rsplit_once(") ").unwrap();
        !state.starts_with('Z')
    })
}

impl Up {
    /// As Ctrl-C does.
    async fn interrupt(mut self) {
        let pid = self.child.id().unwrap().to_string();
        let sent = Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .await
            .unwrap();
        assert!(sent.success());
        let ended = timeout(BOUND, self.child.wait())
            .await
            .expect("it stops in time");
        assert!(
            ended.unwrap().success(),
            "a stop that was asked for is no failure"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_sees_a_district_at_work_and_finds_it_again_after_a_stop_and_after_a_crash() {
    let installation = Installation::new();
    let up = installation.up(&["--simulate", "--speed", "5000"]).await;
    let questions: Vec<_> = up
        .said
        .iter()
        .filter(|line| line.starts_with("curl") && !line.contains("/v1/live"))
        .collect();
    assert!(questions.len() >= 4, "{:?}", up.said);
    for question in questions {
        let (_, url) = question.split_once(&installation.query).unwrap();
        let (path, _) = url.split_once('\'').unwrap();
        installation.ask(path).await;
    }
    until("workers file", async || {
        (installation.reported().await > 20).then_some(())
    })
    .await;
    let broker = installation.broker();
    up.interrupt().await;
    assert!(!works(&broker), "the broker is stopped too");

    let mut up = installation.up(&[]).await;
    let reported = installation.reported().await;
    assert!(reported > 20, "{reported}");
    // A crash leaves the broker behind; the next start stops it and has everything.
    up.child.kill().await.unwrap();
    let left = installation.broker();
    assert!(works(&left));
    let up = installation.up(&[]).await;
    assert_eq!(installation.reported().await, reported);
    assert!(!works(&left));
    up.interrupt().await;
}

/// Gives others every right to a folder and all below it, but for the private keys, which then would not be
/// used.
fn open_to_others(path: &Path) {
    let private = ["signing.pem", "checkpoint.key"];
    let mode = match (
        path.is_dir(),
        private.iter().any(|name| path.ends_with(name)),
    ) {
        (true, _) => 0o777,
        (_, true) => 0o600,
        (_, false) => 0o666,
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    if path.is_dir() {
        let entries = std::fs::read_dir(path).unwrap();
        entries.for_each(|entry| open_to_others(&entry.unwrap().path()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_init_one_command_makes_an_installation_that_others_cannot_read() {
    let installation = Installation::new();
    let data = installation.data();
    for _ in 0..2 {
        let up = installation.up(&["--simulate", "--speed", "5000"]).await;
        until("workers file", async || {
            (installation.reported().await > 0).then_some(())
        })
        .await;
        assert_private(&data);
        up.interrupt().await;
        assert_private(&data);
        for part in [
            "keys/signing.pem",
            "keys/public",
            "tokens",
            "broker/streams",
            "aggregator/current",
        ] {
            assert!(data.join(part).exists(), "{part}");
        }
        // As an earlier version would have left it.
        open_to_others(&data);
    }
}
