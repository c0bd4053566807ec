//! Taking a backup of a log that goes on.
//!
//! # Invariants
//! - A run reads of the log what is behind the last segment, and what a segment that is gone has held, and no more.
//! - Nothing that a backup holds is written over with something else: where the log differs, the run ends.

mod copying;

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::Arc,
};

use gridkeeper_eventlog::{
    EventLog, KeyStore, LogError,
    verify::{SealedCases, Verification, VerifiedPart},
};
use gridkeeper_proto::{
    checkpoint::{Checkpoint, CheckpointVerifier},
    envelope::Position,
    id::{CaseId, LogId},
    integrity::Integrity,
    sealed::CaseKey,
    time::Timestamp,
};

use self::copying::Copying;
use crate::{
    Error, Manifest, Progress,
    check::{read_segments, step},
    folder::{Cache, Folder},
    notes::Notes,
    segment::{Limits, Segment, SegmentFile},
};

/// How often the end of the log is taken anew, where cases of the last moments have no key yet or no more.
const ROUNDS: usize = 5;

/// What a backup is taken of.
#[derive(Clone, Debug)]
pub struct Source {
    /// The log.
    pub log: EventLog,
    /// The keys of its sealed parties.
    pub keys: KeyStore,
    /// Signed checkpoints that are known besides those on the broker.
    pub notes: Vec<String>,
    /// What intake's watermark says; `None` where there is no watermark.
    pub acknowledged: Option<Acknowledged>,
    /// The key that checkpoints have to be signed by; `None` if the installation has none.
    pub verifier: Option<CheckpointVerifier>,
    /// How large segments become.
    pub limits: Limits,
}

/// How far a log was acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    /// Which log.
    pub log: LogId,
    /// The last position that was acknowledged, and the root up to it.
    pub up_to: Checkpoint,
}

impl Source {
    fn acknowledged(&self) -> Option<Checkpoint> {
        self.acknowledged.map(|Acknowledged { up_to, .. }| up_to)
    }
}

/// A backup that was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// What it is.
    pub manifest: Manifest,
    /// How many messages were read of the log.
    pub read: u64,
    /// How many checkpoints have the root that the log has at their position, among those that this run has compared.
    pub checkpoints: usize,
    /// How many cases that are new in the backup have sealed parties that no key opens, and
    /// nobody who forgot them.
    pub without_key: usize,
    /// How many keys the backup keeps that the broker has lost, or has others for.
    pub only_here: usize,
    /// The newest that is known of a longer log; `None` if nothing is.
    pub longer: Option<Checkpoint>,
}

