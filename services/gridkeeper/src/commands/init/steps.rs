//! The parts of an installation, in the order in which they are made.

use std::{
    io,
    path::{Path, PathBuf},
};

use gridkeeper_identity::{
    CheckpointKeyState, Gap, checkpoint_key_state, load_checkpoint_signer, make_checkpoint_key,
};

use super::{Change, Step};
use crate::{
    config::EXPLAINED,
    error::Error,
    layout::{Layout, exists, io_error},
};

/// The steps. Keys come before whatever services would leave, so that an interrupted `init` is not
/// taken for an installation that lost its keys.
pub(super) const STEPS: [Step; 6] = [
    Step {
        look: look_at_data,
        make: |layout| make_folder(&layout.data),
    },
    Step {
        look: look_at_keys,
        make: |layout| {
            gridkeeper_identity::complete(&layout.keys())?;
            Ok(())
        },
    },
    Step {
        look: look_at_checkpoint_key,
        make: |layout| {
            make_checkpoint_key(&layout.keys())?;
            Ok(())
        },
    },
    Step {
        look: look_at_folders,
        make: make_folders,
    },
    Step {
        look: look_at_configuration,
        make: make_configuration,
    },
    Step {
        look: look_for_open,
        make: close_open,
    },
];

fn look_at_data(layout: &Layout) -> Result<Vec<Change>, Error> {
    match layout.foreign()? {
        Some(found) => Err(Error::Foreign {
            data: layout.data.clone(),
            found,
        }),
        None => Ok(look_at_folder(&layout.data, "all data")?
            .into_iter()
            .collect()),
    }
}

fn look_at_keys(layout: &Layout) -> Result<Vec<Change>, Error> {
    let gaps = gridkeeper_identity::inspect(&layout.keys())?;
    let none = gaps.iter().any(|gap| matches!(gap, Gap::NoKey { .. }));
    if none && let Some(sign) = layout.sign_of_life()? {
        let keys = layout.keys();
        return Err(Error::KeysLost { keys, sign });
    }
    let changes = gaps.into_iter().map(|gap| Change {
        lack: gap.to_string(),
        done: match &gap {
            Gap::Leftover { path } => format!("removed {}", path.display()),
            Gap::NoKey { path } => format!("made {}, the key that signs tokens", path.display()),
            Gap::NoPublicKey { path } => format!("wrote {} again", path.display()),
            Gap::EarlierName {
                path,
                renamed,
                compared,
            } => format!(
                "renamed {} to {}{}",
                path.display(),
                renamed.display(),
                match compared {
                    true => "",
                    false => ": the earlier name covers a quarter of the key, and nothing else is left to \
                              compare it with; if it is damaged, its tokens are refused",
                }
            ),
        },
    });
    Ok(changes.collect())
}

/// The key of checkpoints is made where no evidence of a log was kept with it: by a new installation, and by one of a
/// version that had none.
fn look_at_checkpoint_key(layout: &Layout) -> Result<Vec<Change>, Error> {
    let keys = layout.keys();
    let evidence = layout.config.intake.folder.join("watermark");
    match checkpoint_key_state(&keys)? {
        CheckpointKeyState::Whole => {
            load_checkpoint_signer(&keys)?;
            Ok(Vec::new())
        }
        CheckpointKeyState::None if !exists(&evidence)? => Ok(vec![Change {
            lack: format!("there is no key of checkpoints in {}", keys.display()),
            done: format!(
                "made {}, the key that signs checkpoints of the log",
                keys.join("checkpoint.key").display()
            ),
        }]),
        // Says which of the two files is missing.
        _ => match load_checkpoint_signer(&keys) {
            Ok(_) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        },
    }
}

fn look_at_folders(layout: &Layout) -> Result<Vec<Change>, Error> {
    let folders = layout.folders().into_iter();
    let changes = folders.map(|(folder, what)| look_at_folder(&folder, what));
    changes.filter_map(Result::transpose).collect()
}

fn make_folders(layout: &Layout) -> Result<(), Error> {
    let folders = layout.folders();
    folders
        .iter()
        .try_for_each(|(folder, _)| make_folder(folder))
}

/// A folder that is missing, or that others can reach.
fn look_at_folder(folder: &Path, what: &str) -> Result<Option<Change>, Error> {
    let shown = folder.display();
    if !exists(folder)? {
        return Ok(Some(Change {
            lack: format!("{shown} is missing, the folder of {what}"),
            done: format!("made {shown}, the folder of {what}"),
        }));
    }
    if !folder.is_dir() {
        return Err(io_error("use", folder)(io::ErrorKind::NotADirectory.into()));
    }
    let open = gridkeeper_private::open_to_others(folder).map_err(io_error("look at", folder))?;
    Ok(open.map(|mode| Change {
        lack: format!("{shown} can be reached by others (mode {mode:o})"),
        done: format!("closed {shown} to others (its mode was {mode:o})"),
    }))
}

fn make_folder(folder: &Path) -> Result<(), Error> {
    gridkeeper_private::folder(folder).map_err(io_error("make", folder))?;
    Ok(())
}

fn look_at_configuration(layout: &Layout) -> Result<Vec<Change>, Error> {
    let path = &layout.configuration;
    let shown = path.display();
    match exists(path)? {
        true => Ok(Vec::new()),
        false => Ok(vec![Change {
            lack: format!("{shown} is missing, the configuration"),
            done: format!("made {shown}, the configuration with every option explained"),
        }]),
    }
}

fn make_configuration(layout: &Layout) -> Result<(), Error> {
    let path = &layout.configuration;
    match gridkeeper_private::write_new(path, EXPLAINED.as_bytes()) {
        // Another process that makes the same installation was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        written => written.map_err(io_error("write", path)),
    }
}

/// What others could reach if they got past the folders above it: versions before this one made
/// files as the mask of their process let them.
fn look_for_open(layout: &Layout) -> Result<Vec<Change>, Error> {
    let mut changes = Vec::new();
    for part in layout.in_data() {
        let open = open_in(layout, &part)?;
        if let Some(first) = open.first() {
            let what = match open.len() - 1 {
                0 => first.display().to_string(),
                more => format!("{} and {more} more in {}", first.display(), part.display()),
            };
            changes.push(Change {
                lack: format!("{what} can be reached by others"),
                done: format!("closed {what} to others"),
            });
        }
    }
    Ok(changes)
}

fn close_open(layout: &Layout) -> Result<(), Error> {
    for part in layout.in_data() {
        for path in open_in(layout, &part)? {
            match gridkeeper_private::close(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                closed => {
                    closed.map_err(io_error("close to others", &path))?;
                }
            }
        }
    }
    Ok(())
}

/// What is open to others in a part of the data folder, besides the folders that have a step of
/// their own.
fn open_in(layout: &Layout, part: &Path) -> Result<Vec<PathBuf>, Error> {
    if !exists(part)? {
        return Ok(Vec::new());
    }
    let mut open = match part.is_dir() {
        true => gridkeeper_private::open_below(part).map_err(io_error("list", part))?,
        false => Vec::new(),
    };
    let folders = layout.folders();
    let own_step = folders.iter().any(|(folder, _)| folder == part);
    let itself = gridkeeper_private::open_to_others(part).map_err(io_error("look at", part))?;
    if itself.is_some() && !own_step {
        open.insert(0, part.to_owned());
    }
    Ok(open)
}
