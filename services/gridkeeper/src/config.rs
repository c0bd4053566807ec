//! The configuration of all services, a section each.

use std::path::{Path, PathBuf};

use gridkeeper_proto::code::{Code, Coded};
use serde::{Deserialize, Serialize};

/// The default configuration, with each key explained. A test holds it equal to [`Config::default`].
pub(crate) const EXPLAINED: &str = include_str!("../../../deploy/gridkeeper.toml");

/// The configuration of all services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The broker that `up` starts.
    pub(crate) broker: Broker,
    /// The streams.
    pub(crate) log: gridkeeper_eventlog::Options,
    /// Intake.
    pub(crate) intake: gridkeeper_intake::Options,
    /// The aggregator.
    pub(crate) aggregator: gridkeeper_aggregator::Options,
    /// The query service.
    pub(crate) query: gridkeeper_query::Options,
    /// The escalator.
    pub(crate) escalator: gridkeeper_escalator::Options,
}

/// The broker that `up` starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Broker {
    /// Folder of the streams.
    pub(crate) folder: PathBuf,
    /// Port on 127.0.0.1; zero for any free one.
    pub(crate) port: u16,
}

impl Default for Broker {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("broker"),
            port: 4222,
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub(crate) struct ConfigError {
    path: PathBuf,
    reason: String,
}

impl Coded for ConfigError {
    fn code(&self) -> Code {
        Code(821)
    }
}

impl Config {
    /// Reads a configuration; what it does not name has its default.
    ///
    /// # Errors
    /// [`ConfigError`]: syntax, an unknown key, a value of another type.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    }
}

impl Config {
    /// Puts the folders it names into a data folder; an absolute one stays where it is.
    pub(crate) fn lie_in(&mut self, data: &Path) {
        let folders = [
            &mut self.broker.folder,
            &mut self.intake.folder,
            &mut self.aggregator.folder,
            &mut self.escalator.folder,
        ];
        for folder in folders.into_iter().chain(&mut self.intake.disk.folders) {
            *folder = data.join(&*folder);
        }
    }

    /// The addresses of the broker that the services use.
    pub(crate) fn nats_urls(&mut self) -> [&mut String; 4] {
        [
            &mut self.intake.nats_url,
            &mut self.aggregator.nats_url,
            &mut self.query.nats_url,
            &mut self.escalator.nats_url,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("gridkeeper.toml"), text)
    }

    #[test]
    fn the_explained_configuration_is_the_default_one_and_names_every_key() {
        assert_eq!(parsed(EXPLAINED).unwrap(), Config::default());
        let named: toml::Table = toml::from_str(EXPLAINED).unwrap();
        let all = toml::Table::try_from(Config::default()).unwrap();
        assert_eq!(named, all);
    }

    #[test]
    fn every_key_is_explained() {
        let mut above = "";
        for line in EXPLAINED.lines() {
            assert!(!line.contains(" = ") || above.starts_with('#'), "{line}");
            above = line;
        }
    }

    #[test]
    fn a_section_that_names_one_key_has_the_defaults_of_the_others() {
        let all = toml::Table::try_from(Config::default()).unwrap();
        let sections = sections("", &all);
        assert!(sections.len() > 10, "{sections:?}");
        for section in sections {
            assert_eq!(
                parsed(&format!("[{section}]")).unwrap(),
                Config::default(),
                "{section}"
            );
        }
    }

    /// The names of all sections, nested ones too.
    fn sections(of: &str, table: &toml::Table) -> Vec<String> {
        let nested = table.iter().filter_map(|(name, value)| {
            let name = if of.is_empty() {
                name.clone()
            } else {
                format!("{of}.{name}")
            };
            let below = sections(&name, value.as_table()?);
            Some(std::iter::once(name).chain(below).collect::<Vec<_>>())
        });
        nested.flatten().collect()
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        for unknown in [
            "[intake]\nlissten = \"x\"",
            "[intak]",
            "[intake.http]\nx = 1",
        ] {
            let refused = parsed(unknown).unwrap_err();
            assert_eq!(refused.code().0, 821);
            assert!(refused.to_string().contains("unknown field"), "{refused}");
        }
    }
}
