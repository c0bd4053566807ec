//! `gridkeeper`: the whole of Gridkeeper in one program.
//!
//! Each command is a module of [`commands`]. The program prints answers on standard output, progress
//! and errors on standard error, and ends with 0, with 1 after an error that has a code, with 2 after
//! a command line that cannot be understood, or with 3 after its work where something remains that has to be decided
//! by hand.

mod commands;
mod config;
mod door;
mod error;
mod evidence;
mod examination;
mod files;
mod import;
mod installation;
mod layout;
mod logging;
mod opened_log;
#[cfg(test)]
mod realdoor;
mod running_views;
mod signals;
mod simulate;
mod supervise;
mod terminal;
#[cfg(test)]
mod testdoor;
mod tokens;
mod watermarks;

use std::process::ExitCode;

use clap::Parser as _;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The status of a command that has done its work, where something remains that has to be decided by hand.
const REMAINDER: u8 = 3;

fn main() -> ExitCode {
    let command = commands::Arguments::parse();
    match commands::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::error(&error);
            match error.is_remainder() {
                true => ExitCode::from(REMAINDER),
                false => ExitCode::FAILURE,
            }
        }
    }
}
