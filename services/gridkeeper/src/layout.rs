//! Where the parts of an installation are.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
};

use crate::{config::Config, error::Error, files};

/// The name of the configuration in the data folder.
const CONFIGURATION: &str = "gridkeeper.toml";

/// The files and folders of an installation.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// The data folder.
    pub(crate) data: PathBuf,
    /// The configuration's file, which may be missing.
    pub(crate) configuration: PathBuf,
    /// What it says; its folders lie in the data folder. The defaults where the file is missing.
    pub(crate) config: Config,
}

impl Layout {
    /// Reads the configuration: the one that is named, else the one in the data folder.
    ///
    /// # Errors
    /// It cannot be read, or says what no configuration may say.
    pub(crate) fn read(data: &Path, configuration: Option<&Path>) -> Result<Self, Error> {
        let configuration = match configuration {
            Some(named) => named.to_owned(),
            None => data.join(CONFIGURATION),
        };
        let mut config = match exists(&configuration)? {
            true => Config::parse(&configuration, &files::read(&configuration)?)?,
            false => Config::default(),
        };
        config.lie_in(data);
        Ok(Self {
            data: data.to_owned(),
            configuration,
            config,
        })
    }

    /// The folder of the keys of tokens.
    pub(crate) fn keys(&self) -> PathBuf {
        keys_in(&self.data)
    }

    /// The folder of the tokens that `up` leaves.
    pub(crate) fn tokens(&self) -> PathBuf {
        self.data.join("tokens")
    }

    /// The folders that services write, besides that of the keys.
    pub(crate) fn folders(&self) -> [(PathBuf, &'static str); 5] {
        let config = &self.config;
        [
            (self.tokens(), "tokens"),
            (config.broker.folder.clone(), "streams of the broker"),
            (config.intake.folder.clone(), "evidence of the log"),
            (config.aggregator.folder.clone(), "views"),
            (config.escalator.folder.clone(), "timers"),
        ]
    }

    /// All that an installation has in its data folder, directly in it.
    pub(crate) fn in_data(&self) -> Vec<PathBuf> {
        let mut paths: Vec<_> = self.folders().map(|(folder, _)| folder).into();
        paths.extend([
            self.keys(),
            self.configuration.clone(),
            self.data.join(CONFIGURATION),
        ]);
        let below = paths.iter().filter_map(|path| {
            let first = path.strip_prefix(&self.data).ok()?.components().next()?;
            Some(self.data.join(first))
        });
        let mut below: Vec<_> = below.collect();
        below.sort();
        below.dedup();
        below
    }

    /// A file by which services were at work here. `None` if none was.
    ///
    /// # Errors
    /// The system does not say.
    pub(crate) fn sign_of_life(&self) -> Result<Option<PathBuf>, Error> {
        let config = &self.config;
        for file in ["current", "current.next"] {
            for folder in [&config.aggregator.folder, &config.escalator.folder] {
                let pointer = folder.join(file);
                if exists(&pointer)? {
                    return Ok(Some(pointer));
                }
            }
        }
        let evidence = config.intake.folder.join("watermark");
        if exists(&evidence)? {
            return Ok(Some(evidence));
        }
        for folder in [config.broker.folder.join("streams"), self.tokens()] {
            if let Some(first) = entries(&folder)?.into_iter().next() {
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    /// What the data folder holds when it is somebody else's: something, but nothing of an
    /// installation. `None` if it is empty, missing or an installation.
    ///
    /// # Errors
    /// It cannot be listed.
    pub(crate) fn foreign(&self) -> Result<Option<PathBuf>, Error> {
        for ours in [self.keys().join("public"), self.data.join(CONFIGURATION)] {
            if exists(&ours)? {
                return Ok(None);
            }
        }
        let known = self.in_data();
        // A file system of its own begins with this folder.
        let empty_disk = Some(OsStr::new("lost+found"));
        let mut entries = entries(&self.data)?.into_iter();
        Ok(entries.find(|path| !known.contains(path) && path.file_name() != empty_disk))
    }
}

/// The folder of the keys of tokens in a data folder.
pub(crate) fn keys_in(data: &Path) -> PathBuf {
    data.join("keys")
}

/// Whether there is a file or folder.
///
/// # Errors
/// The system does not say.
pub(crate) fn exists(path: &Path) -> Result<bool, Error> {
    path.try_exists().map_err(io_error("look for", path))
}

/// What is in a folder, in the order of the names; nothing where there is no folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    gridkeeper_private::entries(folder).map_err(io_error("list", folder))
}

/// An error of the system's about a file or folder.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        action,
        path,
        source,
    }
}
