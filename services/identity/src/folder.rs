//! The folder of keys: what belongs into it, what is missing, what is damaged.
//!
//! ```text
//! <folder>/signing.pem        the private key, PKCS#8
//! <folder>/public/<kid>.pem   one public key each, SubjectPublicKeyInfo
//! ```
//!
//! Both are what `openssl pkey` reads and writes.
//!
//! # Invariants
//! 1. A file holds a key byte for byte as that key is written, so there is no bit in it that could
//!    flip unnoticed.
//! 2. A public key's file has the name of the whole key.
//! 3. The public key of `signing.pem` is in `public`.
//! 4. Where there is a public key there is or was a signing key, so no new one is made without
//!    being asked for.
//! 5. At the first start the private key is written before its public key, which follows from it.
//!    At a rotation the public key is written first, so that no token is signed that nobody would
//!    believe. A crash in between leaves what [`KeyFolder::complete`] completes.
//! 6. A process that changes something holds the lock of the folder.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use ed25519_dalek::{
    SigningKey as Secret, VerifyingKey,
    pkcs8::{
        DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
        KeypairBytes, spki::der::pem::LineEnding,
    },
};
use rand::{TryRng as _, rngs::SysRng};

use crate::{KeyError, kid};

/// What a folder of keys lacks, and may be given without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gap {
    /// A file that an interrupted start or rotation left; it is removed.
    Leftover {
        /// The file.
        path: PathBuf,
    },
    /// There is no key at all; the first one is made.
    NoKey {
        /// The private key's file.
        path: PathBuf,
    },
    /// The signing key's public key is missing; it is written again, since it follows from the
    /// private one.
    NoPublicKey {
        /// The public key's file.
        path: PathBuf,
    },
    /// A public key has a name of earlier versions, which covers 8 of its 32 bytes; it is renamed.
    EarlierName {
        /// The file.
        path: PathBuf,
        /// The file as it is named afterwards.
        renamed: PathBuf,
        /// Whether the whole key is known to be right: it is the signing key's own. Of other keys
        /// nothing is left to compare with. A damaged one lets nobody in, since nobody has its
        /// private key; it only keeps out the tokens of the key that it was.
        compared: bool,
    },
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leftover { path } => {
                write!(f, "{} is left from an interrupted change", path.display())
            }
            Self::NoKey { path } => write!(f, "{} is missing: no keys yet", path.display()),
            Self::NoPublicKey { path } => write!(
                f,
                "{} is missing: the public key of the signing key",
                path.display()
            ),
            Self::EarlierName {
                path,
                renamed,
                compared,
            } => {
                let known = match compared {
                    true => "it is the signing key's",
                    false => "nothing is left to compare 24 of its 32 bytes with",
                };
                let (path, renamed) = (path.display(), renamed.display());
                write!(
                    f,
                    "{path} has a name of earlier versions for {renamed}; {known}"
                )
            }
        }
    }
}

/// A folder of keys.
#[derive(Clone, Copy)]
pub(crate) struct KeyFolder<'a> {
    path: &'a Path,
}

/// The public keys of a folder.
#[derive(Default)]
pub(crate) struct PublicKeys {
    /// The keys by their id.
    pub(crate) by_kid: BTreeMap<String, VerifyingKey>,
    /// The files that have a name of earlier versions.
    earlier: Vec<(PathBuf, VerifyingKey)>,
    leftovers: Vec<PathBuf>,
}

impl<'a> KeyFolder<'a> {
    pub(crate) fn new(path: &'a Path) -> Self {
        Self { path }
    }

    /// The private key's file.
    pub(crate) fn private_path(self) -> PathBuf {
        self.path.join("signing.pem")
    }

    fn public_folder(self) -> PathBuf {
        self.path.join("public")
    }

    /// The file of a public key.
    fn public_path(self, key: &VerifyingKey) -> PathBuf {
        self.public_folder().join(format!("{}.pem", kid::of(key)))
    }

    /// Makes the folders where they are missing, and locks them until the lock is dropped.
    pub(crate) fn lock(self) -> Result<File, KeyError> {
        for folder in [self.path, &self.public_folder()] {
            let closed = gridkeeper_private::folder(folder).map_err(io_error("make", folder))?;
            if let Some(mode) = closed {
                let folder = folder.display();
                tracing::warn!(%folder, mode = format!("{mode:o}"), "closed a folder of keys that others could reach");
            }
        }
        let lock = || {
            let folder = File::open(self.path)?;
            folder.lock().map(|()| folder)
        };
        lock().map_err(io_error("lock", self.path))
    }

    /// Keeps others from changing the folder until the lock is dropped. `None` if the folder is
    /// missing, or this process may not lock it, and then reads it without.
    pub(crate) fn lock_to_read(self) -> Option<File> {
        let folder = File::open(self.path).ok()?;
        folder.lock_shared().ok()?;
        Some(folder)
    }

    pub(crate) fn no_signing_key(self, publics: usize) -> KeyError {
        KeyError::NoSigningKey {
            path: self.private_path(),
            publics,
        }
    }