/// Takes a backup of the log into a folder, or goes on with the one that is there. `now` is when it is taken.
///
/// # Errors
/// [`Error`]. What was read by then is used by the next run.
pub async fn take(
    path: &Path,
    source: &Source,
    now: Timestamp,
    mut progress: impl FnMut(Progress),
) -> Result<Taken, Error> {
    // Before the end of the log is taken, so that none is of a longer log unless the log became shorter.
    let notes = notes(source).await?;
    let facts = source.log.facts().await?;
    let log = facts.log.ok_or(Error::Unnamed)?;
    let folder = Folder::open_or_make(path)?;
    same_log(&folder, source, log)?;
    let mut run = Run {
        copying: Copying::open(&folder, source, log).await?,
        folder: &folder,
        source,
        log,
        keys: BTreeMap::new(),
    };
    run.copying.fill_gaps(&mut progress).await?;
    run.copying.copy_to(facts.last, &mut progress).await?;
    let mut copied = run.settle(facts.last, &mut progress).await?;
    for _ in 1..ROUNDS {
        let statements = source.log.read_statements().await?;
        if copied.is_settled(&statements) {
            break;
        }
        copied = run.settle(copied.end, &mut progress).await?;
    }
    let end = copied.end;
    let (verified_before, mut verification) = run.verify(&copied, &notes, &mut progress)?;
    let before = folder.manifest()?;
    let sealed = verification.take_sealed();
    let only_here = run.keep_known_keys(before.as_ref(), &sealed)?;
    let wrong_key = sealed.with_wrong_key(&run.keys);
    let checkpoints = verification.checkpoints();
    let part = verification.part();
    let compared = notes.up_to(end).into_iter();
    let compared = compared.filter(|known| known.position >= verified_before);
    let mut compared = compared.filter(|known| !copied.statements.supersedes(known));
    let before = before.and_then(|before| before.verified_against);
    let manifest = Manifest {
        format: Manifest::FORMAT,
        log,
        district: source.log.district(),
        position: end,
        root: part.frontier.root(),
        statement: copied.statements.position,
        made_at: now,
        verified_against: compared
            .next_back()
            .map(|newest| newest.position)
            .or(before.filter(|before| *before < verified_before)),
        public_key: source.verifier.as_ref().map(ToString::to_string),
        keys: run.keys.len() as u64,
    };
    let cache = Cache::of(log, copied.statements.position, part);
    folder.commit(&manifest, &run.keys, &notes.thinned_out(), &cache)?;
    let acknowledged = source.acknowledged().filter(|known| known.position > end);
    let longer = notes.after(end).into_iter().chain(acknowledged);
    let longer = longer.filter(|known| !copied.statements.supersedes(known));
    Ok(Taken {
        manifest,
        read: run.copying.read,
        checkpoints,
        without_key: copied.without_key.len() + wrong_key,
        only_here,
        longer: longer.max_by_key(|known| known.position),
    })
}

async fn notes(source: &Source) -> Result<Notes, Error> {
    let there = match source.log.checkpoints().await?.all().await {
        // A log of an earlier version has none.
        Err(LogError::NoStream { .. }) => Vec::new(),
        notes => notes?,
    };
    let all = source.notes.iter().cloned().chain(there);
    Ok(Notes::signed(source.verifier.as_ref(), all))
}

fn same_log(folder: &Folder, source: &Source, log: LogId) -> Result<(), Error> {
    let named = |log: LogId, district| format!("log {log} of district {district}");
    let found = named(log, source.log.district());
    let another = |backup, what, found| Error::AnotherLog {
        folder: folder.path().to_owned(),
        backup,
        what,
        found,
    };
    if let Some(manifest) = folder.manifest()? {
        let backup = named(manifest.log, manifest.district);
        if backup != found {
            return Err(another(backup, "the broker", found));
        }
    }
    if let Some(acknowledged) = source.acknowledged.filter(|known| known.log != log) {
        let of = format!("log {}", acknowledged.log);
        return Err(another(found, "intake's watermark", of));
    }
    match &source.verifier {
        Some(verifier) if verifier.origin().log != log => Err(another(
            found,
            "the installation's key of checkpoints",
            verifier.origin().to_string(),
        )),
        _ => Ok(()),
    }
}

/// A run.
struct Run<'a> {
    folder: &'a Folder,
    source: &'a Source,
    log: LogId,
    copying: Copying,
    keys: BTreeMap<CaseId, CaseKey>,
}

/// What was copied, together with what belongs to it.
struct Copied {
    end: Position,
    /// What the log says of itself.
    statements: Arc<Integrity>,
    /// Cases that were filed after the keys were read, are not forgotten, and have no key.
    without_key: HashSet<CaseId>,
}

impl Copied {
    /// Whether all belongs together: what the log says of itself is in the copy, and so is whatever took a key away.
    fn is_settled(&self, statements: &Integrity) -> bool {
        self.without_key.is_empty()
            && statements.position == self.statements.position
            && statements.position <= self.end
    }
}

