//! Questions for the status of a case and for the figures of an area, over a million cases: beside a server that
//! only answers, and beside the same server on PostgreSQL.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gridkeeper_district::District;
use gridkeeper_http::Clock;
use gridkeeper_proto::area::AreaCode;
use gridkeeper_tests::history::id;

use crate::{
    cases::{self, Cases, Mix},
    figures::{Figures, Goal},
    filling::Filling,
    ingest::ParseOnly,
    load::{self, Requests, ask},
    postgres_cases::Peer,
    site::{OVER_THE_BROKER, Site},
};

const CONNECTIONS: [usize; 3] = [1, 64, 256];
/// Over how long the cases are reported, in milliseconds.
const SPAN: i64 = 30 * 86_400_000;

/// What is asked for.
#[derive(Clone, Copy)]
enum Question {
    Status,
    Area,
}

/// Who is asked.
#[derive(Clone, Copy)]
enum Who {
    Gridkeeper,
    OverTheBroker,
    ParseOnly,
    Postgres,
}

impl Who {
    const ALL: [Self; 4] = [
        Self::Gridkeeper,
        Self::OverTheBroker,
        Self::ParseOnly,
        Self::Postgres,
    ];
}

const MEMORY: &str = "memory of the aggregator, caught up";

/// Runs the benchmark over so many cases.
pub(crate) async fn run(rounds: usize, time: Duration, cases: u64) -> Figures {
    let mut figures = Figures::of("status");
    let prepared = Prepared::of(cases, &mut figures).await;
    for round in 1..=rounds {
        eprintln!("round {round}");
        for connections in CONNECTIONS {
            for question in [Question::Status, Question::Area] {
                for who in Who::ALL {
                    let Some(address) = prepared.address(who) else {
                        continue;
                    };
                    let requests = |number| prepared.requests(question, number);
                    let outcome = load::run(address, connections, time, requests).await;
                    let what = name(question, who, connections);
                    figures.add(&what, "answers/s", outcome.per_second());
                    for (end, share) in [("p50", 0.5), ("p99", 0.99)] {
                        figures.add(
                            &format!("{what}: {end}"),
                            "ms",
                            outcome.percentile_ms(share),
                        );
                    }
                }
            }
        }
    }
    // Its process holds the aggregator as well.
    let with_query = "memory of the query service with the views, after the load";
    figures.add(with_query, "MiB", prepared.site.memory("query").now);
    for question in [Question::Status, Question::Area] {
        let ours = name(question, Who::Gridkeeper, 64);
        let p99 = |who| format!("{}: p99", name(question, who, 64));
        let (own, other) = (p99(Who::Gridkeeper), p99(Who::ParseOnly));
        figures.compare(&own, &other, Goal::Most(1.5));
        let other = name(question, Who::Postgres, 64);
        figures.compare(&ours, &other, Goal::Least(2.0));
    }
    figures.want(MEMORY, Goal::Most(512.0));
    figures
}

fn name(question: Question, who: Who, connections: usize) -> String {
    let question = match question {
        Question::Status => "status",
        Question::Area => "area",
    };
    let who = match who {
        Who::Gridkeeper => "",
        Who::OverTheBroker => ", over the broker",
        Who::ParseOnly => ", parse only",
        Who::Postgres => ", PostgreSQL",
    };
    format!("{question}, {connections} connections{who}")
}

/// Everybody who is asked, with the same cases.
struct Prepared {
    site: Site,
    parse_only: ParseOnly,
    postgres: Option<Peer>,
    areas: Arc<[AreaCode]>,
    cases: u64,
}

impl Prepared {
    async fn of(cases: u64, figures: &mut Figures) -> Self {
        let mut site = Site::new().await;
        let mut postgres = Peer::start(&site).await;
        let began = Instant::now();
        let tell = |what: &str| eprintln!("{what} after {:.0} s", began.elapsed().as_secs_f64());
        let last = fill(&site, postgres.as_mut(), cases).await;
        tell(&format!("a log of {last} events is written"));
        if let Some(postgres) = &mut postgres {
            postgres.filled().await;
        }
        site.spawn("aggregator");
        site.until_at("aggregator", last).await;
        let memory = site.memory("aggregator");
        figures.add(MEMORY, "MiB", memory.now);
        let peak = format!("{MEMORY}, its most on the way");
        figures.add(&peak, "MiB", memory.peak);
        site.stop("aggregator").await;
        site.start("query").await;
        site.start(OVER_THE_BROKER).await;
        tell("the views are ready");
        let grids = site.grids.iter();
        let mut areas: Vec<_> = grids.flat_map(|grid| grid.and_ancestors()).collect();
        areas.sort_unstable();
        areas.dedup();
        if let Some(postgres) = &mut postgres {
            postgres.take_over(&site, &areas, cases).await;
        }
        tell("PostgreSQL is ready");
        let parse_only = ParseOnly::start(&answers(&site, cases).await).await;
        Self {
            site,
            parse_only,
            postgres,
            areas: areas.into(),
            cases,
        }
    }

    fn address(&self, who: Who) -> Option<&str> {
        match who {
            Who::Gridkeeper => Some(self.site.address("query")),
            Who::OverTheBroker => Some(self.site.address(OVER_THE_BROKER)),
            Who::ParseOnly => Some(&self.parse_only.address),
            Who::Postgres => Some(&self.postgres.as_ref()?.address),
        }
    }

    /// Questions for any case, or for any area.
    fn requests(&self, question: Question, number: usize) -> Requests {
        let (areas, token, cases) = (Arc::clone(&self.areas), self.site.token.clone(), self.cases);
        let mut state = number as u64 + 1;
        Box::new(move |request| {
            // Knuth's constants; the upper bits are the random ones.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let any = state >> 33;
            let path = match question {
                Question::Status => format!("/v1/cases/{}/escalation", id(any % cases)),
                Question::Area => {
                    let index = usize::try_from(any).unwrap() % areas.len();
                    format!("/v1/areas/{}", areas[index])
                }
            };
            load::get(request, &path, &token);
        })
    }
}

/// Writes the cases into the log, and their rows into PostgreSQL; gives the last position.
async fn fill(site: &Site, postgres: Option<&mut Peer>, count: u64) -> u64 {
    let district = District::load(site.district_folder()).unwrap();
    let mut filling = Filling::of(site, district.code()).await;
    let grids: Arc<[AreaCode]> = site.grids.clone().into();
    let times = (SPAN, Clock::system().now());
    let done = match postgres {
        Some(postgres) => postgres.rows(&district),
        None => Box::new(|_: &_| ()),
    };
    let mut cases = Cases::of(&district, &grids, (Mix::AllStates, count), times, done);
    // Dropped, the cases end the rows.
    drop(
        filling
            .fill(u64::MAX, move |events| cases.next_events(events))
            .await,
    );
    filling.last()
}

/// What the server that only parses answers: what Gridkeeper answers about a case that is open, and about a grid.
async fn answers(site: &Site, cases: u64) -> String {
    let query = site.address("query");
    let json = async |path: &str| {
        let (status, body) = ask(query, path, &site.token).await.unwrap();
        let text = String::from_utf8(body).unwrap();
        assert_eq!(status, 200, "{path}: {text}");
        text
    };
    let case = (0..cases).find(|case| !cases::is_late(*case)).unwrap();
    let escalation = json(&format!("/v1/cases/{}/escalation", id(case))).await;
    let area = json(&format!("/v1/areas/{}", site.grids[0])).await;
    format!("{{\"escalation\":{escalation},\"area\":{area}}}")
}
