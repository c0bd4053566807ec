use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use gridkeeper_identity::SigningKey;

use super::*;

/// A data folder, which is not made yet.
struct Site {
    root: tempfile::TempDir,
}

/// What is in a folder: mode and, of files, their bytes.
type Tree = BTreeMap<PathBuf, (u32, Vec<u8>)>;

impl Site {
    fn empty() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self { root }
    }

    fn whole() -> Self {
        let site = Self::empty();
        site.complete().unwrap();
        site
    }

    fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.data().join(name)
    }

    fn layout(&self) -> Layout {
        Layout::read(&self.data(), None).unwrap()
    }

    fn complete(&self) -> Result<Vec<Change>, Error> {
        complete(&Layout::read(&self.data(), None)?)
    }

    fn kid(&self) -> String {
        let key = SigningKey::load(&self.path("keys")).unwrap();
        key.kid().to_owned()
    }

    fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        let mut left = vec![self.root.path().to_owned()];
        while let Some(path) = left.pop() {
            let metadata = fs::metadata(&path).unwrap();
            let bytes = match metadata.is_dir() {
                true => {
                    left.extend(
                        fs::read_dir(&path)
                            .unwrap()
                            .map(|entry| entry.unwrap().path()),
                    );
                    Vec::new()
                }
                false => fs::read(&path).unwrap(),
            };
            tree.insert(path, (metadata.permissions().mode() & 0o7777, bytes));
        }
        tree
    }

    /// Fails with this code, and leaves everything as it was.
    fn assert_refused(&self, code: u16, what: &str) -> String {
        let before = self.tree();
        let Err(refused) = self.complete() else {
            panic!("{what}: completed");
        };
        assert_eq!(refused.code().0, code, "{what}: {refused}");
        assert_eq!(self.tree(), before, "{what}");
        refused.to_string()
    }

    fn assert_whole(&self, what: &str) {
        let before = self.tree();
        let changes = self.complete().unwrap();
        let lacks: Vec<_> = changes.iter().map(|change| &change.lack).collect();
        assert!(lacks.is_empty(), "{what}: {lacks:?}");
        assert_eq!(self.tree(), before, "{what}");
        let data = self.data();
        for (path, (mode, _)) in before
            .into_iter()
            .filter(|(path, _)| path.starts_with(&data))
        {
            let expected = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode, expected, "{what}: {}", path.display());
        }
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn remove(path: &Path) {
    match path.is_dir() {
        true => fs::remove_dir_all(path).unwrap(),
        false => fs::remove_file(path).unwrap(),
    }
}

#[test]
fn an_installation_is_made_and_left_as_it_is_by_the_next_one() {
    for exists in [false, true] {
        let site = Site::empty();
        if exists {
            write(&site.path("lost+found/x"), "");
            fs::remove_file(site.path("lost+found/x")).unwrap();
            set_mode(&site.path("lost+found"), 0o700);
            set_mode(&site.data(), 0o755);
        }
        let done: String = site.complete().unwrap().iter().map(Change::done).collect();
        for part in [
            "keys/signing.pem",
            "gridkeeper.toml",
            "tokens",
            "broker",
            "aggregator",
        ] {
            assert!(done.contains(part), "{done}");
        }
        let configuration = fs::read_to_string(site.path("gridkeeper.toml")).unwrap();
        assert_eq!(configuration, crate::config::EXPLAINED);
        site.assert_whole("made");
    }
}

#[test]
fn an_interrupted_init_is_completed_by_the_next_one() {
    for made in 0..=STEPS.len() {
        let site = Site::empty();
        for step in &STEPS[..made] {
            (step.make)(&site.layout()).unwrap();
        }
        let kid = (made >= 2).then(|| site.kid());
        site.complete().unwrap();
        site.assert_whole(&format!("after {made} steps"));
        assert!(kid.is_none_or(|kid| kid == site.kid()), "the key stays");
    }
}

#[test]
fn what_is_missing_is_named_and_made_and_nothing_else_touched() {
    let site = Site::whole();
    let (kid, before) = (site.kid(), site.tree());
    let public = format!("keys/public/{kid}.pem");
    let parts = [
        "tokens",
        "broker",
        "aggregator",
        "escalator",
        "gridkeeper.toml",
    ];
    for part in parts.into_iter().chain(["keys/public", &public]) {
        remove(&site.path(part));
        let changes = site.complete().unwrap();
        assert_eq!(changes.len(), 1, "{part}");
        assert!(changes[0].lack.contains(part), "{}", changes[0].lack);
        assert!(changes[0].done.contains(part), "{}", changes[0].done);
        assert_eq!(site.tree(), before, "{part}");
    }
}

#[test]
fn a_lost_signing_key_is_not_made_anew() {
    let site = Site::whole();
    remove(&site.path("keys/signing.pem"));
    let refused = site.assert_refused(28, "signing.pem");
    assert!(refused.contains("gridkeeper keys rotate"), "{refused}");
    // Other things that are missing are not made either.
    remove(&site.path("gridkeeper.toml"));
    remove(&site.path("tokens"));
    site.assert_refused(28, "more is missing");
}

