//! PostgreSQL as the peer: a server of our own, set up as somebody would who wants it fast and loses nothing.

use std::{
    io,
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use gridkeeper_tests::until;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

/// Every commit is on the disk before it is acknowledged, as in the broker; the rest is room, so that neither
/// memory nor checkpoints hold it back.
const SETTINGS: [&str; 15] = [
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "autovacuum=on",
    "max_connections=200",
    "shared_buffers=2GB",
    "effective_cache_size=8GB",
    "work_mem=64MB",
    "maintenance_work_mem=512MB",
    "max_wal_size=8GB",
    "min_wal_size=2GB",
    "checkpoint_timeout=15min",
    "random_page_cost=1.1",
    "jit=off",
    // Clients come over a socket in the folder: the shortest way in, and no port that may be taken.
    "listen_addresses=",
];
const DEBIAN: &str = "/usr/lib/postgresql/15/bin";
const USER: &str = "gridkeeper";

/// A running server; it ends with this.
pub(crate) struct Postgres {
    server: Child,
    binaries: Binaries,
    folder: TempDir,
}

impl Postgres {
    /// Starts a server in a folder of its own; nothing where PostgreSQL is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let Some(binaries) = Binaries::find(folder.path()) else {
            eprintln!(
                "PostgreSQL is missing: its figures are left out (PG_BIN names its folder of binaries)"
            );
            return None;
        };
        let data = folder.path().join("data");
        let mut initdb = binaries.command("initdb");
        initdb.arg("--pgdata").arg(&data);
        initdb.args(["--username", USER, "--auth", "trust", "--encoding", "UTF8"]);
        let made = initdb.args(["--locale", "C"]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let mut server = binaries.command("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(folder.path());
        for setting in SETTINGS {
            server.args(["-c", setting]);
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let postgres = Self {
            server: server.stderr(log).spawn().unwrap(),
            binaries,
            folder,
        };
        until("PostgreSQL is ready", async || postgres.try_connect().await).await;
        Some(postgres)
    }

    /// Connects.
    pub(crate) async fn connect(&self) -> Client {
        self.try_connect().await.unwrap()
    }

    /// Connects so many times.
    pub(crate) async fn connections(&self, count: usize) -> Vec<Client> {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            clients.push(self.connect().await);
        }
        clients
    }

    /// What another process connects with.
    pub(crate) fn parameters(&self) -> String {
        let folder = self.folder.path().display();
        format!("host={folder} user={USER} dbname=postgres")
    }

    async fn try_connect(&self) -> Option<Client> {
        let connected = tokio_postgres::connect(&self.parameters(), NoTls).await;
        let (client, connection) = connected.ok()?;
        // It ends with its client; what goes wrong with it is the answer to what the client asks.
        tokio::spawn(connection);
        Some(client)
    }
}

/// Runs work on so many of these connections beside each other; gives what they have done in a second. Work gets a
/// connection, its number and when all began, and gives back the connection and how much it has done.
pub(crate) async fn load<F>(
    clients: &mut Vec<Client>,
    connections: usize,
    work: impl Fn(Client, usize, Instant) -> F,
) -> f64
where
    F: Future<Output = (Client, u64)> + Send + 'static,
{
    let mut all = JoinSet::new();
    let began = Instant::now();
    for (number, client) in clients.drain(..connections).enumerate() {
        all.spawn(work(client, number, began));
    }
    let mut done = 0;
    while let Some(one) = all.join_next().await {
        let (client, count) = one.unwrap();
        clients.push(client);
        done += count;
    }
    done as f64 / began.elapsed().as_secs_f64()
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut stop = self.binaries.command("pg_ctl");
        stop.arg("--pgdata").arg(self.folder.path().join("data"));
        stop.args(["--mode", "immediate", "stop"]);
        let stopped = stop.status();
        if !stopped.is_ok_and(|status| status.success()) {
            // Its other processes end by themselves when they miss it.
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }
}

/// Where the binaries are, and as whom they run.
struct Binaries {
    folder: PathBuf,
    /// User and group: PostgreSQL refuses to run as root.
    user: Option<(u32, u32)>,
}

impl Binaries {
    /// Finds them; the folder becomes that of the user they run as.
    fn find(working: &Path) -> Option<Self> {
        let named = std::env::var_os("PG_BIN").map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folder = named
            .into_iter()
            .chain(std::env::split_paths(&path))
            .chain([PathBuf::from(DEBIAN)])
            // Debian links some of them into the path, not all.
            .find(|folder| {
                ["initdb", "postgres", "pg_ctl"]
                    .iter()
                    .all(|name| folder.join(name).is_file())
            })?;
        let root = std::fs::metadata(working).unwrap().uid() == 0;
        let user = root.then(|| unprivileged().unwrap());
        if let Some((user, group)) = user {
            chown(working, Some(user), Some(group)).unwrap();
        }
        Some(Self { folder, user })
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join(name));
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }
}

/// A user that servers may run as.
fn unprivileged() -> io::Result<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd")?;
    let find = |wanted: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let found = fields.next()? == wanted;
            let mut numbers = fields.skip(1).map(str::parse);
            let (user, group) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
            found.then_some((user, group))
        })
    };
    find("postgres")
        .or_else(|| find("nobody"))
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}
