//! The same load on districts of any size: what it takes of memory, and whether it gets slower.

use std::{path::Path, sync::Arc, time::Duration};

use gridkeeper_district::District;
use gridkeeper_http::Clock;
use gridkeeper_proto::area::AreaCode;
use gridkeeper_tests::history::id;

use crate::{
    cases::{Cases, Mix},
    districts,
    figures::{Figures, Goal},
    filling::Filling,
    ingest,
    load::{self, Requests},
    plot::grouped,
    site::Site,
};

/// The process of the query service holds the aggregator as well.
const SERVICES: [&str; 3] = ["intake", "query", "escalator"];
/// Over how long the cases are reported, in milliseconds: none becomes due while figures are taken.
const SPAN: i64 = 1_800_000;

/// A district of a size, with all its services running.
struct Grown {
    site: Site,
    size: usize,
    cases: u64,
    grids: Arc<[AreaCode]>,
    _folder: tempfile::TempDir,
}

/// Runs the benchmark on districts with so many grids, smallest first, each with a case in every grid, and with so
/// many cases at least.
pub(crate) async fn run(rounds: usize, time: Duration, sizes: &[usize], cases: u64) -> Figures {
    let mut figures = Figures::of("growth");
    let mut all = Vec::new();
    for &size in sizes {
        all.push(Grown::of(size, cases).await);
    }
    for round in 1..=rounds {
        eprintln!("round {round}");
        for grown in &all {
            grown.measure(&mut figures, time).await;
        }
    }
    for grown in &all {
        grown.tell_memory(&mut figures);
    }
    let (least, most) = (sizes[0], sizes[sizes.len() - 1]);
    let whats = ["reports, 1,000 connections", "reports in batches of 500"];
    for what in whats {
        let (one, other) = (of(most, what), of(least, what));
        figures.compare(&one, &other, Goal::Least(0.7));
    }
    draw(&mut figures, sizes, "Rates", &whats);
    draw(
        &mut figures,
        sizes,
        "Status queries",
        &["status, 64 connections"],
    );
    let memories = SERVICES.map(|service| format!("memory of {service}"));
    let mut memories: Vec<_> = memories.iter().map(String::as_str).collect();
    memories.push("memory of the broker");
    draw(&mut figures, sizes, "Memory", &memories);
    figures
}

fn of(size: usize, what: &str) -> String {
    format!("{} grids: {what}", grouped(size as f64))
}

fn draw(figures: &mut Figures, sizes: &[usize], curve: &str, whats: &[&str]) {
    for what in whats {
        let points = sizes.iter().map(|&size| (size as f64, of(size, what)));
        figures.draw(curve, "grids", what, &points.collect::<Vec<_>>());
    }
}

impl Grown {
    async fn of(size: usize, least_cases: u64) -> Self {
        let cases = least_cases.max(size as u64);
        let folder = tempfile::tempdir().unwrap();
        districts::write(folder.path(), size);
        let mut site = Site::of(folder.path()).await;
        let grids: Arc<[AreaCode]> = std::mem::take(&mut site.grids).into();
        let last = fill(&site, (folder.path(), &grids), cases).await;
        for service in SERVICES {
            site.spawn(service);
        }
        for service in SERVICES {
            site.until_at(service, last).await;
            site.until_ready(service).await;
        }
        eprintln!("{} grids are ready", grouped(size as f64));
        Self {
            site,
            size,
            cases,
            grids,
            _folder: folder,
        }
    }

    async fn measure(&self, figures: &mut Figures, time: Duration) {
        for (what, connections, count) in [
            ("reports, 1,000 connections", 1_000, 1),
            ("reports in batches of 500", 8, 500),
        ] {
            let requests = |number| self.reports(count, number);
            let outcome = load::run(self.site.address("intake"), connections, time, requests);
            let rate = outcome.await.per_second() * count as f64;
            figures.add(&of(self.size, what), "reports/s", rate);
            self.settle().await;
        }
        let query = self.site.address("query");
        let outcome = load::run(query, 64, time, |number| self.questions(number)).await;
        let name = of(self.size, "status, 64 connections");
        figures.add(&name, "answers/s", outcome.per_second());
    }

    /// Waits until what was sent is in all views.
    async fn settle(&self) {
        let last = self.site.position("intake").await.unwrap();
        for service in SERVICES {
            self.site.until_at(service, last).await;
        }
    }

    fn tell_memory(&self, figures: &mut Figures) {
        let name = |what: &str| of(self.size, &format!("memory of {what}"));
        for service in SERVICES {
            let memory = self.site.memory(service).now;
            figures.add(&name(service), "MiB", memory);
        }
        let memory = self.site.memory("broker").now;
        figures.add(&name("the broker"), "MiB", memory);
    }

    fn reports(&self, count: usize, number: usize) -> Requests {
        let (grids, token) = (Arc::clone(&self.grids), self.site.token.clone());
        let mut next = number * 104_729;
        Box::new(move |request| {
            let mut body = String::from("{\"reports\":[");
            for index in 0..count {
                if index > 0 {
                    body.push(',');
                }
                next += 7_919;
                body += &ingest::report(grids[next % grids.len()]);
            }
            body += "]}";
            load::post(request, "/v1/reports", &token, body.as_bytes());
        })
    }

    fn questions(&self, number: usize) -> Requests {
        let (token, cases) = (self.site.token.clone(), self.cases);
        let mut next = number as u64 * 104_729;
        Box::new(move |request| {
            next += 7_919;
            let path = format!("/v1/cases/{}/escalation", id(next % cases));
            load::get(request, &path, &token);
        })
    }
}

/// Writes a report of each case into the log; gives the last position.
async fn fill(site: &Site, (folder, grids): (&Path, &Arc<[AreaCode]>), cases: u64) -> u64 {
    let district = District::load(folder).unwrap();
    let mut filling = Filling::of(site, district.code()).await;
    let times = (SPAN, Clock::system().now());
    let done = Box::new(|_: &_| ());
    let mut cases = Cases::of(&district, grids, (Mix::Reported, cases), times, done);
    let _done = filling
        .fill(u64::MAX, move |events| cases.next_events(events))
        .await;
    filling.last()
}
