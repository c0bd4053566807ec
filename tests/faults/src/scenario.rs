//! What is done to an installation in one round, all of it decided by the round's seed.

use std::fmt;

use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};

/// One round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Decides everything that is left open here, such as which record is hit.
    pub seed: u64,
    /// Which stream is damaged.
    pub stream: Stream,
    /// How.
    pub damage: Damage,
    /// Whether the index of the blocks survives, where there is one.
    pub keeps_index: bool,
    /// In which state the installation is damaged.
    pub moment: Moment,
    /// Whether everything is restarted once more after new reports were tried.
    pub again: bool,
    /// How many reports are filed before the damage.
    pub reports: usize,
    /// Characters of a report's description.
    pub description: usize,
}

/// A stream of the district.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The log.
    Events,
    /// The keys of personal data.
    Keys,
}

/// The state of an installation while it is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Services and broker were asked to stop.
    Stopped,
    /// Services and broker were killed.
    Killed,
    /// The services run and phones go on; only the broker was asked to stop.
    UnderServices,
    /// The services run and phones go on; only the broker was killed.
    KilledUnderServices,
}

impl Moment {
    /// Whether the services run on.
    #[must_use]
    pub fn services_run(self) -> bool {
        matches!(self, Self::UnderServices | Self::KilledUnderServices)
    }

    /// Whether the broker is killed.
    #[must_use]
    pub fn kills_broker(self) -> bool {
        matches!(self, Self::Killed | Self::KilledUnderServices)
    }
}

/// A block of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that is written to.
    Newest,
    /// One that is neither the first nor the newest, where there is one.
    Middle,
    /// The first.
    First,
}

/// A part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its length.
    Length,
    /// Its sequence.
    Sequence,
    /// Its time.
    Time,
    /// The length of its subject.
    SubjectLength,
    /// Its subject.
    Subject,
    /// Its payload.
    Payload,
    /// Its checksum.
    Checksum,
    /// Any byte of the block.
    Anywhere,
}

/// The subject of a message that is no event, or no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One on which there are others.
    Known,
    /// One of the stream, but of no area of the district, or of no case.
    Unknown,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Nothing: the ledger has to agree then.
    Nothing,
    /// The last records of a block are cut off.
    CutRecords(Which, usize),
    /// The last bytes of a block are cut off.
    CutBytes(Which, usize),
    /// One bit is flipped.
    FlipBit(Which, Part),
    /// 4,096 bytes become zeros.
    ZeroPage(Which),
    /// Bytes that are no record are appended to a block.
    AppendBytes(Which, usize),
    /// A block's file is removed.
    RemoveBlock(Which),
    /// A block is replaced with the copy of it that was made earlier.
    OlderBlock,
    /// A block is replaced with the one before it.
    RepeatBlock,
    /// The index of the blocks is removed.
    RemoveIndex,
    /// The stream's configuration is removed.
    RemoveConfiguration,
    /// The folder of the stream's blocks is removed.
    RemoveBlocks,
    /// The stream's folder is removed.
    RemoveStream,
    /// The stream's folder and all views are removed.
    RemoveStreamAndViews,
    /// The stream's folder is replaced with the copy of it that was made earlier.
    OlderStream,
    /// All streams are replaced with the copies of them that were made earlier.
    OlderBroker,
    /// A bit of an event's payload is flipped, and the record's checksum made right again.
    ChangeEvent(Which),
    /// A message of random bytes is published on a subject of the stream.
    Garbage(Subject, Headers),
    /// A message of the stream is published once more, as it is.
    Republish(Headers),
}

/// Whether a message has the headers of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headers {
    /// It has an id.
    Id,
    /// It has none.
    None,
}

impl Damage {
    /// Whether it replaces something with an earlier copy.
    #[must_use]
    pub fn needs_copy(self) -> bool {
        matches!(
            self,
            Self::OlderBlock | Self::OlderStream | Self::OlderBroker
        )
    }

    /// Whether it is done through the broker rather than to its files.
    #[must_use]
    pub fn needs_broker(self) -> bool {
        matches!(self, Self::Garbage(..) | Self::Republish(..))
    }

