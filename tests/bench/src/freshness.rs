//! How long after its acknowledgement a report can be seen: in the answer to a question, and as a live event.
//!
//! Reports are sent by a schedule, however long the answers take, at shares of what was the limit in the same round.

use std::time::Duration;

use crate::{
    figures::{Figures, Goal},
    ingest,
    live::Listener,
    load::{self, percentile_ms},
    schedule::{self, Acknowledged, Schedule},
    site::Site,
};

const SHARES: [u32; 3] = [10, 50, 80];

/// Runs the benchmark.
pub(crate) async fn run(rounds: usize, time: Duration) -> Figures {
    let mut figures = Figures::of("freshness");
    let mut site = Site::new().await;
    for service in ["intake", "query", "escalator"] {
        site.start(service).await;
    }
    let intake = site.address("intake").to_owned();
    for round in 1..=rounds {
        eprintln!("round {round}");
        let requests = |number| ingest::reports(&site.grids, &site.token, 1, number);
        let limit = load::run(&intake, schedule::CONNECTIONS, time, requests).await;
        let limit = limit.per_second();
        figures.add("reports, all services running", "reports/s", limit);
        for share in SHARES {
            settle(&site).await;
            let rate = limit * f64::from(share) / 100.0;
            let seen = at_rate(&site, rate, time).await;
            seen.tell(&mut figures, share);
        }
    }
    figures.want("view, at 50 % of the limit: p99", Goal::Most(25.0));
    for what in ["view", "live event"] {
        for end in ["p50", "p99"] {
            let name = |share| format!("{what}, at {share} % of the limit: {end}");
            let points = SHARES.map(|share| (f64::from(share), name(share)));
            let line = format!("{what}: {end}");
            figures.draw("From acknowledged to seen", "%", &line, &points);
        }
    }
    figures
}

/// Waits until what was sent is in all views.
async fn settle(site: &Site) {
    let last = site.position("intake").await.unwrap();
    for service in ["aggregator", "query"] {
        site.until_at(service, last).await;
    }
}

/// What a load at a rate has shown, each in microseconds and in order.
pub(crate) struct Seen {
    rate: f64,
    acknowledged: Vec<u32>,
    in_view: Vec<u32>,
    live: Vec<u32>,
}

impl Seen {
    fn tell(&self, figures: &mut Figures, share: u32) {
        let at = format!("at {share} % of the limit");
        figures.add(&format!("reports sent, {at}"), "reports/s", self.rate);
        for (what, end, value) in self.milliseconds() {
            figures.add(&format!("{what}, {at}: {end}"), "ms", value);
        }
    }

    /// What is seen, `p50` or `p99`, and how long that took.
    pub(crate) fn milliseconds(&self) -> Vec<(&'static str, &'static str, f64)> {
        let mut all = Vec::new();
        for (what, micros) in [
            ("acknowledgement", &self.acknowledged),
            ("view", &self.in_view),
            ("live event", &self.live),
        ] {
            for (end, share) in [("p50", 0.5), ("p99", 0.99)] {
                all.push((what, end, percentile_ms(micros, share)));
            }
        }
        all
    }
}

/// Sends reports at a rate, and looks when they can be seen.
pub(crate) async fn at_rate(site: &Site, rate: f64, time: Duration) -> Seen {
    let listener = Listener::start(site).await;
    let schedule = Schedule::of(site, rate, time);
    let sent = schedule.keep().await;
    let last = sent.iter().map(|report| report.position).max();
    let shown = listener.until(last.unwrap()).await;
    let of = |micros: &dyn Fn(&Acknowledged) -> Option<u32>| {
        let mut all: Vec<_> = sent.iter().filter_map(micros).collect();
        all.sort_unstable();
        all
    };
    let ended = sent.iter().map(|report| report.at).max().unwrap();
    let began = sent.iter().map(|report| report.due).min().unwrap();
    Seen {
        rate: sent.len() as f64 / (ended - began).as_secs_f64(),
        acknowledged: of(&|report| Some(schedule::micros(report.due, report.at))),
        in_view: of(&|report| report.in_view),
        live: of(&|report| {
            let shown = shown.get(&report.position)?;
            Some(schedule::micros(report.at, *shown))
        }),
    }
}
