//! Starts the parts of an escalator, and stops them.

use std::sync::Arc;

use gridkeeper_eventlog::EventLog;
use gridkeeper_http::{About, Clock, Health, HttpError, Standard, application};
use gridkeeper_identity::SigningKey;
use gridkeeper_proto::code::Coded as _;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    Error, Options,
    fire::Fire,
    follow::{blocking, follow, open},
    intake::Intake,
};

const ABOUT: About = About {
    title: "Gridkeeper escalator",
    description: "Health and metrics. What it does shows in the log.",
};

/// What the whole process shares.
pub struct Parts {
    /// The log of the district.
    pub log: EventLog,
    /// Signs the tokens by which intake believes it.
    pub key: SigningKey,
    /// The time.
    pub clock: Clock,
}

/// Listens at the address of the options, and then is [`run_on`].
///
/// # Errors
/// [`Error::Endpoint`], and those of [`run_on`].
pub async fn run(options: Options, parts: Parts, shutdown: CancellationToken) -> Result<(), Error> {
    let listener = gridkeeper_http::listen(&options.listen)
        .await
        .map_err(|error| endpoint(&error))?;
    run_on(listener, options, parts, shutdown).await
}

/// Follows the log and sends steps until told to stop; serves health and metrics at the listener.
///
/// An event that cannot be folded turns health red, and no step is sent from then on; the process stays,
/// and the error is returned when it is told to stop.
///
/// # Errors
/// [`Error::Option`], [`Error::Store`] when the timers cannot be opened, and what stopped it.
pub async fn run_on(
    listener: TcpListener,
    options: Options,
    parts: Parts,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    options.check()?;
    let metrics = gridkeeper_http::metrics::recorder().map_err(|error| endpoint(&error))?;
    let clock = parts.clock.clone();
    let health = Health::new(&options.http, clock.now());
    let position = health.register("escalator position", clock.now());
    let steps = health.register("due steps", clock.now());
    let standard = Standard {
        health,
        clock,
        metrics,
        options: options.http.clone(),
    };
    let (router, _document) = application(&ABOUT, OpenApiRouter::new(), (), standard);
    let drain = options.http.drain();
    let stop_serving = shutdown.child_token();
    // Serving begins before the timers are opened, which reads all of them.
    let serving = gridkeeper_http::serve(listener, router, stop_serving.clone(), drain);
    let working = async {
        let worked = work(options, parts, (position, steps), &shutdown).await;
        stop_serving.cancel();
        worked
    };
    let (worked, ()) = tokio::join!(working, serving);
    worked
}

async fn work(
    options: Options,
    parts: Parts,
    (position, steps): (gridkeeper_http::Check, gridkeeper_http::Check),
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    let Parts { log, key, clock } = parts;
    let store = open(&options).await?;
    let (known, known_end) = watch::channel(None);
    let fire = Fire {
        store: store.clone(),
        intake: Arc::new(Intake::new(&options, log.district(), key)?),
        options: options.clone(),
        clock: clock.clone(),
        check: steps.clone(),
        known: known_end,
    };
    let stopped = tokio::select! {
        () = shutdown.cancelled() => None,
        error = follow(&log, &store, &options, &known, (&position, &clock)) => {
            position.failed(&error);
            Some(error)
        }
        ended = fire.run() => {
            let error = ended.err();
            error.inspect(|error| steps.failed(error))
        }
    };
    match stopped {
        // What was folded by then is read again from the log where it does not reach the disk.
        None => Ok(blocking(move || store.flush()).await?),
        Some(error) => {
            tracing::error!(code = %error.code(), %error, "the escalator stopped; it sends no more steps");
            shutdown.cancelled().await;
            Err(error)
        }
    }
}

fn endpoint(error: &HttpError) -> Error {
    Error::Endpoint {
        detail: error.to_string(),
        code: error.code(),
    }
}
