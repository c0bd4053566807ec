//! Views built from the log's beginning by the real aggregator on a real stream: what it takes at a million events,
//! and whether an event takes more when there are ten times as many.

use std::time::Instant;

use gridkeeper_tests::history::History;

use crate::{
    figures::{Figures, Goal},
    filling::Filling,
    plot::grouped,
    site::{Site, bytes_of},
};

/// Longer logs are read once, as reading them takes minutes.
const ONCE_ABOVE: u64 = 2_000_000;

/// Runs the benchmark on logs of these lengths, shortest first.
pub(crate) async fn run(rounds: usize, lengths: &[u64]) -> Figures {
    let mut figures = Figures::of("rebuild");
    let mut site = Site::new().await;
    let mut filling = Filling::of(&site, site.grids[0].district()).await;
    let mut history = History::of(&site.grids);
    let mut make = move |events| history.next_events(events);
    let first = lengths[0];
    for &length in lengths {
        let began = Instant::now();
        make = filling.fill(length, make).await;
        let took = began.elapsed().as_secs_f64();
        eprintln!("a log of {} events, written in {took:.0} s", filling.last());
        let times = if length > ONCE_ABOVE { 1 } else { rounds };
        for round in 1..=times {
            eprintln!("round {round} of {times}");
            let first = (times == 1).then_some(first);
            one(&mut site, &mut figures, (length, filling.last()), first).await;
        }
    }
    let longest = lengths[lengths.len() - 1];
    let per_event = |length: u64| format!("{}: time of an event", of(length));
    if longest > first {
        let goal = Goal::Most(1.2);
        figures.compare_medians(&per_event(longest), &per_event(first), goal);
        if longest > ONCE_ABOVE {
            figures.compare(&per_event(longest), &within(longest, first), goal);
        }
    }
    for (what, end) in [
        ("Cost of an event", "time of an event"),
        ("Views on the disk", "views on the disk"),
        ("Peak memory", "peak memory"),
    ] {
        let point = |length: &u64| (*length as f64, format!("{}: {end}", of(*length)));
        let points: Vec<_> = lengths.iter().map(point).collect();
        figures.draw(what, "events", what, &points);
    }
    figures
}

fn of(length: u64) -> String {
    format!("{} events", grouped(length as f64))
}

/// The beginning of the way to a length: measured in the same minutes, whatever the machine does meanwhile.
fn within(longest: u64, first: u64) -> String {
    let first = grouped(first as f64);
    format!("{}: time of an event, the first {first}", of(longest))
}

async fn one(
    site: &mut Site,
    figures: &mut Figures,
    (length, last): (u64, u64),
    passing: Option<u64>,
) {
    let folder = site.data().join("aggregator");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    let micros = |began: Instant, ended: Instant, events: u64| {
        (ended - began).as_secs_f64() * 1e6 / events as f64
    };
    let began = Instant::now();
    site.spawn("aggregator");
    if let Some(first) = passing {
        let (passed, position) = site.until_at("aggregator", first).await;
        let name = within(length, first);
        figures.add(&name, "µs", micros(began, passed, position));
    }
    let (ended, _) = site.until_at("aggregator", last).await;
    let peak = site.memory("aggregator").peak;
    site.stop("aggregator").await;
    let name = |what: &str| format!("{}: {what}", of(length));
    figures.add(&name("time"), "s", (ended - began).as_secs_f64());
    figures.add(&name("time of an event"), "µs", micros(began, ended, last));
    figures.add(&name("peak memory"), "MiB", peak);
    let disk = bytes_of(&folder) as f64 / last as f64;
    figures.add(&name("views on the disk"), "bytes/event", disk);
}
