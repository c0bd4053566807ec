//! Instructions of the code that is used most, counted by callgrind and compared with a baseline: they are the same on
//! a busy machine, where times are not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement that cannot be prepared fails by panicking, and a check prints what it finds"
)]

mod apply;
mod baseline;
mod callgrind;
mod case;
mod codec;
mod compiler;
mod lives;
mod locate;
mod work;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;

use crate::{
    baseline::{Baseline, BaselineError, Comparison},
    callgrind::{CountError, Valgrind},
    compiler::{Compiler, CompilerError},
    work::Work,
};

type Prepare = fn() -> Work;

/// What is counted, by name.
const MEASUREMENTS: [(&str, Prepare); 7] = [
    ("encode", codec::encode),
    ("decode", codec::decode),
    ("decide_report", case::decide_report),
    ("decide_step", case::decide_step),
    ("evolve", case::evolve),
    ("locate", locate::locate),
    ("apply", apply::apply),
];

/// Counts instructions.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// The file of the baseline.
    #[arg(long, global = true, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.toml"))]
    baseline: PathBuf,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Count, and fail where it is more than the baseline allows.
    Check,
    /// Count, and make it the baseline.
    Record,
    /// Do one measurement's work; started by the others, under callgrind.
    #[command(hide = true)]
    Work {
        /// Which.
        name: String,
    },
}

/// Why nothing could be compared or recorded.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    #[error(transparent)]
    Compiler(#[from] CompilerError),
    #[error(transparent)]
    Count(#[from] CountError),
    #[error("only the optimised build is counted: add --release, or use `tests/instructions/run`")]
    NotOptimised,
    #[error("there is no measurement '{0}'")]
    Unknown(String),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.what {
        What::Check => check(&arguments.baseline),
        What::Record => record(&arguments.baseline),
        What::Work { name } => work(&name),
    };
    done.unwrap_or_else(|failure| {
        println!("error: {failure}");
        ExitCode::FAILURE
    })
}

fn check(path: &Path) -> Result<ExitCode, Failure> {
    let Some(valgrind) = Valgrind::find()? else {
        println!("skipped: instructions are counted with valgrind, which is not on the PATH");
        return Ok(ExitCode::SUCCESS);
    };
    let baseline = Baseline::read(path)?;
    let compiler = Compiler::installed()?;
    if compiler.host != baseline.host {
        println!(
            "skipped: the baseline was recorded on {} and cannot be compared with {}",
            baseline.host, compiler.host
        );
        return Ok(ExitCode::SUCCESS);
    }
    if compiler.rustc != baseline.rustc {
        println!(
            "notice: the baseline was recorded with Rust {}; this is {}",
            baseline.rustc, compiler.rustc
        );
    }
    let comparison = baseline.compare(&count(&valgrind)?);
    print!("{comparison}");
    Ok(match comparison.fails() {
        true => {
            println!("{}", Comparison::HOW_TO_RECORD);
            ExitCode::FAILURE
        }
        false => ExitCode::SUCCESS,
    })
}

fn record(path: &Path) -> Result<ExitCode, Failure> {
    let valgrind = Valgrind::find()?.ok_or(CountError::NoValgrind)?;
    let Compiler { rustc, host } = Compiler::installed()?;
    let instructions = count(&valgrind)?;
    let baseline = Baseline {
        rustc,
        host,
        instructions,
    };
    baseline.write(path)?;
    println!("recorded in {}", path.display());
    Ok(ExitCode::SUCCESS)
}

/// Instructions of each measurement's operation.
fn count(valgrind: &Valgrind) -> Result<BTreeMap<String, u64>, Failure> {
    if cfg!(debug_assertions) {
        return Err(Failure::NotOptimised);
    }
    let mut counted = BTreeMap::new();
    for (name, _) in MEASUREMENTS {
        let instructions = valgrind.count(name)?;
        println!("{name}: {instructions} instructions");
        counted.insert(name.to_owned(), instructions);
    }
    Ok(counted)
}

fn work(name: &str) -> Result<ExitCode, Failure> {
    let found = MEASUREMENTS.iter().find(|(known, _)| *known == name);
    let (_, prepare) = found.ok_or_else(|| Failure::Unknown(name.to_owned()))?;
    println!("{}", prepare().run());
    Ok(ExitCode::SUCCESS)
}