    pub(crate) fn no_keys(self) -> KeyError {
        KeyError::NoKeys {
            folder: self.path.to_owned(),
        }
    }

    /// The private key. `None` if there is no file of it.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or is open to others than its owner.
    pub(crate) fn secret(self) -> Result<Option<Secret>, KeyError> {
        let path = self.private_path();
        let open = match gridkeeper_private::open_to_others(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            open => open.map_err(io_error("read", &path))?,
        };
        if let Some(mode) = open {
            return Err(KeyError::Exposed { path, mode });
        }
        let text = read_text(&path)?;
        let secret = Secret::from_pkcs8_pem(&text).map_err(not_a_key(&path))?;
        // With its public key, as it is written here, or without it, as openssl writes it.
        let bare = KeypairBytes {
            secret_key: secret.to_bytes(),
            public_key: None,
        };
        let forms = [
            secret.to_pkcs8_pem(LineEnding::LF),
            bare.to_pkcs8_pem(LineEnding::LF),
        ];
        let whole = forms.iter().flatten().any(|form| **form == text);
        match whole {
            true => Ok(Some(secret)),
            false => Err(altered(&path)),
        }
    }

    /// The public keys; none where there is no folder of them.
    ///
    /// # Errors
    /// A file cannot be read, or is not the key that its name says.
    pub(crate) fn public_keys(self) -> Result<PublicKeys, KeyError> {
        let folder = self.public_folder();
        let mut keys = PublicKeys::default();
        for path in entries(&folder)? {
            if is_leftover(&path) {
                keys.leftovers.push(path);
                continue;
            }
            let key = public_key(&path)?;
            let named = path.file_stem().and_then(|name| name.to_str());
            let pem = path.extension().is_some_and(|extension| extension == "pem");
            let kid = kid::of(&key);
            match named {
                Some(name) if pem && name == kid => {}
                Some(name) if pem && name == kid::earlier(&key) => {
                    keys.earlier.push((path, key));
                }
                _ => {
                    let reason = format!("the key in it belongs into a file named {kid}.pem");
                    return Err(KeyError::NotAKey { path, reason });
                }
            }
            keys.by_kid.insert(kid, key);
        }
        keys.check_earlier()?;
        Ok(keys)
    }

    /// What may be completed without asking, in the order in which it is.
    ///
    /// # Errors
    /// A file is damaged or open to others, or the signing key is missing beside public keys.
    pub(crate) fn gaps(self) -> Result<Vec<Gap>, KeyError> {
        let keys = self.public_keys()?;
        let secret = self.secret()?;
        let own_files = entries(self.path)?
            .into_iter()
            .filter(|path| is_leftover(path));
        let leftovers = own_files.chain(keys.leftovers.iter().cloned());
        let mut gaps: Vec<_> = leftovers.map(|path| Gap::Leftover { path }).collect();
        let own = secret.map(|secret| secret.verifying_key());
        match own {
            None if keys.by_kid.is_empty() => gaps.push(Gap::NoKey {
                path: self.private_path(),
            }),
            None => return Err(self.no_signing_key(keys.by_kid.len())),
            Some(own) if !keys.has(&own)? => gaps.push(Gap::NoPublicKey {
                path: self.public_path(&own),
            }),
            Some(_) => {}
        }
        gaps.extend(keys.earlier.iter().map(|(path, key)| Gap::EarlierName {
            path: path.clone(),
            renamed: self.public_path(key),
            compared: own == Some(*key),
        }));
        Ok(gaps)
    }

    /// Gives the folder what it lacks; its lock is held.
    pub(crate) fn complete(self) -> Result<Vec<Gap>, KeyError> {
        let gaps = self.gaps()?;
        for gap in &gaps {
            match gap {
                Gap::Leftover { path } => {
                    fs::remove_file(path).map_err(io_error("remove", path))?;
                }
                Gap::NoKey { .. } => self.make_first()?,
                Gap::NoPublicKey { .. } => {
                    if let Some(secret) = self.secret()? {
                        self.write_public(&secret.verifying_key())?;
                    }
                }
                Gap::EarlierName { path, renamed, .. } => {
                    fs::rename(path, renamed).map_err(io_error("rename", path))?;
                    let folder = self.public_folder();
                    gridkeeper_private::sync_folder(&folder).map_err(io_error("sync", &folder))?;
                }
            }
        }
        Ok(gaps)
    }

    /// Makes the first pair; the lock is held.
    fn make_first(self) -> Result<(), KeyError> {
        let (secret, path) = (generate()?, self.private_path());
        let written = gridkeeper_private::write_new(&path, private_pem(&secret)?.as_bytes());
        written.map_err(io_error("write", &path))?;
        self.write_public(&secret.verifying_key())
    }