#[test]
fn keys_that_are_lost_where_services_were_at_work_are_not_made_anew() {
    let signs = [
        "aggregator/current",
        "escalator/current",
        "tokens/centre.jwt",
        "broker/streams/jetstream",
    ];
    for sign in signs {
        for left in ["nothing", "folder", "folders"] {
            let site = Site::whole();
            write(&site.path(sign), "1\n");
            remove(&site.path("keys"));
            match left {
                "folder" => fs::create_dir(site.path("keys")).unwrap(),
                "folders" => fs::create_dir_all(site.path("keys/public")).unwrap(),
                _ => {}
            }
            let refused = site.assert_refused(832, sign);
            assert!(refused.contains(sign), "{refused}");
        }
    }
}

#[test]
fn what_is_damaged_stays_and_is_named() {
    type Damage = fn(&Site);
    let damages: [(&str, u16, Damage); 7] = [
        ("signing.pem", 29, |site| {
            write(&site.path("keys/signing.pem"), "");
        }),
        ("public", 29, |site| {
            write(&site.path("keys/public/0123456789abcdef.pem"), "x");
        }),
        ("signing.pem", 9, |site| {
            set_mode(&site.path("keys/signing.pem"), 0o644);
        }),
        ("gridkeeper.toml", 821, |site| {
            write(&site.path("gridkeeper.toml"), "[intak]");
        }),
        ("aggregator", 820, |site| {
            remove(&site.path("aggregator"));
            write(&site.path("aggregator"), "");
        }),
        ("keys", 820, |site| {
            remove(&site.path("keys"));
            write(&site.path("keys"), "");
        }),
        ("data", 820, |site| {
            remove(&site.data());
            write(&site.data(), "");
        }),
    ];
    for (named, code, damage) in damages {
        let site = Site::whole();
        damage(&site);
        let refused = site.assert_refused(code, named);
        assert!(refused.contains(named), "{refused}");
    }
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    for mode in [0o755, 0o700] {
        let site = Site::empty();
        write(&site.path("photos/1.jpg"), "x");
        set_mode(&site.data(), mode);
        let refused = site.assert_refused(831, "photos");
        assert!(refused.contains("photos"), "{refused}");
    }
    let site = Site::empty();
    fs::create_dir(site.data()).unwrap();
    set_mode(&site.data(), 0o1777);
    assert_eq!(site.complete().err().unwrap().code().0, 820, "as /tmp");
    assert_eq!(site.tree().len(), 2, "nothing was made in it");
}

#[test]
fn what_others_can_reach_is_closed() {
    let site = Site::whole();
    for file in [
        "aggregator/gen-000001/db",
        "broker/streams/x/1.blk",
        "tokens/a.jwt",
    ] {
        write(&site.path(file), "reports");
    }
    write(&site.path("notes.txt"), "not ours");
    for path in site.tree().into_keys() {
        let signing = path.ends_with("signing.pem") || path.ends_with("checkpoint.key");
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        set_mode(&path, if signing { 0o600 } else { mode });
    }
    assert!(site.complete().unwrap().len() >= 6);
    // The data folder keeps others out of it.
    set_mode(&site.path("notes.txt"), 0o600);
    site.assert_whole("closed");
}

#[test]
fn a_configuration_elsewhere_is_used_and_made_there_and_its_folders_too() {
    let site = Site::empty();
    let elsewhere = site.root.path().join("views");
    let configuration = site.root.path().join("own.toml");
    let text = format!("[aggregator]\nfolder = \"{}\"\n", elsewhere.display());
    fs::write(&configuration, &text).unwrap();
    set_mode(&configuration, 0o644);
    let complete_own = || complete(&Layout::read(&site.data(), Some(&configuration)).unwrap());
    complete_own().unwrap();
    assert_eq!(fs::read_to_string(&configuration).unwrap(), text);
    assert!(elsewhere.is_dir() && !site.path("aggregator").exists());
    assert!(!site.path("gridkeeper.toml").exists());
    let tree = site.tree();
    assert_eq!(tree[&elsewhere].0, 0o700);
    assert_eq!(
        tree[&configuration].0, 0o644,
        "a file outside the data is the owner's matter"
    );
    assert!(complete_own().unwrap().is_empty());

    fs::remove_file(&configuration).unwrap();
    complete_own().unwrap();
    assert_eq!(
        fs::read_to_string(&configuration).unwrap(),
        crate::config::EXPLAINED
    );
}

#[test]
fn options_can_be_copied_into_a_shell() {
    let shown = |path: &str| option("data", Path::new(path));
    assert_eq!(shown("/srv/data"), " --data /srv/data");
    assert_eq!(shown("a b's"), r" --data 'a b'\''s'");
}
