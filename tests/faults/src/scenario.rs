//! What is done to an installation in one round, all of it decided by the round's seed.

use std::fmt;

use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};

use crate::kinds::{Damage, Folder, Headers, Part, Subject, Which};

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
    /// Whether the doctor is followed where it names something, and the way back judged.
    pub way_back: bool,
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
            way_back: true,
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
        let own = Self::own_damage(seed);
        let damage = Self::changed_event(seed)
            .or_else(|| Self::republished(seed))
            .or(own)
            .unwrap_or_else(|| Self::any_damage(random));
        let moments = [
            Moment::Stopped,
            Moment::Killed,
            Moment::UnderServices,
            Moment::KilledUnderServices,
        ];
        let moment = match damage {
            // Views in use cannot be taken away, and no folder is exchanged under who uses it.
            Damage::RemoveStreamAndViews => any(random, &moments[..2]),
            damage if damage.needs_folders() => any(random, &moments[..2]),
            _ => any(random, &moments),
        };
        Self {
            stream: if own == Some(damage) {
                Stream::Events
            } else {
                stream
            },
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

    /// In one round of twelve folders are exchanged, or something is done to statements, decided in
    /// the same way.
    fn own_damage(seed: u64) -> Option<Damage> {
        let random = &mut random(seed ^ 0xf01d);
        let folder = any(random, &Folder::ALL);
        let newer = any(random, &Folder::ALL[1..]);
        let headers = any(random, &[Headers::Id, Headers::None]);
        let damage = match random.random_range(0..9) {
            0..2 => Damage::OlderFolder(folder),
            2..4 => Damage::AllOlderBut(folder),
            4..7 => Damage::TwoHistories(newer),
            7 => Damage::Garbage(Subject::District, headers),
            _ => Damage::RepublishStatement(headers),
        };
        random.random_ratio(1, 12).then_some(damage)
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
