//! Calls into sled.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{Error, Options};

/// How long a database that this process has closed may keep its file: sled's threads let go of it a
/// little after the last handle.
const CLOSING_LIMIT: Duration = Duration::from_secs(5);

pub(crate) fn open_database(folder: &Path, options: &Options) -> Result<sled::Db, Error> {
    let began = Instant::now();
    loop {
        let config = sled::Config::new()
            .path(folder)
            .cache_capacity(options.cache_bytes)
            .segment_size(options.segment_bytes)
            .flush_every_ms(None);
        match guarded(folder, || Ok(config.open()))? {
            Ok(database) => return Ok(database),
            // The store's own lock keeps other processes out, so the holder is this one, closing.
            Err(sled::Error::Io(held)) if is_lock(&held) => {
                if began.elapsed() > CLOSING_LIMIT {
                    return Err(Error::Locked {
                        folder: folder.to_owned(),
                    });
                }
                thread::sleep(Duration::from_millis(5));
            }
            Err(failed) => return Err(classified(folder, failed)),
        }
    }
}

/// Runs a call into sled. sled 0.34 answers some damage by panicking (its issue 1387 among others),
/// and damage of a cache must not take the process down; nothing of ours is shared with the call but
/// the database itself, which is given up when it panicked.
pub(crate) fn guarded<T>(
    folder: &Path,
    call: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Err(corrupt(
            folder,
            said.unwrap_or("the database panicked without a message"),
        ))
    })
}

pub(crate) fn classified(folder: &Path, failed: sled::Error) -> Error {
    match failed {
        sled::Error::Io(source) if !is_damage(&source) => Error::Disk {
            folder: folder.to_owned(),
            source,
        },
        other => corrupt(folder, &other.to_string()),
    }
}

/// Errors of the file system that come from a file that is too short, gone, or holds what does not fit.
fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::NotFound
            | io::ErrorKind::IsADirectory
    )
}

/// sled gives no other sign of its lock than the message.
fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other && error.to_string().starts_with("could not acquire lock")
}

pub(crate) fn corrupt(folder: &Path, reason: &str) -> Error {
    Error::Corrupt {
        folder: folder.to_owned(),
        reason: reason.to_owned(),
    }
}

pub(crate) fn disk(folder: &Path) -> impl Fn(io::Error) -> Error + '_ {
    |source| Error::Disk {
        folder: folder.to_owned(),
        source,
    }
}
