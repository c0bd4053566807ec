//! Watches the free space of disks: below a first mark an alarm, below a second one no new reports.

use std::{
    collections::BTreeSet,
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use gridkeeper_http::Check;
use gridkeeper_proto::code::Coded as _;
use serde::{Deserialize, Serialize};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use crate::Error;

const FREE: &str = "gridkeeper_disk_free_bytes";

/// How often the free space is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is watched of the disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskOptions {
    /// Further folders whose disks are watched, besides `intake.folder`. `gridkeeper up` adds the broker's.
    pub folders: Vec<PathBuf>,
    /// Below how many free bytes on one of the disks health warns; at least `refuse_below_bytes`.
    pub alarm_below_bytes: u64,
    /// Below how many free bytes on one of the disks new reports, imports and inquiries are refused, while steps of
    /// known cases and reading go on; zero never refuses.
    pub refuse_below_bytes: u64,
}

impl Default for DiskOptions {
    fn default() -> Self {
        Self {
            folders: Vec::new(),
            alarm_below_bytes: 2 << 30,
            refuse_below_bytes: 500 << 20,
        }
    }
}

type Measure = dyn Fn(&Path) -> io::Result<u64> + Send + Sync;

/// Says how many bytes are free at a folder.
#[derive(Clone)]
pub(crate) struct FreeSpace(Arc<Measure>);

impl FreeSpace {
    /// Free space as this function says.
    pub(crate) fn new(free: impl Fn(&Path) -> io::Result<u64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(free))
    }

    /// Free space as the system says, of what is left to others than root.
    pub(crate) fn system() -> Self {
        Self::new(|folder| {
            let found = rustix::fs::statvfs(folder)?;
            Ok(found.f_bavail.saturating_mul(found.f_frsize))
        })
    }
}

impl fmt::Debug for FreeSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FreeSpace")
    }
}

/// Watches disks. Clones are handles on the same watch.
#[derive(Clone, Debug)]
pub(crate) struct DiskWatch(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folders: BTreeSet<PathBuf>,
    options: DiskOptions,
    free: FreeSpace,
    check: Check,
    /// What is wrong, as of the latest look.
    found: Mutex<Option<Error>>,
}

impl DiskWatch {
    /// Watches the disk of a folder, and those of the options.
    pub(crate) fn new(folder: &Path, options: &DiskOptions, free: FreeSpace, check: Check) -> Self {
        let own = std::iter::once(folder.to_owned());
        Self(Arc::new(Inner {
            folders: own.chain(options.folders.iter().cloned()).collect(),
            options: options.clone(),
            free,
            check,
            found: Mutex::default(),
        }))
    }

    /// Looks for as long as it is polled.
    pub(crate) async fn run(&self) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look().await;
        }
    }

    /// Looks at all disks, and reports to health what is worst.
    pub(crate) async fn look(&self) {
        let inner = Arc::clone(&self.0);
        let looked = spawn_blocking(move || inner.measure()).await;
        // Only a panic or a runtime that ends keeps it from ending.
        let Ok(found) = looked else { return };
        let check = &self.0.check;
        match &found {
            None => check.ready(),
            Some(error @ Error::DiskFull { .. }) => check.impaired(error),
            Some(error) => check.warns(error),
        }
        let mut before = self.found();
        if before.as_ref().map(Error::code) != found.as_ref().map(Error::code) {
            match &found {
                None => tracing::info!("there is enough space on the disks again"),
                Some(error) => tracing::error!(code = %error.code(), %error, "look after the disk"),
            }
        }
        *before = found;
    }

    /// Whether what is new may be taken in.
    ///
    /// # Errors
    /// [`Error::DiskFull`].
    pub(crate) fn takes_new(&self) -> Result<(), Error> {
        match &*self.found() {
            Some(error @ Error::DiskFull { .. }) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn found(&self) -> MutexGuard<'_, Option<Error>> {
        self.0.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Measures all disks. Blocks.
    fn measure(&self) -> Option<Error> {
        let found = self.folders.iter().filter_map(|folder| self.judge(folder));
        // A full disk is worse than one that fills, and that worse than one that cannot be measured.
        found.min_by_key(|error| match error {
            Error::DiskFull { .. } => 0,
            Error::DiskLow { .. } => 1,
            _ => 2,
        })
    }

    fn judge(&self, folder: &Path) -> Option<Error> {
        let free = match (self.free.0)(folder) {
            Ok(free) => free,
            Err(refused) => {
                return Some(Error::DiskUnknown {
                    folder: folder.to_owned(),
                    detail: refused.to_string(),
                });
            }
        };
        let label = folder.display().to_string();
        metrics::gauge!(FREE, "folder" => label).set(free as f64);
        let DiskOptions {
            alarm_below_bytes: alarm,
            refuse_below_bytes: refuse,
            ..
        } = self.options;
        let folder = folder.to_owned();
        match free {
            free if free < refuse => Some(Error::DiskFull {
                folder,
                free,
                below: refuse,
            }),
            free if free < alarm => Some(Error::DiskLow {
                folder,
                free,
                below: alarm,
            }),
            _ => None,
        }
    }
}
