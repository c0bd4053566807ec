//! Speed, measured side by side in one run: each figure against the broker's own limit, against a server that
//! does nothing, or against PostgreSQL doing the same work.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    reason = "a bench fails by panicking, prints its figures and measures by the machine's clock"
)]

mod before_after;
mod cases;
mod districts;
mod drill;
mod figures;
mod filling;
mod freshness;
mod growth;
mod ingest;
mod live;
mod load;
mod locate;
mod parse_only;
mod plot;
mod postgres;
mod postgres_answers;
mod postgres_cases;
mod projection;
mod raw;
mod rebuild;
mod schedule;
mod server;
mod site;
mod status;

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use mimalloc::MiMalloc;

/// Measures.
/// That of the services, so that they are compared with nothing but themselves.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// How many rounds, one after the other, each measuring everything once.
    #[arg(long, global = true, default_value_t = 5)]
    rounds: usize,
    /// How long each load lasts, in seconds; each benchmark has its own default.
    #[arg(long, global = true)]
    seconds: Option<f64>,
    /// The folder that the figures are written to.
    #[arg(long, global = true, default_value = "docs/performance")]
    out: PathBuf,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Reports a second.
    Ingest,
    /// Events folded a second.
    Projection {
        /// How many events.
        #[arg(long, default_value_t = 2_000_000)]
        events: usize,
    },
    /// From a point to its grid.
    Locate,
    /// Views built anew from logs of several lengths.
    Rebuild {
        /// How many events, shortest first; up to two million are measured in each round, more only once.
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "1000000,2000000,5000000,10000000"
        )]
        events: Vec<u64>,
    },
    /// A long log backed up, restored and verified; and verifying beside reading.
    Drill {
        /// How many events.
        #[arg(long, default_value_t = 1_000_000)]
        events: u64,
    },
    /// From the acknowledgement of a report until it can be seen.
    Freshness,
    /// Questions for cases and areas.
    Status {
        /// How many cases there are.
        #[arg(long, default_value_t = 1_000_000)]
        cases: u64,
    },
    /// The same load on districts of several sizes.
    Growth {
        /// How many grids, smallest first.
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "519,10000,100000,1000000"
        )]
        grids: Vec<usize>,
        /// How many cases there are at least before the load begins: each grid has one.
        #[arg(long, default_value_t = 100_000)]
        cases: u64,
    },
    /// Another build of the services and this one in turn, load by load; `tests/bench/before-after`
    /// makes the other.
    BeforeAfter(before_after::Builds),
    /// Write pages and plots again from the figures that were measured.
    Draw,
    /// Serve with handlers that only parse; started by the others.
    #[command(hide = true)]
    ParseOnly {
        /// Where to listen.
        address: String,
        /// What to answer to questions, as JSON.
        status: String,
    },
    /// Serve with handlers that answer from PostgreSQL; started by the others.
    #[command(hide = true)]
    PostgresAnswers {
        /// Where to listen.
        address: String,
        /// The database.
        database: String,
        /// The folder of the keys by which tokens are believed.
        keys: PathBuf,
    },
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let time = |default: f64| Duration::from_secs_f64(arguments.seconds.unwrap_or(default));
    let figures = match arguments.what {
        What::ParseOnly { address, status } => {
            let status = serde_json::from_str(&status).unwrap();
            return parse_only::run(&address, status).await;
        }
        What::PostgresAnswers {
            address,
            database,
            keys,
        } => return postgres_answers::run(&address, &database, &keys).await,
        What::Projection { events } => {
            projection::run(arguments.rounds, events, &[512, 4_096, 65_536]).await
        }
        What::Locate => locate::run(arguments.rounds, time(1.0)).await,
        What::Ingest => ingest::run(arguments.rounds, time(4.0)).await,
        What::Rebuild { events } => rebuild::run(arguments.rounds, &events).await,
        What::Drill { events } => drill::run(arguments.rounds, events).await,
        What::Freshness => freshness::run(arguments.rounds, time(3.0)).await,
        What::Status { cases } => status::run(arguments.rounds, time(1.5), cases).await,
        What::Growth { grids, cases } => {
            growth::run(arguments.rounds, time(2.0), &grids, cases).await
        }
        What::BeforeAfter(builds) => before_after::run(arguments.rounds, time(1.5), &builds).await,
        What::Draw => return figures::Figures::write_pages(&arguments.out),
    };
    figures.write(&arguments.out);
    println!("### {}\n\n{figures}", figures.name);
}
