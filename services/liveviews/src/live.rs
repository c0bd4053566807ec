//! Views, and how far they are.

use std::{panic::resume_unwind, path::PathBuf, sync::Arc};

use gridkeeper_http::{Check, Clock};
use gridkeeper_proto::{
    code::{Code, Coded as _},
    envelope::Position,
};
use gridkeeper_viewstore::{Opened, Projection, Projector, Schema, ViewStore};
use tokio::{
    sync::{Mutex, OwnedMutexGuard, watch},
    task::{JoinError, spawn_blocking},
};

use crate::{
    Error, Options, Progress, Verified,
    log::{LogEvent, Source},
    reached::Reached,
};

const QUARANTINED: &str = "gridkeeper_views_quarantined_total";
const FOLDED: &str = "gridkeeper_views_events_folded_total";

/// How far views are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// They have not reached the end of the log since the start.
    CatchingUp,
    /// They have, and follow it.
    Following,
    /// An error stopped them, for good.
    Stopped {
        /// Its code.
        code: Code,
        /// What it said.
        detail: String,
    },
}

/// Views that keep up with the log while [`LiveViews::follow`] is polled.
pub struct LiveViews<P> {
    pub(crate) options: Options,
    pub(crate) store: ViewStore,
    pub(crate) projection: Verified<P>,
    pub(crate) reached: Reached,
    /// What the projection is called in metrics.
    pub(crate) name: &'static str,
    /// Who holds it folds into the serving generation; a rebuild holds it while it takes its place.
    pub(crate) projector: Arc<Mutex<Projector<Verified<P>>>>,
    /// Held while the folder is measured and compacted.
    pub(crate) compacting: Arc<Mutex<()>>,
    pub(crate) state: watch::Sender<State>,
    pub(crate) last_known: watch::Sender<Option<Position>>,
    pub(crate) history_compared: watch::Sender<bool>,
    pub(crate) check: Check,
    pub(crate) clock: Clock,
    /// Up to how many events behind the log views count as caught up.
    pub(crate) ready_behind: u64,
}

