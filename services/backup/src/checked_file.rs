//! Files that end with a checksum over all of them, so that no damage of them passes for content.
//!
//! ```text
//! 8 bytes   which kind of file, and its version
//! n bytes   the content, in postcard
//! 32 bytes  BLAKE3 of all before
//! ```

use std::{fs, io, path::Path};

use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

const CHECKSUM: usize = 32;

/// Which kind of file.
pub(crate) type Magic = [u8; 8];

/// Writes a file whole or not at all. Blocks until it is on the disk.
pub(crate) fn write(path: &Path, magic: Magic, content: &impl Serialize) -> Result<(), Error> {
    let mut bytes = magic.to_vec();
    bytes = postcard::to_extend(content, bytes).map_err(|error| Error::Io {
        action: "encode",
        path: path.to_owned(),
        source: io::Error::other(error),
    })?;
    let sum = blake3::hash(&bytes);
    bytes.extend_from_slice(sum.as_bytes());
    gridkeeper_private::write(path, &bytes).map_err(failed("write", path))
}

/// Reads a file that was written so.
pub(crate) fn read<T: DeserializeOwned>(path: &Path, magic: Magic) -> Result<T, Error> {
    let damaged = |detail: &str| Error::Damaged {
        path: path.to_owned(),
        detail: detail.to_owned(),
    };
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(damaged("it is missing"));
        }
        bytes => bytes.map_err(failed("read", path))?,
    };
    let (content, sum) = bytes
        .split_last_chunk::<CHECKSUM>()
        .ok_or_else(|| damaged("it is cut off"))?;
    if blake3::hash(content).as_bytes() != sum {
        return Err(damaged("its checksum is wrong"));
    }
    let content = content
        .strip_prefix(&magic)
        .ok_or_else(|| damaged("it is of another kind"))?;
    match postcard::take_from_bytes(content) {
        Ok((content, [])) => Ok(content),
        _ => Err(damaged("it does not decode")),
    }
}

/// The error of a file or folder that the system refuses.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        action,
        path,
        source,
    }
}
