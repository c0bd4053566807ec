//! Copying messages of the log into segments.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};

use gridkeeper_eventlog::{EventLog, LogError, Message};
use gridkeeper_proto::{
    envelope::Position,
    event::{CaseEvent, Event, Recorded},
    id::{CaseId, LogId},
    integrity::{Integrity, Standing},
    tree::Frontier,
};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{Gaps, Source};
use crate::{
    Error, Progress,
    check::read_segments,
    folder::{Folder, segments_in},
    segment::{Limits, Record, Segment, SegmentFile},
};

/// How many messages, and how many bytes, are read of the log at once.
const BATCH: (usize, usize) = (4_096, 4 << 20);
/// How many batches are read ahead of those that are written.
const AHEAD: usize = 2;

/// The segments while they are written.
pub(super) struct Copying {
    segments: PathBuf,
    folder: PathBuf,
    log: EventLog,
    id: LogId,
    limits: Limits,
    missing: Vec<(Position, Position)>,
    /// The last segment.
    growing: Segment,
    /// Whether it has more than its file.
    grown: bool,
    /// How many messages were read of the log.
    pub(super) read: u64,
    /// Whether a segment that was gone was read again.
    pub(super) filled: bool,
}

impl Copying {
    /// Goes on behind the last segment, once the log was found to be the one that it was copied from.
    pub(super) async fn open(folder: &Folder, source: &Source, id: LogId) -> Result<Self, Error> {
        let Gaps { files, missing } = Gaps::find(folder.segments()?, id)?;
        let growing = match files.last() {
            Some(file) => Segment::read(&file.path, id)?,
            None => Segment::behind(Frontier::default(), id),
        };
        let copying = Self {
            segments: folder.segments_folder(),
            folder: folder.path().to_owned(),
            log: source.log.clone(),
            id,
            limits: source.limits,
            missing,
            growing,
            grown: false,
            read: 0,
            filled: false,
        };
        copying.compare().await?;
        Ok(copying)
    }

    fn last(&self) -> Position {
        self.growing.last()
    }

    /// Compares the end of the backup with the log.
    async fn compare(&self) -> Result<(), Error> {
        let (backup, last) = (self.last(), self.log.last_position().await?);
        if last < backup {
            return Err(Error::LogShorter {
                folder: self.folder.clone(),
                last,
                backup,
            });
        }
        self.log.read_statements().await?;
        let Some((position, record)) = self.growing.records().last() else {
            return Ok(());
        };
        if let Some(message) = self.log.message_at(position).await? {
            return self.compare_one(record, &message);
        }
        // The log has a hole there. What is left of the same stretch shows whether it is the same history; where
        // nothing is left, the chain and the signed roots do.
        let mut there = HashMap::new();
        let mut after = Position(self.growing.first().0 - 1);
        while after < position {
            let (max_messages, max_bytes) = BATCH;
            let found = self
                .log
                .messages_after(after, max_messages, max_bytes)
                .await?;
            let Some(reached) = found.last() else { break };
            after = reached.position;
            there.extend(found.into_iter().map(|message| (message.position, message)));
        }
        for (position, record) in self.growing.records() {
            if let Some(message) = there.get(&position) {
                self.compare_one(record, message)?;
            }
        }
        Ok(())
    }

    fn compare_one(&self, record: &Record, message: &Message) -> Result<(), Error> {
        let lost = self.log.statements().standing(message.position) == Standing::Lost;
        if record.is(message) || lost || *record == Record::Lost {
            return Ok(());
        }
        Err(Error::AnotherHistory {
            folder: self.folder.clone(),
            position: message.position,
        })
    }

    /// Reads again what segments have held that are gone.
    pub(super) async fn fill_gaps(
        &mut self,
        progress: &mut impl FnMut(Progress),
    ) -> Result<(), Error> {
        for (first, last) in std::mem::take(&mut self.missing) {
            let mut before = Frontier::default();
            let files = Gaps::find(self.files()?, self.id)?.files;
            let files: Vec<_> = files.into_iter().filter(|file| file.last < first).collect();
            if let Some(file) = files.last() {
                before = Segment::read(&file.path, self.id)?.end().clone();
            }
            let empty = Segment::behind(before, self.id);
            let tail = std::mem::replace(&mut self.growing, empty);
            let tail_grown = std::mem::replace(&mut self.grown, false);
            self.copy_to(last, progress).await?;
            self.flush()?;
            self.growing = tail;
            self.grown = tail_grown;
            self.filled = true;
        }
        Ok(())
    }

