//! Another build of the services and this one, each with a broker of its own, in turn: what changes
//! on the machine meanwhile changes for both.

use std::{path::PathBuf, time::Duration};

use crate::{
    figures::{Figures, Goal},
    freshness,
    ingest::{self, SHAPES, Shape, name_of},
    load,
    projection::catch_up,
    site::{Site, beside_this},
};

/// What may be lost.
const SHARE: f64 = 0.03;
/// Reports a second of which it is measured how soon they can be seen: a third of what a slow
/// machine takes.
const RATE: f64 = 2_000.0;
/// Of how many loads in batches the log is made that the views are built from.
const LOG_LOADS: u32 = 6;

/// How long is filed at a time until a log is as long as the other.
const STEP: Duration = Duration::from_millis(100);

/// Of which build, and what the views are built from.
struct Side {
    name: &'static str,
    site: Site,
    last: u64,
}

/// What of it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Measured {
    /// Reports in a second.
    Reports,
    /// How soon a report is seen.
    Freshness,
    /// Views that are built from the log.
    CatchUp,
}

/// What is compared.
#[derive(Debug, clap::Args)]
pub(crate) struct Builds {
    /// The other build's `gridkeeper`.
    before: PathBuf,
    /// Measure only this.
    #[arg(long)]
    only: Option<Measured>,
    /// Of the reports, measure only those over so many connections.
    #[arg(long, value_name = "NUMBER")]
    connections: Option<usize>,
    /// So many bytes of the disk may this build's views take in any case, instead of the default:
    /// builds before the bound know none, and keeping to it has its price.
    #[arg(long, value_name = "BYTES")]
    views_disk: Option<u64>,
}

/// Runs the benchmark, or one part of it.
pub(crate) async fn run(rounds: usize, time: Duration, builds: &Builds) -> Figures {
    let mut figures = Figures::of("before-after");
    let measured = |part| builds.only.is_none_or(|only| only == part);
    if measured(Measured::Reports) {
        let mut sides = begin(builds, &["intake"]).await;
        for round in 1..=rounds {
            eprintln!("round {round}: reports");
            let wanted = |shape: &Shape| builds.connections.is_none_or(|wanted| shape.0 == wanted);
            for shape in SHAPES.into_iter().filter(wanted) {
                measure_reports(&sides, shape, time, &mut figures).await;
                sides.reverse();
            }
        }
    }
    if measured(Measured::Freshness) {
        let mut sides = begin(builds, &["intake", "query"]).await;
        for round in 1..=rounds {
            eprintln!("round {round}: freshness");
            measure_freshness(&sides, time * 2, &mut figures).await;
            sides.reverse();
        }
    }
    if measured(Measured::CatchUp) {
        let mut sides = begin(builds, &["intake"]).await;
        fill(&mut sides, time).await;
        for round in 1..=rounds {
            eprintln!("round {round}: projection");
            measure_catch_up(&mut sides, &mut figures).await;
            sides.reverse();
        }
    }
    compare(&mut figures);
    figures
}

/// Writes the logs that views are built from, of nearly the same length, and stops intake.
async fn fill(sides: &mut [Side; 2], time: Duration) {
    let mut wanted = 0;
    for Side { site, last, .. } in sides {
        let requests = |number| ingest::reports(&site.grids, &site.token, 500, number);
        // The first is as long as it gets in the time; the other follows it.
        let time = if wanted == 0 { time * LOG_LOADS } else { STEP };
        while *last <= wanted {
            load::run(site.address("intake"), 8, time, requests).await;
            *last = site.last_position().await;
        }
        wanted = *last;
        site.stop("intake").await;
        eprintln!("a log of {last} events");
    }
}

async fn measure_catch_up(sides: &mut [Side; 2], figures: &mut Figures) {
    for Side { name, site, last } in sides {
        let caught_up = catch_up(site, *last).await;
        let rate = caught_up.per_second;
        figures.add(&format!("catch-up: {name}"), "events/s", rate);
        let cpu = micros_each(caught_up.cpu, *last);
        figures.add(&format!("catch-up, CPU of an event: {name}"), "µs", cpu);
        let there = micros_each(caught_up.until_there, *last);
        figures.add(&format!("catch-up, time of an event: {name}"), "µs", there);
        let ended = caught_up.until_ended.as_secs_f64() * 1e3;
        figures.add(&format!("catch-up, end after it: {name}"), "ms", ended);
    }
}

/// Both sides, with these services.
async fn begin(builds: &Builds, services: &[&'static str]) -> [Side; 2] {
    let after = Site::of_build(&beside_this("gridkeeper")).await;
    if let Some(bytes) = builds.views_disk {
        after.allow_views(bytes);
    }
    let mut sides = [
        ("before", Site::of_build(&builds.before).await),
        ("after", after),
    ]
    .map(|(name, site)| Side {
        name,
        site,
        last: 0,
    });
    for side in &mut sides {
        for service in services {
            side.site.start(service).await;
        }
    }
    sides
}

async fn measure_freshness(sides: &[Side], time: Duration, figures: &mut Figures) {
    for Side { name, site, .. } in sides {
        let seen = freshness::at_rate(site, RATE, time).await;
        for (what, end, value) in seen.milliseconds() {
            figures.add(&format!("{what}, {end}: {name}"), "ms", value);
        }
    }
}

async fn measure_reports(sides: &[Side], shape: Shape, time: Duration, figures: &mut Figures) {
    let (connections, count) = shape;
    for Side { name, site, .. } in sides {
        let requests = |number| ingest::reports(&site.grids, &site.token, count, number);
        let before = site.cpu("intake");
        let outcome = load::run(site.address("intake"), connections, time, requests).await;
        let cpu = site.cpu("intake") - before;
        let (what, rate) = (name_of(shape), ingest::rate(&outcome, count));
        figures.add(&format!("{what}: {name}"), "reports/s", rate);
        let cpu = micros_each(cpu, outcome.answered * count as u64);
        figures.add(&format!("{what}, CPU of intake: {name}"), "µs", cpu);
    }
}

/// The share of one of `count` in a time, in microseconds.
fn micros_each(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}

/// Holds each figure of one side against the other's.
fn compare(figures: &mut Figures) {
    let befores = figures.figures.iter().filter_map(|figure| {
        let what = figure.name.strip_suffix(": before")?;
        let is_time = ["ms", "µs"].contains(&figure.unit.as_str());
        // A live event that comes before its acknowledgement takes no time.
        let takes_any = figure.rounds.iter().any(|&value| value > 0.0);
        takes_any.then(|| (what.to_owned(), is_time))
    });
    let befores: Vec<_> = befores.collect();
    for (what, is_time) in befores {
        let goal = match is_time {
            true => Goal::Most(1.0 + SHARE),
            false => Goal::Least(1.0 - SHARE),
        };
        figures.compare(&format!("{what}: after"), &format!("{what}: before"), goal);
    }
}
