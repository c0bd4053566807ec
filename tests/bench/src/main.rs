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

mod figures;
mod history;
mod ingest;
mod load;
mod parse_only;
mod postgres;
mod projection;
mod raw;
mod site;

use std::{path::PathBuf, time::Duration};

use clap::Parser;

/// Measures.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// How many rounds, one after the other, each measuring everything once.
    #[arg(long, global = true, default_value_t = 5)]
    rounds: usize,
    /// How long each load lasts, in seconds.
    #[arg(long, global = true, default_value_t = 4.0)]
    seconds: f64,
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
        #[arg(long, default_value_t = 200_000)]
        events: usize,
    },
    /// Serve with handlers that only parse; started by the others.
    #[command(hide = true)]
    ParseOnly {
        /// Where to listen.
        address: String,
        /// What to answer to questions, as JSON.
        status: String,
    },
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let time = Duration::from_secs_f64(arguments.seconds);
    let figures = match arguments.what {
        What::ParseOnly { address, status } => {
            let status = serde_json::from_str(&status).unwrap();
            return parse_only::run(&address, status).await;
        }
        What::Projection { events } => {
            projection::run(arguments.rounds, events, &[512, 4_096, 65_536])
        }
        What::Ingest => ingest::run(arguments.rounds, time).await,
    };
    figures.write(&arguments.out);
    println!("{figures}");
}
