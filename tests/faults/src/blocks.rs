//! The files of a JetStream stream: a folder of blocks, each a row of records.
//!
//! ```text
//! <folder>/meta.inf, meta.sum     configuration and checksum; without them there is no stream
//! <folder>/msgs/<n>.blk           records, one after the other; n counts from 1
//! <folder>/msgs/index.db          where blocks begin and end, written at a clean stop
//! ```
//!
//! A record, all numbers little-endian:
//!
//! ```text
//! 0   u32   length of the record; the highest bit says whether it has headers
//! 4   u64   sequence
//! 12  i64   time in nanoseconds
//! 20  u16   length of the subject
//! 22        subject
//!           [u32 length of the headers, headers], payload
//! -8  u64   HighwayHash of sequence, time, subject, headers and payload; its key is the SHA-256 of
//!           "<stream>-<number of the block>"
//! ```

use std::{
    array::from_fn,
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    ops::Range,
    path::{Path, PathBuf},
};

use highway::{HighwayHash as _, HighwayHasher, Key};
use sha2::{Digest as _, Sha256};

/// Bytes before the subject.
const HEADER: usize = 22;
/// Bytes of the checksum that ends a record.
pub(crate) const CHECKSUM: usize = 8;
const HAS_HEADERS: u32 = 1 << 31;

/// Where a record is in its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its bytes.
    pub(crate) bytes: Range<usize>,
    /// Its sequence.
    pub(crate) sequence: u64,
    /// The bytes of its subject.
    pub(crate) subject: Range<usize>,
    /// The bytes of its headers.
    pub(crate) headers: Range<usize>,
    /// The bytes of its payload.
    pub(crate) payload: Range<usize>,
}

/// A block file.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it holds.
    pub(crate) bytes: Vec<u8>,
    /// Its records, up to the first that is none.
    pub(crate) records: Vec<Record>,
}

/// The folder of a stream of a broker that keeps its files in `broker`.
pub(crate) fn stream_folder(broker: &Path, stream: &str) -> PathBuf {
    broker.join("streams/jetstream/$G/streams").join(stream)
}

/// The index of a stream's blocks.
pub(crate) fn index_file(stream: &Path) -> PathBuf {
    stream.join("msgs/index.db")
}

/// The blocks of a stream in their order.
pub(crate) fn blocks(stream: &Path) -> Vec<Block> {
    let entries = match fs::read_dir(stream.join("msgs")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        entries => entries.unwrap(),
    };
    let numbered: BTreeMap<u64, PathBuf> = entries
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name()?.to_str()?;
            let number = name.strip_suffix(".blk")?.parse().ok()?;
            Some((number, path))
        })
        .collect();
    let blocks = numbered.into_values().map(Block::read);
    blocks.filter(|block| !block.records.is_empty()).collect()
}

impl Block {
    fn read(path: PathBuf) -> Self {
        let bytes = fs::read(&path).unwrap();
        let mut records = Vec::new();
        let mut at = 0;
        while let Some(record) = record(&bytes, at) {
            at = record.bytes.end;
            records.push(record);
        }
        Self {
            path,
            bytes,
            records,
        }
    }

    /// The checksum that the broker wants to find at the end of a record.
    pub(crate) fn checksum(&self, record: &Record, stream: &str) -> [u8; CHECKSUM] {
        let number = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let key = Sha256::digest(format!("{stream}-{number}"));
        let (words, _) = key.as_chunks();
        let mut hasher = HighwayHasher::new(Key(from_fn(|n| u64::from_le_bytes(words[n]))));
        let start = record.bytes.start;
        let numbers = start + 4..start + 20;
        let parts = [
            numbers,
            record.subject.clone(),
            record.headers.clone(),
            record.payload.clone(),
        ];
        for part in parts {
            hasher.append(&self.bytes[part]);
        }
        hasher.finalize64().to_le_bytes()
    }

    /// Its name and the sequences that it holds.
    pub(crate) fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        match (self.records.first(), self.records.last()) {
            (Some(first), Some(last)) => format!("{name} ({}-{})", first.sequence, last.sequence),
            _ => format!("{name} (empty)"),
        }
    }
}

