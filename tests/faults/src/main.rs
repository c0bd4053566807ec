//! Runs rounds one after the other and prints how each ended: `tests/faults/run --rounds 200`.

#![allow(clippy::print_stdout, reason = "it prints what it found")]

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use clap::Parser;
use gridkeeper_faults::{Scenario, Verdict, run};

/// Damages installations and judges what they answer then.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many rounds.
    #[arg(long, default_value_t = 200)]
    rounds: u64,
    /// The seed of the first round; each further one has the next number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print what the rounds would do, and do nothing.
    #[arg(long)]
    list: bool,
    /// The binary under test.
    #[arg(long)]
    binary: PathBuf,
}

/// How the rounds of a kind of damage ended.
#[derive(Debug, Default)]
struct Ends {
    harmless: u32,
    recovered: u32,
    latent: u32,
    named: u32,
    /// Those of them, latent or named, from which the doctor's way led back.
    back: u32,
    failed: u32,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seeds = arguments.seed..arguments.seed + arguments.rounds;
    if arguments.list {
        seeds.for_each(|seed| println!("{}", Scenario::of_seed(seed)));
        return ExitCode::SUCCESS;
    }
    let mut kinds: BTreeMap<&'static str, Ends> = BTreeMap::new();
    let mut failed = Vec::new();
    for seed in seeds {
        let report = run(&arguments.binary, &Scenario::of_seed(seed)).await;
        println!("{report}");
        let ends = kinds.entry(report.scenario.damage.kind()).or_default();
        let end = match (&report.verdict, report.failures.is_empty()) {
            (_, false) => &mut ends.failed,
            (Verdict::Harmless, _) => &mut ends.harmless,
            (Verdict::Recovered, _) => &mut ends.recovered,
            (Verdict::Latent, _) => &mut ends.latent,
            (Verdict::Named(_), _) => &mut ends.named,
        };
        *end += 1;
        ends.back += u32::from(report.way_back.is_some() && report.failures.is_empty());
        if !report.failures.is_empty() {
            failed.push(seed);
        }
    }
    let head = [
        "damage",
        "harmless",
        "recovered",
        "latent",
        "named",
        "back",
        "FAILED",
    ];
    println!(
        "\n{:<26}{:>10}{:>11}{:>8}{:>7}{:>6}{:>8}",
        head[0], head[1], head[2], head[3], head[4], head[5], head[6]
    );
    for (kind, ends) in &kinds {
        let Ends {
            harmless,
            recovered,
            latent,
            named,
            back,
            failed,
        } = ends;
        println!(
            "{kind:<26}{harmless:>10}{recovered:>11}{latent:>8}{named:>7}{back:>6}{failed:>8}"
        );
    }
    match failed.is_empty() {
        true => ExitCode::SUCCESS,
        false => {
            println!("\nfailed: seeds {failed:?}");
            ExitCode::FAILURE
        }
    }
}
