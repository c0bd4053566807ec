//! The manifest: what a backup is.

use std::{fs, io, path::Path};

use gridkeeper_proto::{
    area::AreaCode, checkpoint::CheckpointVerifier, envelope::Position, id::LogId, time::Timestamp,
    tree::TreeHash,
};
use serde::{Deserialize, Serialize};

use crate::{Error, checked_file::failed};

/// The format that this version writes and reads.
const FORMAT: u32 = 1;

/// What a backup is: which log, up to which position, with which root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of all files.
    pub format: u32,
    /// The log.
    pub log: LogId,
    /// Its district.
    pub district: AreaCode,
    /// The last position that is in the backup.
    pub position: Position,
    /// The root of the log's tree there.
    pub root: TreeHash,
    /// The position of the last statement of the log about itself up to there; zero for none.
    pub statement: Position,
    /// When the run that wrote it ended.
    pub made_at: Timestamp,
    /// The newest signed checkpoint that the backup has the root of; `None` if there was none, or no key to check it.
    pub verified_against: Option<Position>,
    /// The public key of checkpoints; `None` if the installation had none.
    pub public_key: Option<String>,
    /// How many keys of sealed parties there are.
    pub keys: u64,
}

/// The file: the manifest, and the hash of its text.
#[derive(Serialize, Deserialize)]
struct File {
    manifest: Manifest,
    blake3: String,
}

/// What of a manifest every version can read.
#[derive(Deserialize)]
struct AnyFile {
    manifest: AnyManifest,
}

#[derive(Deserialize)]
struct AnyManifest {
    format: u32,
}

impl Manifest {
    pub(crate) const FORMAT: u32 = FORMAT;

    /// The key by which the backup's checkpoints are checked; `None` if the installation had none.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for what is no key.
    pub fn verifier(&self) -> Result<Option<CheckpointVerifier>, Error> {
        let parsed = self.public_key.as_deref().map(CheckpointVerifier::parse);
        Ok(parsed.transpose()?)
    }

    /// Reads the file; `None` if there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(damaged(path, "it is no text"));
            }
            text => text.map_err(failed("read", path))?,
        };
        let file: File = match serde_json::from_str(&text) {
            Ok(file) => file,
            Err(error) => {
                return Err(match serde_json::from_str::<AnyFile>(&text) {
                    Ok(newer) if newer.manifest.format > FORMAT => {
                        format_error(path, newer.manifest.format)
                    }
                    _ => damaged(path, &error.to_string()),
                });
            }
        };
        if file.manifest.format != FORMAT {
            return Err(format_error(path, file.manifest.format));
        }
        // Whatever differs in the text differs from this one.
        if file.manifest.text(path)? != text {
            return Err(damaged(path, "its checksum is wrong"));
        }
        Ok(Some(file.manifest))
    }

    /// Writes the file whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let text = self.text(path)?;
        gridkeeper_private::write(path, text.as_bytes()).map_err(failed("write", path))
    }

    fn text(&self, path: &Path) -> Result<String, Error> {
        let encode = |error: serde_json::Error| failed("encode", path)(error.into());
        let own = serde_json::to_vec(self).map_err(encode)?;
        let file = File {
            manifest: self.clone(),
            blake3: blake3::hash(&own).to_hex().to_string(),
        };
        let encode = |error: serde_json::Error| failed("encode", path)(error.into());
        Ok(serde_json::to_string_pretty(&file).map_err(encode)? + "\n")
    }
}

fn damaged(path: &Path, detail: &str) -> Error {
    Error::Damaged {
        path: path.to_owned(),
        detail: detail.to_owned(),
    }
}

fn format_error(path: &Path, format: u32) -> Error {
    Error::Format {
        folder: path.parent().unwrap_or(path).to_owned(),
        format,
        known: FORMAT,
    }
}
