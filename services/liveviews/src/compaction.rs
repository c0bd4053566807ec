//! Keeps the folder of the views in bounds, beside the folding.

use std::sync::Arc;

use gridkeeper_proto::code::Coded as _;
use gridkeeper_viewstore::{
    Compacted, DiskUse, Error as StoreError, Projection, Projector, ViewStore,
};
use tokio::{
    sync::Mutex,
    task::JoinHandle,
    time::{Duration, Instant},
};

use crate::{Error, LiveViews, live::ended, log::LogEvent};

const DISK_BYTES: &str = "gridkeeper_views_disk_bytes";
const LIVE_BYTES: &str = "gridkeeper_views_live_bytes";
const SET_ASIDE_BYTES: &str = "gridkeeper_views_set_aside_bytes";
const COMPACTIONS: &str = "gridkeeper_views_compactions_total";

/// After how long the folder is measured again though little was flushed, for the metrics.
const MEASURE_EVERY: Duration = Duration::from_secs(60);

/// How long to wait after the disk refused a compaction.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// How long views count as being filled after they have caught up with the log: others catch up at
/// the same time.
const AFTER_FILLING: Duration = Duration::from_secs(60);

/// Measures the folder now and then, and compacts the views where it is time.
#[derive(Default)]
pub(crate) struct Compactions {
    measured: Option<Instant>,
    not_before: Option<Instant>,
    under_way: Option<JoinHandle<Result<(), StoreError>>>,
}

impl Compactions {
    /// Begins to look at the folder where it is time for that, unless that is under way.
    ///
    /// # Errors
    /// [`Error::Store`] when a compaction has found damage. A disk that refuses is logged, and
    /// tried again.
    pub(crate) async fn tend<P>(&mut self, views: &LiveViews<P>) -> Result<(), Error>
    where
        P: Projection<LogEvent> + Clone + 'static,
    {
        if let Some(under_way) = &mut self.under_way {
            if !under_way.is_finished() {
                return Ok(());
            }
            let compacted = ended(under_way.await).await;
            self.under_way = None;
            self.conclude(compacted)?;
        }
        let now = Instant::now();
        if views.is_unused() {
            self.not_before = Some(now + AFTER_FILLING);
            return Ok(());
        }
        let waits = self.not_before.is_some_and(|not_before| now < not_before);
        if !waits {
            views.store.generation().set_filling(false);
        }
        let recent = self
            .measured
            .is_some_and(|measured| now < measured + MEASURE_EVERY);
        if !waits && (!recent || views.store.disk_use_is_outdated()) {
            self.measured = Some(now);
            self.under_way = Some(views.begin_compaction().await);
        }
        Ok(())
    }

    fn conclude(&mut self, compacted: Result<(), StoreError>) -> Result<(), Error> {
        match compacted {
            // A rebuild leaves nothing to compact, and after closing there is a next opening.
            Ok(())
            | Err(StoreError::RebuildRunning { .. } | StoreError::CompactionAbandoned { .. }) => {
                Ok(())
            }
            Err(error @ StoreError::Disk { .. }) => {
                tracing::warn!(code = %error.code(), %error, "views are not compacted; trying again");
                self.not_before = Some(Instant::now() + RETRY_AFTER);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl<P: Projection<LogEvent> + Clone + 'static> LiveViews<P> {
    /// Measures the folder on a thread that may block, and compacts the views where they take too
    /// much.
    async fn begin_compaction(&self) -> JoinHandle<Result<(), StoreError>> {
        let (store, name) = (self.store.clone(), self.name);
        let (projector, projection) = (Arc::clone(&self.projector), self.projection.clone());
        let compacting = Arc::clone(&self.compacting).lock_owned().await;
        tokio::task::spawn_blocking(move || {
            let compacted = compact_where_due(&store, projector, projection, name);
            drop(store);
            // `close` waits for it, and the folder may be opened anew then: nothing here holds the
            // store any more.
            drop(compacting);
            compacted
        })
    }
}

fn compact_where_due<P: Projection<LogEvent>>(
    store: &ViewStore,
    projector: Arc<Mutex<Projector<P>>>,
    projection: P,
    name: &'static str,
) -> Result<(), StoreError> {
    let disk_use = store.disk_use()?;
    report(name, &disk_use);
    if !store.asks_for_compaction(&disk_use) {
        return Ok(());
    }
    let (live, serving) = (disk_use.live, disk_use.serving);
    tracing::info!(views = name, live, serving, "compacting views");
    let began = Instant::now();
    let (compaction, mut folding) = store.compact(|| {
        let mut folding = projector.blocking_lock_owned();
        // What takes its place begins behind what is committed.
        folding.commit()?;
        Ok(folding)
    })?;
    *folding = Projector::new(store.generation(), projection);
    drop(folding);
    let Compacted {
        live,
        before,
        after,
    } = compaction.remove_old()?;
    metrics::counter!(COMPACTIONS, "views" => name).increment(1);
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(
        views = name,
        live,
        before,
        after,
        took_ms,
        "views are compacted"
    );
    report(name, &store.disk_use()?);
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge of bytes need not be exact above 2^53"
)]
fn report(name: &'static str, disk_use: &DiskUse) {
    for (gauge, bytes) in [
        (DISK_BYTES, disk_use.total()),
        (LIVE_BYTES, disk_use.live),
        (SET_ASIDE_BYTES, disk_use.set_aside),
    ] {
        metrics::gauge!(gauge, "views" => name).set(bytes as f64);
    }
}
