use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use gridkeeper_proto::code::{Code, Coded as _};

use super::*;

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn signing(folder: &Path) -> PathBuf {
    folder.join("signing.pem")
}

#[test]
fn the_first_start_makes_a_pair_for_its_owner_only() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("data/keys");
    let key = SigningKey::create(&folder).unwrap();
    let public = format!("{}.pem", key.kid());
    assert_eq!(files(&folder), ["public", "signing.pem"]);
    assert_eq!(files(&folder.join("public")), [public.as_str()]);
    assert_eq!(mode(&signing(&folder)), 0o600);
    assert_eq!(mode(&folder.join("public").join(public)), 0o600);
    for made in ["data", "data/keys", "data/keys/public"] {
        assert_eq!(mode(&root.path().join(made)), 0o700, "{made}");
    }
    assert_eq!(SigningKey::load(&folder).unwrap().kid(), key.kid());
}

#[test]
fn a_folder_of_keys_that_was_open_is_closed_at_the_next_start() {
    let root = tempfile::tempdir().unwrap();
    let key = SigningKey::create(root.path()).unwrap();
    let publics = root.path().join("public");
    set_mode(root.path(), 0o777);
    set_mode(&publics, 0o755);
    let again = SigningKey::load_or_create(root.path()).unwrap();
    assert_eq!(again.kid(), key.kid());
    assert_eq!((mode(root.path()), mode(&publics)), (0o700, 0o700));
}

#[test]
fn an_existing_key_is_never_replaced_by_creating() {
    let folder = tempfile::tempdir().unwrap();
    let first = SigningKey::load_or_create(folder.path()).unwrap();
    let again = SigningKey::create(folder.path());
    assert!(matches!(again, Err(KeyError::Exists { .. })), "{again:?}");
    let again = SigningKey::load_or_create(folder.path()).unwrap();
    assert_eq!(again.kid(), first.kid());
}

#[test]
fn of_many_that_start_together_one_makes_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let kids: Vec<_> = std::thread::scope(|scope| {
        let start = || {
            let key = SigningKey::load_or_create(folder.path()).unwrap();
            key.kid().to_owned()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        let ended = threads.into_iter().map(|thread| thread.join().unwrap());
        ended.collect()
    });
    assert!(kids.iter().all(|kid| *kid == kids[0]), "{kids:?}");
    let public = verifying_keys(folder.path()).unwrap().by_kid;
    assert_eq!(public.into_keys().collect::<Vec<_>>(), kids[..1]);
    assert_eq!(files(folder.path()), ["public", "signing.pem"]);
}

#[test]
fn a_private_key_open_to_others_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    SigningKey::create(folder.path()).unwrap();
    for open in [0o640, 0o604, 0o620, 0o601] {
        set_mode(&signing(folder.path()), open);
        for refused in [
            SigningKey::load(folder.path()).err(),
            SigningKey::load_or_create(folder.path()).err(),
            verifying_keys(folder.path()).err(),
        ] {
            assert!(
                matches!(refused, Some(KeyError::Exposed { mode, .. }) if mode & 0o777 == open),
                "{refused:?}"
            );
        }
    }
}

#[test]
fn no_keys_are_told_from_lost_ones() {
    let root = tempfile::tempdir().unwrap();
    let none = root.path().join("none");
    for refused in [
        SigningKey::load(&none).err(),
        verifying_keys(&none).err(),
        SigningKey::load(root.path()).err(),
        verifying_keys(root.path()).err(),
    ] {
        let refused = refused.unwrap();
        assert!(matches!(refused, KeyError::NoKeys { .. }), "{refused}");
        assert!(refused.to_string().contains("gridkeeper init"), "{refused}");
    }
    assert!(!none.exists());
}

/// The folder holds public keys only, then.
#[test]
fn a_lost_signing_key_is_an_error_until_a_rotation_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let lost = SigningKey::create(folder.path()).unwrap();
    fs::remove_file(signing(folder.path())).unwrap();
    for refused in [
        SigningKey::load(folder.path()).err(),
        SigningKey::create(folder.path()).err(),
        SigningKey::load_or_create(folder.path()).err(),
        inspect(folder.path()).err(),
    ] {
        let refused = refused.unwrap();
        assert_eq!(refused.code(), Code(28), "{refused}");
        assert!(refused.to_string().contains("signing.pem"), "{refused}");
    }
    assert_eq!(files(folder.path()), ["public"]);
    // A process that only verifies does not need it.
    let believed = verifying_keys(folder.path()).unwrap().by_kid;
    assert!(believed.contains_key(lost.kid()));

    let new = SigningKey::rotate(folder.path()).unwrap();
    let loaded = SigningKey::load_or_create(folder.path()).unwrap();
    assert_eq!(loaded.kid(), new.kid());
    let believed = verifying_keys(folder.path()).unwrap().by_kid;
    assert!(believed.contains_key(lost.kid()) && believed.contains_key(new.kid()));
}

#[test]
fn a_rotation_replaces_a_signing_key_that_is_damaged_or_open_to_others() {
    let damages: [fn(&Path); 3] = [
        |path| fs::write(path, "").unwrap(),
        |path| fs::write(path, "not a key").unwrap(),
        |path| set_mode(path, 0o644),
    ];
    for damage in damages {
        let folder = tempfile::tempdir().unwrap();
        let old = SigningKey::create(folder.path()).unwrap();
        damage(&signing(folder.path()));
        assert!(SigningKey::load_or_create(folder.path()).is_err());
        let new = SigningKey::rotate(folder.path()).unwrap();
        assert_eq!(SigningKey::load(folder.path()).unwrap().kid(), new.kid());
        assert_eq!(mode(&signing(folder.path())), 0o600);
        let believed = verifying_keys(folder.path()).unwrap().by_kid;
        assert!(believed.contains_key(old.kid()), "its tokens still hold");
    }
}

#[test]
fn a_rotation_first_publishes_the_old_key_where_its_public_one_was_missing() {
    let folder = tempfile::tempdir().unwrap();
    let old = SigningKey::create(folder.path()).unwrap();
    let public = folder.path().join(format!("public/{}.pem", old.kid()));
    fs::remove_file(&public).unwrap();
    SigningKey::rotate(folder.path()).unwrap();
    assert!(public.exists());
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
