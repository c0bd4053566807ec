//! `gridkeeper init`: makes an installation, or completes one.
//!
//! An installation is made in [`STEPS`]. All of them look before the first one makes anything, so
//! what cannot be completed without asking leaves everything as it was. Another part of an
//! installation is one more step.
//!
//! # Invariants
//! 1. Nothing that exists is overwritten.
//! 2. A whole installation is left as it is.
//! 3. After any step, an interrupted `init` is completed by the next one.

mod steps;

use gridkeeper_district::District;
use gridkeeper_proto::code::Coded as _;

use self::steps::STEPS;
use crate::{
    error::Error,
    installation::{Place, option, rules_of},
    layout::Layout,
    terminal,
};

/// Makes an installation: folders for its owner only, the keys of tokens, and a configuration with
/// every option explained. One that is whole is left as it is; one that is not is completed where
/// that is safe, else what is wrong is named and nothing is changed.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(flatten)]
    place: Place,
}

/// A part of an installation.
struct Step {
    /// Says what is missing, and changes nothing. Fails where completing it would not be safe.
    look: fn(&Layout) -> Result<Vec<Change>, Error>,
    /// Makes what is missing; only called where something is.
    make: fn(&Layout) -> Result<(), Error>,
}

/// Something that an installation lacks.
pub(super) struct Change {
    /// What is wrong, before.
    lack: String,
    /// What was done, after.
    done: String,
}

impl Change {
    /// What was done.
    pub(super) fn done(&self) -> &str {
        &self.done
    }
}

/// Runs the command.
pub(super) fn run(command: &Command) -> Result<(), Error> {
    gridkeeper_private::mask();
    let place = &command.place;
    let district = District::load(place.district())?;
    rules_of(&district)?;
    let layout = place.layout()?;
    let changes = complete(&layout)?;
    let data = layout.data.display();
    if changes.is_empty() {
        return terminal::answer(format!(
            "The installation in {data} is whole; nothing was changed."
        ));
    }
    for change in &changes {
        terminal::answer(&change.done)?;
    }
    terminal::answer(format!("\nThe installation in {data} is whole.\n"))?;
    next_commands(place, district.code().as_str(), &layout)
}

/// Makes what the installation lacks, and returns what that was.
///
/// # Errors
/// What cannot be completed without asking, with nothing changed; else what the system refuses.
pub(super) fn complete(layout: &Layout) -> Result<Vec<Change>, Error> {
    let mut changes = Vec::new();
    let mut refused = Vec::new();
    let mut incomplete = Vec::new();
    for step in &STEPS {
        match (step.look)(layout) {
            Ok(found) if found.is_empty() => {}
            Ok(found) => {
                changes.extend(found);
                incomplete.push(step);
            }
            Err(error) => refused.push(error),
        }
    }
    let mut refused = refused.into_iter();
    if let Some(first) = refused.next() {
        for other in refused {
            terminal::progress(format!("Also {}: {other}", other.code()));
        }
        for change in changes {
            terminal::progress(format!("Not completed: {}", change.lack));
        }
        terminal::progress("Nothing was changed.");
        return Err(first);
    }
    for step in incomplete {
        (step.make)(layout)?;
    }
    Ok(changes)
}

/// What to do with the installation.
fn next_commands(place: &Place, district: &str, layout: &Layout) -> Result<(), Error> {
    let place = place.arguments();
    let configuration = layout.configuration.display();
    terminal::answer("Everything in one process, with a broker beside it:")?;
    terminal::answer(format!("  gridkeeper up{place}"))?;
    terminal::answer(format!(
        "Or each service in a process of its own, on the broker that {configuration} names:"
    ))?;
    for service in ["intake", "query", "escalator"] {
        terminal::answer(format!("  gridkeeper {service}{place}"))?;
    }
    terminal::answer("A token for the centre:")?;
    let data = option("data", &layout.data);
    terminal::answer(format!(
        "  gridkeeper token{data} --role centre --area {district} --id NAME"
    ))
}

#[cfg(test)]
mod tests;
