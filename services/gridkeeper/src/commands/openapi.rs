//! `gridkeeper openapi`: the documents of the HTTP APIs, as `docs/openapi` keeps them.

use crate::{error::Error, terminal};

/// Whose document.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// The document of intake.
    Intake,
    /// The document of the query service.
    Query,
}

/// Prints the document.
pub(super) fn run(command: &Command) -> Result<(), Error> {
    terminal::answer(text(command)?)
}

fn text(command: &Command) -> Result<String, Error> {
    let document = match command {
        Command::Intake => gridkeeper_intake::document(),
        Command::Query => gridkeeper_query::document(),
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
    fn the_documents_that_are_checked_in_are_those_of_the_code() {
        let kept = [
            (
                Command::Intake,
                "intake",
                include_str!("../../../../docs/openapi/intake.json"),
            ),
            (
                Command::Query,
                "query",
                include_str!("../../../../docs/openapi/query.json"),
            ),
        ];
        for (command, name, kept) in kept {
            let now = text(&command).unwrap();
            assert!(
                kept.trim_end() == now,
                "run: gridkeeper openapi {name} > docs/openapi/{name}.json"
            );
        }
    }
}
