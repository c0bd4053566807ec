//! What the user sees: answers on standard output, progress and errors on standard error.

use std::{
    cell::Cell,
    io::{self, Write as _},
    time::{Duration, Instant},
};

use gridkeeper_backup::Progress;
use gridkeeper_proto::code::Coded as _;
use serde::Serialize;

use crate::error::Error;

/// Prints a line of the answer.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn answer(line: impl AsRef<str>) -> Result<(), Error> {
    writeln!(io::stdout().lock(), "{}", line.as_ref()).map_err(|source| Error::Io {
        action: "write to",
        path: "standard output".into(),
        source,
    })
}

/// Prints an answer as JSON.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::Io {
        action: "write to",
        path: "standard output".into(),
        source: error.into(),
    })?;
    answer(text)
}

/// Prints a line of progress. A closed standard error loses it, and nothing else.
pub(crate) fn progress(line: impl AsRef<str>) {
    let _closed = writeln!(io::stderr().lock(), "{}", line.as_ref());
}

/// Prints an error: code, what happened, what was kept and what to do.
pub(crate) fn error(error: &Error) {
    let code = error.code();
    progress(format!("{code}: {error}"));
    match gridkeeper_http::error_page_of(&code.to_string()) {
        // The first two parts of a page are its title and what happened, which the error told better.
        Some(page) => page
            .split("\n\n")
            .skip(2)
            .for_each(|part| progress(part.trim_end().replace("**", ""))),
        None => progress(format!("docs/errors/{code}.md tells more.")),
    }
}

/// Progress that is shown once a second.
pub(crate) struct Paced {
    shown: Cell<Instant>,
}

impl Default for Paced {
    fn default() -> Self {
        Self {
            shown: Cell::new(Instant::now()),
        }
    }
}

impl Paced {
    /// Shows how far an action has come, unless something was shown just before.
    pub(crate) fn progress(&self, at: &Progress) {
        const INTERVAL: Duration = Duration::from_secs(1);
        if self.shown.get().elapsed() >= INTERVAL {
            progress(format!("{}: {} of {}", at.doing, at.done, at.end));
            self.shown.set(Instant::now());
        }
    }
}