impl<P: Projection<LogEvent> + Clone + 'static> LiveViews<P> {
    /// Opens the views in the folder, which no other process may use. A corrupt folder is set aside, logged and counted;
    /// the views then begin at the log's start.
    ///
    /// # Errors
    /// [`Error::Option`], and [`Error::Store`] for a folder that cannot be used.
    pub async fn open(
        folder: PathBuf,
        options: Options,
        schema: Schema,
        projection: P,
        (check, clock, ready_behind): (Check, Clock, u64),
    ) -> Result<Self, Error> {
        options.check()?;
        let store = options.store.clone();
        let (store, opened) = blocking(move || ViewStore::open(folder, schema, store)).await?;
        tell(&store, &opened);
        let reached = Reached::open(store.folder())?;
        store.generation().set_filling(true);
        let projection = Verified::new(projection);
        let projector = Projector::new(store.generation(), projection.clone());
        Ok(Self {
            options,
            store,
            projection,
            reached,
            name: schema.name,
            projector: Arc::new(Mutex::new(projector)),
            compacting: Arc::default(),
            state: watch::Sender::new(State::CatchingUp),
            last_known: watch::Sender::new(None),
            history_compared: watch::Sender::new(false),
            check,
            clock,
            ready_behind,
        })
    }

    /// Where the views are read.
    #[must_use]
    pub fn store(&self) -> &ViewStore {
        &self.store
    }

    /// How far the views are, and what ties them to the log.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn progress(&self) -> Result<Progress, Error> {
        Ok(self.store.read(Progress::read)?)
    }

    /// Sees the state change.
    #[must_use]
    pub fn states(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// The end of the log as of the latest batch; none before the first.
    #[must_use]
    pub fn last_known(&self) -> Option<Position> {
        *self.last_known.borrow()
    }

    /// The error that stopped the views, if one did.
    #[must_use]
    pub fn stopped(&self) -> Option<Error> {
        match &*self.state.borrow() {
            State::Stopped { code, detail } => Some(Error::Stopped {
                code: *code,
                detail: detail.clone(),
            }),
            _ => None,
        }
    }

    /// Ends after a batch under way, with the views on the disk.
    ///
    /// # Errors
    /// What stopped the views before, and [`Error::Store`].
    pub async fn close(&self) -> Result<(), Error> {
        self.store.abandon_compaction();
        let _none_compacts = self.compacting.lock().await;
        let mut folding = Arc::clone(&self.projector).lock_owned().await;
        if let Some(stopped) = self.stopped() {
            return Err(stopped);
        }
        let flush = self.flush_and_note();
        blocking(move || {
            folding.commit()?;
            // A compaction keeps flushes waiting while it waits for the projector.
            drop(folding);
            flush()
        })
        .await
    }

    /// Hands what is committed to the disk, and writes how far that is.
    pub(crate) fn flush_and_note(&self) -> impl FnOnce() -> Result<(), Error> + Send + use<P> {
        let (store, note_reached) = (self.store.clone(), self.note_reached());
        move || {
            store.flush()?;
            note_reached()
        }
    }

    /// Writes how far the views are beside them, once the history that they were folded from is
    /// compared: nobody vouches for what nobody has compared.
    pub(crate) fn note_reached(&self) -> impl FnOnce() -> Result<(), Error> + Send + use<P> {
        let (store, reached) = (self.store.clone(), self.reached.clone());
        let compared = *self.history_compared.borrow();
        move || match compared {
            true => reached.write(&store.read(Progress::read)?),
            false => Ok(()),
        }
    }

    /// Turns health red, for good.
    pub(crate) fn stop(&self, error: &Error) {
        tracing::error!(
            code = %error.code(), position = %self.store.position(), %error, views = self.name,
            "the views stopped"
        );
        self.check.failed(error);
        self.state.send_replace(State::Stopped {
            code: error.code(),
            detail: error.to_string(),
        });
    }

    /// Folds events away from the threads that answer, and commits what is folded: on demand, or when it takes as
    /// much memory as it may. Says whether it did.
    pub(crate) async fn apply(
        &self,
        mut projector: OwnedMutexGuard<Projector<Verified<P>>>,
        (events, source): (Vec<LogEvent>, Source),
        commit: bool,
    ) -> Result<bool, Error> {
        let most = self.options.views_in_memory;
        let (folded, committed) = blocking(move || {
            projector.projection_mut().read_from(source);
            let folded = projector.fold(&events)?.folded;
            let commit = commit || projector.waiting() >= most;
            if commit {
                projector.commit()?;
            }
            Ok::<_, gridkeeper_viewstore::Error>((folded, commit))
        })
        .await?;
        metrics::counter!(FOLDED, "views" => self.name).increment(folded as u64);
        Ok(committed)
    }
}

/// Runs work that blocks. A panic of it goes on here.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    ended(spawn_blocking(work).await).await
}

/// What work came to that blocked. A panic of it goes on here.
pub(crate) async fn ended<T>(work: Result<T, JoinError>) -> T {
    match work {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // Only a runtime that ends cancels it, and that ends the waiting too.
            Err(_) => std::future::pending().await,
        },
    }
}

fn tell(store: &ViewStore, opened: &Opened) {
    let (folder, position) = (store.folder().display(), store.position());
    match opened {
        Opened::Created => tracing::info!(%folder, "new views: the log is read from its start"),
        Opened::Continued => {
            tracing::info!(%folder, %position, "views read on from their position");
        }
        Opened::OtherSchema { found } => {
            tracing::warn!(%folder, found, "views of another layout were dropped: the log is read from its start");
        }
        Opened::Quarantined { reason, moved_to } => {
            metrics::counter!(QUARANTINED).increment(1);
            let moved_to = moved_to.as_ref().map(|path| path.display().to_string());
            tracing::error!(%folder, reason, moved_to, "corrupt views were set aside: the log is read from its start");
        }
        Opened::Missing { folder: missing } => {
            metrics::counter!(QUARANTINED).increment(1);
            tracing::error!(%folder, missing = %missing.display(), "views are gone: the log is read from its start");
        }
    }
}
