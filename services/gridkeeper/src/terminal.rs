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
            .for_each(|part| progress(plain(part.trim_end()))),
        None => progress(format!("docs/errors/{code}.md tells more.")),
    }
}

/// A part of an error's page without its Markdown; links lead from the repository's folder.
fn plain(part: &str) -> String {
    let mut plain = String::new();
    let mut rest = part;
    while let Some((before, after)) = rest.split_once("](") {
        let (Some((before, text)), Some((to, after))) =
            (before.rsplit_once('['), after.split_once(')'))
        else {
            break;
        };
        let to = match to.strip_prefix("../") {
            Some(document) => format!("docs/{document}"),
            None => format!("docs/errors/{to}"),
        };
        plain += &format!("{before}{text} ({to})");
        rest = after;
    }
    (plain + rest).replace("**", "")
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

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn links_of_a_page_lead_from_the_repository_on_the_console() {
        assert_eq!(
            plain(
                "**What to do.** See [the\nrunbook](../runbook.md#restore), or [GK0308](GK0308.md)."
            ),
            "What to do. See the\nrunbook (docs/runbook.md#restore), or GK0308 (docs/errors/GK0308.md)."
        );
        assert_eq!(plain("`a[0](b` stays"), "`a[0](b` stays");
    }
}
