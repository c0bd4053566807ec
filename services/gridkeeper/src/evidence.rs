//! What intake's folder says of the log, beside the broker.

use std::{
    fs,
    path::{Path, PathBuf},
};

use gridkeeper_proto::checkpoint::{Checkpoint, CheckpointVerifier};

use crate::{error::Error, files, layout::io_error};

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
            let note = files::read(&path)?;
            checkpoints.push(CheckpointFile {
                checkpoint: verifier.open(&note)?,
                note,
                path,
            });
        }
    }
    Ok(checkpoints)
}
