//! `gridkeeper up`: a broker beside, all services inside this process, and what to ask them.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gridkeeper_broker::{Binary, Broker};
use gridkeeper_http::HealthReport;
use gridkeeper_identity::SigningKey;
use gridkeeper_proto::area::AreaCode;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{district::summary, init, simulate::Workers};
use crate::{
    door::Door,
    error::Error,
    installation::{Installation, Place},
    logging,
    signals::asked_to_stop,
    simulate::{Limits, Tally, send},
    supervise::Parts,
    terminal, tokens,
};

/// How often a service that starts is asked whether it is ready, and how often the waiting is told.
const ASK_EVERY: Duration = Duration::from_millis(50);
const TELL_EVERY: Duration = Duration::from_secs(5);
/// How often the simulation tells how far it is.
const TALLY_EVERY: Duration = Duration::from_secs(30);
/// How long the simulated phones wait for intake before they give up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts everything in one process, with a broker beside it, until Ctrl-C.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(flatten)]
    place: Place,
    /// Let simulated grid workers file reports.
    #[arg(long)]
    simulate: bool,
    #[command(flatten)]
    workers: Workers,
}

/// A service and where it listens.
struct Endpoint {
    name: &'static str,
    address: String,
}

/// Runs the command.
pub(super) async fn run(command: Command) -> Result<(), Error> {
    gridkeeper_private::mask();
    logging::begin();
    let asked = asked_to_stop()?;
    let mut installation = Installation::open(&command.place)?;
    terminal::progress(format!("District {}", summary(&installation.district)));
    for change in init::complete(&installation.layout)? {
        terminal::progress(change.done());
    }
    let key = Arc::new(installation.signing_key()?);
    let folder = installation.layout.tokens();
    let now = installation.clock.now();
    tokens::write(&folder, &key, &installation.district, now)?;
    terminal::progress("Starting nats-server ...");
    let broker = start_broker(&installation).await?;
    let broker_url = broker.url();
    installation.use_broker(&broker_url);
    installation.use_own_intake();
    installation.watch_own_broker();
    let installation = Arc::new(installation);
    let district = installation.district.code();
    let mut parts = Parts::default();
    parts.start(
        "broker",
        |stop| async move { Ok(broker.supervise(stop).await?) },
    );
    let endpoints = start_services(&mut parts, &installation);
    let simulated = command.simulate.then_some(command.workers);
    let simulate = CancellationToken::new();
    if let Some(workers) = simulated {
        let (installation, begin) = (Arc::clone(&installation), simulate.clone());
        parts.start("simulation", |stop| async move {
            stop.run_until_cancelled(begin.cancelled()).await;
            simulation(&installation, workers, key, stop).await
        });
    }
    let until_asked = async {
        let announced = async {
            wait_until_ready(&endpoints).await?;
            announce(&endpoints, &broker_url, &folder, district, simulated)?;
            simulate.cancel();
            std::future::pending::<Result<(), Error>>().await
        };
        tokio::select! {
            () = asked => Ok(()),
            failed = announced => failed,
        }
    };
    let mut announced = Ok(());
    let ended = parts
        .run(async {
            announced = until_asked.await;
            terminal::progress("Stopping ...");
        })
        .await;
    ended.and(announced)
}

async fn start_broker(installation: &Installation) -> Result<Broker, Error> {
    let options = gridkeeper_broker::Options {
        folder: installation.layout.config.broker.folder.clone(),
        port: installation.layout.config.broker.port,
    };
    Ok(Broker::start(Binary::find().await?, &options).await?)
}

/// Starts the services; what others stand on comes first, and is stopped last.
fn start_services(parts: &mut Parts, installation: &Arc<Installation>) -> Vec<Endpoint> {
    let config = &installation.layout.config;
    let mut endpoints = Vec::new();
    macro_rules! start {
        ($($service:ident),+) => {
            $(
                let service = Arc::clone(installation);
                parts.start(stringify!($service), |stop| service.$service(stop));
                endpoints.push(Endpoint {
                    name: stringify!($service),
                    address: format!("http://{}", config.$service.listen),
                });
            )+
        };
    }
    start!(aggregator, intake, escalator, query);
    endpoints
}

