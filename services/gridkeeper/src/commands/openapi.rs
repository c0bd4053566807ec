//! `gridkeeper openapi`: the documents of the HTTP APIs, as `docs/openapi` keeps them.

use crate::{error::Error, terminal};

/// Whose document.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// The document of intake.
    Intake,
}

/// Prints the document.
pub(super) fn run(command: &Command) -> Result<(), Error> {
    terminal::answer(text(command)?)
}

fn text(command: &Command) -> Result<String, Error> {
    let document = match command {
        Command::Intake => gridkeeper_intake::document(),
    };
    serde_json::to_string_pretty(&document).map_err(|error| Error::Io {
        action: "write to",
        path: "standard output".into(),
        source: error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_that_is_checked_in_is_the_one_of_the_code() {
        let kept = include_str!("../../../../docs/openapi/intake.json");
        let now = text(&Command::Intake).unwrap();
        assert!(
            kept.trim_end() == now,
            "run: gridkeeper openapi intake > docs/openapi/intake.json"
        );
    }
}
