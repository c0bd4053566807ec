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
    check(&config)?;
    let text = toml::to_string_pretty(&config).map_err(|error| Error::Io {
        action: "write to",
        path: "standard output".into(),
        source: std::io::Error::other(error),
    })?;
    terminal::answer(text.trim_end())
}

/// Checks the options of every service as its start does.
///
/// # Errors
/// The first that makes no sense.
fn check(config: &Config) -> Result<(), Error> {
    config.intake.check()?;
    config.aggregator.check()?;
    config.query.check()?;
    Ok(config.escalator.check()?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_no_service_would_start_with_is_refused() {
        assert!(check(&Config::default()).is_ok());
        for text in [
            "[intake]\nbatch_events = 1",
            "[intake.disk]\nalarm_below_bytes = 1",
            "[aggregator]\nquestions = 0",
            "[query]\nspan_days = 0",
            "[escalator]\ntick_ms = 0",
            "[aggregator.views]\nviews_in_memory = 0",
            "[escalator.views]\nviews_in_memory = 0",
        ] {
            let config = Config::parse(Path::new("gridkeeper.toml"), text).unwrap();
            assert!(check(&config).is_err(), "{text}");
        }
    }
}
