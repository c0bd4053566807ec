//! What is said of the log itself, in the log: messages that were lost and given up, and messages that are no events.
//!
//! A log that misses what it held, or holds what nobody may have written, is not read on in silence: a statement has
//! to name the positions. Statements are events of the district's own area, so that every reader meets them, and
//! every verification shows them.
//!
//! # Invariants
//! - A statement stands for the positions before it only: what is appended after it is never lost by it.
//! - A statement that is there once more is none.
//! - The leaf of a lost position is [`TreeHash::of_lost_leaf`], whether or not its bytes can still be read.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    answers::Answers,
    area::AreaCode,
    checkpoint::Checkpoint,
    envelope::Position,
    event::{IntegrityEvent, LossAccepted, LostEvent, MessageQuarantined, Recorded},
    id::{AggregateId, CaseId},
    time::Timestamp,
    tree::TreeHash,
};

/// What a position of the log is to a reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// An event.
    #[default]
    Event,
    /// An event that cannot be folded, since one that it needs was lost: it counts for the hashes alone.
    SetAside,
    /// A message that is no event: it counts for the tree alone.
    Quarantined,
    /// A message that was lost.
    Lost,
}

/// Messages that were given up as lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The statement's position.
    pub statement: Position,
    /// When it was made.
    pub at: Timestamp,
    /// Who made it.
    pub by: String,
    /// What it says.
    pub accepted: LossAccepted,
}

/// A message that is no event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// The statement's position.
    pub statement: Position,
    /// When it was made.
    pub at: Timestamp,
    /// Who made it.
    pub by: String,
    /// What it says.
    pub quarantined: MessageQuarantined,
}

/// Keys of sealed sections that were given up as lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLoss {
    /// The statement's position.
    pub statement: Position,
    /// When it was made.
    pub at: Timestamp,
    /// Who made it.
    pub by: String,
    /// How many cases it names.
    pub cases: usize,
    /// Why.
    pub reason: String,
}

/// What the log says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Integrity {
    losses: Vec<Loss>,
    set_aside: BTreeSet<Position>,
    quarantined: BTreeMap<Position, Quarantine>,
    keys_lost: BTreeSet<CaseId>,
    key_losses: Vec<KeyLoss>,
    /// Number of its events.
    pub version: u32,
    /// The position of its last event; zero for none.
    pub position: Position,
    /// When the last statement was made; 1970 for none.
    pub stated: Timestamp,
    /// The commands it answered.
    pub answered: Answers,
}

impl Loss {
    /// The positions before the statement that are lost, from the first to the last; `None` if all that was lost lay
    /// where the statement stands and later.
    #[must_use]
    pub fn gone(&self) -> Option<(Position, Position)> {
        let LossAccepted { from, to, .. } = self.accepted;
        let last = to.min(Position(self.statement.0.saturating_sub(1)));
        (from <= last).then_some((from, last))
    }

    /// Whether another history than the log's was given up, and nothing that is in the log.
    #[must_use]
    pub fn is_of_other_history(&self) -> bool {
        self.accepted.to < self.accepted.from
    }

    /// Whether a position may be one of the history that was given up.
    #[must_use]
    pub fn supersedes(&self, position: Position) -> bool {
        (self.accepted.from..=self.accepted.known_to).contains(&position)
    }
}

impl Integrity {
    /// The aggregate of a district's log.
    #[must_use]
    pub fn id(district: AreaCode) -> AggregateId {
        AggregateId::of_area(district, "integrity")
    }

    /// Takes in a statement.
    pub fn evolve(&mut self, recorded: &Recorded<IntegrityEvent>) {
        let header = &recorded.header;
        if self.answered.to(header.command_id).is_some() {
            return;
        }
        self.version += 1;
        self.position = recorded.position;
        self.stated = self.stated.max(header.recorded_at);
        self.answered
            .remember(recorded.position, header, self.version);
        let (statement, at) = (recorded.position, header.recorded_at);
        let by = header.actor.id.clone();
        match &recorded.event {
            IntegrityEvent::LossAccepted(accepted) => {
                let set_aside = accepted.set_aside.iter().copied();
                self.set_aside
                    .extend(set_aside.filter(|at| *at < statement));
                self.losses.push(Loss {
                    statement,
                    at,
                    by,
                    accepted: accepted.clone(),
                });
            }
            IntegrityEvent::MessageQuarantined(quarantined) if quarantined.position < statement => {
                let quarantine = Quarantine {
                    statement,
                    at,
                    by,
                    quarantined: quarantined.clone(),
                };
                self.quarantined.insert(quarantined.position, quarantine);
            }
            IntegrityEvent::MessageQuarantined(_) => {}
            IntegrityEvent::KeysLost(lost) => {
                self.keys_lost.extend(lost.cases.iter().copied());
                self.key_losses.push(KeyLoss {
                    statement,
                    at,
                    by,
                    cases: lost.cases.len(),
                    reason: lost.reason.clone(),
                });
            }
        }
    }

