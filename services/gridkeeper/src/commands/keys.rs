//! `gridkeeper keys`: the keys of tokens.

use gridkeeper_identity::{Gap, SigningKey, inspect};

use super::DataFolder;
use crate::{error::Error, layout::Layout, terminal};

/// What to do with the keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a new key that signs from now on; tokens of the old one hold until they expire. Also
    /// where the old one is lost or damaged.
    Rotate(DataFolder),
}

/// Runs the command.
pub(super) fn run(command: &Command) -> Result<(), Error> {
    gridkeeper_private::mask();
    let Command::Rotate(place) = command;
    let layout = Layout::read(&place.data, None)?;
    let keys = layout.keys();
    let empty =
        inspect(&keys).is_ok_and(|gaps| gaps.iter().any(|gap| matches!(gap, Gap::NoKey { .. })));
    if empty && layout.sign_of_life()?.is_none() {
        // A folder that was mistyped gets no keys.
        let data = layout.data;
        return Err(Error::NotInstalled { data });
    }
    let key = SigningKey::rotate(&keys)?;
    terminal::answer(format!("{} signs from now on.", key.kid()))?;
    terminal::answer(
        "Start the services again, intake and query first: they read keys when they start. Tokens of the \
         key before hold until they expire, or until its file is removed from the folder `public`.",
    )
}
