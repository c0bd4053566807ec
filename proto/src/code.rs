//! Stable codes of errors and refusals.

use std::fmt;

/// A stable error code, printed as `GK0203`.
///
/// Each code has a page of the same name in `docs/errors/`. A number is never used for a second
/// meaning. Ranges: `00xx` request and access, `01xx` district files, `02xx` refusals of a command,
/// `03xx` event log, `04xx` view store, `05xx` intake, `06xx` aggregator and query, `07xx` import and
/// simulation, `08xx` broker process and command line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GK{:04}", self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An error that carries a stable [`Code`].
pub trait Coded {
    /// The code under which `docs/errors/` explains this error.
    fn code(&self) -> Code;
}