impl Run<'_> {
    /// Reads the keys, and then copies what came until then: an event that says that a person is forgotten is before
    /// the end of its key.
    async fn settle(
        &mut self,
        before: Position,
        progress: &mut impl FnMut(Progress),
    ) -> Result<Copied, Error> {
        self.keys = match self.source.keys.all().await {
            // A log of which nobody has sealed anything may have none.
            Err(LogError::NoStream { .. }) => BTreeMap::new(),
            keys => keys?,
        };
        let statements = self.source.log.read_statements().await?;
        let end = self.source.log.last_position().await?;
        self.copying.copy_to(end, progress).await?;
        self.copying.flush()?;
        let mut without_key = HashSet::new();
        for case in self.copying.sealed_after(before)? {
            if self.keys.contains_key(&case) {
                continue;
            }
            match self.source.keys.get(case).await {
                Ok(Some(key)) => drop(self.keys.insert(case, key)),
                Ok(None) | Err(LogError::NoStream { .. }) => drop(without_key.insert(case)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Copied {
            end,
            statements,
            without_key,
        })
    }

    /// Verifies what is new in the backup, or all of it where the log says something new of itself or a segment was
    /// read again; gives the position behind which it has done so.
    fn verify(
        &self,
        copied: &Copied,
        notes: &Notes,
        progress: &mut impl FnMut(Progress),
    ) -> Result<(Position, Verification), Error> {
        let Copied {
            end, statements, ..
        } = copied;
        let cache = self.folder.cache(self.log).filter(|cache| {
            let same_statements = cache.statement == statements.position;
            same_statements && cache.position() <= *end && !self.copying.filled
        });
        let part = cache.map_or_else(VerifiedPart::default, Cache::into_part);
        let after = part.frontier.position();
        let mut checkpoints = notes.up_to(*end);
        let acknowledged = self.source.acknowledged();
        checkpoints.extend(acknowledged.filter(|known| known.position <= *end));
        checkpoints.retain(|checkpoint| checkpoint.position >= after);
        let mut verification = Verification::behind(part, Arc::clone(statements), checkpoints)?;
        read_segments(&self.folder.segments()?, self.log, after, |segment| {
            for (position, record) in segment.into_records() {
                if position > after && position <= *end {
                    step(&mut verification, position, record, statements)?;
                }
            }
            progress(Progress::at("verified", verification.position(), *end));
            Ok(())
        })?;
        Ok((after, verification))
    }

    /// Keeps the keys that the backup has and the broker has lost or has others for, since the
    /// key of a case never changes. Leaves those out of persons who were forgotten and whose key
    /// intake has not destroyed yet. Gives how many only the backup has. `sealed` says who was
    /// forgotten since `before`, the backup that was taken last.
    fn keep_known_keys(
        &mut self,
        before: Option<&Manifest>,
        sealed: &SealedCases,
    ) -> Result<usize, Error> {
        let there = self.keys.clone();
        if let Some(before) = before {
            self.keys.extend(self.folder.keys(before)?);
        }
        self.keys.retain(|case, _| !sealed.is_forgotten(*case));
        let kept = self.keys.iter();
        let only_here = kept.filter(|(case, key)| there.get(case) != Some(key));
        Ok(only_here.count())
    }
}

/// The files of segments, and what is missing between them.
struct Gaps {
    files: Vec<SegmentFile>,
    missing: Vec<(Position, Position)>,
}

impl Gaps {
    /// Looks for gaps. A file that overlaps the next one is damaged.
    fn find(files: Vec<SegmentFile>, log: LogId) -> Result<Self, Error> {
        let mut missing = Vec::new();
        let mut last = Position(0);
        let mut before: Option<&SegmentFile> = None;
        for file in &files {
            if file.first.0 != last.0 + 1 {
                // What a file says of its end is true only where it is whole.
                if let Some(before) = before {
                    Segment::read(&before.path, log)?;
                }
                if file.first.0 <= last.0 {
                    return Err(Error::Damaged {
                        path: file.path.clone(),
                        detail: "it overlaps the segment before it".to_owned(),
                    });
                }
                missing.push((Position(last.0 + 1), Position(file.first.0 - 1)));
            }
            last = file.last;
            before = Some(file);
        }
        Ok(Self { files, missing })
    }
}
