//! `gridkeeper simulate`: simulated grid workers at intake's door.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gridkeeper_district::District;
use gridkeeper_http::Clock;
use gridkeeper_proto::time::Timestamp;
use tokio_util::sync::CancellationToken;

use super::DataFolder;
use crate::{
    door::Door,
    error::Error,
    signals::asked_to_stop,
    simulate::{Limits, Plan, Settings, Tally, World, send},
    terminal,
};

/// How long intake may be down or busy before the simulation ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// Files reports as simulated grid workers do, until Ctrl-C or a limit.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(flatten)]
    data: DataFolder,
    #[command(flatten)]
    workers: Workers,
    /// The folder of the district that intake serves.
    #[arg(long, default_value = "deploy/districts/panzhihua-dongqu")]
    district: PathBuf,
    /// Intake's address.
    #[arg(long, default_value = "http://127.0.0.1:8401")]
    intake: String,
    /// Stop after so many minutes.
    #[arg(long = "for", value_name = "MINUTES")]
    minutes: Option<u64>,
    /// Stop after so many reports.
    #[arg(long)]
    reports: Option<u64>,
    /// The moment of the first action, RFC 3339; now when left out. The same seed and start file the
    /// same reports.
    #[arg(long)]
    start: Option<Timestamp>,
    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
}

/// Who is simulated.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Workers {
    /// Simulated workers, each with a grid of its own.
    #[arg(long, default_value_t = 519)]
    pub(super) workers: usize,
    /// Hours of the workers' day in a real hour; times in reports stay real.
    #[arg(long, default_value_t = 60.0, value_parser = speed)]
    pub(super) speed: f64,
    /// Another seed, other reports.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.01..=100_000.0).contains(&speed) {
        Ok(speed)
    } else {
        Err("0.01 to 100,000 are possible".to_owned())
    }
}

impl Workers {
    /// Their plan from this moment on.
    pub(super) fn plan(self, district: &District, start: Timestamp) -> Plan {
        let Self {
            workers,
            speed,
            seed,
        } = self;
        Plan::new(
            World::new(district, workers),
            Settings { seed, start, speed },
        )
    }
}

/// Runs the simulation.
pub(super) async fn run(command: Command) -> Result<(), Error> {
    let district = District::load(&command.district)?;
    let key = Arc::new(command.data.signing_key()?);
    let clock = Clock::system();
    let start = command.start.unwrap_or_else(|| clock.now());
    let plan = command.workers.plan(&district, start);
    let limits = Limits {
        time: command
            .minutes
            .map(|minutes| Duration::from_secs(minutes * 60)),
        reports: command.reports,
    };
    let stop = CancellationToken::new();
    let (asked, asks) = (asked_to_stop()?, stop.clone());
    tokio::spawn(async move {
        asked.await;
        asks.cancel();
    });
    let tally = Arc::new(Mutex::new(Tally::default()));
    let door = Door::new(&command.intake, PATIENCE)?;
    let sent = send(plan, door, key, clock, limits, Arc::clone(&tally), stop).await;
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
    show(&tally, command.json)?;
    sent
}

fn show(tally: &Tally, json: bool) -> Result<(), Error> {
    if json {
        return terminal::json(tally);
    }
    let all = |refused: &std::collections::BTreeMap<String, u64>| refused.values().sum::<u64>();
    terminal::answer(format!("{:<22}{:>10}{:>10}", "", "reports", "steps"))?;
    let lines = [
        ("sent", tally.reports_sent, tally.steps_sent),
        ("recorded", tally.reports_recorded, tally.steps_recorded),
        ("repeated", tally.reports_repeated, tally.steps_repeated),
        (
            "refused",
            all(&tally.reports_refused),
            all(&tally.steps_refused),
        ),
    ];
    for (what, reports, steps) in lines {
        terminal::answer(format!("{what:<22}{reports:>10}{steps:>10}"))?;
    }
    let codes = tally
        .reports_refused
        .keys()
        .chain(tally.steps_refused.keys());
    for code in codes.collect::<std::collections::BTreeSet<_>>() {
        let count = |refused: &std::collections::BTreeMap<String, u64>| {
            refused.get(code).copied().unwrap_or(0)
        };
        let (reports, steps) = (count(&tally.reports_refused), count(&tally.steps_refused));
        terminal::answer(format!(
            "{:<22}{reports:>10}{steps:>10}",
            format!("  {code}")
        ))?;
    }
    Ok(())
}
