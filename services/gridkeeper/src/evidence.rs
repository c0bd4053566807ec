//! What an installation knows of its log besides the log: signed checkpoints, watermarks, and the views.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use gridkeeper_aggregator::known::{self, Known};
use gridkeeper_eventlog::{
    EventLog, LogError,
    diagnosis::{Diagnosis, diagnose},
};
use gridkeeper_identity::load_checkpoint_verifier;
use gridkeeper_proto::{
    checkpoint::{Checkpoint, CheckpointVerifier},
    envelope::Position,
};

use crate::{
    error::Error,
    files,
    installation::Installation,
    layout::io_error,
    terminal,
    watermarks::{Kept, kept_of},
};

/// How long to wait for an aggregator that tells what its views know.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long before the reading of a long log is announced.
const QUIET: Duration = Duration::from_secs(2);

/// The roots that the log has to have.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// Those of checkpoints and of watermarks.
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// The watermarks among them.
    pub(crate) watermarks: Vec<Kept>,
    /// Watermarks of what was made from another log.
    pub(crate) of_other_logs: Vec<Kept>,
    /// How many messages among the broker's checkpoints the log's key did not sign.
    pub(crate) unsigned: usize,
    /// Whether there is a key by which checkpoints can be checked.
    pub(crate) has_key: bool,
}

impl Evidence {
    /// Gathers what the installation's folders and its broker hold.
    ///
    /// # Errors
    /// A file is damaged or cannot be read.
    pub(crate) async fn of(
        installation: &Installation,
        log: &EventLog,
        verifier: Option<&CheckpointVerifier>,
    ) -> Result<Self, Error> {
        let layout = &installation.layout;
        let own = load_checkpoint_verifier(&layout.keys()).ok();
        let Some(verifier) = verifier.or(own.as_ref()) else {
            return Ok(Self::default());
        };
        let folder = &layout.config.intake.folder;
        let files = checkpoints(folder, verifier)?.into_iter();
        let mut checkpoints: Vec<_> = files.map(|file| file.checkpoint).collect();
        let (watermarks, of_other_logs) = kept_of(&layout.config, verifier.origin().log)?;
        checkpoints.extend(watermarks.iter().map(|kept| kept.watermark.checkpoint));
        // A log of an earlier version has none, and one that is gone neither.
        let notes = match log.checkpoints().await?.all().await {
            Err(LogError::NoStream { .. }) => Vec::new(),
            notes => notes?,
        };
        let opened: Vec<_> = notes.iter().map(|note| verifier.open(note)).collect();
        let unsigned = opened.iter().filter(|opened| opened.is_err()).count();
        checkpoints.extend(opened.into_iter().flatten());
        Ok(Self {
            checkpoints,
            watermarks,
            of_other_logs,
            unsigned,
            has_key: true,
        })
    }

    /// What is wrong with the log, held against this evidence.
    ///
    /// # Errors
    /// The broker does not answer, or has no log of the district.
    pub(crate) async fn diagnose(&self, log: &EventLog) -> Result<Diagnosis, LogError> {
        let began = Instant::now();
        let diagnosed = diagnose(log, &self.checkpoints).await;
        if began.elapsed() > QUIET {
            terminal::progress(format!("read the log in {} s", began.elapsed().as_secs()));
        }
        diagnosed
    }
}

/// What the views of a running aggregator know of the log from a position on; `None` where none answers.
///
/// # Errors
/// The broker cannot be reached.
pub(crate) async fn known_to_views(
    installation: &Installation,
    url: &str,
    (from, to): (Position, Option<Position>),
) -> Result<Option<Known>, Error> {
    let client =
        async_nats::connect(url)
            .await
            .map_err(|error| gridkeeper_aggregator::Error::Broker {
                detail: error.to_string(),
            })?;
    let district = installation.district.code();
    Ok(known::request(&client, district, (from, to), PATIENCE).await?)
}

/// The public key of checkpoints in a file, where one is named.
///
/// # Errors
/// The file cannot be read, or holds none.
pub(crate) fn named_verifier(path: Option<&Path>) -> Result<Option<CheckpointVerifier>, Error> {
    let Some(path) = path else { return Ok(None) };
    Ok(Some(CheckpointVerifier::parse(&files::read(path)?)?))
}

/// A checkpoint in a file of its own.
pub(crate) struct CheckpointFile {
    pub(crate) path: PathBuf,
    /// The signed text.
    pub(crate) note: String,
    pub(crate) checkpoint: Checkpoint,
}

/// The checkpoints in intake's folder. What is damaged there is an error: they are evidence.
///
/// # Errors
/// A file cannot be read, or is none that the key has signed.
pub(crate) fn checkpoints(
    intake: &Path,
    verifier: &CheckpointVerifier,
) -> Result<Vec<CheckpointFile>, Error> {
    let folder = intake.join("checkpoints");
    let Ok(entries) = fs::read_dir(&folder) else {
        return Ok(Vec::new());
    };
    let mut checkpoints = Vec::new();
    for entry in entries {
        let path = entry.map_err(io_error("list", &folder))?.path();
        if path.extension().is_some_and(|name| name == "checkpoint") {
            // What is no text is no checkpoint.
            let note = fs::read(&path).map_err(io_error("read", &path))?;
            let note = String::from_utf8_lossy(&note).into_owned();
            let checkpoint = verifier
                .open(&note)
                .map_err(|source| Error::CheckpointFile {
                    path: path.clone(),
                    source,
                })?;
            checkpoints.push(CheckpointFile {
                checkpoint,
                note,
                path,
            });
        }
    }
    Ok(checkpoints)
}
