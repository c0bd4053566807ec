//! What an installation keeps of its log besides the log: signed checkpoints and watermarks.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use gridkeeper_eventlog::{
    EventLog, LogError,
    diagnosis::{Diagnosis, KnownRoots, Stretch, diagnose},
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

/// How long before the reading of a long log is announced.
const QUIET: Duration = Duration::from_secs(2);

/// The roots that the log has to have.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// Those of intake's watermark and of the signed checkpoints in its folder.
    kept: Vec<Checkpoint>,
    /// Those of the signed checkpoints on the broker.
    published: Vec<Checkpoint>,
    /// The watermarks of what was made from the log.
    pub(crate) read: Vec<Kept>,
    /// Watermarks of what was made from another log.
    pub(crate) of_other_logs: Vec<Kept>,
    /// The checkpoints in intake's folder.
    in_folder: BTreeSet<Position>,
    /// Those that the broker has and the folder has not.
    only_on_broker: BTreeSet<Position>,
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
        let mut kept: Vec<_> = files.map(|file| file.checkpoint).collect();
        let in_folder = kept.iter().map(|known| known.position).collect();
        let (watermarks, of_other_logs) = kept_of(&layout.config, verifier.origin().log)?;
        let made = |kept: &Kept| kept.made_from_log.is_some();
        let (read, own): (Vec<_>, Vec<_>) = watermarks.into_iter().partition(made);
        kept.extend(own.iter().map(Kept::checkpoint));
        // A log of an earlier version has none, and one that is gone neither.
        let notes = match log.checkpoints().await?.all().await {
            Err(LogError::NoStream { .. }) => Vec::new(),
            notes => notes?,
        };
        let opened: Vec<_> = notes.iter().map(|note| verifier.open(note)).collect();
        let unsigned = opened.iter().filter(|opened| opened.is_err()).count();
        let published: Vec<_> = opened.into_iter().flatten().collect();
        let here: HashSet<_> = kept
            .iter()
            .map(|known| (known.position, known.root.0))
            .collect();
        let is_here = |known: &&Checkpoint| here.contains(&(known.position, known.root.0));
        let only = published.iter().filter(|known| !is_here(known));
        let only_on_broker = only.map(|known| known.position).collect();
        Ok(Self {
            kept,
            published,
            read,
            of_other_logs,
            in_folder,
            only_on_broker,
            unsigned,
            has_key: true,
        })
    }

    /// All roots that the log has to have.
    pub(crate) fn roots(&self) -> Vec<Checkpoint> {
        let read = self.read.iter().map(Kept::checkpoint);
        let only = self.published.iter();
        let only = only.filter(|known| self.only_on_broker.contains(&known.position));
        self.kept.iter().chain(only).copied().chain(read).collect()
    }

    /// Of a log that is shorter than it was known to be, the positions that were perhaps gone on with from an older
    /// copy. Intake's folder has all that intake signs: what the broker has besides was signed while the folder was
    /// another one.
    pub(crate) fn gone_on_without(&self, diagnosis: &Diagnosis) -> Option<Stretch> {
        if diagnosis.known_to <= diagnosis.last {
            return None;
        }
        let first = *self.in_folder.first()?;
        let within = self.only_on_broker.range(first..=diagnosis.last);
        let signed = within.into_iter().next()?;
        let shared = self.in_folder.range(..*signed).next_back()?;
        Some(Stretch {
            from: Position(shared.0 + 1),
            to: diagnosis.known_to,
        })
    }

    /// What is wrong with the log, held against this evidence.
    ///
    /// # Errors
    /// The broker does not answer, or has no log of the district.
    pub(crate) async fn diagnose(&self, log: &EventLog) -> Result<Diagnosis, LogError> {
        let began = Instant::now();
        let read: Vec<_> = self.read.iter().map(Kept::checkpoint).collect();
        let known = KnownRoots {
            kept: &self.kept,
            published: &self.published,
            read: &read,
        };
        let diagnosed = diagnose(log, known).await;
        if began.elapsed() > QUIET {
            terminal::progress(format!("read the log in {} s", began.elapsed().as_secs()));
        }
        diagnosed
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_that_only_the_broker_has_tells_that_a_short_log_was_gone_on_with() {
        let positions = |all: &[u64]| all.iter().copied().map(Position).collect();
        let found = |in_folder: &[u64], only_on_broker: &[u64], ends: (u64, u64)| {
            let evidence = Evidence {
                in_folder: positions(in_folder),
                only_on_broker: positions(only_on_broker),
                ..Evidence::default()
            };
            let diagnosis = Diagnosis {
                last: Position(ends.0),
                known_to: Position(ends.1),
                ..Diagnosis::default()
            };
            let found = evidence.gone_on_without(&diagnosis);
            found.map(|Stretch { from, to }| (from.0, to.0))
        };
        assert_eq!(found(&[181, 313], &[197], (198, 313)), Some((182, 313)));
        // Nothing is missing; all of it is known here; it is of before the folder was begun.
        assert_eq!(found(&[181, 313], &[197], (313, 313)), None);
        assert_eq!(found(&[181, 313], &[], (198, 313)), None);
        assert_eq!(found(&[181, 313], &[40], (198, 313)), None);
        assert_eq!(found(&[], &[197], (198, 313)), None);
    }
}
