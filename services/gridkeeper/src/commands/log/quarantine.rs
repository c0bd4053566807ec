//! `gridkeeper log quarantine`: lets readers pass over a message that is no event.

use gridkeeper_proto::{
    envelope::Position,
    event::{IntegrityEvent, MessageQuarantined},
};

use super::accept_loss::{checked_reason, not_stated, operator};
use crate::{
    error::Error,
    evidence::Evidence,
    opened_log::{LogPlace, OpenedLog},
    terminal,
};

/// Lets readers pass over a message that is no event of the log, by an event that every verification shows from then
/// on. The message stays where it is, and counts for the tree.
///
/// An event is refused: what was recorded is not taken back this way.
#[derive(Debug, clap::Args)]
pub(crate) struct Command {
    #[command(flatten)]
    at: LogPlace,
    /// The position of the message, as `gridkeeper doctor` names it.
    #[arg(long)]
    position: u64,
    /// Why, for whoever reads it years later: where the message came from.
    #[arg(long)]
    reason: String,
    /// Who says so; the name of the user of this machine when left out.
    #[arg(long)]
    by: Option<String>,
}

/// Runs the command.
pub(super) async fn run(command: Command) -> Result<(), Error> {
    let reason = checked_reason(&command.reason)?;
    let actor = operator(command.by.as_deref());
    let OpenedLog {
        installation, log, ..
    } = command.at.open().await?;
    let evidence = Evidence::of(&installation, &log, None).await?;
    let diagnosis = evidence.diagnose(&log).await?;
    let position = Position(command.position);
    if !diagnosis.changed.is_empty() {
        return Err(Error::Changed {
            changed: diagnosis.changed,
        });
    }
    let foreign = diagnosis.foreign.iter();
    let mut foreign = foreign.filter(|foreign| foreign.position == position);
    let Some(found) = foreign.next() else {
        return Err(Error::NotForeign {
            position,
            foreign: diagnosis
                .foreign
                .iter()
                .map(|foreign| foreign.position)
                .collect(),
        });
    };
    let statement = IntegrityEvent::MessageQuarantined(MessageQuarantined {
        position,
        leaf: found.leaf,
        reason,
    });
    let now = installation.clock.now();
    let stated = log.state(statement, (actor, now), diagnosis.last).await;
    let stated = stated.map_err(|error| not_stated(error, diagnosis.last))?;
    terminal::answer(format!(
        "quarantined the message at position {position} ({}: {}) by the statement at position {stated}",
        found.code, found.detail
    ))?;
    terminal::answer("start the services again: they pass over it")
}
