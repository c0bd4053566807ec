//! Doing the damage: to the files of a broker that does not run, or through one that does.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use async_nats::HeaderMap;
use rand::{RngExt as _, rngs::Xoshiro256PlusPlus};

use crate::{
    blocks::{self, Block, CHECKSUM, Message, Record, copy_folder},
    kinds::{Damage, Headers, Part, Subject, Which},
    raw_log::RawLog,
    scenario::{Scenario, Stream, random},
};

const PAGE: usize = 4_096;

/// Where an installation keeps its files.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    /// The folder of the broker.
    pub(crate) broker: PathBuf,
    /// The folder of the services' data.
    pub(crate) data: PathBuf,
    /// A copy of the broker's folder, where one was made.
    pub(crate) copy: PathBuf,
}

/// The subject of the events of the district itself, which the statements of the log are.
const DISTRICT: &str = "evt.510402.centre";

/// The folders of views in the services' data.
const VIEWS: [&str; 2] = ["aggregator", "escalator"];

impl Stream {
    /// Its name at the broker.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Events => "EVT_510402",
            Self::Keys => "KEY_510402",
        }
    }
}

impl Files {
    /// The folder of a stream.
    pub(crate) fn stream(&self, stream: Stream) -> PathBuf {
        blocks::stream_folder(&self.broker, stream.name())
    }

    /// Copies all streams as they are now.
    pub(crate) fn copy_streams(&self) {
        copy_folder(&self.broker.join("streams"), &self.copy.join("streams"));
    }

    /// Does the damage; gives what exactly was done.
    pub(crate) fn damage(&self, scenario: &Scenario) -> String {
        let mut random = random(scenario.seed ^ 0xdada);
        let stream = self.stream(scenario.stream);
        let done = self.damage_stream(scenario, &stream, &mut random);
        let index = blocks::index_file(&stream);
        let removes = !scenario.keeps_index || scenario.damage == Damage::RemoveIndex;
        match (index.exists(), removes) {
            (true, true) => {
                fs::remove_file(index).unwrap();
                format!("{done}; index removed")
            }
            (true, false) => format!("{done}; index kept"),
            (false, _) => format!("{done}; no index"),
        }
    }

    fn damage_stream(
        &self,
        scenario: &Scenario,
        stream: &Path,
        random: &mut Xoshiro256PlusPlus,
    ) -> String {
        let older = blocks::stream_folder(&self.copy, scenario.stream.name());
        match scenario.damage {
            Damage::Nothing | Damage::RemoveIndex => "nothing".to_owned(),
            Damage::OlderBlock => older_block(stream, &older),
            Damage::RepeatBlock => repeat_block(stream),
            Damage::RemoveConfiguration => remove(&stream.join("meta.inf")),
            Damage::RemoveBlocks => remove(&stream.join("msgs")),
            Damage::RemoveStream => remove(stream),
            Damage::RemoveStreamAndViews => {
                let views = VIEWS.map(|views| remove(&self.data.join(views)));
                format!("{}; {}", remove(stream), views.join("; "))
            }
            Damage::OlderStream => {
                copy_folder(&older, stream);
                "the stream's folder is an older copy".to_owned()
            }
            Damage::OlderBroker => {
                copy_folder(&self.copy.join("streams"), &self.broker.join("streams"));
                "the broker's streams are older copies".to_owned()
            }
            damage => damage_block(damage, stream, random),
        }
    }
}

fn remove(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match path.is_dir() {
        true => fs::remove_dir_all(path).unwrap(),
        false => fs::remove_file(path).unwrap(),
    }
    format!("{name} removed")
}

fn choose(which: Which, stream: &Path, random: &mut Xoshiro256PlusPlus) -> Block {
    let mut blocks = blocks::blocks(stream);
    let last = blocks.len().checked_sub(1).expect("the stream has blocks");
    let index = match which {
        Which::First => 0,
        Which::Middle if last >= 2 => random.random_range(1..last),
        Which::Newest | Which::Middle => last,
    };
    blocks.swap_remove(index)
}

/// Damages one block, or one record in it.
fn damage_block(damage: Damage, stream: &Path, random: &mut Xoshiro256PlusPlus) -> String {
    let (Damage::CutRecords(which, _)
    | Damage::CutBytes(which, _)
    | Damage::FlipBit(which, _)
    | Damage::ZeroPage(which)
    | Damage::AppendBytes(which, _)
    | Damage::ChangeEvent(which)
    | Damage::RemoveBlock(which)) = damage
    else {
        unreachable!("{damage:?} is of no block")
    };
    let mut block = choose(which, stream, random);
    let name = block.name();
    let done = match damage {
        Damage::CutRecords(_, count) => {
            let first = block.records.len().saturating_sub(count);
            block.bytes.truncate(block.records[first].bytes.start);
            format!("cut from {}", block.records[first].sequence)
        }
        Damage::CutBytes(_, count) => {
            let left = block.bytes.len().saturating_sub(count);
            block.bytes.truncate(left);
            format!("its last {count} bytes cut")
        }
        Damage::FlipBit(_, part) => {
            let record = &block.records[random.random_range(0..block.records.len())];
            let range = bytes_of(part, record, block.bytes.len());
            let (at, bit) = (random.random_range(range), random.random_range(0..8));
            block.bytes[at] ^= 1 << bit;
            format!(
                "bit {bit} of byte {at} flipped, {part:?} of {}",
                record.sequence
            )
        }
        Damage::ZeroPage(_) => {
            let pages = block.bytes.len().div_ceil(PAGE);
            let page = random.random_range(0..pages);
            let end = block.bytes.len().min((page + 1) * PAGE);
            block.bytes[page * PAGE..end].fill(0);
            format!("page {page} of {pages} zeroed")
        }
        Damage::AppendBytes(_, count) => {
            block
                .bytes
                .extend((0..count).map(|_| random.random::<u8>()));
            format!("{count} random bytes appended")
        }
        Damage::ChangeEvent(_) => change_event(&mut block, stream, random),
        _ => return format!("{name}: {}", remove(&block.path)),
    };
    fs::write(&block.path, &block.bytes).unwrap();
    format!("{name}: {done}")
}

