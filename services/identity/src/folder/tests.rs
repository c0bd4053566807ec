use gridkeeper_proto::{
    access::{Claims, Role},
    code::{Code, Coded as _},
    time::Timestamp,
};

use super::*;
use crate::{SigningKey, Verifier};

/// The private key of RFC 8410, section 10.3, as openssl writes it.
const BY_OPENSSL: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";

/// A folder with a rotated key, and one that signs.
struct Site {
    folder: tempfile::TempDir,
    rotated: VerifyingKey,
    own: VerifyingKey,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = |folder: &Path| {
            KeyFolder::new(folder)
                .secret()
                .unwrap()
                .unwrap()
                .verifying_key()
        };
        SigningKey::create(folder.path()).unwrap();
        let rotated = own(folder.path());
        SigningKey::rotate(folder.path()).unwrap();
        Self {
            rotated,
            own: own(folder.path()),
            folder,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn keys(&self) -> KeyFolder<'_> {
        KeyFolder::new(self.path())
    }

    fn public(&self, name: &str) -> PathBuf {
        self.keys().public_folder().join(format!("{name}.pem"))
    }

    /// Gives a key's file its name of earlier versions.
    fn name_as_earlier(&self, key: &VerifyingKey) -> PathBuf {
        let path = self.public(&kid::earlier(key));
        fs::rename(self.keys().public_path(key), &path).unwrap();
        path
    }

    /// What every process that needs this file says at its start.
    fn refusals(&self) -> Vec<KeyError> {
        let refusals = [
            Verifier::load(self.path(), None).err(),
            SigningKey::load(self.path()).err(),
            SigningKey::load_or_create(self.path()).err(),
            crate::inspect(self.path()).err(),
        ];
        refusals.into_iter().flatten().collect()
    }

    fn assert_refused(&self, path: &Path, what: &str) {
        let refusals = self.refusals();
        assert_eq!(refusals.len(), 4, "{what}: {refusals:?}");
        for refused in refusals {
            assert_eq!(refused.code(), Code(29), "{what}: {refused}");
            let named = path.display().to_string();
            assert!(refused.to_string().contains(&named), "{what}: {refused}");
        }
    }

    fn assert_starts(&self, what: &str) {
        assert!(self.refusals().is_empty(), "{what}: {:?}", self.refusals());
    }

    /// The names in the folder and in `public`.
    fn names(&self) -> Vec<String> {
        let both = [self.path().to_owned(), self.keys().public_folder()];
        let paths = both.iter().flat_map(|folder| entries(folder).unwrap());
        let names = paths.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
        names.collect()
    }
}

/// Flips every bit of the file, one at a time.
fn flips(path: &Path, mut check: impl FnMut(&str)) {
    let whole = fs::read(path).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(path, bytes).unwrap();
        check(&format!("bit {bit} of {}", path.display()));
    }
    fs::write(path, whole).unwrap();
}

fn claims() -> Claims {
    let areas = vec!["510402".parse().unwrap()];
    Claims::lasting("li.na".to_owned(), Role::Centre, areas, now(), 3600)
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000).unwrap()
}

#[test]
fn every_flipped_bit_of_every_key_file_is_found() {
    let site = Site::new();
    for path in [
        site.keys().public_path(&site.own),
        site.keys().public_path(&site.rotated),
    ] {
        flips(&path, |what| {
            let refused = Verifier::load(site.path(), None).err();
            assert_eq!(refused.map(|error| error.code()), Some(Code(29)), "{what}");
            let refused = SigningKey::load_or_create(site.path()).err();
            assert_eq!(refused.map(|error| error.code()), Some(Code(29)), "{what}");
        });
    }
    flips(&site.keys().private_path(), |what| {
        let refused = SigningKey::load(site.path()).err();
        assert_eq!(refused.map(|error| error.code()), Some(Code(29)), "{what}");
    });
    site.assert_starts("whole again");
}

#[test]
fn every_damage_of_a_file_is_found_and_the_file_named() {
    let site = Site::new();
    let other = fs::read(site.keys().public_path(&site.rotated)).unwrap();
    for path in [
        site.keys().public_path(&site.own),
        site.keys().public_path(&site.rotated),
        site.keys().private_path(),
    ] {
        let whole = fs::read(&path).unwrap();
        let text = String::from_utf8(whole.clone()).unwrap();
        let mut damaged = vec![
            ("empty", Vec::new()),
            ("zeros", vec![0; whole.len()]),
            ("cut", whole[..whole.len() / 2].to_vec()),
            ("without its last byte", whole[..whole.len() - 1].to_vec()),
            ("more behind it", [&whole[..], b"\n"].concat()),
            ("more before it", [b"# key\n", &whole[..]].concat()),
            ("ends of lines", text.replace('\n', "\r\n").into_bytes()),
            ("no text", vec![0xff; 8]),
        ];
        if path != site.keys().public_path(&site.rotated) {
            damaged.push(("another file", other.clone()));
        }
        for (what, bytes) in damaged {
            fs::write(&path, bytes).unwrap();
            site.assert_refused(&path, what);
        }
        fs::write(&path, whole).unwrap();
    }
    site.assert_starts("whole again");
}

