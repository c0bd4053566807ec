//! Reports a second, each on disk before it is acknowledged.

mod postgres;

use std::time::{Duration, Instant};

use async_nats::Client;
use gridkeeper_proto::area::AreaCode;
use gridkeeper_tests::{free_address, history::DESCRIPTION};
use tokio::process::{Child, Command};

use self::postgres::Peer;
use crate::{
    figures::{Figures, Goal},
    load::{self, Outcome, Requests},
    raw,
    site::{Site, beside_this},
};

/// One report as a phone sends it.
pub(crate) fn report(grid: AreaCode) -> String {
    format!(
        "{{\"id\":\"{}\",\"kind\":\"dispute\",\"category\":\"dispute.neighbour\",\"channel\":\"grid_worker\",\
         \"description\":\"{DESCRIPTION}\",\"grid\":\"{grid}\"}}",
        uuid::Uuid::now_v7()
    )
}

/// Requests with so many reports each, over all grids.
pub(crate) fn reports(grids: &[AreaCode], token: &str, count: usize, number: usize) -> Requests {
    let (grids, token) = (grids.to_vec(), token.to_owned());
    let mut next = number * 7;
    Box::new(move |request| {
        let mut body = String::from("{\"reports\":[");
        for index in 0..count {
            if index > 0 {
                body.push(',');
            }
            next += 1;
            body += &report(grids[next % grids.len()]);
        }
        body += "]}";
        load::post(request, "/v1/reports", &token, body.as_bytes());
    })
}

/// The server that only parses, in a process of its own.
pub(crate) struct ParseOnly {
    pub(crate) address: String,
    _child: Child,
}

impl ParseOnly {
    pub(crate) async fn start(status: &str) -> Self {
        let address = free_address();
        let child = Command::new(beside_this("gridkeeper-bench"))
            .args(["parse-only", &address, status])
            .env("RUST_LOG", "warn")
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        gridkeeper_tests::until("the server that only parses is ready", async || {
            let answer = load::ask(&address, "/readyz", "").await?;
            (answer.0 == 200).then_some(())
        })
        .await;
        Self {
            address,
            _child: child,
        }
    }
}

/// Connections, and reports in each request.
pub(crate) type Shape = (usize, usize);

/// The loads that are measured.
pub(crate) const SHAPES: [Shape; 5] = [(1, 1), (64, 1), (1_000, 1), (8, 20), (8, 500)];

/// What a load of a shape is called.
pub(crate) fn name_of((connections, count): Shape) -> String {
    match count {
        1 => format!("reports, {connections} connections"),
        _ => format!("reports in batches of {count}"),
    }
}

/// Reports a second.
pub(crate) fn rate(outcome: &Outcome, reports: usize) -> f64 {
    outcome.per_second() * reports as f64
}

const SINGLE: &str = "reports, 1000 connections";
const BATCHED: &str = "reports in batches of 500";

/// Runs the benchmark.
pub(crate) async fn run(rounds: usize, time: Duration) -> Figures {
    let mut figures = Figures::of("ingest");
    let mut site = Site::new().await;
    site.start("intake").await;
    // A site of its own, or its views would keep up with the loads that are measured without them.
    let mut fresh = Site::new().await;
    for service in ["intake", "aggregator"] {
        fresh.start(service).await;
    }
    let parse_only = ParseOnly::start("null").await;
    let client = async_nats::connect(site.broker.url()).await.unwrap();
    raw::stream(&client, "plain").await;
    raw::stream(&client, "batches").await;
    let mut postgres = Peer::start().await;
    for round in 1..=rounds {
        eprintln!("round {round}");
        limits(&client, &site.grids, time, &mut figures).await;
        reports_alone(&site, &parse_only, time, &mut figures).await;
        with_views(&fresh, time, &mut figures).await;
        if let Some(postgres) = &mut postgres {
            postgres.measure(&mut figures, &site.grids, time).await;
        }
    }
    figures.compare(SINGLE, "raw publish, 1,000 under way", Goal::Least(10.0));
    figures.compare(SINGLE, &format!("{SINGLE}: parse only"), Goal::Least(0.5));
    let lone = "reports, 1 connections: p99";
    figures.compare(lone, "raw publish, one at a time: p99", Goal::Most(2.0));
    figures.compare(BATCHED, "raw batches of 1,000", Goal::Least(0.6));
    if postgres.is_some() {
        for (name, goal) in [(SINGLE, 10.0), (BATCHED, 30.0)] {
            figures.compare(&fresh_name(name), postgres::BEST, Goal::Least(goal));
        }
    }
    figures
}

/// What the broker does with nothing of ours between.
async fn limits(client: &Client, grids: &[AreaCode], time: Duration, figures: &mut Figures) {
    let (plain, _) = raw::publish(client, "plain", grids, 1_000, time).await;
    figures.add("raw publish, 1,000 under way", "messages/s", plain);
    let (_, micros) = raw::publish(client, "plain", grids, 1, time).await;
    figures.add(
        "raw publish, one at a time: p99",
        "ms",
        load::percentile_ms(&micros, 0.99),
    );
    let batches = raw::batches(client, "batches", grids, time).await;
    figures.add("raw batches of 1,000", "messages/s", batches);
}

async fn reports_alone(site: &Site, parse_only: &ParseOnly, time: Duration, figures: &mut Figures) {
    for (connections, count) in SHAPES {
        let requests = |number| reports(&site.grids, &site.token, count, number);
        let what = name_of((connections, count));
        let outcome = load::run(site.address("intake"), connections, time, requests).await;
        figures.add(&what, "reports/s", rate(&outcome, count));
        if count == 1 {
            figures.add(&format!("{what}: p99"), "ms", outcome.percentile_ms(0.99));
        }
        if connections == 1_000 {
            let outcome = load::run(&parse_only.address, connections, time, requests).await;
            let name = format!("{what}: parse only");
            figures.add(&name, "reports/s", rate(&outcome, count));
        }
    }
}

fn fresh_name(name: &str) -> String {
    format!("{name}, views fresh")
}

/// The time ends only when the views hold the last report that was acknowledged.
async fn with_views(site: &Site, time: Duration, figures: &mut Figures) {
    for (name, connections, count) in [(SINGLE, 1_000, 1), (BATCHED, 8, 500)] {
        let requests = |number| reports(&site.grids, &site.token, count, number);
        let mut outcome = load::run(site.address("intake"), connections, time, requests).await;
        let acknowledged = Instant::now();
        let last = site.last_position().await;
        let (seen, _) = site.until_at("aggregator", last).await;
        outcome.took += seen - acknowledged;
        figures.add(&fresh_name(name), "reports/s", rate(&outcome, count));
    }
}
