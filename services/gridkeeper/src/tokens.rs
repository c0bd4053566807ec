//! The tokens that `up` leaves in the data folder, so that the first question can be asked at once.

use std::path::{Path, PathBuf};

use gridkeeper_district::{Area, District};
use gridkeeper_identity::SigningKey;
use gridkeeper_proto::{
    access::{Claims, Role},
    area::AreaCode,
    time::Timestamp,
};

use crate::{error::Error, layout::io_error};

/// For how many days these tokens hold.
pub(crate) const DAYS: u64 = 30;
const DAY_SECONDS: u64 = 86_400;

/// Whose tokens, by file name.
const NAMES: [(&str, Role); 4] = [
    ("centre", Role::Centre),
    ("analyst", Role::Analyst),
    ("admin", Role::Admin),
    ("grid_worker", Role::GridWorker),
];

/// Writes a token each for the centre, an analyst, an admin, and the worker of the first grid.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn write(
    folder: &Path,
    key: &SigningKey,
    district: &District,
    now: Timestamp,
) -> Result<(), Error> {
    gridkeeper_private::folder(folder).map_err(io_error("make", folder))?;
    let grid = district.grids().next().map(Area::code);
    for (name, role) in NAMES {
        let area = match role {
            Role::GridWorker => grid,
            _ => Some(district.code()),
        };
        if let Some(area) = area {
            write_one(&path(folder, name), key, &claims(name, role, area, now))?;
        }
    }
    Ok(())
}

/// The file of the token of this name.
pub(crate) fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.jwt"))
}

fn claims(name: &str, role: Role, area: AreaCode, now: Timestamp) -> Claims {
    let seconds = DAYS * DAY_SECONDS;
    Claims::lasting(name.to_owned(), role, vec![area], now, seconds)
}

/// Only the owner may read it: who has the file has the rights.
fn write_one(path: &Path, key: &SigningKey, claims: &Claims) -> Result<(), Error> {
    let token = key.issue(claims)?;
    gridkeeper_private::write(path, token.as_bytes()).map_err(io_error("write", path))
}
