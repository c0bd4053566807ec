//! What was counted once, on purpose, and what is counted now.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// By so many hundredths a count may differ.
const ALLOWED: u64 = 15;

const HEAD: &str =
    "# Instructions of one operation each. `tests/instructions/run record` writes this file.\n\n";

/// Why there is no baseline.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BaselineError {
    #[error("{}: {error}", .path.display())]
    Disk { path: PathBuf, error: io::Error },
    #[error("{}: {error}", .path.display())]
    Content {
        path: PathBuf,
        error: toml::de::Error,
    },
    #[error("the baseline cannot be written as TOML: {0}")]
    Unwritable(#[from] toml::ser::Error),
}

/// The file that counts are compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    /// The version of Rust that compiled what was counted.
    pub(crate) rustc: String,
    /// The kind of machine.
    pub(crate) host: String,
    /// Instructions of one operation, by measurement.
    pub(crate) instructions: BTreeMap<String, u64>,
}

impl Baseline {
    pub(crate) fn read(path: &Path) -> Result<Self, BaselineError> {
        let text = fs::read_to_string(path).map_err(|error| BaselineError::Disk {
            path: path.to_owned(),
            error,
        })?;
        toml::from_str(&text).map_err(|error| BaselineError::Content {
            path: path.to_owned(),
            error,
        })
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), BaselineError> {
        let text = HEAD.to_owned() + &toml::to_string(self)?;
        fs::write(path, text).map_err(|error| BaselineError::Disk {
            path: path.to_owned(),
            error,
        })
    }

    /// How counts of now differ.
    pub(crate) fn compare(&self, counted: &BTreeMap<String, u64>) -> Comparison {
        let names: BTreeSet<_> = self.instructions.keys().chain(counted.keys()).collect();
        let findings = names.into_iter().filter_map(|name| {
            let finding = match (self.instructions.get(name), counted.get(name)) {
                (Some(&before), Some(&now)) => Finding::between(before, now)?,
                (None, Some(_)) => Finding::NotInBaseline,
                (_, None) => Finding::NotCounted,
            };
            Some((name.clone(), finding))
        });
        Comparison(findings.collect())
    }
}

/// What is to be said of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    More { before: u64, now: u64 },
    Less { before: u64, now: u64 },
    NotInBaseline,
    NotCounted,
}

impl Finding {
    fn between(before: u64, now: u64) -> Option<Self> {
        let (before_100, now_100) = (u128::from(before), u128::from(now) * 100);
        if now_100 > before_100 * u128::from(100 + ALLOWED) {
            Some(Self::More { before, now })
        } else if now_100 < before_100 * u128::from(100 - ALLOWED) {
            Some(Self::Less { before, now })
        } else {
            None
        }
    }
}

/// What is to be said of all measurements.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Comparison(Vec<(String, Finding)>);

impl Comparison {
    /// What to do about a failure that is wanted.
    pub(crate) const HOW_TO_RECORD: &str = "Where this is wanted, record a new baseline with `tests/instructions/run record`, and say in the commit why.";

    /// Whether the check fails.
    pub(crate) fn fails(&self) -> bool {
        let mut findings = self.0.iter();
        findings.any(|(_, finding)| !matches!(finding, Finding::Less { .. }))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, finding) in &self.0 {
            match finding {
                Finding::More { before, now } => writeln!(
                    f,
                    "failed: {name} takes {now} instructions, more than {ALLOWED} % above the baseline of {before} ({:+.1} %)",
                    percent(*before, *now)
                ),
                Finding::Less { before, now } => writeln!(
                    f,
                    "notice: {name} takes {now} instructions, more than {ALLOWED} % below the baseline of {before} ({:+.1} %); \
                     record a new baseline, so that it stays so",
                    percent(*before, *now)
                ),
                Finding::NotInBaseline => writeln!(f, "failed: {name} is not in the baseline"),
                Finding::NotCounted => {
                    writeln!(
                        f,
                        "failed: {name} is in the baseline, and no such thing is measured"
                    )
                }
            }?;
        }
        Ok(())
    }
}

fn percent(before: u64, now: u64) -> f64 {
    (now as f64 / before as f64 - 1.0) * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
        let counts = counts.iter();
        counts
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    }

    fn compared(before: &[(&str, u64)], now: &[(&str, u64)]) -> (bool, String) {
        let baseline = Baseline {
            rustc: "1.95.0".into(),
            host: "x86_64-unknown-linux-gnu".into(),
            instructions: counts(before),
        };
        let comparison = baseline.compare(&counts(now));
        (comparison.fails(), comparison.to_string())
    }

    #[test]
    fn what_takes_a_little_more_or_less_passes_and_nothing_is_said() {
        for now in [850, 1_000, 1_140, 1_150] {
            let passed = (false, String::new());
            assert_eq!(compared(&[("decode", 1_000)], &[("decode", now)]), passed);
        }
    }

    #[test]
    fn what_takes_much_more_fails_with_both_figures() {
        let before = [("apply", 70_000), ("decode", 1_000)];
        let (fails, text) = compared(&before, &[("apply", 70_000), ("decode", 1_160)]);
        assert!(fails);
        assert_eq!(
            text,
            "failed: decode takes 1160 instructions, more than 15 % above the baseline of 1000 (+16.0 %)\n"
        );
        assert!(compared(&before, &[("apply", 70_000), ("decode", 1_151)]).0);
    }

    #[test]
    fn what_takes_much_less_is_told_and_passes() {
        let (fails, text) = compared(&[("decode", 1_000)], &[("decode", 849)]);
        assert!(!fails);
        assert!(text.starts_with("notice: decode takes 849 "), "{text}");
    }

    #[test]
    fn a_measurement_that_is_only_on_one_side_fails() {
        let (fails, text) = compared(&[], &[("decode", 1_000)]);
        assert!(fails);
        assert_eq!(text, "failed: decode is not in the baseline\n");
        let (fails, text) = compared(&[("decode", 1_000)], &[]);
        assert!(fails);
        assert!(text.starts_with("failed: decode is in the baseline, "));
    }

    #[test]
    fn a_baseline_reads_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("baseline.toml");
        let baseline = Baseline {
            rustc: "1.95.0".into(),
            host: "x86_64-unknown-linux-gnu".into(),
            instructions: counts(&[("decode", 1_000), ("encode", 900)]),
        };
        baseline.write(&path).unwrap();
        assert_eq!(Baseline::read(&path).unwrap(), baseline);
        let missing = Baseline::read(&folder.path().join("none.toml"));
        assert!(matches!(missing, Err(BaselineError::Disk { .. })));
        fs::write(&path, "rustc = 1").unwrap();
        let content = Baseline::read(&path);
        assert!(matches!(content, Err(BaselineError::Content { .. })));
    }
}
