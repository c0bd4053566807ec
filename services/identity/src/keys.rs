//! The folder of keys.
//!
//! ```text
//! <folder>/signing.pem        the private key, PKCS#8, readable by its owner only
//! <folder>/public/<kid>.pem   one public key each, SubjectPublicKeyInfo
//! ```
//!
//! Both are what `openssl pkey` reads. The `kid` is the first 16 hexadecimal digits of the public key,
//! so a file under the wrong name shows.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use ed25519_dalek::{
    VerifyingKey,
    pkcs8::{
        DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
        spki::der::pem::LineEnding,
    },
};
use gridkeeper_proto::access::Claims;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rand::{TryRng as _, rngs::SysRng};

use crate::{KeyError, provider};

/// The permission bits of the private key's file.
const OWNER_ONLY: u32 = 0o600;
/// The permission bits of public keys, before the process's mask.
const READABLE: u32 = 0o644;

/// The private key that signs, and its name.
pub struct SigningKey {
    kid: String,
    encoding: EncodingKey,
    public: VerifyingKey,
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
    /// [`KeyError::Exists`] when there is a signing key, which stays; else what the system refuses.
    pub fn create(folder: &Path) -> Result<Self, KeyError> {
        let path = private_path(folder);
        if path.try_exists().map_err(io_error("look for", &path))? {
            return Err(KeyError::Exists { path });
        }
        // A link fails where the file exists, so of two processes that start together one wins.
        Self::generate(folder, |fresh, path| fs::hard_link(fresh, path))
    }

    /// Makes a new key that signs from now on. The old private key is gone; its public key stays in
    /// the folder and verifies the tokens that are out.
    ///
    /// # Errors
    /// What the system refuses; the old key then still signs.
    pub fn rotate(folder: &Path) -> Result<Self, KeyError> {
        Self::generate(folder, |fresh, path| fs::rename(fresh, path))
    }

    /// Loads the key that signs.
    ///
    /// # Errors
    /// Missing or unreadable, not an Ed25519 key, or open to others than its owner.
    pub fn load(folder: &Path) -> Result<Self, KeyError> {
        let path = private_path(folder);
        let metadata = fs::metadata(&path).map_err(io_error("read", &path))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed { path, mode });
        }
        let text = fs::read_to_string(&path).map_err(io_error("read", &path))?;
        let secret = ed25519_dalek::SigningKey::from_pkcs8_pem(&text).map_err(|error| {
            KeyError::NotAKey {
                path,
                reason: error.to_string(),
            }
        })?;
        Self::from_secret(&secret)
    }

    /// Loads the key that signs, or makes it at the first start.
    ///
    /// # Errors
    /// As [`Self::load`] and [`Self::create`].
    pub fn load_or_create(folder: &Path) -> Result<Self, KeyError> {
        match Self::create(folder) {
            Err(KeyError::Exists { .. }) => Self::load(folder),
            made => made,
        }
    }

    /// The name under which tokens refer to this key.
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

    pub(crate) fn from_secret(secret: &ed25519_dalek::SigningKey) -> Result<Self, KeyError> {
        let public = secret.verifying_key();
        let pkcs8 = secret.to_pkcs8_der().map_err(|error| KeyError::Signing {
            reason: error.to_string(),
        })?;
        let encoding = EncodingKey::from_ed_der(pkcs8.as_bytes());
        Ok(Self {
            kid: kid(&public),
            encoding,
            public,
        })
    }

    /// Makes a key and its files, the public one first: a private key without its public one would
    /// sign tokens that nobody believes.
    fn generate(
        folder: &Path,
        place: impl FnOnce(&Path, &Path) -> io::Result<()>,
    ) -> Result<Self, KeyError> {
        let mut seed = [0; ed25519_dalek::SECRET_KEY_LENGTH];
        SysRng
            .try_fill_bytes(&mut seed)
            .map_err(|error| KeyError::Randomness {
                reason: error.to_string(),
            })?;
        let secret = ed25519_dalek::SigningKey::from_bytes(&seed);
        let key = Self::from_secret(&secret)?;
        let publics = public_folder(folder);
        fs::create_dir_all(&publics).map_err(io_error("make", &publics))?;

        let encoding = |error: &dyn fmt::Display| KeyError::Signing {
            reason: error.to_string(),
        };
        let pem = key
            .public
            .to_public_key_pem(LineEnding::LF)
            .map_err(|error| encoding(&error))?;
        let fresh = folder.join(format!(".{}.public", key.kid));
        write_synced(&fresh, READABLE, pem.as_bytes())?;
        let public_path = publics.join(format!("{}.pem", key.kid));
        fs::rename(&fresh, &public_path).map_err(io_error("write", &public_path))?;
        sync_folder(&publics)?;

        let pem = secret
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|error| encoding(&error))?;
        let fresh = folder.join(format!(".{}.private", key.kid));
        write_synced(&fresh, OWNER_ONLY, pem.as_bytes())?;
        let path = private_path(folder);
        let placed = place(&fresh, &path);
        if fresh.try_exists().map_err(io_error("look for", &fresh))? {
            fs::remove_file(&fresh).map_err(io_error("remove", &fresh))?;
        }
        let Err(error) = placed else {
            sync_folder(folder)?;
            return Ok(key);
        };
        fs::remove_file(&public_path).map_err(io_error("remove", &public_path))?;
        if error.kind() == io::ErrorKind::AlreadyExists {
            return Err(KeyError::Exists { path });
        }
        Err(io_error("write", &path)(error))
    }
}

