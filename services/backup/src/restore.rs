//! Restoring a log from a backup, into a broker that has none.
//!
//! # Invariants
//! - Nothing is written before the whole backup was verified, and nothing into streams that are there already, but
//!   for those that an interrupted restore of the same log has left.
//! - Each message gets its old position. Where the log gives one up as lost, a message stands that marks it.
//! - The streams are closed to all services until the restored log was read back and found to be the backup's.

use std::path::Path;

use gridkeeper_eventlog::{
    Message, Occupied, Restoration,
    verify::{Against, Verified, verify},
};
use gridkeeper_proto::{
    area::AreaCode,
    checkpoint::{Checkpoint, CheckpointVerifier},
    envelope::Position,
    integrity::{Integrity, Standing},
};

use crate::{
    Error, Manifest, Progress,
    check::{Checked, Copy},
    notes::Notes,
    segment::Segment,
};

/// How many messages are written at once.
const BATCH: usize = 1_000;

/// Where a log is restored.
#[derive(Debug)]
pub struct Target {
    /// The streams.
    pub streams: Restoration,
    /// The district of the installation.
    pub district: AreaCode,
    /// The installation's key of checkpoints, by which the backup is checked; `None` if it has none.
    pub verifier: Option<CheckpointVerifier>,
}

/// What the log was at a position, as far as it is known beside the backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Position and root.
    pub checkpoint: Checkpoint,
    /// Who says so, as a name: a file, intake's watermark.
    pub by: String,
}

/// Messages that the log is known to have had and the backup does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The first position.
    pub from: Position,
    /// The last position that is known.
    pub to: Position,
    /// Who says so.
    pub by: String,
}

/// A log that was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The backup.
    pub manifest: Manifest,
    /// The restored log, as read back from the broker.
    pub verified: Verified,
    /// The position that an interrupted restore had reached; zero for none.
    pub resumed_after: Position,
    /// What is known to be missing; `None` if nothing is.
    pub missing: Option<Missing>,
}

/// Restores the log of a backup. `known` is what is known of the log beside the backup, signed or written by intake
/// itself.
///
/// # Errors
/// [`Error`]. After an interrupted restore the next one goes on.
pub async fn restore(
    path: &Path,
    target: &Target,
    known: &[Known],
    mut progress: impl FnMut(Progress),
) -> Result<Restored, Error> {
    let copy = Copy::open(path)?;
    same_log(&copy, path, target)?;
    let up_to_end = known.iter().map(|known| known.checkpoint);
    let up_to_end: Vec<_> = up_to_end.collect();
    let checked = copy.check(target.verifier.as_ref(), &up_to_end, &mut progress)?;
    let Manifest {
        log, position: end, ..
    } = copy.manifest;
    let streams = &target.streams;
    let occupied = streams.occupied(log).await?;
    if !occupied.is_empty() && !occupied.iter().any(is_resumable) {
        return Err(not_empty(&occupied));
    }
    streams.begin(log).await?;
    let resumed_after = streams.log().last_position().await?;
    let statements = &checked.verified.statements;
    put_messages(&copy, streams, resumed_after, statements, &mut progress).await?;
    let keys = copy.keys.len() as u64;
    let each = |put| {
        progress(Progress {
            doing: "keys restored",
            done: put,
            end: keys,
        });
    };
    streams.put_keys(&copy.keys, each).await?;
    streams.put_checkpoints(&copy.notes).await?;
    let verified = verified(&copy, target, &checked, &up_to_end, &mut progress).await?;
    streams.finish().await?;
    Ok(Restored {
        missing: missing(&checked, known, end),
        manifest: copy.manifest,
        verified,
        resumed_after,
    })
}

fn same_log(copy: &Copy, path: &Path, target: &Target) -> Result<(), Error> {
    let Manifest { log, district, .. } = copy.manifest;
    let another = |what, found| Error::AnotherLog {
        folder: path.to_owned(),
        backup: format!("log {log} of district {district}"),
        what,
        found,
    };
    if district != target.district {
        let found = format!("district {}", target.district);
        return Err(another("the installation", found));
    }
    match &target.verifier {
        Some(verifier) if verifier.origin().log != log => {
            let found = format!("log {}", verifier.origin().log);
            Err(another("the installation's key of checkpoints", found))
        }
        _ => Ok(()),
    }
}

/// Whether a stream shows that an interrupted restore is to go on: the log's is opened last.
fn is_resumable(occupied: &Occupied) -> bool {
    occupied.half_restored && occupied.stream.starts_with("EVT_")
}

