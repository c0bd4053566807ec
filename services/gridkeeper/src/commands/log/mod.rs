//! `gridkeeper log`: statements on the log itself.

mod accept_loss;
mod quarantine;

use clap::Subcommand;

use crate::error::Error;

/// A statement on the log itself.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Give up messages that were lost, where nothing better is left.
    AcceptLoss(accept_loss::Command),
    /// Let readers pass over a message that is no event.
    Quarantine(quarantine::Command),
}

/// Runs the command.
pub(super) async fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::AcceptLoss(command) => accept_loss::run(command).await,
        Command::Quarantine(command) => quarantine::run(command).await,
    }
}
