//! The commands, one module each.

mod backup;
mod config;
mod district;
mod doctor;
mod import;
mod init;
mod keys;
mod log;
mod openapi;
mod policy;
mod rebuild;
mod restore;
mod roster;
mod serve;
mod simulate;
mod token;
mod up;
mod verify;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use gridkeeper_identity::SigningKey;

use self::serve::Service;
use crate::{error::Error, installation::signing_key_in};

/// Gridkeeper: reports of grid workers, kept in a log, and who holds each case by when.
#[derive(Debug, Parser)]
#[command(name = "gridkeeper", version, propagate_version = true)]
pub(crate) struct Arguments {
    /// Which command.
    #[command(subcommand)]
    command: Command,
}

/// A command of the program.
#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything in one process, with a broker beside it.
    Up(up::Command),
    /// Make an installation, or complete one.
    Init(init::Command),
    /// Run intake alone.
    Intake(serve::Command),
    /// Run an aggregator alone.
    Aggregator(serve::Command),
    /// Run the escalator alone.
    Escalator(serve::Command),
    /// Run the query service alone.
    Query(serve::Command),
    /// Verify the log.
    Verify(verify::Command),
    /// Say what is wrong with the log, and which way back fits.
    Doctor(doctor::Command),
    /// Make a statement on the log itself: a loss that is accepted, a message that is no event.
    #[command(subcommand)]
    Log(log::Command),
    /// Take a backup of the log and the keys, or check one.
    Backup(backup::Command),
    /// Restore the log and the keys from a backup, into an empty broker.
    Restore(restore::Command),
    /// Rebuild the views of the running aggregator, or compare them with rebuilt ones.
    Rebuild(rebuild::Command),
    /// Print the default configuration with its explanations, or check one.
    Config(config::Command),
    /// Check a district's folder, generate its grids, or derive one from a history.
    #[command(subcommand)]
    District(district::Command),
    /// Adopt a policy, or try another one on what happened.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Check or load plans of duty.
    #[command(subcommand)]
    Roster(roster::Command),
    /// Rotate the key that signs tokens.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Issue a bearer token.
    Token(token::Command),
    /// File reports as simulated grid workers do, through the HTTP door.
    Simulate(simulate::Command),
    /// Import the history of another system.
    Import(import::Command),
    /// Print the document of an HTTP API.
    #[command(subcommand)]
    Openapi(openapi::Command),
}

/// Where an installation keeps its data.
#[derive(Clone, Debug, clap::Args)]
struct DataFolder {
    /// The folder of the installation's data.
    #[arg(long, default_value = "data")]
    data: PathBuf,
}

impl DataFolder {
    /// The key that signs tokens.
    fn signing_key(&self) -> Result<SigningKey, Error> {
        signing_key_in(&self.data)
    }
}

/// Runs a command to its end.
///
/// # Errors
/// What it ended with.
pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    match arguments.command {
        Command::Up(command) => blocking(up::run(command)),
        Command::Init(command) => init::run(&command),
        Command::Intake(command) => blocking(serve::run(command, Service::Intake)),
        Command::Aggregator(command) => blocking(serve::run(command, Service::Aggregator)),
        Command::Escalator(command) => blocking(serve::run(command, Service::Escalator)),
        Command::Query(command) => blocking(serve::run(command, Service::Query)),
        Command::Verify(command) => blocking(verify::run(command)),
        Command::Doctor(command) => blocking(doctor::run(command)),
        Command::Log(command) => blocking(log::run(command)),
        Command::Backup(command) => blocking(backup::run(command)),
        Command::Restore(command) => blocking(restore::run(command)),
        Command::Rebuild(command) => blocking(rebuild::run(command)),
        Command::Config(command) => config::run(&command),
        Command::District(command) => district::run(command),
        Command::Policy(command) => blocking(policy::run(command)),
        Command::Roster(command) => blocking(roster::run(command)),
        Command::Keys(command) => keys::run(&command),
        Command::Token(command) => token::run(&command),
        Command::Simulate(command) => blocking(simulate::run(command)),
        Command::Import(command) => blocking(import::run(command)),
        Command::Openapi(command) => openapi::run(&command),
    }
}

/// Runs what waits for a network.
fn blocking(command: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|source| Error::Io {
        action: "start",
        path: "threads".into(),
        source,
    })?;
    runtime.block_on(command)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