/// The public keys of the folder by their `kid`.
pub(crate) fn public_keys(folder: &Path) -> Result<BTreeMap<String, VerifyingKey>, KeyError> {
    let folder = public_folder(folder);
    let mut keys = BTreeMap::new();
    for entry in fs::read_dir(&folder).map_err(io_error("list", &folder))? {
        let path = entry.map_err(io_error("list", &folder))?.path();
        let text = fs::read_to_string(&path).map_err(io_error("read", &path))?;
        let key = match VerifyingKey::from_public_key_pem(&text) {
            Ok(key) => key,
            Err(error) => {
                return Err(KeyError::NotAKey {
                    path,
                    reason: error.to_string(),
                });
            }
        };
        let kid = kid(&key);
        let expected = format!("{kid}.pem");
        if path
            .file_name()
            .is_none_or(|name| name != expected.as_str())
        {
            let reason = format!("the key in it belongs into a file named {expected}");
            return Err(KeyError::NotAKey { path, reason });
        }
        if key.is_weak() {
            return Err(KeyError::NotAKey {
                path,
                reason: "the key is weak".to_owned(),
            });
        }
        keys.insert(kid, key);
    }
    if keys.is_empty() {
        Err(KeyError::NoPublicKey { folder })
    } else {
        Ok(keys)
    }
}

fn kid(public: &VerifyingKey) -> String {
    public
        .as_bytes()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn private_path(folder: &Path) -> PathBuf {
    folder.join("signing.pem")
}

fn public_folder(folder: &Path) -> PathBuf {
    folder.join("public")
}

fn write_synced(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), KeyError> {
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(io_error("write", path))
}

fn sync_folder(folder: &Path) -> Result<(), KeyError> {
    let sync = || fs::File::open(folder)?.sync_all();
    sync().map_err(io_error("write", folder))
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    move |source| KeyError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_first_start_makes_a_private_key_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::create(folder.path()).unwrap();
        assert_eq!(files(folder.path()), ["public", "signing.pem"]);
        assert_eq!(
            files(&folder.path().join("public")),
            [format!("{}.pem", key.kid())]
        );
        let mode = fs::metadata(folder.path().join("signing.pem"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(SigningKey::load(folder.path()).unwrap().kid(), key.kid());
    }

    #[test]
    fn an_existing_key_is_never_replaced_by_creating() {
        let folder = tempfile::tempdir().unwrap();
        let first = SigningKey::load_or_create(folder.path()).unwrap();
        let again = SigningKey::create(folder.path());
        assert!(matches!(again, Err(KeyError::Exists { .. })), "{again:?}");
        assert_eq!(
            SigningKey::load_or_create(folder.path()).unwrap().kid(),
            first.kid()
        );
    }

    #[test]
    fn of_many_that_start_together_one_makes_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let kids: Vec<_> = std::thread::scope(|scope| {
            let start = || {
                SigningKey::load_or_create(folder.path())
                    .unwrap()
                    .kid()
                    .to_owned()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(kids.iter().all(|kid| *kid == kids[0]), "{kids:?}");
        let public = public_keys(folder.path()).unwrap();
        assert_eq!(public.into_keys().collect::<Vec<_>>(), kids[..1]);
        assert_eq!(files(folder.path()), ["public", "signing.pem"]);
    }

    #[test]
    fn a_private_key_open_to_others_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        SigningKey::create(folder.path()).unwrap();
        let path = folder.path().join("signing.pem");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let loaded = SigningKey::load(folder.path());
        assert!(
            matches!(loaded, Err(KeyError::Exposed { mode: 0o640, .. })),
            "{loaded:?}"
        );
    }

    #[test]
    fn a_broken_or_misnamed_key_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::create(folder.path()).unwrap();
        let publics = folder.path().join("public");
        let right = publics.join(format!("{}.pem", key.kid()));
        let wrong = publics.join("0000000000000000.pem");
        fs::rename(&right, &wrong).unwrap();
        let error = public_keys(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("0000000000000000.pem") && error.contains(key.kid()),
            "{error}"
        );

        fs::write(&wrong, "not a key").unwrap();
        let error = public_keys(folder.path()).unwrap_err();
        assert!(
            matches!(error, KeyError::NotAKey { ref path, .. } if *path == wrong),
            "{error}"
        );

        fs::remove_file(&wrong).unwrap();
        assert!(matches!(
            public_keys(folder.path()),
            Err(KeyError::NoPublicKey { .. })
        ));
    }

    #[test]
    fn debug_output_holds_nothing_of_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::create(folder.path()).unwrap();
        assert_eq!(
            format!("{key:?}"),
            format!("SigningKey {{ kid: \"{}\", .. }}", key.kid())
        );
    }
}
