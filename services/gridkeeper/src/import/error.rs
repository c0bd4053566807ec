//! What can go wrong with an import as a whole, and with one of its rows.

use std::{io, path::PathBuf};

use gridkeeper_proto::{
    code::{Code, Coded},
    time::TimeError,
};

/// Why an import or a derivation stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// A file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The mapping is wrong.
    #[error("{}: {reason}", path.display())]
    Mapping {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file of records lacks a column.
    #[error("{}: there is no column '{column}', which the mapping names", path.display())]
    NoColumn {
        /// The file of records.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// Two areas or categories of the file would get the same code.
    #[error("'{first}' and '{second}' would both get the code {code}")]
    SameCode {
        /// The code.
        code: String,
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
}

impl Coded for ImportError {
    fn code(&self) -> Code {
        match self {
            Self::Mapping { .. } | Self::NoColumn { .. } => Code(700),
            Self::Read { .. } => Code(701),
            Self::SameCode { .. } => Code(705),
        }
    }
}

/// Why a row was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RowError {
    /// It does not say where it was filed.
    #[error("the column {column} is '{value}': the row does not say where it was filed")]
    NoArea {
        /// The column.
        column: String,
        /// What stands there.
        value: String,
    },
    /// A value that the mapping cannot read.
    #[error("the column {column} is '{value}': {reason}")]
    Value {
        /// The column.
        column: String,
        /// What stands there, cut to 60 characters.
        value: String,
        /// Why it is not understood.
        reason: String,
    },
    /// A row that is not one of this file.
    #[error("the row cannot be read: {reason}")]
    Broken {
        /// Why.
        reason: String,
    },
}

impl RowError {
    pub(super) fn value(column: &str, value: &str, reason: impl Into<String>) -> Self {
        Self::Value {
            column: column.to_owned(),
            value: value.chars().take(60).collect(),
            reason: reason.into(),
        }
    }

    pub(super) fn time(column: &str, value: &str, error: &TimeError) -> Self {
        Self::value(column, value, error.to_string())
    }
}

impl Coded for RowError {
    fn code(&self) -> Code {
        match self {
            Self::NoArea { .. } => Code(702),
            Self::Value { .. } => Code(703),
            Self::Broken { .. } => Code(704),
        }
    }
}