    /// What a position is to a reader.
    #[must_use]
    pub fn standing(&self, position: Position) -> Standing {
        let gone = |loss: &Loss| {
            let gone = loss.gone();
            gone.is_some_and(|(from, to)| (from..=to).contains(&position))
        };
        if self.losses.iter().any(gone) {
            Standing::Lost
        } else if self.quarantined.contains_key(&position) {
            Standing::Quarantined
        } else if self.set_aside.contains(&position) {
            Standing::SetAside
        } else {
            Standing::Event
        }
    }

    /// When the statement was made that makes a position something else than an event; 1970 where
    /// none does.
    #[must_use]
    pub fn stated_on(&self, position: Position) -> Timestamp {
        let gone = |loss: &&Loss| {
            let gone = loss.gone();
            let lost = gone.is_some_and(|(from, to)| (from..=to).contains(&position));
            lost || loss.accepted.set_aside.contains(&position)
        };
        let lost = self.losses.iter().find(gone).map(|loss| loss.at);
        let quarantined = self.quarantined.get(&position);
        let quarantined = quarantined.map(|quarantine| quarantine.at);
        lost.or(quarantined).unwrap_or(Timestamp::EPOCH)
    }

    /// Whether messages between two positions, both excluded, were given up, so that the later one may follow one
    /// that is not there.
    #[must_use]
    pub fn misses_between(&self, before: Position, after: Position) -> bool {
        self.losses.iter().filter_map(Loss::gone).any(|(from, to)| {
            let first = from.max(Position(before.0 + 1));
            first <= to && first < after
        })
    }

    /// The loss by which what a reader has at a position is of the history that was given up;
    /// `None` where the statements made after `known`, the time of the last one that the reader
    /// has taken in, leave it as it is.
    #[must_use]
    pub fn superseding(&self, position: Position, known: Timestamp) -> Option<&Loss> {
        let later = self.losses.iter().filter(|loss| loss.at > known);
        let mut superseding = later.filter(|loss| loss.supersedes(position));
        superseding.next()
    }

    /// Whether a root is of a history that was given up since it was known.
    #[must_use]
    pub fn supersedes(&self, known: &Checkpoint) -> bool {
        self.superseding(known.position, known.stated).is_some()
    }

    /// Whether the key of a case's sealed section was lost.
    #[must_use]
    pub fn lost_key_of(&self, case: CaseId) -> bool {
        self.keys_lost.contains(&case)
    }

    /// The losses of keys, in the order of their statements.
    #[must_use]
    pub fn key_losses(&self) -> &[KeyLoss] {
        &self.key_losses
    }

    /// The losses, in the order of their statements.
    #[must_use]
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// The messages that are no events, in the order of their positions.
    pub fn quarantined(&self) -> impl Iterator<Item = &Quarantine> {
        self.quarantined.values()
    }

    /// The loss that names a position of the history that was given up.
    #[must_use]
    pub fn loss_at(&self, position: Position) -> Option<&Loss> {
        self.losses.iter().find(|loss| loss.supersedes(position))
    }

    /// The loss that names an event of a case.
    #[must_use]
    pub fn loss_of(&self, case: CaseId) -> Option<(&Loss, &LostEvent)> {
        self.losses.iter().find_map(|loss| {
            let lost = loss.accepted.lost.iter();
            let mut lost = lost.filter(|lost| lost.case == Some(case));
            Some((loss, lost.next()?))
        })
    }
}

