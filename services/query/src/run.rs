//! Starts the endpoint, the feed of live events and the watch on the aggregators, and stops them.

use std::sync::Arc;

use gridkeeper_district::District;
use gridkeeper_districtviews::KeptHere;
use gridkeeper_eventlog::{EventLog, KeyStore};
use gridkeeper_http::{Check, Clock, ComparedClock, Health, HttpError, Standard, application};
use gridkeeper_identity::Verifier;
use gridkeeper_proto::{code::Coded as _, view::ViewQuestion};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{Duration, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Options,
    feed::Feed,
    questions::{Handle, Questions},
    routes::{ABOUT, routes},
    rules::{KnownRosters, KnownRules},
    views::{Freshness, Views},
};

/// How many questions read the whole log at once.
const PAST_AT_ONCE: usize = 2;

/// How often it is looked whether the time is in doubt.
const LOOK_AT_CLOCK_EVERY: Duration = Duration::from_millis(250);

/// What the whole process shares.
pub struct Parts {
    /// Areas and their names.
    pub district: Arc<District>,
    /// By whose keys tokens are believed.
    pub verifier: Arc<Verifier>,
    /// The time.
    pub clock: Clock,
    /// The views of this process, to answer from them; without, aggregators are asked over the broker.
    pub own_views: Option<KeptHere>,
}

/// Listens at the address of the options, and then is [`run_on`].
///
/// # Errors
/// [`Error::Endpoint`], and those of [`run_on`].
pub async fn run(
    options: Options,
    parts: Parts,
    stores: (EventLog, KeyStore),
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let listener = gridkeeper_http::listen(&options.listen)
        .await
        .map_err(|error| endpoint(&error))?;
    run_on(listener, options, parts, stores, shutdown).await
}

/// Serves at the listener until it is told to stop.
///
/// A log that cannot be read on ends the live events and turns health red; questions to the views are
/// answered as long as an aggregator does.
///
/// # Errors
/// [`Error::Option`], [`Error::Broker`], [`Error::Endpoint`].
pub async fn run_on(
    listener: TcpListener,
    options: Options,
    parts: Parts,
    (log, keys): (EventLog, KeyStore),
    shutdown: CancellationToken,
) -> Result<(), Error> {
    options.check()?;
    let metrics = gridkeeper_http::metrics::recorder().map_err(|error| endpoint(&error))?;
    let Parts {
        district,
        verifier,
        clock,
        own_views,
    } = parts;
    let compared = ComparedClock::new(clock, options.clock_tolerance_ms);
    let clock = compared.clock();
    let health = Health::new(&options.http, clock.now());
    let events = health.register("live events position", clock.now());
    let aggregator = health.register("aggregator position", clock.now());
    let clock_check = health.register("clock", clock.now());
    let standard = Standard {
        health,
        clock: clock.clone(),
        metrics,
        options: options.http.clone(),
    };
    let views = Views::of(own_views, &options, district.code()).await?;
    let feed = Feed::new(&options);
    let questions = Arc::new(Questions {
        past_places: Semaphore::new(PAST_AT_ONCE),
        live_places: Arc::new(Semaphore::new(options.live_clients)),
        district,
        verifier,
        clock: clock.clone(),
        views,
        log: log.clone(),
        keys,
        feed: feed.clone(),
        known_rules: KnownRules::default(),
        known_rosters: KnownRosters::default(),
        options,
    });
    let state = Handle(Arc::clone(&questions));
    let (router, _document) = application(&ABOUT, routes(), state, standard);
    let drain = questions.options.http.drain();
    let serving = gridkeeper_http::serve(listener, router, shutdown, drain);
    let working = async {
        tokio::join!(
            feed.run(log.clone(), &questions.options, &events, &clock),
            watch(&questions, &aggregator),
            compare_clocks(&compared, &log, &clock_check),
        )
    };
    tokio::select! {
        () = serving => {}
        _ = working => {}
    }
    Ok(())
}

/// Compares the clock with the broker's again and again.
async fn compare_clocks(compared: &ComparedClock, log: &EventLog, check: &Check) {
    let mut ticks = interval(LOOK_AT_CLOCK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // What is wrong with the log, the live events say.
        let ask = async { log.facts().await.ok()?.time };
        compared.tend(check, ask).await;
    }
}

/// Asks again and again how far the views are.
async fn watch(questions: &Questions, check: &Check) {
    loop {
        match questions
            .views
            .ask(Freshness::default(), ViewQuestion::Position)
            .await
        {
            Ok((position, _)) => {
                let last = questions.feed.position();
                check.progress(position.0, last.0, questions.clock.now());
            }
            Err(error @ Error::View(_)) => check.failed(&error),
            // For a while none may answer, as when one is started again; the check grows old by itself.
            Err(error) => tracing::debug!(%error, "no aggregator tells its position"),
        }
        sleep(questions.options.retry()).await;
    }
}

fn endpoint(error: &HttpError) -> Error {
    Error::Endpoint {
        detail: error.to_string(),
        code: error.code(),
    }
}
