//! Checking a backup without a broker.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use gridkeeper_eventlog::{
    LogError, Stored, statement,
    verify::{Break, Verification, Verified},
};
use gridkeeper_proto::{
    area::AreaCode,
    checkpoint::{Checkpoint, CheckpointVerifier},
    envelope::Position,
    id::{CaseId, LogId},
    integrity::{Integrity, Standing},
    sealed::CaseKey,
};

use crate::{
    Error, Manifest, Progress,
    folder::{Folder, no_backup},
    notes::Notes,
    segment::{Record, Segment, SegmentFile},
};

/// A backup that was checked.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What it is.
    pub manifest: Manifest,
    /// What verifying it has found, as of the log itself.
    pub verified: Verified,
    /// The newest signed checkpoint in it that is of a longer log than it is itself; `None` if it has none.
    pub longer: Option<Checkpoint>,
}

/// A backup whose files were found whole, for reading.
pub(crate) struct Copy {
    pub(crate) folder: Folder,
    pub(crate) manifest: Manifest,
    pub(crate) segments: Vec<SegmentFile>,
    pub(crate) keys: BTreeMap<CaseId, CaseKey>,
    pub(crate) notes: Vec<String>,
}

/// Reads the whole backup and verifies it as `verify` does a log: checksums, chain, tree, signed checkpoints, keys.
/// `verifier` is the key that its checkpoints have to be signed by; the backup's own if there is none.
///
/// # Errors
/// [`Error::Damaged`] with the file, [`Error::Break`] with the position, [`Error::NoBackup`].
pub fn check(
    folder: &Path,
    verifier: Option<&CheckpointVerifier>,
    mut progress: impl FnMut(Progress),
) -> Result<Checked, Error> {
    let copy = Copy::open(folder)?;
    copy.check(verifier, &[], &mut progress)
}

impl Copy {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let folder = Folder::open(path)?;
        let manifest = folder
            .manifest()?
            .ok_or_else(|| no_backup(path, "no run has ended there yet"))?;
        let mut segments = folder.segments()?;
        // What lies behind was left by a run that did not end.
        segments.retain(|segment| segment.first <= manifest.position);
        Ok(Self {
            keys: folder.keys(&manifest)?,
            notes: folder.notes(&manifest)?,
            segments,
            folder,
            manifest,
        })
    }

    /// Checks everything. `known` are checkpoints that are known besides those of the backup.
    pub(crate) fn check(
        &self,
        verifier: Option<&CheckpointVerifier>,
        known: &[Checkpoint],
        progress: &mut impl FnMut(Progress),
    ) -> Result<Checked, Error> {
        let own = self.manifest.verifier()?;
        let (log, named) = (self.manifest.log, verifier.map(CheckpointVerifier::origin));
        if let Some(found) = named.filter(|origin| origin.log != log) {
            return Err(Error::AnotherLog {
                folder: self.folder.path().to_owned(),
                backup: format!("log {log}"),
                what: "the key of checkpoints",
                found: found.to_string(),
            });
        }
        let notes = Notes::signed(verifier.or(own.as_ref()), self.notes.clone());
        let Manifest {
            position: end,
            district,
            ..
        } = self.manifest;
        let mut checkpoints = notes.up_to(end);
        checkpoints.extend(known.iter().filter(|known| known.position <= end));
        // Most logs say nothing of themselves, and then one reading is enough.
        let mut first = Pass::new(district, Integrity::default(), checkpoints.clone());
        self.walk("checked", progress, &mut first)?;
        let pass = match first.said.version {
            0 => first,
            _ => {
                let mut second = Pass::new(district, first.said, checkpoints);
                self.walk("verified", progress, &mut second)?;
                second
            }
        };
        let verified = pass
            .verification?
            .finish(Some(self.manifest.log), Some(&self.keys))?;
        let found = &verified.end;
        if found.root != self.manifest.root {
            return Err(Error::Break(Break::Root {
                position: end,
                signed: self.manifest.root,
                found: found.root,
            }));
        }
        let longer = notes.after(end).into_iter();
        let mut longer = longer.filter(|known| !verified.statements.supersedes(known));
        Ok(Checked {
            manifest: self.manifest.clone(),
            longer: longer.next_back(),
            verified,
        })
    }

    fn walk(
        &self,
        doing: &'static str,
        progress: &mut impl FnMut(Progress),
        pass: &mut Pass,
    ) -> Result<(), Error> {
        let end = self.manifest.position;
        self.read(Position(0), |segment| {
            for (position, record) in segment.into_records() {
                if position <= end {
                    pass.step(position, record);
                }
            }
            progress(Progress::at(doing, pass.position, end));
            Ok(())
        })
    }

    /// Reads the segments behind a position, in order and without a gap up to the end.
    pub(crate) fn read(
        &self,
        after: Position,
        take: impl FnMut(Segment) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Manifest { log, position, .. } = self.manifest;
        let reached = read_segments(&self.segments, log, after, take)?;
        if reached < position {
            return Err(missing(&self.folder, reached, position));
        }
        Ok(())
    }
}