#[test]
fn a_file_under_another_name_is_refused() {
    let site = Site::new();
    let right = site.keys().public_path(&site.rotated);
    let names = ["0000000000000000.pem", "key.pem", "key", "KEY.PEM", ".pem"];
    for name in names {
        let wrong = site.keys().public_folder().join(name);
        fs::rename(&right, &wrong).unwrap();
        site.assert_refused(&wrong, name);
        fs::rename(&wrong, &right).unwrap();
    }
}

#[test]
fn a_signing_key_of_another_installation_or_of_openssl_has_to_be_published() {
    let site = Site::new();
    fs::write(site.keys().private_path(), BY_OPENSSL).unwrap();
    let refused = [
        Verifier::load(site.path(), None).err().unwrap(),
        SigningKey::load(site.path()).err().unwrap(),
    ];
    for refused in refused {
        assert!(
            matches!(refused, KeyError::NotPublished { .. }),
            "{refused}"
        );
        assert_eq!(refused.code(), Code(29));
    }
    // The public key follows from the private one.
    let gaps = crate::complete(site.path()).unwrap();
    assert!(matches!(gaps[..], [Gap::NoPublicKey { .. }]), "{gaps:?}");
    site.assert_starts("published");
}

#[test]
fn names_of_earlier_versions_start_and_their_tokens_hold() {
    let site = Site::new();
    let secret = site.keys().secret().unwrap().unwrap();
    for key in [&site.own, &site.rotated] {
        site.name_as_earlier(key);
    }
    // A token of an earlier version.
    crate::provider::install();
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
    header.kid = Some(kid::earlier(&site.own));
    let der = secret.to_pkcs8_der().unwrap();
    let encoding = jsonwebtoken::EncodingKey::from_ed_der(der.as_bytes());
    let token = jsonwebtoken::encode(&header, &claims(), &encoding).unwrap();
    let holds = || {
        let verifier = Verifier::load(site.path(), None).unwrap();
        assert_eq!(verifier.kids().count(), 2);
        assert_eq!(verifier.verify(&token, now()), Ok(claims()));
        let new = SigningKey::load(site.path())
            .unwrap()
            .issue(&claims())
            .unwrap();
        assert_eq!(verifier.verify(&new, now()), Ok(claims()));
    };
    holds();

    let gaps = crate::complete(site.path()).unwrap();
    let compared = |gap: &Gap| matches!(gap, Gap::EarlierName { compared: true, .. });
    assert_eq!(
        (gaps.len(), gaps.iter().filter(|gap| compared(gap)).count()),
        (2, 1)
    );
    assert!(site.keys().public_path(&site.own).exists());
    assert!(site.keys().public_path(&site.rotated).exists());
    assert_eq!(crate::inspect(site.path()).unwrap(), []);
    holds();
}

/// The name covers 8 bytes; the private key covers all.
#[test]
fn every_flipped_bit_of_the_signing_keys_public_file_is_found_under_a_name_of_earlier_versions() {
    let site = Site::new();
    let path = site.name_as_earlier(&site.own);
    flips(&path, |what| {
        let refused = Verifier::load(site.path(), None).err();
        assert_eq!(refused.map(|error| error.code()), Some(Code(29)), "{what}");
        let refused = SigningKey::load_or_create(site.path()).err();
        assert_eq!(refused.map(|error| error.code()), Some(Code(29)), "{what}");
    });
}

/// Of another key's file, a flip that leaves the first 8 bytes and gives a key can only be told
/// where the key is also there whole. It refuses the key's tokens, and believes no others.
#[test]
fn a_damaged_other_key_under_a_name_of_earlier_versions_is_found_beside_the_whole_one() {
    let site = Site::new();
    let right = site.keys().public_path(&site.rotated);
    let path = site.public(&kid::earlier(&site.rotated));
    fs::copy(&right, &path).unwrap();
    site.assert_starts("both are the same key");
    fs::copy(&right, &path).unwrap();
    flips(&path, |what| {
        let refused = Verifier::load(site.path(), None).err();
        assert_eq!(refused.map(|error| error.code()), Some(Code(29)), "{what}");
    });
}