impl Standing {
    /// The hash of the leaf of a message.
    #[must_use]
    pub fn leaf(self, bytes: &[u8]) -> TreeHash {
        match self {
            Self::Lost => TreeHash::of_lost_leaf(),
            _ => TreeHash::of_leaf(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{Actor, Role},
        envelope::{EventHash, Header},
        event::Event,
        id::{CommandId, EventId},
    };

    fn positions(range: std::ops::RangeInclusive<u64>) -> (Position, Position) {
        (Position(*range.start()), Position(*range.end()))
    }

    fn said(integrity: &mut Integrity, at: u64, event: IntegrityEvent) {
        stated(integrity, (at, at), event);
    }

    /// When a statement at a position is made.
    fn at(position: u64) -> Timestamp {
        Timestamp::EPOCH.plus_millis(i64::try_from(position).unwrap())
    }

    /// By a person's command with this number.
    fn stated(integrity: &mut Integrity, (position, command): (u64, u64), event: IntegrityEvent) {
        let command = CommandId::new(uuid::Uuid::from_u128(command.into()));
        let district: AreaCode = "510402".parse().unwrap();
        let payload = Event::Integrity(event.clone()).encode();
        let header = Header {
            event_id: EventId::of(command, 0),
            aggregate: Integrity::id(district),
            command_id: command,
            command_digest: [0; 8],
            area: district,
            occurred_at: Timestamp::EPOCH,
            recorded_at: at(position),
            actor: Actor {
                id: "operator".into(),
                role: Role::Admin,
            },
            event_type: payload.event_type,
            schema_version: payload.schema_version,
            previous: EventHash::default(),
        };
        integrity.evolve(&Recorded {
            position: Position(position),
            header,
            event,
        });
    }

    fn loss(range: std::ops::RangeInclusive<u64>, known_to: u64, aside: &[u64]) -> IntegrityEvent {
        let (from, to) = positions(range);
        IntegrityEvent::LossAccepted(LossAccepted {
            from,
            to,
            known_to: Position(known_to),
            set_aside: aside.iter().copied().map(Position).collect(),
            lost: Vec::new(),
            reason: "disk".into(),
        })
    }

    #[test]
    fn given_a_tail_that_was_lost_what_is_appended_in_its_place_is_not() {
        let mut integrity = Integrity::default();
        said(&mut integrity, 91, loss(91..=100, 100, &[]));
        for position in [90, 91, 95, 100, 101] {
            let standing = integrity.standing(Position(position));
            assert_eq!(standing, Standing::Event, "{position}");
        }
        assert!(!integrity.misses_between(Position(90), Position(96)));
        // A reader of the history that was given up, and one that has read the statement.
        let of_old = |position| integrity.superseding(Position(position), Timestamp::EPOCH);
        assert!(of_old(90).is_none() && of_old(101).is_none());
        assert!(of_old(91).is_some() && of_old(100).is_some());
        assert!(integrity.superseding(Position(95), at(91)).is_none());
    }

    #[test]
    fn given_a_hole_only_what_misses_something_may_follow_nothing() {
        let mut integrity = Integrity::default();
        said(&mut integrity, 201, loss(50..=60, 200, &[70]));
        for (position, standing) in [
            (49, Standing::Event),
            (50, Standing::Lost),
            (60, Standing::Lost),
            (61, Standing::Event),
            (70, Standing::SetAside),
            (201, Standing::Event),
        ] {
            assert_eq!(integrity.standing(Position(position)), standing);
        }
        let misses = |before, after| integrity.misses_between(Position(before), Position(after));
        assert!(misses(40, 61) && misses(40, 120) && misses(49, 61));
        assert!(!misses(60, 61) && !misses(61, 300) && !misses(10, 50));
        // Views that hold what was lost are of another history, wherever they are.
        let superseded = |at| {
            integrity
                .superseding(Position(at), Timestamp::EPOCH)
                .is_some()
        };
        assert!(!superseded(49) && superseded(55) && superseded(200) && !superseded(201));
    }

    #[test]
    fn given_a_statement_once_more_or_of_what_comes_later_nothing_follows_from_it() {
        let mut integrity = Integrity::default();
        stated(&mut integrity, (91, 1), loss(91..=100, 100, &[]));
        stated(&mut integrity, (92, 1), loss(91..=100, 100, &[]));
        assert_eq!((integrity.version, integrity.position), (1, Position(91)));
        assert_eq!(integrity.standing(Position(91)), Standing::Event);
        let quarantined = |position| {
            IntegrityEvent::MessageQuarantined(MessageQuarantined {
                position: Position(position),
                leaf: TreeHash::of_leaf(b"garbage"),
                reason: "published by hand".into(),
            })
        };
        for (at, position) in [(93, 93), (94, 120)] {
            stated(&mut integrity, (at, at), quarantined(position));
            assert_eq!(integrity.standing(Position(position)), Standing::Event);
        }
        stated(&mut integrity, (95, 95), loss(40..=41, 95, &[60, 95, 97]));
        assert_eq!(integrity.standing(Position(60)), Standing::SetAside);
        assert_eq!(integrity.standing(Position(95)), Standing::Event);
        assert_eq!(integrity.standing(Position(97)), Standing::Event);
    }

    #[test]
    fn given_a_quarantine_the_message_counts_for_the_tree_alone() {
        let mut integrity = Integrity::default();
        let quarantined = MessageQuarantined {
            position: Position(7),
            leaf: TreeHash::of_leaf(b"garbage"),
            reason: "published by hand".into(),
        };
        said(
            &mut integrity,
            8,
            IntegrityEvent::MessageQuarantined(quarantined),
        );
        assert_eq!(integrity.standing(Position(7)), Standing::Quarantined);
        assert_eq!(integrity.quarantined().count(), 1);
        assert_eq!((integrity.version, integrity.position), (1, Position(8)));
        assert_ne!(Standing::Lost.leaf(b"x"), Standing::Quarantined.leaf(b"x"));
    }
}