async fn wait_until_ready(endpoints: &[Endpoint]) -> Result<(), Error> {
    for endpoint in endpoints {
        let started = Instant::now();
        let mut told = started;
        while !is_ready(endpoint).await {
            if told.elapsed() >= TELL_EVERY {
                let waited = started.elapsed().as_secs();
                let word = match health(endpoint).await {
                    Some(wrong) => wrong,
                    None => format!("reads the log ({waited} s) ..."),
                };
                terminal::progress(format!("Waiting for the {}: {word}", endpoint.name));
                told = Instant::now();
            }
            sleep(ASK_EVERY).await;
        }
    }
    Ok(())
}

/// What is wrong with a service, with its code; `None` if it says nothing is.
async fn health(endpoint: &Endpoint) -> Option<String> {
    let answer = reqwest::get(format!("{}/healthz", endpoint.address)).await;
    let health: HealthReport = answer.ok()?.json().await.ok()?;
    let wrong = health.checks.into_iter().find(|check| !check.ok)?;
    let code = wrong.code.unwrap_or_default();
    Some(format!(
        "{code} {} (`gridkeeper doctor` says what to do)",
        wrong.detail
    ))
}

async fn is_ready(endpoint: &Endpoint) -> bool {
    let answer = reqwest::get(format!("{}/readyz", endpoint.address)).await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

fn announce(
    endpoints: &[Endpoint],
    broker_url: &str,
    tokens: &Path,
    district: AreaCode,
    simulated: Option<Workers>,
) -> Result<(), Error> {
    terminal::answer("\nGridkeeper is up:")?;
    for Endpoint { name, address } in endpoints {
        terminal::answer(format!("  {name:<12}{address}"))?;
    }
    terminal::answer(format!("  {:<12}{broker_url}", "broker"))?;
    let days = tokens::DAYS;
    terminal::answer(format!(
        "  {:<12}{}/*.jwt, for {days} days",
        "tokens",
        tokens.display()
    ))?;
    if let Some(workers) = simulated {
        terminal::answer(format!(
            "  {:<12}{} simulated grid workers, {} times as fast as life",
            "reports", workers.workers, workers.speed
        ))?;
    }
    let query = endpoints.iter().find(|endpoint| endpoint.name == "query");
    if let Some(query) = query {
        try_these(&query.address, tokens, district)?;
    }
    terminal::answer("Ctrl-C stops it; the next start finds everything there again.")
}

/// Questions that answer, ready to be copied.
fn try_these(query: &str, tokens: &Path, district: AreaCode) -> Result<(), Error> {
    let token = tokens::path(tokens, "centre");
    terminal::answer(format!("\nTOKEN=$(cat {})", token.display()))?;
    let questions = [
        ("the district now", format!("/v1/areas/{district}")),
        ("its streets", format!("/v1/areas/{district}/children")),
        ("what is due first", "/v1/escalations?limit=3".to_owned()),
        ("overdue cases", "/v1/cases?overdue=true&limit=3".to_owned()),
        ("events as they happen", "/v1/live".to_owned()),
    ];
    for (what, path) in questions {
        terminal::answer(format!(
            "curl -sNH \"Authorization: Bearer $TOKEN\" '{query}{path}'   # {what}"
        ))?;
    }
    terminal::answer("")
}

/// Files as simulated workers do, and tells now and then how far it is.
async fn simulation(
    installation: &Installation,
    workers: Workers,
    key: Arc<SigningKey>,
    stop: CancellationToken,
) -> Result<(), Error> {
    if stop.is_cancelled() {
        return Ok(());
    }
    let clock = installation.clock.clone();
    let plan = workers.plan(&installation.district, clock.now());
    let door = Door::new(
        &format!("http://{}", installation.layout.config.intake.listen),
        PATIENCE,
    )?;
    let tally = Arc::new(Mutex::new(Tally::default()));
    let telling = async {
        loop {
            sleep(TALLY_EVERY).await;
            let tally = tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
            tracing::info!(
                reports = tally.reports_recorded,
                steps = tally.steps_recorded,
                refused = tally.reports_refused.values().sum::<u64>(),
                "simulated so far"
            );
        }
    };
    tokio::select! {
        sent = send(plan, door, key, clock, Limits::default(), Arc::clone(&tally), stop) => sent,
        () = telling => Ok(()),
    }
}