/// The record that begins at a byte; `None` at the end, and where no record begins.
fn record(bytes: &[u8], at: usize) -> Option<Record> {
    let number = |from: usize, length: usize| -> Option<u64> {
        let mut number = [0; 8];
        number[..length].copy_from_slice(bytes.get(at + from..at + from + length)?);
        Some(u64::from_le_bytes(number))
    };
    let length = u32::try_from(number(0, 4)?).ok()?;
    let has_headers = length & HAS_HEADERS != 0;
    let end = at + usize::try_from(length & !HAS_HEADERS).ok()?;
    let subject = at + HEADER..at + HEADER + usize::try_from(number(20, 2)?).ok()?;
    let headers = match has_headers {
        false => subject.end..subject.end,
        true => {
            let length = number(subject.end - at, 4)?;
            let begin = subject.end + 4;
            begin..begin.checked_add(usize::try_from(length).ok()?)?
        }
    };
    let payload = headers.end..end.checked_sub(CHECKSUM)?;
    let fits = payload.start <= payload.end && end <= bytes.len();
    fits.then_some(Record {
        bytes: at..end,
        sequence: number(4, 8)?,
        subject,
        headers,
        payload,
    })
}

/// A message, wherever it was read: from the files or from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its subject.
    pub(crate) subject: String,
    /// Its payload.
    pub(crate) payload: Vec<u8>,
}

impl Message {
    /// Whether its payload has the bytes of a case's id.
    pub(crate) fn names(&self, case: uuid::Uuid) -> bool {
        let mut windows = self.payload.windows(16);
        windows.any(|bytes| bytes == case.as_bytes())
    }
}

/// All messages of a stream by their sequences, as they are in its files.
pub(crate) fn messages(stream: &Path) -> BTreeMap<u64, Message> {
    let mut messages = BTreeMap::new();
    for block in blocks(stream) {
        for record in &block.records {
            let subject = String::from_utf8_lossy(&block.bytes[record.subject.clone()]);
            let message = Message {
                subject: subject.into_owned(),
                payload: block.bytes[record.payload.clone()].to_vec(),
            };
            messages.insert(record.sequence, message);
        }
    }
    messages
}

/// Copies a folder with all that is in it; what is at the target already goes.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(sequence: u64, headers: Option<&[u8]>) -> Vec<u8> {
        let (subject, payload) = (b"evt.1", b"payload");
        let mut rest = sequence.to_le_bytes().to_vec();
        rest.extend([0; 8]);
        rest.extend(u16::try_from(subject.len()).unwrap().to_le_bytes());
        rest.extend(subject);
        if let Some(headers) = headers {
            rest.extend(u32::try_from(headers.len()).unwrap().to_le_bytes());
            rest.extend(headers);
        }
        rest.extend(payload);
        rest.extend([7; CHECKSUM]);
        let length = u32::try_from(rest.len() + 4).unwrap();
        let length = length | if headers.is_some() { HAS_HEADERS } else { 0 };
        [length.to_le_bytes().to_vec(), rest].concat()
    }

    #[test]
    fn records_with_and_without_headers_are_read_up_to_the_first_broken_one() {
        let folder = tempfile::tempdir().unwrap();
        let msgs = folder.path().join("msgs");
        fs::create_dir(&msgs).unwrap();
        let whole = [bytes(4, None), bytes(5, Some(b"NATS/1.0\r\n\r\n"))].concat();
        let cut = bytes(6, None);
        fs::write(msgs.join("2.blk"), [&whole, &cut[..cut.len() - 1]].concat()).unwrap();
        fs::write(msgs.join("10.blk"), bytes(7, None)).unwrap();
        let blocks = blocks(folder.path());
        let names: Vec<_> = blocks.iter().map(Block::name).collect();
        assert_eq!(names, ["2.blk (4-5)", "10.blk (7-7)"]);
        assert_eq!(blocks[0].records[1].bytes.end, whole.len());
        let messages = messages(folder.path());
        assert_eq!(messages.keys().copied().collect::<Vec<_>>(), [4, 5, 7]);
        for message in messages.values() {
            assert_eq!(
                (&*message.subject, &*message.payload),
                ("evt.1", &b"payload"[..])
            );
        }
    }
}
