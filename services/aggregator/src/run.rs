//! Starts the parts of an aggregator, and stops them.

use std::sync::Arc;

use async_nats::{Client, ConnectOptions};
use gridkeeper_district::District;
use gridkeeper_districtviews::{
    DistrictViews, KeptHere,
    projection::{SCHEMA, Views},
};
use gridkeeper_http::{About, Check, Clock, Health, HttpError, Standard, application};
use gridkeeper_liveviews::{LiveViews, Reopening, blocking, is_of_disk, log::Log};
use gridkeeper_proto::code::Coded as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    Error, Options, aggregator::Aggregator, known::tell_on_request, questions::answer_all,
    rebuild::rebuild_on_request,
};

const ABOUT: About = About {
    title: "Gridkeeper aggregator",
    description: "Health and metrics. Questions are asked over the broker.",
};

/// What the whole process shares.
pub struct Parts {
    /// Areas and the zone of the days.
    pub district: Arc<District>,
    /// The time.
    pub clock: Clock,
    /// Where others of this process find the views.
    pub views: KeptHere,
}

/// Listens at the address of the options, and then is [`run_on`].
///
/// # Errors
/// [`Error::Endpoint`], and those of [`run_on`].
pub async fn run<L: Log>(
    options: Options,
    parts: Parts,
    log: L,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let listener = gridkeeper_http::listen(&options.listen)
        .await
        .map_err(|error| endpoint(&error))?;
    run_on(listener, options, parts, log, shutdown).await
}

/// Follows the log and answers questions until told to stop; serves health and metrics at the listener.
///
/// An event that cannot be folded, a gap and a broken chain turn health red and are the answer to every
/// question from then on; the process stays, and the error is returned when it is told to stop.
///
/// # Errors
/// [`Error::Option`], [`Error::Views`] when the views cannot be opened and with what stopped them, and
/// [`Error::Broker`].
pub async fn run_on<L: Log>(
    listener: TcpListener,
    options: Options,
    parts: Parts,
    log: L,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    options.check()?;
    let Parts {
        district,
        clock,
        views: kept_here,
    } = parts;
    // First, so that nothing is measured before it is recorded.
    let metrics = gridkeeper_http::metrics::recorder().map_err(|error| endpoint(&error))?;
    let health = Health::new(&options.http, clock.now());
    let check = health.register("aggregator position", clock.now());
    let standard = Standard {
        health,
        clock: clock.clone(),
        metrics,
        options: options.http.clone(),
    };
    let (router, _document) = application(&ABOUT, OpenApiRouter::new(), (), standard);
    let drain = options.http.drain();
    let stop_serving = shutdown.child_token();
    // Serving begins before the views are opened, which reads all of them.
    let serving = gridkeeper_http::serve(listener, router, stop_serving.clone(), drain);
    let parts = Keeping {
        district,
        options,
        clock,
        check,
        log: Arc::new(log),
        kept_here,
    };
    let working = async {
        let worked = parts.keep(&shutdown).await;
        stop_serving.cancel();
        worked
    };
    let (worked, ()) = tokio::join!(working, serving);
    worked
}

/// What views are kept with.
struct Keeping<L> {
    district: Arc<District>,
    options: Options,
    clock: Clock,
    check: Check,
    log: Arc<L>,
    kept_here: KeptHere,
}

impl<L: Log> Keeping<L> {
    /// Keeps views until told to stop; those that the disk refuses are opened again until it does not.
    async fn keep(self, shutdown: &CancellationToken) -> Result<(), Error> {
        let client = connect(&self.options.nats_url).await?;
        let mut reopening = Reopening::new(&self.options.views);
        loop {
            let stopped = match self.open().await {
                Ok(aggregator) => {
                    let worked = work(&self.log, aggregator, &client, &self.kept_here, shutdown);
                    match worked.await? {
                        Some(stopped) => stopped,
                        None => return Ok(()),
                    }
                }
                Err(error) if reopening.passes(&error) => error,
                Err(error) => return Err(error.into()),
            };
            tokio::select! {
                () = shutdown.cancelled() => return Err(stopped.into()),
                () = reopening.wait(&stopped, &self.check) => {}
            }
        }
    }

    async fn open(&self) -> Result<Arc<Aggregator>, gridkeeper_liveviews::Error> {
        let Self {
            options, district, ..
        } = self;
        let ready_behind = options.http.ready_behind_events;
        let views = LiveViews::open(
            options.folder.clone(),
            options.views.clone(),
            SCHEMA,
            Views::new(district.zone().clone()),
            (self.check.clone(), self.clock.clone(), ready_behind),
        );
        let views = DistrictViews::new(views.await?, options.wait_limit_ms);
        Ok(Arc::new(Aggregator {
            district: district.code(),
            options: options.clone(),
            views: Arc::new(views),
        }))
    }
}

/// Works until told to stop, or until the disk stops the views: the error then.
async fn work<L: Log>(
    log: &Arc<L>,
    aggregator: Arc<Aggregator>,
    client: &Client,
    kept_here: &KeptHere,
    shutdown: &CancellationToken,
) -> Result<Option<gridkeeper_liveviews::Error>, Error> {
    let following = async {
        let stopped = aggregator.views.follow(&**log).await;
        if !is_of_disk(stopped.code()) {
            // The endpoint and the answers go on to say why it ended.
            std::future::pending::<()>().await;
        }
        stopped
    };
    let ended = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        stopped = following => {
            // Closing a database takes its time.
            blocking(move || drop(aggregator)).await;
            return Ok(Some(stopped));
        }
        ended = answer_all(Arc::clone(&aggregator), client.clone(), kept_here) => ended,
        ended = rebuild_on_request(log, &aggregator, client) => ended,
        ended = tell_on_request(&aggregator, client) => ended,
    };
    aggregator.views.close().await?;
    ended.map(|()| None)
}

async fn connect(url: &str) -> Result<Client, Error> {
    ConnectOptions::new()
        .name("gridkeeper aggregator")
        // A broker that is not there yet is waited for, like one that restarts.
        .retry_on_initial_connect()
        .connect(url)
        .await
        .map_err(|error| Error::Broker {
            detail: error.to_string(),
        })
}

fn endpoint(error: &HttpError) -> Error {
    Error::Endpoint {
        detail: error.to_string(),
        code: error.code(),
    }
}
