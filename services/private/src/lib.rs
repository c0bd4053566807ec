//! Files and folders that only their owner can reach.
//!
//! An installation's data is made of reports of people and of keys, so nothing of it is for other
//! users of the machine: folders have the mode 0700, files 0600. Two guards stand behind each
//! other: [`mask`] sets the mask of a process, which also holds for libraries and child processes
//! that make files by themselves, and [`folder`] closes a folder that was open before, after which
//! nothing below it can be reached either.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// The mode of a folder.
pub const FOLDER: u32 = 0o700;
/// The mode of a file.
pub const FILE: u32 = 0o600;

/// The bits of the group and of everybody else.
const OTHERS: u32 = 0o077;
/// The bit of folders in which anybody may make files, such as `/tmp`.
const STICKY: u32 = 0o1000;

/// Denies others every file and folder that this process and its children make from now on.
pub fn mask() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(OTHERS));
}

/// Makes a folder, with the folders above it, and closes it where it exists and others can reach
/// it. Returns the mode that it had in that case.
///
/// # Errors
/// What the system refuses, and [`io::ErrorKind::PermissionDenied`] for a folder that is shared by
/// its sticky bit, such as `/tmp`: closing that one would take it from everybody else.
pub fn folder(path: &Path) -> io::Result<Option<u32>> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER)
        .create(path)?;
    close(path)
}

/// Takes the rights of others from a file or folder, and returns the mode that it had. `None` if
/// others had no rights.
///
/// # Errors
/// As [`folder`].
pub fn close(path: &Path) -> io::Result<Option<u32>> {
    let Some(mode) = open_to_others(path)? else {
        return Ok(None);
    };
    if mode & STICKY != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("its mode {mode:o} shares it with all users: choose a folder of its own"),
        ));
    }
    fs::set_permissions(path, Permissions::from_mode(mode & !OTHERS))?;
    Ok(Some(mode))
}

/// The mode of a file or folder that others can reach. `None` if they cannot, as far as its own
/// mode says.
///
/// # Errors
/// The system does not say.
pub fn open_to_others(path: &Path) -> io::Result<Option<u32>> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    Ok((mode & OTHERS != 0).then_some(mode))
}

/// Everything below a folder that others have rights to, whether or not a folder above it keeps
/// them out. Links are not followed, and what vanishes meanwhile is left out.
///
/// # Errors
/// A folder cannot be listed.
pub fn open_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in present(fs::read_dir(&folder))?.into_iter().flatten() {
            let path = entry?.path();
            let Some(metadata) = present(fs::symlink_metadata(&path))? else {
                continue;
            };
            if metadata.is_symlink() {
                continue;
            }
            if metadata.permissions().mode() & OTHERS != 0 {
                found.push(path.clone());
            }
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What is in a folder, in the order of the names; nothing where there is no folder.
///
/// # Errors
/// What the system refuses.
pub fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

/// Writes a file whole or not at all, in place of one of the same name: a crash leaves the old one
/// or the new one. What others could read of the old one they cannot of the new one.
///
/// # Errors
/// What the system refuses.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    place(path, bytes, |fresh| fs::rename(fresh, path))
}

/// Writes a file whole or not at all, where there is none yet.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`], and the file is left as it is; else what the system refuses.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A link fails where the file exists, so of two processes that write at once one wins.
    place(path, bytes, |fresh| {
        let linked = fs::hard_link(fresh, path);
        fs::remove_file(fresh)?;
        linked
    })
}

/// Syncs a folder, so that files made, renamed or removed in it stay so after a power cut.
///
/// # Errors
/// What the system refuses.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Writes and syncs a file beside `path`, and lets `put` give it its name.
fn place(path: &Path, bytes: &[u8], put: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut fresh = name.to_owned();
    fresh.push(format!(".{}.new", std::process::id()));
    let fresh = folder.join(fresh);
    // Only a process of the same number that crashed can have left one.
    present(fs::remove_file(&fresh))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE)
        .open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    put(&fresh)?;
    sync_folder(folder)
}

/// `None` if there is nothing of that name.
fn present<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_is_made_with_those_above_it_for_its_owner_only() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data/views");
        assert_eq!(folder(&path).unwrap(), None);
        assert_eq!(
            (mode(&path), mode(&root.path().join("data"))),
            (0o700, 0o700)
        );
    }

    #[test]
    fn a_folder_that_was_open_is_closed_and_its_mode_returned() {
        let root = tempfile::tempdir().unwrap();
        for open in [0o755, 0o750, 0o701, 0o777, 0o2770] {
            set(root.path(), open);
            assert_eq!(folder(root.path()).unwrap(), Some(open));
            assert_eq!(mode(root.path()), open & !0o077);
            assert_eq!(folder(root.path()).unwrap(), None);
        }
    }

    #[test]
    fn a_folder_that_all_users_share_is_refused_and_left_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        set(root.path(), 0o1777);
        let refused = folder(root.path()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(mode(root.path()), 0o1777);
    }

    #[test]
    fn what_is_open_below_is_found_and_links_are_not_followed() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        set(outside.path(), 0o755);
        std::os::unix::fs::symlink(outside.path(), root.path().join("link")).unwrap();
        let inner = root.path().join("closed/open");
        folder(&inner).unwrap();
        for (name, mode) in [("a", 0o640), ("b", 0o600), ("c", 0o604)] {
            fs::write(inner.join(name), "").unwrap();
            set(&inner.join(name), mode);
        }
        set(&inner, 0o710);
        let expected = [inner.clone(), inner.join("a"), inner.join("c")];
        assert_eq!(open_below(root.path()).unwrap(), expected);
        assert!(open_below(&root.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn a_written_file_replaces_an_open_one_and_leaves_nothing_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("token");
        fs::write(&path, "longer than the new one").unwrap();
        set(&path, 0o644);
        write(&path, b"new").unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), mode(&path)),
            (b"new".to_vec(), 0o600)
        );
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_file_never_replaces_one() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("configuration");
        write_new(&path, b"first").unwrap();
        assert_eq!(mode(&path), 0o600);
        let refused = write_new(&path, b"second").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
