//! Follows the log with the timers.

use std::panic::resume_unwind;

use gridkeeper_eventlog::{EventLog, Stored};
use gridkeeper_http::{Check, Clock};
use gridkeeper_proto::{envelope::Position, event::Recorded};
use gridkeeper_viewstore::{Opened, Projector, ViewStore};
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{Instant, sleep},
};

use crate::{
    Error, Options,
    timers::{Decoded, SCHEMA, Timers},
};

/// Opens the timers.
pub(crate) async fn open(options: &Options) -> Result<ViewStore, Error> {
    let (folder, settings) = (options.folder.clone(), options.store.clone());
    let opened = blocking(move || ViewStore::open(folder, SCHEMA, settings)).await;
    let (store, opened) = opened?;
    let (folder, position) = (store.folder().display(), store.position());
    match opened {
        Opened::Created => tracing::info!(%folder, "new timers: the log is read from its start"),
        Opened::Continued => tracing::info!(%folder, %position, "timers read on"),
        other => {
            tracing::error!(%folder, found = ?other, "timers were set aside: the log is read from its start");
        }
    }
    Ok(store)
}

/// Follows the log until an error that asking again does not help. `known` tells the end of the log as far
/// as it is known, once it is.
pub(crate) async fn follow(
    log: &EventLog,
    store: &ViewStore,
    options: &Options,
    known: &watch::Sender<Option<Position>>,
    (check, clock): (&Check, &Clock),
) -> Error {
    let mut projector = Projector::new(store.generation(), Timers);
    let mut follower = log.follow(store.position());
    let mut flushed = Instant::now();
    loop {
        let batch = match follower
            .next_batch(options.batch_events, options.batch_bytes)
            .await
        {
            Ok(batch) => batch,
            Err(error) if error.is_unavailable() => {
                tracing::warn!(%error, "the log does not answer; asking again");
                sleep(options.retry()).await;
                continue;
            }
            Err(error) => return error.into(),
        };
        let events: Result<Vec<_>, _> = batch.events.iter().map(decoded).collect();
        let events = match events {
            Ok(events) => events,
            Err(error) => return error,
        };
        let flush = flushed.elapsed() >= options.flush_every();
        let of_batch = store.clone();
        let (back, applied) = blocking(move || {
            let applied = projector.apply(&events).map_err(Error::from);
            let flushed = match flush {
                true => of_batch.flush().map_err(Error::from),
                false => Ok(()),
            };
            (projector, applied.and(flushed))
        })
        .await;
        projector = back;
        if let Err(error) = applied {
            return error;
        }
        if flush {
            flushed = Instant::now();
        }
        check.progress(store.position().0, batch.last_known.0, clock.now());
        known.send_replace(Some(batch.last_known));
    }
}

fn decoded(stored: &Stored) -> Result<Decoded, Error> {
    let position = stored.position;
    Recorded::decode(position, &stored.bytes)
        .map(Decoded)
        .map_err(|source| Error::Event { position, source })
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