    /// The kind of damage, without its particulars.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::CutRecords(..) => "records cut",
            Self::CutBytes(..) => "bytes cut",
            Self::FlipBit(..) => "bit flipped",
            Self::ZeroPage(..) => "page zeroed",
            Self::AppendBytes(..) => "bytes appended",
            Self::RemoveBlock(..) => "block removed",
            Self::OlderBlock => "older block",
            Self::RepeatBlock => "block repeated",
            Self::RemoveIndex => "index removed",
            Self::RemoveConfiguration => "configuration removed",
            Self::RemoveBlocks => "blocks removed",
            Self::RemoveStream => "stream removed",
            Self::RemoveStreamAndViews => "stream and views removed",
            Self::OlderStream => "older stream",
            Self::OlderBroker => "older broker",
            Self::ChangeEvent(..) => "event changed",
            Self::Garbage(..) => "garbage",
            Self::Republish(..) => "published again",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stream = match self.stream {
            Stream::Events => "log",
            Stream::Keys => "keys",
        };
        let index = if self.keeps_index { "kept" } else { "removed" };
        let again = if self.again { ", restarted again" } else { "" };
        let Self { seed, damage, .. } = self;
        write!(
            f,
            "seed {seed}: {stream}: {damage:?}, index {index}, {:?}{again}",
            self.moment
        )
    }
}

/// The random numbers of a scenario's particulars.
pub(crate) fn random(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

fn any<T: Copy>(random: &mut Xoshiro256PlusPlus, all: &[T]) -> T {
    all[random.random_range(0..all.len())]
}

impl Scenario {
    /// A damage to a log of some hundred reports, in the state that is given.
    #[must_use]
    pub fn new(seed: u64, damage: Damage, moment: Moment) -> Self {
        Self {
            seed,
            stream: Stream::Events,
            damage,
            keeps_index: true,
            moment,
            again: false,
            reports: 240,
            description: 200,
        }
    }

    /// The round of a seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let random = &mut random(seed);
        let stream = match random.random_ratio(1, 8) {
            true => Stream::Keys,
            false => Stream::Events,
        };
        let damage = Self::changed_event(seed)
            .or_else(|| Self::republished(seed))
            .unwrap_or_else(|| Self::any_damage(random));
        let moments = [
            Moment::Stopped,
            Moment::Killed,
            Moment::UnderServices,
            Moment::KilledUnderServices,
        ];
        let moment = match damage {
            // Views in use cannot be taken away.
            Damage::RemoveStreamAndViews => any(random, &moments[..2]),
            _ => any(random, &moments),
        };
        Self {
            stream,
            keeps_index: random.random_ratio(2, 3),
            again: random.random_ratio(1, 3),
            reports: random.random_range(120..=360),
            ..Self::new(seed, damage, moment)
        }
    }

    /// In one round of ten an event is changed, which numbers of its own decide: the other rounds
    /// do not depend on it.
    fn changed_event(seed: u64) -> Option<Damage> {
        let random = &mut random(seed ^ 0xcafe);
        let which = any(random, &[Which::Newest, Which::Middle, Which::First]);
        random
            .random_ratio(1, 10)
            .then_some(Damage::ChangeEvent(which))
    }

    /// In one round of twenty a message is published once more, decided in the same way.
    fn republished(seed: u64) -> Option<Damage> {
        let random = &mut random(seed ^ 0xfeed);
        let headers = any(random, &[Headers::Id, Headers::None]);
        random
            .random_ratio(1, 20)
            .then_some(Damage::Republish(headers))
    }

    fn any_damage(random: &mut Xoshiro256PlusPlus) -> Damage {
        let which = any(
            random,
            &[Which::Newest, Which::Newest, Which::Middle, Which::First],
        );
        let parts = [
            Part::Length,
            Part::Sequence,
            Part::Time,
            Part::SubjectLength,
            Part::Subject,
            Part::Payload,
            Part::Checksum,
            Part::Anywhere,
        ];
        let subject = any(random, &[Subject::Known, Subject::Unknown]);
        let headers = any(random, &[Headers::Id, Headers::None]);
        match random.random_range(0..24) {
            0..4 => Damage::CutRecords(which, random.random_range(1..=12)),
            4..6 => Damage::CutBytes(which, random.random_range(1..=2_000)),
            6..11 => Damage::FlipBit(which, any(random, &parts)),
            11 => Damage::ZeroPage(which),
            12 => Damage::AppendBytes(which, random.random_range(1..=300)),
            13 => Damage::RemoveBlock(which),
            14 => Damage::OlderBlock,
            15 => Damage::RepeatBlock,
            16 => Damage::RemoveIndex,
            17 => Damage::RemoveConfiguration,
            18 => Damage::RemoveBlocks,
            19 => Damage::RemoveStream,
            20 => Damage::RemoveStreamAndViews,
            21 => Damage::OlderStream,
            22 => Damage::OlderBroker,
            _ => Damage::Garbage(subject, headers),
        }
    }
}
