//! What the parts of a running aggregator share.

use std::{panic::resume_unwind, sync::Arc};

use gridkeeper_district::District;
use gridkeeper_http::{Check, Clock};
use gridkeeper_proto::{
    area::AreaCode,
    code::{Code, Coded as _},
};
use gridkeeper_viewstore::{Applied, Opened, Projector, ViewStore};
use tokio::{
    sync::{Mutex, OwnedMutexGuard, watch},
    task::spawn_blocking,
};

use crate::{
    Error, Options,
    log::{LogError, RawEvent},
    projection::{SCHEMA, Views},
};

const QUARANTINED: &str = "gridkeeper_views_quarantined_total";
const FOLDED: &str = "gridkeeper_aggregator_events_folded_total";

/// Whether questions are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The views have not reached the end of the log since the start.
    CatchingUp,
    /// They have, and follow it.
    Following,
    /// An error stopped the projection.
    Stopped { code: Code, detail: String },
}

/// What the parts of a running aggregator share.
pub(crate) struct Running {
    pub(crate) district: AreaCode,
    pub(crate) options: Options,
    pub(crate) store: ViewStore,
    /// Makes the projections of this aggregator.
    pub(crate) views: Views,
    /// Who holds it folds into the serving generation; a rebuild holds it while it takes its place.
    pub(crate) projector: Arc<Mutex<Projector<Views>>>,
    pub(crate) state: watch::Sender<State>,
    pub(crate) check: Check,
    pub(crate) clock: Clock,
}

impl Running {
    pub(crate) async fn open(
        options: Options,
        district: &District,
        check: Check,
        clock: Clock,
    ) -> Result<Self, Error> {
        let (folder, store) = (options.folder.clone(), options.store.clone());
        let (store, opened) = blocking(move || ViewStore::open(folder, SCHEMA, store)).await?;
        tell(&store, &opened);
        let views = Views::new(district.zone().clone());
        let projector = Projector::new(store.generation(), views.clone());
        Ok(Self {
            district: district.code(),
            options,
            store,
            views,
            projector: Arc::new(Mutex::new(projector)),
            state: watch::Sender::new(State::CatchingUp),
            check,
            clock,
        })
    }

    /// The error that stopped the projection, if one did.
    pub(crate) fn stopped(&self) -> Option<Error> {
        match &*self.state.borrow() {
            State::Stopped { code, detail } => Some(Error::Stopped {
                code: *code,
                detail: detail.clone(),
            }),
            _ => None,
        }
    }

    /// Turns health red, for good.
    pub(crate) fn stop(&self, error: &Error) {
        tracing::error!(
            code = %error.code(), position = %self.store.position(), %error,
            "the projection stopped; questions are answered with this error"
        );
        self.check.failed(error);
        self.state.send_replace(State::Stopped {
            code: error.code(),
            detail: error.to_string(),
        });
    }

    /// Hands what is committed to the disk.
    pub(crate) async fn flush(&self) -> Result<(), Error> {
        let store = self.store.clone();
        Ok(blocking(move || store.flush()).await?)
    }
}

/// Folds a batch away from the threads that answer.
pub(crate) async fn apply(
    mut projector: OwnedMutexGuard<Projector<Views>>,
    events: Vec<RawEvent>,
) -> Result<Applied, Error> {
    let applied = blocking(move || projector.apply(&events)).await?;
    metrics::counter!(FOLDED).increment(applied.folded as u64);
    Ok(applied)
}

/// Runs work that blocks. A panic of it goes on here.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
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

impl From<LogError> for Error {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Unavailable(detail) => Self::RebuildAbandoned { detail },
            LogError::Broken { code, detail } => Self::Log { detail, code },
        }
    }
}
