//! What can be wrong with a token and with a folder of keys.

use std::{io, path::PathBuf};

use gridkeeper_proto::{
    access::ClaimsError,
    checkpoint::CheckpointError,
    code::{Code, Coded},
};

/// Why a token is not believed.
///
/// The texts go to whoever sent the token, so they say nothing of the keys that are known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// None was sent.
    #[error("no bearer token was sent: set the header 'Authorization: Bearer <token>'")]
    Missing,
    /// Not a token at all.
    #[error("this is not a token of Gridkeeper: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Not signed by a key of this installation.
    #[error("the token is not signed by a key of this installation: {reason}")]
    Forged {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Its time is over.
    #[error("the token expired at second {exp} since 1970: ask for a new one")]
    Expired {
        /// The first second since 1970 in which it does not hold.
        exp: u64,
    },
    /// Signed, but with claims that this installation does not accept.
    #[error("the token's claims are not acceptable here: {0}")]
    Claims(#[from] ClaimsError),
}

impl Coded for TokenError {
    fn code(&self) -> Code {
        match self {
            Self::Missing => Code(1),
            Self::Malformed { .. } => Code(2),
            Self::Forged { .. } => Code(3),
            Self::Expired { .. } => Code(4),
            Self::Claims(error) => error.code(),
        }
    }
}

/// Why keys cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key of checkpoints is missing.
    #[error("{} is missing: the key that signs checkpoints of the log", path.display())]
    NoCheckpointKey {
        /// The file.
        path: PathBuf,
    },
    /// The key of checkpoints is damaged.
    #[error("{}: {source}", path.display())]
    CheckpointKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// A file or folder cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no randomness.
    #[error("the system gives no random bytes for a key: {reason}")]
    Randomness {
        /// What the system said.
        reason: String,
    },
    /// There is a signing key already; it was left alone.
    #[error("{} exists already and was left as it is; rotate to replace it", path.display())]
    Exists {
        /// The private key's file.
        path: PathBuf,
    },
    /// A file is not the key that it should be.
    #[error("{} is damaged or not the key that belongs there: {reason}", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The signing key is lost: there are public keys, so there was one.
    #[error(
        "{} is missing beside {publics} public key(s): restore it, or `gridkeeper keys rotate` for a new one",
        path.display()
    )]
    NoSigningKey {
        /// The private key's file.
        path: PathBuf,
        /// How many public keys there are.
        publics: usize,
    },
    /// The public key of the signing key is missing: its tokens would not be believed.
    #[error(
        "{} is missing, the public key of the signing key: `gridkeeper init` writes it again",
        path.display()
    )]
    NotPublished {
        /// The public key's file.
        path: PathBuf,
    },
    /// No keys at all.
    #[error("{} holds no keys: `gridkeeper init` makes them", folder.display())]
    NoKeys {
        /// The folder.
        folder: PathBuf,
    },
    /// Others than its owner can reach the private key.
    #[error("{} can be read or written by others (mode {mode:o}): it has to be 600", path.display())]
    Exposed {
        /// The private key's file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Signing failed in the token library.
    #[error("the token could not be signed: {reason}")]
    Signing {
        /// What the library said.
        reason: String,
    },
    /// The claims are not ones that may be issued.
    #[error("no token was issued: {0}")]
    Claims(#[from] ClaimsError),
}

impl Coded for KeyError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. }
            | Self::Randomness { .. }
            | Self::NoKeys { .. }
            | Self::Signing { .. } => Code(8),
            Self::NoSigningKey { .. } => Code(28),
            Self::NotAKey { .. } | Self::NotPublished { .. } => Code(29),
            Self::Exposed { .. } => Code(9),
            Self::Claims(error) => error.code(),
            Self::Exists { .. } => Code(13),
            Self::NoCheckpointKey { .. } => Code(330),
            Self::CheckpointKey { source, .. } => source.code(),
        }
    }
}