    fn files(&self) -> Result<Vec<SegmentFile>, Error> {
        segments_in(&self.segments)
    }

    /// Copies what is behind the last segment, up to a position of the log.
    pub(super) async fn copy_to(
        &mut self,
        end: Position,
        progress: &mut impl FnMut(Progress),
    ) -> Result<(), Error> {
        if end <= self.last() {
            return Ok(());
        }
        let statements = self.log.read_statements().await?;
        let mut batches = read_ahead(&self.log, self.last(), end);
        while self.last() < end {
            let Some(batch) = batches.batches.recv().await else {
                break;
            };
            for message in batch? {
                self.fill_up(message.position, &statements)?;
                self.read += 1;
                self.push(Record::from(message))?;
            }
            progress(Progress::at("copied", self.last(), end));
        }
        if self.last() < end {
            // Lost messages at the very end are followed by the statement that gives them up, unless it is not read
            // yet.
            self.fill_up(Position(end.0 + 1), &statements)?;
        }
        Ok(())
    }

    /// Adds lost messages up to the next one that is there.
    fn fill_up(&mut self, found: Position, statements: &Integrity) -> Result<(), Error> {
        while self.last().0 + 1 < found.0 {
            let next = Position(self.last().0 + 1);
            if statements.standing(next) != Standing::Lost {
                // What was copied by then is kept.
                self.flush()?;
                return Err(Error::Log(LogError::Unreadable {
                    from: next,
                    to: Position(found.0 - 1),
                    said: "the broker gives no message there".to_owned(),
                }));
            }
            self.push(Record::Lost)?;
        }
        Ok(())
    }

    fn push(&mut self, record: Record) -> Result<(), Error> {
        if !self.growing.takes(&record, self.limits) {
            self.flush()?;
            self.growing = Segment::behind(self.growing.end().clone(), self.id);
        }
        self.growing.push(record);
        self.grown = true;
        Ok(())
    }

    /// Writes the last segment, if there is anything new in it.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        if self.grown && !self.growing.is_empty() {
            self.growing.write(&self.segments)?;
        }
        self.grown = false;
        Ok(())
    }

    /// The cases whose parties were sealed behind a position, and not forgotten since.
    pub(super) fn sealed_after(&self, after: Position) -> Result<HashSet<CaseId>, Error> {
        let mut sealed = HashSet::new();
        if self.last() <= after {
            return Ok(sealed);
        }
        read_segments(&self.files()?, self.id, after, |segment| {
            for (position, record) in segment.into_records() {
                let message = record.message(position).filter(|_| position > after);
                let Some(message) = message else { continue };
                // What does not decode is named when the backup is verified.
                let Ok(recorded) = Recorded::decode(position, &message.bytes) else {
                    continue;
                };
                let case = recorded.header.aggregate.into();
                match recorded.event {
                    Event::Case(CaseEvent::Reported(reported)) if reported.parties.is_some() => {
                        sealed.insert(case);
                    }
                    Event::Case(CaseEvent::PartiesForgotten(_)) => {
                        sealed.remove(&case);
                    }
                    _ => {}
                }
            }
            Ok(())
        })?;
        Ok(sealed)
    }
}

/// The log, read by a task of its own while what came is written.
struct ReadAhead {
    batches: mpsc::Receiver<Result<Vec<Message>, LogError>>,
    _reading: AbortOnDropHandle<()>,
}

fn read_ahead(log: &EventLog, after: Position, end: Position) -> ReadAhead {
    let (sender, batches) = mpsc::channel(AHEAD);
    let log = log.clone();
    let reading = tokio::spawn(async move {
        let (max_messages, max_bytes) = BATCH;
        let mut read = after;
        while read < end {
            let left = usize::try_from(end.0 - read.0).unwrap_or(usize::MAX);
            let batch = log.messages_after(read, max_messages.min(left), max_bytes);
            let batch = batch.await.map(|mut batch| {
                batch.retain(|message| message.position <= end);
                batch
            });
            match batch.as_ref().map(|batch| batch.last()) {
                Ok(Some(last)) => read = last.position,
                Ok(None) => return,
                Err(_) => {}
            }
            let failed = batch.is_err();
            if sender.send(batch).await.is_err() || failed {
                return;
            }
        }
    });
    ReadAhead {
        batches,
        _reading: AbortOnDropHandle::new(reading),
    }
}
