//! Starts the parts of an escalator, and stops them.

use std::sync::Arc;

use gridkeeper_eventlog::EventLog;
use gridkeeper_http::{About, Check, Clock, Health, HttpError, Standard, application};
use gridkeeper_identity::SigningKey;
use gridkeeper_liveviews::LiveViews;
use gridkeeper_proto::code::Coded as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    Error, Options,
    fire::{self, Fire},
    intake::Intake,
    timers::{SCHEMA, Timers},
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
/// [`Error::Option`], [`Error::Views`] when the timers cannot be opened, and what stopped it.
pub async fn run_on(
    listener: TcpListener,
    options: Options,
    parts: Parts,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    options.check()?;
    let metrics = gridkeeper_http::metrics::recorder().map_err(|error| endpoint(&error))?;
    fire::describe();
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
    (position, steps): (Check, Check),
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    let Parts { log, key, clock } = parts;
    let kept = (position, clock.clone(), options.http.ready_behind_events);
    let views = LiveViews::open(
        options.folder.clone(),
        options.views.clone(),
        SCHEMA,
        Timers::default(),
        kept,
    )
    .await?;
    let views = Arc::new(views);
    let fire = Fire {
        views: Arc::clone(&views),
        intake: Arc::new(Intake::new(&options, log.district(), key)?),
        options,
        clock,
        check: steps.clone(),
    };
    let stopped = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        // The reason is kept with the views.
        () = views.follow(&log) => Ok(()),
        ended = fire.run() => ended,
    };
    if let Err(error) = &stopped {
        tracing::error!(code = %error.code(), %error, "no more steps are sent");
        steps.failed(error);
    }
    // The endpoint goes on to say why.
    shutdown.cancelled().await;
    views.close().await?;
    stopped
}

fn endpoint(error: &HttpError) -> Error {
    Error::Endpoint {
        detail: error.to_string(),
        code: error.code(),
    }
}