/// Reads the segments that hold anything behind a position, in order; gives the last position. Each has to follow the
/// one before it, in its tree as well.
pub(crate) fn read_segments(
    segments: &[SegmentFile],
    log: LogId,
    after: Position,
    mut take: impl FnMut(Segment) -> Result<(), Error>,
) -> Result<Position, Error> {
    let passed = segments.partition_point(|segment| segment.first.0 <= after.0 + 1);
    let mut reached = None;
    for file in &segments[passed.saturating_sub(1)..] {
        let segment = Segment::read(&file.path, log)?;
        let follows = match &reached {
            None => segment.first().0 <= after.0 + 1,
            Some(tree) => segment.begin() == tree,
        };
        if !follows {
            return Err(Error::Damaged {
                path: file.path.clone(),
                detail: "it does not follow the segment before it".to_owned(),
            });
        }
        reached = Some(segment.end().clone());
        take(segment)?;
    }
    Ok(reached.map_or(Position(0), |tree| tree.position()))
}

pub(crate) fn missing(folder: &Folder, reached: Position, end: Position) -> Error {
    Error::Damaged {
        path: folder.segments_folder(),
        detail: format!(
            "the segments with positions {} to {end} are missing",
            reached.0 + 1
        ),
    }
}

/// One reading of a whole backup.
struct Pass {
    /// The subject on which the log speaks of itself.
    district: String,
    /// What the log says of itself, as far as this reading knows.
    statements: Arc<Integrity>,
    /// What it was found to say.
    said: Integrity,
    /// The first break ends it, while the reading goes on.
    verification: Result<Verification, Break>,
    position: Position,
}

impl Pass {
    fn new(district: AreaCode, statements: Integrity, checkpoints: Vec<Checkpoint>) -> Self {
        let statements = Arc::new(statements);
        Self {
            district: district.subject(),
            said: Integrity::default(),
            verification: Verification::new(Arc::clone(&statements), checkpoints),
            statements,
            position: Position(0),
        }
    }

    fn step(&mut self, position: Position, record: Record) {
        self.position = position;
        let bytes = record.bytes_of_district(&self.district);
        if let Some(statement) = bytes.and_then(|bytes| statement(position, bytes)) {
            self.said.evolve(&statement);
        }
        if let Ok(verification) = &mut self.verification
            && let Err(broken) = step(verification, position, record, &self.statements)
        {
            self.verification = Err(broken);
        }
    }
}

/// Verifies the next record.
pub(crate) fn step(
    verification: &mut Verification,
    position: Position,
    record: Record,
    statements: &Integrity,
) -> Result<(), Break> {
    let stored = match record.message(position) {
        Some(message) => message.stored(statements)?,
        None => {
            let lost = statements.standing(position);
            if lost != Standing::Lost {
                return Err(LogError::Missing { position }.into());
            }
            Stored::lost(position)
        }
    };
    verification.step(&stored)
}
