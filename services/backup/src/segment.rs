//! Segments: messages one after the other, in files of bounded size.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use gridkeeper_eventlog::Message;
use gridkeeper_proto::{
    envelope::Position,
    id::LogId,
    tree::{Frontier, TreeHash},
};
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    checked_file::{self, Magic, failed},
};

const MAGIC: Magic = *b"GKseg\0\0\x01";
/// What a message takes besides its texts and bytes, at most.
const OVERHEAD: usize = 48;

/// How large segments become. Runs into one folder have to agree on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At most how many messages a segment holds.
    pub messages: usize,
    /// At most how many bytes of messages a segment holds, unless a single one has more.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages: 65_536,
            bytes: 16 << 20,
        }
    }
}

/// What a backup has of a position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Record {
    /// The message that stood there.
    Message(Copied),
    /// Nothing: the log gives the message up as lost.
    Lost,
}

/// A message without its position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Copied {
    subject: String,
    id: Option<String>,
    headers: Vec<(String, String)>,
    stored_at: i64,
    bytes: Bytes,
}

impl Record {
    /// The message; `None` where it is lost.
    pub(crate) fn message(self, position: Position) -> Option<Message> {
        match self {
            Self::Lost => None,
            Self::Message(copied) => Some(Message {
                position,
                subject: copied.subject,
                id: copied.id,
                headers: copied.headers,
                stored_at: copied.stored_at,
                bytes: copied.bytes,
            }),
        }
    }

    /// Its bytes, if it is on the subject of a district's own events, where the log speaks of itself; else `None`.
    pub(crate) fn bytes_of_district(&self, district: &str) -> Option<&[u8]> {
        match self {
            Self::Message(copied) if copied.subject == district => Some(&copied.bytes),
            _ => None,
        }
    }

    /// Whether it is what the log holds there.
    pub(crate) fn is(&self, message: &Message) -> bool {
        match self {
            Self::Lost => false,
            Self::Message(copied) => {
                copied.subject == message.subject && copied.bytes == message.bytes
            }
        }
    }

    fn weight(&self) -> usize {
        let Self::Message(copied) = self else {
            return OVERHEAD;
        };
        let headers = copied.headers.iter();
        let headers = headers.map(|(name, value)| name.len() + value.len() + OVERHEAD);
        let id = copied.id.as_ref().map_or(0, String::len);
        OVERHEAD + copied.subject.len() + id + copied.bytes.len() + headers.sum::<usize>()
    }

    fn leaf(&self) -> TreeHash {
        match self {
            Self::Message(copied) => TreeHash::of_leaf(&copied.bytes),
            Self::Lost => TreeHash::of_lost_leaf(),
        }
    }
}

impl From<Message> for Record {
    fn from(message: Message) -> Self {
        Self::Message(Copied {
            subject: message.subject,
            id: message.id,
            headers: message.headers,
            stored_at: message.stored_at,
            bytes: message.bytes,
        })
    }
}

/// Messages one after the other. The tree over the backup is that of the bytes that it holds: it is the log's, unless
/// the log has given up messages since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    /// Fixed numbers, so that the first bytes of the file say its range.
    range: [[u8; 8]; 2],
    log: LogId,
    /// The tree over all messages before this segment.
    begin: Frontier,
    records: Vec<Record>,
    /// The tree at its end.
    end: Frontier,
    #[serde(skip)]
    weight: usize,
}

impl Segment {
    /// An empty one behind the messages of this tree.
    pub(crate) fn behind(begin: Frontier, log: LogId) -> Self {
        Self {
            range: Default::default(),
            log,
            end: begin.clone(),
            begin,
            records: Vec::new(),
            weight: 0,
        }
    }

    /// The position of its first message.
    pub(crate) fn first(&self) -> Position {
        Position(self.begin.size() + 1)
    }

    /// The position of its last message.
    pub(crate) fn last(&self) -> Position {
        self.end.position()
    }

    /// The tree before its first message.
    pub(crate) fn begin(&self) -> &Frontier {
        &self.begin
    }

    /// The tree at its end.
    pub(crate) fn end(&self) -> &Frontier {
        &self.end
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What it has of each of its positions.
    pub(crate) fn records(&self) -> impl Iterator<Item = (Position, &Record)> {
        (self.first().0..).map(Position).zip(&self.records)
    }

    /// The same, handed over.
    pub(crate) fn into_records(self) -> impl Iterator<Item = (Position, Record)> {
        (self.first().0..).map(Position).zip(self.records)
    }

    /// Whether a record belongs into this segment and not into the next one.
    pub(crate) fn takes(&self, record: &Record, limits: Limits) -> bool {
        let fits = self.weight + record.weight() <= limits.bytes;
        self.records.is_empty() || self.records.len() < limits.messages && fits
    }

    pub(crate) fn push(&mut self, record: Record) {
        self.weight += record.weight();
        self.end.append(record.leaf());
        self.records.push(record);
    }

    /// Writes it into the folder of segments. Blocks until it is on the disk.
    pub(crate) fn write(&mut self, folder: &Path) -> Result<(), Error> {
        self.range = [self.first().0, self.last().0].map(u64::to_be_bytes);
        checked_file::write(&path_of(folder, self.first()), MAGIC, self)
    }

    /// Reads a segment and checks it against its checksum, its name and its tree.
    pub(crate) fn read(path: &Path, log: LogId) -> Result<Self, Error> {
        let mut segment: Self = checked_file::read(path, MAGIC)?;
        let damaged = |detail: &str| Error::Damaged {
            path: path.to_owned(),
            detail: detail.to_owned(),
        };
        if segment.log != log {
            return Err(damaged("it is of another log"));
        }
        if first_of(path) != Some(segment.first()) {
            return Err(damaged("its name is not the position of its first message"));
        }
        if segment.range != [segment.first().0, segment.last().0].map(u64::to_be_bytes) {
            return Err(damaged("it says another range than it holds"));
        }
        let mut tree = segment.begin.clone();
        let sound = tree.is_sound();
        for record in &segment.records {
            tree.append(record.leaf());
            segment.weight += record.weight();
        }
        if !sound || tree != segment.end {
            return Err(damaged("its messages do not have the tree that it names"));
        }
        Ok(segment)
    }
}

/// A file of a segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentFile {
    pub(crate) first: Position,
    /// What the file says; it is true if the file is whole.
    pub(crate) last: Position,
    pub(crate) path: PathBuf,
}

impl SegmentFile {
    /// Looks at the first bytes of a file; `None` for one whose name is none of a segment's.
    pub(crate) fn of(path: PathBuf) -> Result<Option<Self>, Error> {
        let Some(first) = first_of(&path) else {
            return Ok(None);
        };
        let mut begin = [0; 24];
        let mut file = File::open(&path).map_err(failed("read", &path))?;
        let last = match file.read_exact(&mut begin) {
            Ok(()) => {
                let mut last = [0; 8];
                last.copy_from_slice(&begin[16..]);
                Position(u64::from_be_bytes(last))
            }
            // Cut off so short that reading it all says so.
            Err(_) => Position(0),
        };
        Ok(Some(Self { first, last, path }))
    }
}

fn path_of(folder: &Path, first: Position) -> PathBuf {
    folder.join(format!("{:012}.segment", first.0))
}

fn first_of(path: &Path) -> Option<Position> {
    let name = path.file_name()?.to_str()?.strip_suffix(".segment")?;
    name.parse().ok().map(Position)
}

#[cfg(test)]
mod tests;
