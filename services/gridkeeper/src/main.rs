//! `gridkeeper`: the whole of Gridkeeper in one program.
//!
//! Each command is a module of [`commands`]. The program prints answers on standard output, progress
//! and errors on standard error, and ends with 0, with 1 after an error that has a code, or with 2 after
//! a command line that cannot be understood.

mod commands;
mod config;
mod door;
mod error;
mod files;
mod import;
mod installation;
mod layout;
mod logging;
#[cfg(test)]
mod realdoor;
mod signals;
mod simulate;
mod supervise;
mod terminal;
#[cfg(test)]
mod testdoor;
mod tokens;

use std::process::ExitCode;

use clap::Parser as _;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let command = commands::Arguments::parse();
    match commands::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::error(&error);
            ExitCode::FAILURE
        }
    }
}
