//! `gridkeeper policy`: adopting one, and trying what another would have made of what happened.

mod adopted;
mod tried;

use crate::error::Error;

/// What to do with a policy.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Let a policy hold for the cases reported from now on, with the years of its calendar.
    Adopt(adopted::Adopt),
    /// Replay the log against another policy, and say what would have been late. Nothing is changed.
    Try(tried::Try),
}

/// Runs the command.
pub(super) async fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Adopt(command) => adopted::run(command).await,
        Command::Try(command) => tried::run(command).await,
    }
}
