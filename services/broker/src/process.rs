//! The child process: start, wait until it answers, stop, start again.

use std::{
    collections::VecDeque,
    fs::{self, File, TryLockError},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{Binary, BrokerError, writable::unwritable};

/// How long a start may take: opening a large stream after a kill takes seconds.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a stop may take before the process is killed.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// How often a server that ended by itself is started again within a minute.
const RESTARTS_A_MINUTE: usize = 5;

/// How many other ports are tried where any free one will do, and somebody else took the one that was.
const OTHER_PORTS: usize = 5;

/// Files in the broker's folder.
const CONFIGURATION: &str = "nats-server.conf";
const PID: &str = "nats-server.pid";
const LOCK: &str = "lock";
const STREAMS: &str = "streams";

/// Where the broker keeps its streams and where it listens.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the streams, the configuration and the log file; made when missing.
    pub folder: PathBuf,
    /// Port on 127.0.0.1; zero for any free one.
    pub port: u16,
}

/// A running nats-server. Dropped without [`Self::stop`], it is killed.
pub struct Broker {
    binary: Binary,
    folder: PathBuf,
    port: u16,
    /// Port on 127.0.0.1 of the server's own report of its health.
    health_port: u16,
    child: Child,
    /// Held for as long as this process owns the folder; the system lets go of it however the process ends.
    _lock: File,
}

/// The first line that a server sends, as far as it tells whether the server is ours and ready.
#[derive(Deserialize)]
struct Info {
    server_name: String,
    #[serde(default)]
    jetstream: bool,
}

impl Broker {
    /// Starts a server and waits until it answers with JetStream on.
    ///
    /// # Errors
    /// The files cannot be made, or the server ends or stays silent.
    pub async fn start(binary: Binary, options: &Options) -> Result<Self, BrokerError> {
        let port = match options.port {
            0 => free_port()?,
            port => port,
        };
        Self::start_at(port, binary, options).await
    }

    /// Starts a server at this port, or where any free one will do at another one when somebody else took it.
    async fn start_at(port: u16, binary: Binary, options: &Options) -> Result<Self, BrokerError> {
        close(&options.folder)?;
        let lock = lock(&options.folder)?;
        stop_left_behind(&binary, &options.folder).await?;
        let folder = options.folder.clone();
        let health_port = free_port()?;
        let child = spawn(&binary, &folder, (port, health_port))?;
        let mut broker = Self {
            binary,
            folder,
            port,
            health_port,
            child,
            _lock: lock,
        };
        for _ in 0..OTHER_PORTS {
            match broker.wait_until_ready().await {
                Err(error) if options.port == 0 && error.is_port_taken() => {
                    broker.port = free_port()?;
                    broker.spawn()?;
                }
                ready => return ready.map(|()| broker),
            }
        }
        broker.wait_until_ready().await?;
        Ok(broker)
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id; none once it ended.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Asks the server to stop and waits until it has; one that takes too long is killed. Its folder
    /// stays.
    ///
    /// # Errors
    /// The process cannot be signalled or waited for.
    pub async fn stop(&mut self) -> Result<(), BrokerError> {
        let Some(pid) = self.child.id() else {
            return Ok(());
        };
        ask_to_quit(&self.binary, pid).await?;
        match timeout(STOP_LIMIT, self.child.wait()).await {
            Ok(ended) => ended
                .map(|_| ())
                .map_err(BrokerError::system("wait for nats-server")),
            Err(_) => {
                tracing::warn!(pid, "nats-server does not stop, killing it");
                self.kill().await
            }
        }
    }

    /// Kills the server at once, as a crash would.
    ///
    /// # Errors
    /// The process cannot be killed.
    pub async fn kill(&mut self) -> Result<(), BrokerError> {
        self.child
            .kill()
            .await
            .map_err(BrokerError::system("kill nats-server"))
    }

    /// Starts the server again on the same port and folder, after it ended.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn restart(&mut self) -> Result<(), BrokerError> {
        self.stop().await?;
        self.spawn()?;
        self.wait_until_ready().await
    }

    fn spawn(&mut self) -> Result<(), BrokerError> {
        self.health_port = free_port()?;
        let ports = (self.port, self.health_port);
        self.child = spawn(&self.binary, &self.folder, ports)?;
        Ok(())
    }

    /// Keeps the server running until told to stop, and then stops it. A server that ends by itself is
    /// started again, on the same port and folder; so is one that a full disk has stopped from writing, once there is
    /// space: without that it takes nothing into the stream for good.
    ///
    /// # Errors
    /// It ends too often, does not start again, or does not stop.
    pub async fn supervise(mut self, stop: CancellationToken) -> Result<(), BrokerError> {
        let mut ends = VecDeque::new();
        loop {
            let status = tokio::select! {
                () = stop.cancelled() => return self.stop().await,
                status = self.child.wait() => status,
                said = unwritable(self.health_port, &self.folder) => {
                    tracing::error!(said, "nats-server failed to write, and there is space: starting it again");
                    self.restart().await?;
                    continue;
                }
            };
            let status = status.map_err(BrokerError::system("wait for nats-server"))?;
            ends.push_back(Instant::now());
            ends.retain(|end: &Instant| end.elapsed() < Duration::from_secs(60));
            if ends.len() > RESTARTS_A_MINUTE {
                return Err(BrokerError::KeepsEnding { times: ends.len() });
            }
            tracing::error!(%status, "nats-server ended by itself, starting it again");
            self.restart().await?;
        }
    }