    /// Makes a pair whose private key takes the place of the one there is; the lock is held.
    pub(crate) fn replace(self) -> Result<(), KeyError> {
        let (secret, path) = (generate()?, self.private_path());
        self.write_public(&secret.verifying_key())?;
        gridkeeper_private::write(&path, private_pem(&secret)?.as_bytes())
            .map_err(io_error("write", &path))
    }

    fn write_public(self, key: &VerifyingKey) -> Result<(), KeyError> {
        let path = self.public_path(key);
        gridkeeper_private::write(&path, public_pem(key)?.as_bytes())
            .map_err(io_error("write", &path))
    }
}

impl PublicKeys {
    /// Whether the signing key's public key is among them.
    ///
    /// # Errors
    /// A file bears the name that earlier versions gave to this key, and holds another one.
    fn has(&self, own: &VerifyingKey) -> Result<bool, KeyError> {
        if self.by_kid.contains_key(&kid::of(own)) {
            return Ok(true);
        }
        let name = kid::earlier(own);
        let mut earlier = self.earlier.iter();
        match earlier.find(|(_, key)| kid::earlier(key) == name) {
            None => Ok(false),
            Some((path, _)) => Err(KeyError::NotAKey {
                path: path.clone(),
                reason: "it differs from the public key that follows from signing.pem".to_owned(),
            }),
        }
    }

    /// Compares the keys under names of earlier versions with those that share such a name.
    fn check_earlier(&self) -> Result<(), KeyError> {
        for (path, key) in &self.earlier {
            let name = kid::earlier(key);
            let mut others = self.by_kid.values();
            if others.any(|other| other != key && kid::earlier(other) == name) {
                return Err(KeyError::NotAKey {
                    path: path.clone(),
                    reason: "it differs from another public key that begins alike".to_owned(),
                });
            }
        }
        Ok(())
    }

    /// The keys that verify.
    ///
    /// # Errors
    /// There is none, or the signing key's own is not among them.
    pub(crate) fn verifying(self, folder: KeyFolder<'_>) -> Result<Self, KeyError> {
        let own = match folder.secret() {
            // A process that only verifies may run as a user who cannot read the private key.
            Err(KeyError::Io { source, .. })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                None
            }
            secret => secret?.map(|secret| secret.verifying_key()),
        };
        if let Some(own) = own
            && !self.has(&own)?
        {
            let path = folder.public_path(&own);
            return Err(KeyError::NotPublished { path });
        }
        if self.by_kid.is_empty() {
            return Err(folder.no_keys());
        }
        for (path, key) in &self.earlier {
            if own != Some(*key) {
                tracing::warn!(
                    path = %path.display(),
                    "this public key has a name of earlier versions, which covers a quarter of it: \
                     a damaged one would refuse its tokens; `gridkeeper init` renames it"
                );
            }
        }
        Ok(self)
    }
}

/// The key in a file of a public key.
fn public_key(path: &Path) -> Result<VerifyingKey, KeyError> {
    let text = read_text(path)?;
    let key = VerifyingKey::from_public_key_pem(&text).map_err(not_a_key(path))?;
    if public_pem(&key)? != text {
        return Err(altered(path));
    }
    if key.is_weak() {
        return Err(KeyError::NotAKey {
            path: path.to_owned(),
            reason: "the key is weak".to_owned(),
        });
    }
    Ok(key)
}

/// Whether a file is one of an interrupted change: of this version, or of an earlier one.
fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| {
        name.ends_with(".new")
            || (name.starts_with('.') && (name.ends_with(".private") || name.ends_with(".public")))
    })
}

/// What is in a folder, in the order of the names; nothing where there is no folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, KeyError> {
    gridkeeper_private::entries(folder).map_err(io_error("list", folder))
}

fn read_text(path: &Path) -> Result<String, KeyError> {
    let bytes = fs::read(path).map_err(io_error("read", path))?;
    String::from_utf8(bytes).map_err(not_a_key(path))
}

fn generate() -> Result<Secret, KeyError> {
    let mut seed = [0; ed25519_dalek::SECRET_KEY_LENGTH];
    SysRng
        .try_fill_bytes(&mut seed)
        .map_err(|error| KeyError::Randomness {
            reason: error.to_string(),
        })?;
    Ok(Secret::from_bytes(&seed))
}

fn private_pem(key: &Secret) -> Result<impl std::ops::Deref<Target = String> + use<>, KeyError> {
    key.to_pkcs8_pem(LineEnding::LF).map_err(not_written)
}

fn public_pem(key: &VerifyingKey) -> Result<String, KeyError> {
    key.to_public_key_pem(LineEnding::LF).map_err(not_written)
}

#[allow(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn not_written(error: impl fmt::Display) -> KeyError {
    KeyError::Signing {
        reason: error.to_string(),
    }
}

fn not_a_key<E: fmt::Display>(path: &Path) -> impl FnOnce(E) -> KeyError {
    move |error| KeyError::NotAKey {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn altered(path: &Path) -> KeyError {
    KeyError::NotAKey {
        path: path.to_owned(),
        reason: "its text is not the one that this key is written as".to_owned(),
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    move |source| KeyError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