fn not_empty(occupied: &[Occupied]) -> Error {
    let each = occupied.iter().map(|occupied| {
        let Occupied {
            stream, messages, ..
        } = occupied;
        match occupied.log {
            Some(log) => format!("stream {stream} of log {log} holds {messages} messages"),
            None => format!("stream {stream} holds {messages} messages"),
        }
    });
    Error::NotEmpty {
        found: each.collect::<Vec<_>>().join(", "),
    }
}

async fn put_messages(
    copy: &Copy,
    streams: &Restoration,
    after: Position,
    statements: &Integrity,
    progress: &mut impl FnMut(Progress),
) -> Result<(), Error> {
    let Manifest {
        log, position: end, ..
    } = copy.manifest;
    if after > end {
        return Err(Error::NotRestored {
            detail: format!(
                "the broker holds it up to position {after}, from a restore of a newer backup, and this one ends at {end}"
            ),
        });
    }
    let mut last = after;
    for file in &copy.segments {
        if file.last <= after && file.last < end {
            continue;
        }
        let segment = Segment::read(&file.path, log)?;
        compare_end(copy, &segment, streams, after, statements).await?;
        let mut batch = Vec::with_capacity(BATCH);
        for (position, record) in segment.into_records() {
            if position <= last || position > end {
                continue;
            }
            let lost = statements.standing(position) == Standing::Lost;
            let message = record.message(position);
            batch.push(message.filter(|_| !lost));
            if batch.len() == BATCH {
                last = put(streams, last, &mut batch).await?;
                progress(Progress::at("restored", last, end));
            }
        }
        if !batch.is_empty() {
            last = put(streams, last, &mut batch).await?;
            progress(Progress::at("restored", last, end));
        }
    }
    Ok(())
}

/// Writes a batch and empties it.
async fn put(
    streams: &Restoration,
    after: Position,
    batch: &mut Vec<Option<Message>>,
) -> Result<Position, Error> {
    let last = streams.put(after, batch).await?;
    batch.clear();
    Ok(last)
}

/// Compares the last message that an interrupted restore has written, if it is in this segment.
async fn compare_end(
    copy: &Copy,
    segment: &Segment,
    streams: &Restoration,
    after: Position,
    statements: &Integrity,
) -> Result<(), Error> {
    let found = segment.records().find(|(position, _)| *position == after);
    let Some((position, record)) = found else {
        return Ok(());
    };
    let message = streams.log().message_at(position).await?;
    let same = message.is_some_and(|message| record.is(&message));
    match same || statements.standing(position) == Standing::Lost {
        true => Ok(()),
        false => Err(Error::AnotherHistory {
            folder: copy.folder.path().to_owned(),
            position,
        }),
    }
}

/// Reads the restored log back.
async fn verified(
    copy: &Copy,
    target: &Target,
    checked: &Checked,
    known: &[Checkpoint],
    progress: &mut impl FnMut(Progress),
) -> Result<Verified, Error> {
    let own = copy.manifest.verifier()?;
    let verifier = target.verifier.as_ref().or(own.as_ref());
    let end = copy.manifest.position;
    let mut checkpoints = Notes::signed(verifier, copy.notes.clone()).up_to(end);
    checkpoints.extend(known.iter().filter(|known| known.position <= end));
    let against = Against {
        checkpoints,
        keys: Some(target.streams.keys().clone()),
    };
    let verified = verify(target.streams.log(), against, |position, end| {
        progress(Progress::at("read back", position, end));
    })
    .await?;
    if (verified.end, verified.digest) != (checked.verified.end, checked.verified.digest) {
        return Err(Error::NotRestored {
            detail: format!(
                "its root is {} at position {}, and the backup's is {} at position {}",
                verified.end.root, verified.end.position, checked.verified.end.root, end
            ),
        });
    }
    Ok(verified)
}

/// What the newest of all that is known says of the log behind the backup.
fn missing(checked: &Checked, known: &[Known], end: Position) -> Option<Missing> {
    let statements = &checked.verified.statements;
    let in_backup = checked.longer.map(|checkpoint| Known {
        checkpoint,
        by: "a signed checkpoint in the backup".to_owned(),
    });
    let longer = known.iter().cloned().chain(in_backup).filter(|known| {
        let position = known.checkpoint.position;
        position > end && !statements.supersedes(&known.checkpoint)
    });
    let newest = longer.max_by_key(|known| known.checkpoint.position)?;
    Some(Missing {
        from: Position(end.0 + 1),
        to: newest.checkpoint.position,
        by: newest.by,
    })
}
