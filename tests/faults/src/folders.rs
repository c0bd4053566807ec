//! Exchanging the folders of an installation that does not run.

use std::path::PathBuf;

use crate::{blocks::copy_folder, damage::Files, kinds::Folder};

impl Folder {
    fn name(self) -> &'static str {
        match self {
            Self::Broker => "streams",
            Self::Intake => "log",
            Self::Aggregator => "aggregator",
            Self::Escalator => "escalator",
        }
    }
}

impl Files {
    pub(crate) fn folder(&self, folder: Folder) -> PathBuf {
        let parent = match folder {
            Folder::Broker => &self.broker,
            _ => &self.data,
        };
        parent.join(folder.name())
    }

    /// Copies all folders as they are now.
    pub(crate) fn copy_folders(&self) {
        for folder in Folder::ALL {
            copy_folder(&self.folder(folder), &self.copy.join(folder.name()));
        }
    }

    /// Replaces folders with their copies.
    pub(crate) fn put_older(&self, folders: &[Folder]) {
        for folder in folders {
            copy_folder(&self.copy.join(folder.name()), &self.folder(*folder));
        }
    }

    /// Copies a folder as it is now beside the copies of all.
    pub(crate) fn keep_newer(&self, folder: Folder) {
        copy_folder(&self.folder(folder), &self.newer(folder));
    }

    /// Puts a folder back as [`Self::keep_newer`] left it.
    pub(crate) fn put_newer(&self, folder: Folder) {
        copy_folder(&self.newer(folder), &self.folder(folder));
    }

    fn newer(&self, folder: Folder) -> PathBuf {
        self.copy.join("newer").join(folder.name())
    }
}