    async fn wait_until_ready(&mut self) -> Result<(), BrokerError> {
        let started = Instant::now();
        let name = server_name(self.port);
        while started.elapsed() < START_LIMIT {
            let ended = self
                .child
                .try_wait()
                .map_err(BrokerError::system("watch nats-server"))?;
            if ended.is_some() {
                return Err(BrokerError::Ended {
                    log: last_words(&self.folder),
                });
            }
            match greeting(self.port).await {
                Some(info) if info.server_name == name && info.jetstream => return Ok(()),
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
        let (waited, log) = (started.elapsed(), last_words(&self.folder));
        Err(BrokerError::Silent { waited, log })
    }
}

/// Makes the folder and that of the streams where they are missing, and denies them to other users: the
/// server itself makes its files as the process's mask lets it.
fn close(folder: &Path) -> Result<(), BrokerError> {
    for folder in [folder, &folder.join(STREAMS)] {
        let closed = gridkeeper_private::folder(folder)
            .map_err(BrokerError::system("make the broker's folder"))?;
        if let Some(mode) = closed {
            let (folder, mode) = (folder.display(), format!("{mode:o}"));
            tracing::warn!(%folder, mode, "closed a folder of the broker that others could reach");
        }
    }
    Ok(())
}

/// Makes this process the folder's only owner.
fn lock(folder: &Path) -> Result<File, BrokerError> {
    let path = folder.join(LOCK);
    let file = File::create(&path).map_err(BrokerError::system("make the broker's lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BrokerError::InUse {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(source)) => {
            Err(BrokerError::system("lock the broker's folder")(source))
        }
    }
}

/// Stops the server that a killed owner left behind in this folder, where there is one: it would keep the
/// port and the streams. It is known by the name that the folder's configuration gave it.
async fn stop_left_behind(binary: &Binary, folder: &Path) -> Result<(), BrokerError> {
    let Some(left) = LeftBehind::of(folder) else {
        return Ok(());
    };
    if !left.answers().await {
        return Ok(());
    }
    tracing::warn!(
        pid = left.pid,
        "stopping the nats-server that was left behind"
    );
    ask_to_quit(binary, left.pid).await?;
    let started = Instant::now();
    while left.answers().await {
        if started.elapsed() > STOP_LIMIT {
            let (waited, log) = (started.elapsed(), last_words(folder));
            return Err(BrokerError::LeftBehind {
                pid: left.pid,
                waited,
                log,
            });
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// A server that may still run in a folder, by the files of its start.
struct LeftBehind {
    name: String,
    port: u16,
    pid: u32,
}

impl LeftBehind {
    fn of(folder: &Path) -> Option<Self> {
        let configuration = fs::read_to_string(folder.join(CONFIGURATION)).ok()?;
        let value = |key: &str| {
            let line = configuration
                .lines()
                .find_map(|line| line.strip_prefix(key));
            line.map(|value| value.trim_matches(['"', ' ']).to_owned())
        };
        let listen = value("listen: ")?;
        let (_, port) = listen.rsplit_once(':')?;
        let pid = fs::read_to_string(folder.join(PID)).ok()?;
        Some(Self {
            name: value("server_name: ")?,
            port: port.parse().ok()?,
            pid: pid.trim().parse().ok()?,
        })
    }

    async fn answers(&self) -> bool {
        let info = greeting(self.port).await;
        info.is_some_and(|info| info.server_name == self.name)
    }
}

async fn ask_to_quit(binary: &Binary, pid: u32) -> Result<(), BrokerError> {
    Command::new(&binary.path)
        .args(["--signal", &format!("quit={pid}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await
        .map(|_| ())
        .map_err(BrokerError::system("signal nats-server"))
}

/// A port that nobody listens on now. Somebody else may take it before the server does; the server then ends.
fn free_port() -> Result<u16, BrokerError> {
    let listener =
        TcpListener::bind("127.0.0.1:0").map_err(BrokerError::system("find a free port"))?;
    let address = listener
        .local_addr()
        .map_err(BrokerError::system("find a free port"))?;
    Ok(address.port())
}

fn server_name(port: u16) -> String {
    format!("gridkeeper-{}-{port}", std::process::id())
}

fn spawn(binary: &Binary, folder: &Path, ports: (u16, u16)) -> Result<Child, BrokerError> {
    let config = folder.join(CONFIGURATION);
    gridkeeper_private::write(&config, configuration(folder, ports).as_bytes())
        .map_err(BrokerError::system("write the broker's configuration"))?;
    Command::new(&binary.path)
        .arg("--config")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C in the terminal reaches the services first; they stop the broker last.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(BrokerError::system("start nats-server"))
}

fn configuration(folder: &Path, (port, health_port): (u16, u16)) -> String {
    let quoted = |path: PathBuf| format!("{:?}", path.display().to_string());
    format!(
        "server_name: {name}\n\
         listen: \"127.0.0.1:{port}\"\n\
         http: \"127.0.0.1:{health_port}\"\n\
         log_file: {log}\n\
         pid_file: {pid}\n\
         jetstream {{\n  store_dir: {store}\n  sync_interval: always\n}}\n",
        name = server_name(port),
        log = quoted(folder.join("nats-server.log")),
        pid = quoted(folder.join(PID)),
        store = quoted(folder.join(STREAMS)),
    )
}

async fn greeting(port: u16) -> Option<Info> {
    let read = async {
        let connection = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let mut line = String::new();
        BufReader::new(connection).read_line(&mut line).await.ok()?;
        serde_json::from_str(line.strip_prefix("INFO ")?.trim()).ok()
    };
    timeout(Duration::from_secs(1), read).await.ok().flatten()
}

fn last_words(folder: &Path) -> String {
    let Ok(log) = fs::read_to_string(folder.join("nats-server.log")) else {
        return "it wrote no log".to_owned();
    };
    let lines: Vec<_> = log.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    async fn broker(folder: &Path) -> Broker {
        let options = Options {
            folder: folder.to_owned(),
            port: 0,
        };
        Broker::start(Binary::find().await.unwrap(), &options)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_broker_starts_stops_and_starts_again_on_its_port() {
        let folder = tempfile::tempdir().unwrap();
        let mut broker = broker(folder.path()).await;
        let port = broker.port();
        broker.stop().await.unwrap();
        assert!(greeting(port).await.is_none());
        assert_eq!(broker.pid(), None);
        broker.restart().await.unwrap();
        assert!(greeting(port).await.unwrap().jetstream);
        broker.kill().await.unwrap();
        broker.restart().await.unwrap();
        broker.stop().await.unwrap();
    }

    #[tokio::test]
    async fn the_folders_are_their_owners_only_also_where_they_were_open() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("broker");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for open in [None, Some(0o755)] {
            if let Some(open) = open {
                for path in [&folder, &folder.join(STREAMS), &folder.join(CONFIGURATION)] {
                    fs::set_permissions(path, fs::Permissions::from_mode(open)).unwrap();
                }
            }
            broker(&folder).await.stop().await.unwrap();
            assert_eq!(mode(&folder), 0o700);
            assert_eq!(mode(&folder.join(STREAMS)), 0o700);
            assert_eq!(mode(&folder.join(CONFIGURATION)), 0o600);
        }
    }

    #[tokio::test]
    async fn a_supervised_broker_that_is_killed_comes_back_and_stops_when_told() {
        let folder = tempfile::tempdir().unwrap();
        let broker = broker(folder.path()).await;
        let (port, pid) = (broker.port(), broker.pid().unwrap());
        let stop = CancellationToken::new();
        let supervised = tokio::spawn(broker.supervise(stop.clone()));
        let killed = Command::new("kill")
            .args(["-9", &pid.to_string()])
            .status()
            .await
            .unwrap();
        assert!(killed.success());
        let log = folder.path().join("nats-server.log");
        let back = async {
            while fs::read_to_string(&log)
                .unwrap()
                .matches("Server is ready")
                .count()
                < 2
            {
                tokio::task::yield_now().await;
            }
        };
        timeout(START_LIMIT, back).await.unwrap();
        assert!(greeting(port).await.unwrap().jetstream);
        stop.cancel();
        supervised.await.unwrap().unwrap();
        assert!(greeting(port).await.is_none());
    }

    #[tokio::test]
    async fn a_server_whose_owner_was_killed_is_stopped_by_the_next_start_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let left = broker(folder.path()).await;
        let options = Options {
            folder: folder.path().to_owned(),
            port: left.port(),
        };
        let second = Broker::start(Binary::find().await.unwrap(), &options).await;
        assert!(matches!(second, Err(BrokerError::InUse { .. })));
        // What a killed owner leaves: the server, and no lock.
        let Broker {
            child: left,
            port,
            _lock: lock,
            ..
        } = left;
        drop(lock);
        let mut next = Broker::start(Binary::find().await.unwrap(), &options)
            .await
            .unwrap();
        assert_ne!(left.id(), next.pid());
        assert!(greeting(port).await.unwrap().jetstream);
        next.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error_with_the_servers_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let options = Options {
            folder: folder.path().to_owned(),
            port,
        };
        let refused = Broker::start(Binary::find().await.unwrap(), &options).await;
        let Err(BrokerError::Ended { log }) = refused else {
            panic!("it started")
        };
        assert!(log.contains("address already in use"), "{log}");
    }

    #[tokio::test]
    async fn where_any_port_will_do_another_one_is_taken_instead_of_one_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let options = Options {
            folder: folder.path().to_owned(),
            port: 0,
        };
        let binary = Binary::find().await.unwrap();
        let mut broker = Broker::start_at(port, binary, &options).await.unwrap();
        assert_ne!(broker.port(), port);
        broker.stop().await.unwrap();
    }
}
