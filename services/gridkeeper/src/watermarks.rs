//! How far the services of an installation have got with the log, by what each keeps in its folder.

use std::path::{Path, PathBuf};

use gridkeeper_eventlog::{LogError, Watermark, read_watermark};
use gridkeeper_proto::{checkpoint::Checkpoint, id::LogId};

use crate::{config::Config, error::Error};

/// What a service keeps of how far it has got.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// The folder of the service.
    pub(crate) folder: PathBuf,
    /// What the service keeps there, where it can be made anew from the log.
    pub(crate) made_from_log: Option<&'static str>,
    pub(crate) watermark: Watermark,
}

impl Kept {
    /// The position that the service has reached, and the root there.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        self.watermark.checkpoint
    }

    /// What it is, for whoever is told of it.
    pub(crate) fn name(&self) -> String {
        let what = self.made_from_log.unwrap_or("evidence");
        format!("the watermark of the {what} in {}", self.folder.display())
    }
}

/// The folders of the services that keep one, intake's first.
fn folders(config: &Config) -> [(&Path, Option<&'static str>); 3] {
    [
        (&config.intake.folder, None),
        (&config.aggregator.folder, Some("views")),
        (&config.escalator.folder, Some("timers")),
    ]
}

/// The watermarks of all services that have one.
pub(crate) fn kept(config: &Config) -> Vec<Kept> {
    let kept = folders(config)
        .into_iter()
        .filter_map(|(folder, made_from_log)| {
            Some(Kept {
                folder: folder.to_owned(),
                made_from_log,
                watermark: read_watermark(folder)?,
            })
        });
    kept.collect()
}

/// Those of a log, and those of other logs.
///
/// # Errors
/// [`LogError::AnotherLog`] if intake's is of another one.
pub(crate) fn kept_of(config: &Config, log: LogId) -> Result<(Vec<Kept>, Vec<Kept>), Error> {
    let all = kept(config).into_iter();
    let (own, others): (Vec<_>, Vec<_>) = all.partition(|kept| kept.watermark.log == log);
    match others.iter().find(|kept| kept.made_from_log.is_none()) {
        None => Ok((own, others)),
        Some(kept) => Err(LogError::AnotherLog {
            expected: log,
            found: Some(kept.watermark.log),
        }
        .into()),
    }
}