/// A crash at the first start: what is there by then, and that the next start has one whole pair.
#[test]
fn after_a_crash_at_the_first_start_the_next_one_completes_it() {
    let whole = tempfile::tempdir().unwrap();
    let kid = SigningKey::create(whole.path()).unwrap().kid().to_owned();
    let private = fs::read(whole.path().join("signing.pem")).unwrap();
    let public_name = format!("public/{kid}.pem");
    let public = fs::read(whole.path().join(&public_name)).unwrap();
    let public_new = format!("{public_name}.7.new");
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let (signing, signing_new) = ("signing.pem", "signing.pem.7.new");
    // Files at the moment of the crash, and whether the signing key was there.
    type Files<'a> = &'a [(&'a str, Vec<u8>)];
    let moments: [(Files<'_>, bool); 8] = [
        (&[], false),
        (&[(signing_new, Vec::new())], false),
        (&[(signing_new, half(&private))], false),
        (&[(signing_new, private.clone())], false),
        (
            &[(signing, private.clone()), (signing_new, private.clone())],
            true,
        ),
        (&[(signing, private.clone())], true),
        (
            &[(signing, private.clone()), (&public_new, half(&public))],
            true,
        ),
        (
            &[(signing, private.clone()), (&public_name, public.clone())],
            true,
        ),
    ];
    for (files, kept) in moments {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
        fs::create_dir(folder.path().join("public")).unwrap();
        for (name, bytes) in files {
            gridkeeper_private::write(&folder.path().join(name), bytes).unwrap();
        }
        let key = SigningKey::load_or_create(folder.path()).unwrap();
        assert_eq!(key.kid() == kid, kept, "{names:?}");
        let site = Site {
            rotated: public_key(&whole.path().join(&public_name)).unwrap(),
            own: KeyFolder::new(folder.path())
                .secret()
                .unwrap()
                .unwrap()
                .verifying_key(),
            folder,
        };
        let public = format!("{}.pem", key.kid());
        assert_eq!(site.names(), ["public", signing, &public], "{names:?}");
        site.assert_starts("completed");
    }
}

/// A crash in a rotation: the old key signs, or the new one does, and both are believed.
#[test]
fn after_a_crash_in_a_rotation_one_of_both_keys_signs() {
    for moment in 0..6 {
        let site = Site::new();
        let (signing, other) = (site.keys().private_path(), tempfile::tempdir().unwrap());
        let new = SigningKey::create(other.path()).unwrap();
        let new_signing = fs::read(other.path().join("signing.pem")).unwrap();
        let name = format!("public/{}.pem", new.kid());
        let new_public = fs::read(other.path().join(&name)).unwrap();
        let write = |name: &str, bytes: &[u8]| {
            gridkeeper_private::write(&site.path().join(name), bytes).unwrap();
        };
        match moment {
            0 => write(&format!("{name}.7.new"), &new_public[..20]),
            1 => write(&name, &new_public),
            2 => {
                write(&name, &new_public);
                write("signing.pem.7.new", &new_signing[..20]);
            }
            3 => {
                write(&name, &new_public);
                write("signing.pem.7.new", &new_signing);
            }
            // As earlier versions did.
            4 => {
                write(&name, &new_public);
                write(
                    &format!(".{}.private", kid::earlier(&site.own)),
                    &new_signing,
                );
                write(&format!(".{}.public", kid::earlier(&site.own)), b"");
            }
            _ => {
                write(&name, &new_public);
                write("signing.pem", &new_signing);
            }
        }
        let before = fs::read(&signing).unwrap();
        assert!(Verifier::load(site.path(), None).is_ok(), "{moment}");
        let key = SigningKey::load_or_create(site.path()).unwrap();
        assert_eq!(key.kid() == new.kid(), moment == 5, "{moment}");
        assert_eq!(fs::read(&signing).unwrap(), before, "{moment}");
        assert_eq!(crate::inspect(site.path()).unwrap(), [], "{moment}");
        site.assert_starts("completed");
        let published = site.keys().public_path(&site.own).exists();
        assert!(published, "{moment}: the old key's tokens hold");
    }
}

/// The only copy of a key may be in what is left.
#[test]
fn leftovers_beside_a_lost_signing_key_stay() {
    let site = Site::new();
    let left = site.path().join(".0123456789abcdef.private");
    fs::rename(site.keys().private_path(), &left).unwrap();
    assert!(matches!(
        SigningKey::load_or_create(site.path()),
        Err(KeyError::NoSigningKey { publics: 2, .. })
    ));
    assert!(left.exists());
}
