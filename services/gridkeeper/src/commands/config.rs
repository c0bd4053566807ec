//! `gridkeeper config`: the configuration, explained or checked.

use std::path::PathBuf;

use crate::{
    config::{Config, EXPLAINED},
    error::Error,
    files, terminal,
};

/// Prints the default configuration with each key explained, or checks one.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// A configuration to check; it is printed with the defaults of what it does not name.
    file: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(command: &Command) -> Result<(), Error> {
    let Some(file) = &command.file else {
        return terminal::answer(EXPLAINED.trim_end());
    };
    let config = Config::parse(file, &files::read(file)?)?;
    config.check()?;
    let text = toml::to_string_pretty(&config).map_err(|error| Error::Io {
        action: "write to",
        path: "standard output".into(),
        source: std::io::Error::other(error),
    })?;
    terminal::answer(text.trim_end())
}
