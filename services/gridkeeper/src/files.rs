//! Text files that the command line names.

use std::{fs, path::Path};

use crate::error::Error;

/// Reads a text file.
///
/// # Errors
/// The system does not let it.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

/// Writes a text file.
///
/// # Errors
/// The system does not let it.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })
}
