//! The installed compiler: counts of another one's code may differ.

use std::process::Command;

/// Why it is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompilerError {
    #[error("rustc does not say its version: {0}")]
    Start(std::io::Error),
    #[error("rustc says neither its release nor its host: {0}")]
    Answer(String),
}

/// Version and machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Compiler {
    /// Such as `1.95.0`.
    pub(crate) rustc: String,
    /// Such as `x86_64-unknown-linux-gnu`.
    pub(crate) host: String,
}

impl Compiler {
    pub(crate) fn installed() -> Result<Self, CompilerError> {
        let answer = Command::new("rustc")
            .arg("-vV")
            .current_dir(gridkeeper_tests::repository())
            .output()
            .map_err(CompilerError::Start)?;
        Self::parse(&String::from_utf8_lossy(&answer.stdout))
    }

    fn parse(text: &str) -> Result<Self, CompilerError> {
        let value = |name| text.lines().find_map(|line| line.strip_prefix(name));
        match (value("release: "), value("host: ")) {
            (Some(rustc), Some(host)) => Ok(Self {
                rustc: rustc.to_owned(),
                host: host.to_owned(),
            }),
            _ => Err(CompilerError::Answer(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_and_host_are_read() {
        let text = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\n\
                    release: 1.95.0\nLLVM version: 22.1.2\n";
        let Compiler { rustc, host } = Compiler::parse(text).unwrap();
        assert_eq!((&*rustc, &*host), ("1.95.0", "x86_64-unknown-linux-gnu"));
        assert!(Compiler::parse("rustc 1.95.0").is_err());
    }
}
