//! The key that signs.

use std::{fmt, path::Path};

use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use gridkeeper_proto::access::Claims;
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use crate::{
    Gap, KeyError,
    folder::{KeyFolder, PublicKeys},
    kid, provider,
};

/// The private key that signs, and its name.
pub struct SigningKey {
    kid: String,
    encoding: EncodingKey,
}

impl fmt::Debug for SigningKey {
    /// Names the key and keeps it to itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Makes the first key of an installation in the folder, which is made too where it is missing.
    ///
    /// # Errors
    /// [`KeyError::Exists`] when there is a signing key, which stays; [`KeyError::NoSigningKey`]
    /// when there was one; else what the system refuses.
    pub fn create(folder: &Path) -> Result<Self, KeyError> {
        let keys = KeyFolder::new(folder);
        let _lock = keys.lock()?;
        if keys.secret()?.is_some() {
            let path = keys.private_path();
            return Err(KeyError::Exists { path });
        }
        keys.complete()?;
        Self::read(keys)
    }

    /// Makes a new key that signs from now on, also where the one before it is lost or damaged. The
    /// old private key is gone; its public key stays in the folder and verifies the tokens that are
    /// out.
    ///
    /// # Errors
    /// What the system refuses; the old key then still signs. Also that a public key of the folder
    /// is damaged; the new key then signs already.
    pub fn rotate(folder: &Path) -> Result<Self, KeyError> {
        let keys = KeyFolder::new(folder);
        let _lock = keys.lock()?;
        match keys.gaps() {
            // Without its public key, the old one's tokens would end with it.
            Ok(gaps) if !gaps.iter().any(|gap| matches!(gap, Gap::NoKey { .. })) => {
                keys.complete()?;
            }
            // A rotation is what mends a signing key that is lost, damaged or known to others.
            Ok(_) | Err(_) => {}
        }
        keys.replace()?;
        Self::read(keys)
    }

    /// Loads the key that signs, once every key of the folder is found whole.
    ///
    /// # Errors
    /// A key is missing, unreadable, damaged, or open to others than its owner.
    pub fn load(folder: &Path) -> Result<Self, KeyError> {
        let keys = KeyFolder::new(folder);
        let _lock = keys.lock_to_read();
        Self::read(keys)
    }

    /// Loads the key that signs, or makes it at the first start. What an interrupted start or an
    /// earlier version left is completed, see [`complete`].
    ///
    /// # Errors
    /// As [`complete`] and [`Self::load`].
    pub fn load_or_create(folder: &Path) -> Result<Self, KeyError> {
        let keys = KeyFolder::new(folder);
        let _lock = keys.lock()?;
        keys.complete()?;
        Self::read(keys)
    }

    /// The name under which tokens refer to this key: its JWK thumbprint.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Signs a token with these claims.
    ///
    /// # Errors
    /// [`KeyError::Claims`] for claims that no verifier would accept.
    pub fn issue(&self, claims: &Claims) -> Result<String, KeyError> {
        claims.check()?;
        provider::install();
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.encoding).map_err(|error| KeyError::Signing {
            reason: error.to_string(),
        })
    }

    /// Reads the key; the lock is held.
    fn read(keys: KeyFolder<'_>) -> Result<Self, KeyError> {
        let secret = keys.secret()?;
        let publics = keys.public_keys()?;
        let known = publics.by_kid.len();
        match secret {
            Some(secret) => {
                publics.verifying(keys)?;
                Self::from_secret(&secret)
            }
            None if known > 0 => Err(keys.no_signing_key(known)),
            None => Err(keys.no_keys()),
        }
    }

    pub(crate) fn from_secret(secret: &ed25519_dalek::SigningKey) -> Result<Self, KeyError> {
        let pkcs8 = secret.to_pkcs8_der().map_err(|error| KeyError::Signing {
            reason: error.to_string(),
        })?;
        Ok(Self {
            kid: kid::of(&secret.verifying_key()),
            encoding: EncodingKey::from_ed_der(pkcs8.as_bytes()),
        })
    }
}

/// What the folder lacks and [`complete`] would add. Nothing is changed.
///
/// # Errors
/// [`KeyError::NoSigningKey`], and every key that is damaged, unreadable or open to others: what
/// cannot be completed without asking.
pub fn inspect(folder: &Path) -> Result<Vec<Gap>, KeyError> {
    let keys = KeyFolder::new(folder);
    let _lock = keys.lock_to_read();
    keys.gaps()
}

/// Gives the folder what it lacks, and returns what that was. Of processes that do so at once, one
/// does.
///
/// # Errors
/// As [`inspect`], and what the system refuses.
pub fn complete(folder: &Path) -> Result<Vec<Gap>, KeyError> {
    let keys = KeyFolder::new(folder);
    let _lock = keys.lock()?;
    keys.complete()
}

/// The public keys by which tokens are believed.
pub(crate) fn verifying_keys(folder: &Path) -> Result<PublicKeys, KeyError> {
    let keys = KeyFolder::new(folder);
    let _lock = keys.lock_to_read();
    keys.public_keys()?.verifying(keys)
}

#[cfg(test)]
mod tests;
