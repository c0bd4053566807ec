//! Finding a nats-server that can be trusted.

use std::{
    env,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use crate::BrokerError;

/// The oldest version with the fixes that the promise not to lose a report stands on: writes lost at
/// compaction, checks of expectations within atomic batches.
pub const FLOOR: [u32; 3] = [2, 14, 7];

/// A nats-server of a version that can be trusted.
#[derive(Clone, Debug)]
pub struct Binary {
    pub(crate) path: PathBuf,
    version: [u32; 3],
}

impl Binary {
    /// Looks in `$NATS_SERVER`, on `PATH` and in `.venv/bin` below the current folder, in this order,
    /// and takes the first that is there.
    ///
    /// # Errors
    /// None is there, or the one found is no nats-server or too old.
    pub async fn find() -> Result<Self, BrokerError> {
        if let Some(named) = env::var_os("NATS_SERVER") {
            return Self::at(Path::new(&named)).await;
        }
        let on_path = env::var_os("PATH").unwrap_or_default();
        let places = env::split_paths(&on_path).chain([PathBuf::from(".venv/bin")]);
        let mut candidates = places.map(|folder| folder.join("nats-server"));
        let path = candidates
            .find(|path| path.is_file())
            .ok_or(BrokerError::NotFound)?;
        Self::at(&path).await
    }

    /// The binary at a path.
    ///
    /// # Errors
    /// It is no nats-server, or too old.
    pub async fn at(path: &Path) -> Result<Self, BrokerError> {
        let output = Command::new(path)
            .arg("--version")
            .output()
            .await
            .map_err(BrokerError::system("run nats-server --version"))?;
        let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let path = path.to_owned();
        let Some(version) = parse(&answer) else {
            return Err(BrokerError::NotNatsServer { path, answer });
        };
        if version < FLOOR {
            let (found, floor) = (dotted(version), dotted(FLOOR));
            return Err(BrokerError::TooOld { path, found, floor });
        }
        Ok(Self { path, version })
    }

    /// The version, as in `2.15.1`.
    #[must_use]
    pub fn version(&self) -> String {
        dotted(self.version)
    }
}

fn dotted(version: [u32; 3]) -> String {
    version.map(|part| part.to_string()).join(".")
}

/// The three numbers of `nats-server: v2.15.1`, with anything after them passed over.
fn parse(answer: &str) -> Option<[u32; 3]> {
    let version = answer
        .strip_prefix("nats-server:")?
        .trim()
        .trim_start_matches('v');
    let mut parts = version.split(['.', '-', '+']).map(|part| part.parse().ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        assert_eq!(parse("nats-server: v2.15.1"), Some([2, 15, 1]));
        assert_eq!(parse("nats-server: v2.14.7-RC.2"), Some([2, 14, 7]));
        assert_eq!(parse("nats-server: 2.9.10"), Some([2, 9, 10]));
        assert_eq!(parse("bash 5"), None);
        assert!([2, 9, 10] < FLOOR);
        assert!([2, 14, 6] < FLOOR);
        assert!([2, 15, 0] > FLOOR);
    }

    async fn pretend(answer: &str) -> Result<Binary, BrokerError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nats-server");
        // Written and closed by another process: a script still open for writing cannot be run.
        let script = format!("#!/bin/sh\necho '{answer}'\n");
        let source = folder.path().join("script");
        fs::write(&source, script).unwrap();
        fs::set_permissions(&source, fs::Permissions::from_mode(0o755)).unwrap();
        let copied = Command::new("cp")
            .args([&source, &path])
            .status()
            .await
            .unwrap();
        assert!(copied.success());
        Binary::at(&path).await
    }

    #[tokio::test]
    async fn an_old_server_is_refused_and_told_why() {
        let refused = pretend("nats-server: v2.9.10").await.unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("2.9.10") && text.contains("2.14.7"), "{text}");
        assert!(matches!(refused, BrokerError::TooOld { .. }));
        assert!(matches!(
            pretend("something").await,
            Err(BrokerError::NotNatsServer { .. })
        ));
        assert_eq!(
            pretend("nats-server: v2.15.1").await.unwrap().version(),
            "2.15.1"
        );
    }
}