/// Changes a record so that the broker finds it whole.
fn change_event(block: &mut Block, stream: &Path, random: &mut Xoshiro256PlusPlus) -> String {
    let record = &block.records[random.random_range(0..block.records.len())];
    let (at, bit) = (
        random.random_range(record.payload.clone()),
        random.random_range(0..8),
    );
    block.bytes[at] ^= 1 << bit;
    let stream = stream.file_name().expect("the folder has a name");
    let checksum = block.checksum(record, &stream.to_string_lossy());
    block.bytes[record.bytes.end - CHECKSUM..record.bytes.end].copy_from_slice(&checksum);
    format!(
        "bit {bit} of byte {at} flipped in the event of {}, and its checksum made right",
        record.sequence
    )
}

fn bytes_of(part: Part, record: &Record, block: usize) -> Range<usize> {
    let start = record.bytes.start;
    match part {
        Part::Length => start..start + 4,
        Part::Sequence => start + 4..start + 12,
        Part::Time => start + 12..start + 20,
        Part::SubjectLength => start + 20..start + 22,
        Part::Subject => record.subject.clone(),
        Part::Payload if !record.payload.is_empty() => record.payload.clone(),
        Part::Payload | Part::Checksum => record.bytes.end - CHECKSUM..record.bytes.end,
        Part::Anywhere => 0..block,
    }
}

/// Replaces the block that was the newest when the copy was made with its copy.
fn older_block(stream: &Path, older: &Path) -> String {
    let older = blocks::blocks(older);
    let older = older.last().expect("the copy has blocks");
    let name = older.path.file_name().expect("a block has a name");
    fs::write(stream.join("msgs").join(name), &older.bytes).unwrap();
    format!("{}: is an older copy", older.name())
}

/// Replaces the newest block with the one before it; with a single block, its second half with its
/// first.
fn repeat_block(stream: &Path) -> String {
    let blocks = blocks::blocks(stream);
    match &blocks[..] {
        [.., before, newest] => {
            fs::write(&newest.path, &before.bytes).unwrap();
            format!("{}: holds what {} holds", newest.name(), before.name())
        }
        [only] => {
            let half = only.records[only.records.len() / 2].bytes.start;
            let first = &only.bytes[..half];
            fs::write(&only.path, [first, first].concat()).unwrap();
            format!("{}: holds its first half twice", only.name())
        }
        [] => "nothing: there are no blocks".to_owned(),
    }
}

/// Publishes what a scenario of a running broker asks for, and waits until the broker has it.
pub(crate) async fn publish(raw: &RawLog, scenario: &Scenario, known_case: &str) -> String {
    let mut random = random(scenario.seed ^ 0xdada);
    let (what, subject, bytes, headers) = match scenario.damage {
        Damage::Garbage(subject, headers) => {
            let bytes: Vec<u8> = (0..80).map(|_| random.random()).collect();
            let subject = garbage_subject(scenario.stream, subject, known_case);
            (
                "a message of 80 random bytes".to_owned(),
                subject,
                bytes,
                headers,
            )
        }
        Damage::Republish(headers) | Damage::RepublishStatement(headers) => {
            let stream = scenario.stream.name();
            let last = raw.state(stream).await.last();
            let mut all = raw.messages(stream, last).await;
            if let Damage::RepublishStatement(_) = scenario.damage {
                all.retain(|_, message| message.subject == DISTRICT);
            }
            let positions: Vec<_> = all.keys().copied().collect();
            let position = match scenario.damage {
                Damage::RepublishStatement(_) => *positions.last().expect("there is a statement"),
                _ => positions[random.random_range(0..positions.len())],
            };
            let Message { subject, payload } = all.remove(&position).expect("it is among them");
            (
                format!("the message of {position}"),
                subject,
                payload,
                headers,
            )
        }
        damage => unreachable!("{damage:?} publishes nothing"),
    };
    let mut map = HeaderMap::new();
    if headers == Headers::Id {
        map.insert("Nats-Msg-Id", uuid::Uuid::now_v7().to_string());
    }
    let jetstream = async_nats::jetstream::new(raw.client.clone());
    let sent = jetstream.publish_with_headers(subject.clone(), map, bytes.into());
    let stored = sent.await.unwrap().await.unwrap();
    let position = stored.sequence;
    format!("{what} on {subject} at position {position}")
}

/// The subject of a message that is no event, or no key.
fn garbage_subject(stream: Stream, subject: Subject, known_case: &str) -> String {
    match (stream, subject) {
        (Stream::Events, Subject::Known) => "evt.510402.002.005.07".to_owned(),
        (Stream::Events, Subject::Unknown) => "evt.510402.999.999.99".to_owned(),
        (Stream::Events, Subject::District) => DISTRICT.to_owned(),
        (Stream::Keys, Subject::Known) => format!("key.510402.{known_case}"),
        (Stream::Keys, Subject::Unknown | Subject::District) => "key.510402.nobody".to_owned(),
    }
}
