//! The key that signs checkpoints of the log, and nothing else.
//!
//! ```text
//! <folder>/checkpoint.key    the private key, in the text form of signed notes
//! <folder>/checkpoint.vkey   the public key, for whoever checks: an auditor, the city
//! ```
//!
//! The name of the key holds the id of the log, so that the key and the log are made together and belong together.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use gridkeeper_proto::{
    checkpoint::{CheckpointSigner, CheckpointVerifier, Origin, key_texts},
    id::LogId,
};
use rand::{TryRng as _, rngs::SysRng};

use crate::KeyError;

const PRIVATE: &str = "checkpoint.key";
const PUBLIC: &str = "checkpoint.vkey";

/// What the folder has of the key of checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointKeyState {
    /// Both files.
    Whole,
    /// Neither file.
    None,
    /// One file of the two.
    Half,
}

/// What a folder of keys has of the key of checkpoints.
///
/// # Errors
/// The system does not say.
pub fn checkpoint_key_state(folder: &Path) -> Result<CheckpointKeyState, KeyError> {
    let exists = |name: &str| {
        let path = folder.join(name);
        path.try_exists().map_err(failed("look for", &path))
    };
    Ok(match (exists(PRIVATE)?, exists(PUBLIC)?) {
        (true, true) => CheckpointKeyState::Whole,
        (false, false) => CheckpointKeyState::None,
        _ => CheckpointKeyState::Half,
    })
}

/// Makes the key of checkpoints, and with it the id of the log that the installation is going to write. A key that is
/// there stays.
///
/// # Errors
/// What the system refuses.
pub fn make_checkpoint_key(folder: &Path) -> Result<(), KeyError> {
    let mut random = [0; 48];
    SysRng
        .try_fill_bytes(&mut random)
        .map_err(|error| KeyError::Randomness {
            reason: error.to_string(),
        })?;
    let (mut seed, mut id) = ([0; 32], [0; 16]);
    seed.copy_from_slice(&random[..32]);
    id.copy_from_slice(&random[32..]);
    let log = LogId::new(uuid::Builder::from_random_bytes(id).into_uuid());
    let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
    let (private, public) = key_texts(Origin { log }, &seed, public.as_bytes());
    // The public key first: it says nothing without the private one.
    for (name, text) in [(PUBLIC, public), (PRIVATE, private)] {
        let path = folder.join(name);
        gridkeeper_private::write(&path, format!("{text}\n").as_bytes())
            .map_err(failed("write", &path))?;
    }
    Ok(())
}

/// Loads the key that signs checkpoints.
///
/// # Errors
/// A file is missing, damaged, or open to others than its owner.
pub fn load_checkpoint_signer(folder: &Path) -> Result<CheckpointSigner, KeyError> {
    let path = folder.join(PRIVATE);
    let private = read(&path)?;
    let open = gridkeeper_private::open_to_others(&path).map_err(failed("read", &path))?;
    if let Some(mode) = open {
        return Err(KeyError::Exposed { path, mode });
    }
    let public = read(&folder.join(PUBLIC))?;
    CheckpointSigner::parse(&private, &public)
        .map_err(|source| KeyError::CheckpointKey { path, source })
}

/// Loads the key by which checkpoints are checked.
///
/// # Errors
/// The file is missing or damaged.
pub fn load_checkpoint_verifier(folder: &Path) -> Result<CheckpointVerifier, KeyError> {
    let path = folder.join(PUBLIC);
    let public = read(&path)?;
    CheckpointVerifier::parse(&public).map_err(|source| KeyError::CheckpointKey { path, source })
}

fn read(path: &Path) -> Result<String, KeyError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(KeyError::NoCheckpointKey {
            path: path.to_owned(),
        }),
        // What is no text is no key.
        bytes => Ok(String::from_utf8_lossy(&bytes.map_err(failed("read", path))?).into_owned()),
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    let path = PathBuf::from(path);
    move |source| KeyError::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use gridkeeper_proto::{
        checkpoint::Checkpoint,
        code::{Code, Coded as _},
        tree::Frontier,
    };

    use super::*;

    #[test]
    fn a_key_is_made_once_and_every_flipped_bit_of_it_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let missing = load_checkpoint_signer(folder.path()).unwrap_err();
        assert_eq!(missing.code(), Code(330));
        make_checkpoint_key(folder.path()).unwrap();
        let signer = load_checkpoint_signer(folder.path()).unwrap();
        let note = signer
            .sign(&Checkpoint::from(&Frontier::default()))
            .unwrap();
        let verifier = load_checkpoint_verifier(folder.path()).unwrap();
        assert!(verifier.open(&note).is_ok());
        assert_eq!(
            checkpoint_key_state(folder.path()).unwrap(),
            CheckpointKeyState::Whole
        );
        for name in [PRIVATE, PUBLIC] {
            let path = folder.path().join(name);
            let text = fs::read(&path).unwrap();
            for at in 0..text.len() - 1 {
                for bit in 0..8 {
                    let mut damaged = text.clone();
                    damaged[at] ^= 1 << bit;
                    fs::write(&path, &damaged).unwrap();
                    // Upper and lower case of the id of the key are the same number.
                    let same = damaged.eq_ignore_ascii_case(&text) && {
                        let loaded = load_checkpoint_signer(folder.path());
                        loaded.is_ok_and(|loaded| loaded.origin() == signer.origin())
                    };
                    let found = load_checkpoint_signer(folder.path()).err();
                    let code = found.map(|error| error.code());
                    assert!(
                        same || code == Some(Code(326)),
                        "{name} {at} {bit}: {code:?}"
                    );
                }
            }
            fs::write(&path, &text).unwrap();
        }
        fs::remove_file(folder.path().join(PRIVATE)).unwrap();
        assert_eq!(
            checkpoint_key_state(folder.path()).unwrap(),
            CheckpointKeyState::Half
        );
    }
}
