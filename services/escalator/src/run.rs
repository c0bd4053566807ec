//! Starts the parts of an escalator, and stops them.

use std::sync::Arc;

use gridkeeper_eventlog::EventLog;
use gridkeeper_http::{
    About, Check, Clock, ComparedClock, Health, HttpError, Standard, application,
};
use gridkeeper_identity::SigningKey;
use gridkeeper_liveviews::{LiveViews, Reopening, blocking, is_of_disk};
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
    let Parts { log, key, clock } = parts;
    let compared = ComparedClock::new(clock, options.clock_tolerance_ms);
    let clock = compared.clock();
    let health = Health::new(&options.http, clock.now());
    let checks = Checks {
        position: health.register("escalator position", clock.now()),
        steps: health.register("due steps", clock.now()),
        clock: health.register("clock", clock.now()),
    };
    let standard = Standard {
        health,
        clock: clock.clone(),
        metrics,
        options: options.http.clone(),
    };
    let (router, _document) = application(&ABOUT, OpenApiRouter::new(), (), standard);
    let drain = options.http.drain();
    let stop_serving = shutdown.child_token();
    // Serving begins before the timers are opened, which reads all of them.
    let serving = gridkeeper_http::serve(listener, router, stop_serving.clone(), drain);
    let working = async {
        let worked = async {
            let keeping = Keeping {
                intake: Arc::new(Intake::new(&options, log.district(), key)?),
                options,
                log,
                clock,
                compared,
                checks,
            };
            keeping.keep(&shutdown).await
        };
        let worked = worked.await;
        stop_serving.cancel();
        worked
    };
    let (worked, ()) = tokio::join!(working, serving);
    worked
}

/// The parts of health.
struct Checks {
    position: Check,
    steps: Check,
    clock: Check,
}

/// What timers are kept with.
struct Keeping {
    options: Options,
    log: EventLog,
    intake: Arc<Intake>,
    clock: Clock,
    compared: ComparedClock,
    checks: Checks,
}

impl Keeping {
    /// Keeps timers and sends steps until told to stop; timers that the disk refuses are opened again until it does
    /// not.
    async fn keep(self, shutdown: &CancellationToken) -> Result<(), Error> {
        let mut reopening = Reopening::new(&self.options.views);
        loop {
            let stopped = match self.open().await {
                Ok(views) => match self.work(views, shutdown).await {
                    Err(error) if is_of_disk(error.code()) && !shutdown.is_cancelled() => error,
                    ended => return ended,
                },
                Err(error) if reopening.passes(&error) => error.into(),
                Err(error) => return Err(error.into()),
            };
            tokio::select! {
                () = shutdown.cancelled() => return Err(stopped),
                () = reopening.wait(&stopped, &self.checks.position) => {}
            }
        }
    }

    async fn open(&self) -> Result<LiveViews<Timers>, gridkeeper_liveviews::Error> {
        let position = self.checks.position.clone();
        let ready_behind = self.options.http.ready_behind_events;
        LiveViews::open(
            self.options.folder.clone(),
            self.options.views.clone(),
            SCHEMA,
            Timers::default(),
            (position, self.clock.clone(), ready_behind),
        )
        .await
    }

    /// Works until told to stop, or until the disk stops the timers.
    async fn work(
        &self,
        views: LiveViews<Timers>,
        shutdown: &CancellationToken,
    ) -> Result<(), Error> {
        let views = Arc::new(views);
        let fire = Fire {
            views: Arc::clone(&views),
            intake: Arc::clone(&self.intake),
            log: self.log.clone(),
            options: self.options.clone(),
            clock: self.compared.clone(),
            check: self.checks.steps.clone(),
            clock_check: self.checks.clock.clone(),
        };
        let stopped = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            stopped = views.follow(&self.log) => Err(stopped.into()),
            ended = fire.run() => ended,
        };
        match stopped {
            Err(error) if is_of_disk(error.code()) => {
                // Closing a database takes its time.
                blocking(move || drop(views)).await;
                return Err(error);
            }
            Err(Error::Views(_)) | Ok(()) => {}
            Err(error) => {
                tracing::error!(code = %error.code(), %error, "no more steps are sent");
                self.checks.steps.failed(&error);
                // The endpoint goes on to say why.
                shutdown.cancelled().await;
                views.close().await?;
                return Err(error);
            }
        }
        // The endpoint goes on to say why, and the reason is kept with the views.
        shutdown.cancelled().await;
        Ok(views.close().await?)
    }
}

fn endpoint(error: &HttpError) -> Error {
    Error::Endpoint {
        detail: error.to_string(),
        code: error.code(),
    }
}
