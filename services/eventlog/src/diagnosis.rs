//! What is wrong with a log, all of it at once, and what would have to be given up to go on.

mod chains;
mod roots;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use gridkeeper_proto::{
    aggregate::Aggregate,
    area::AreaCode,
    chain::ChainError,
    checkpoint::Checkpoint,
    code::{Code, Coded as _},
    envelope::{EventHash, Header, Position},
    event::Recorded,
    id::{AggregateId, LogId},
    integrity::{Integrity, Standing},
    tree::{Frontier, TreeHash},
};

use self::{
    chains::{Chains, Link, Message},
    roots::Roots,
};
use crate::{EventLog, LogError, scan::Scanned};

/// Positions next to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    /// The first.
    pub from: Position,
    /// The last.
    pub to: Position,
}

impl Stretch {
    /// Adds the next position to the last stretch, or begins another one with it.
    fn extend(stretches: &mut Vec<Self>, position: Position) {
        match stretches.last_mut() {
            Some(last) if last.to.0 + 1 == position.0 => last.to = position,
            _ => stretches.push(Self {
                from: position,
                to: position,
            }),
        }
    }
}

/// A message that is no event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Its position.
    pub position: Position,
    /// The hash of its leaf.
    pub leaf: TreeHash,
    /// The code of what is wrong with it.
    pub code: Code,
    /// What is wrong with it.
    pub detail: String,
}

/// What is wrong with a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// The log; `None` for one without an id.
    pub log: Option<LogId>,
    /// Its last position.
    pub last: Position,
    /// Up to which position it is known to have reached.
    pub known_to: Position,
    /// Positions that are missing, and that nobody gave up.
    pub missing: Vec<Stretch>,
    /// Messages that are no events, and that nobody quarantined.
    pub foreign: Vec<Foreign>,
    /// Events that cannot be folded, as long as something is missing.
    pub unfounded: Vec<Position>,
    /// Positions of events that were changed, and that nobody gave up; where nothing tells which
    /// of some was changed, all of these.
    pub changed: Vec<Position>,
    /// Positions up to which the log has another root than the one that is known, and behind which
    /// no root of it is known.
    pub other_roots: Vec<Position>,
    /// Positions of which another history is known than this log's: what was acknowledged there is
    /// not in it.
    pub other_history: Option<Stretch>,
    /// Positions of readers that have read another log than this, or further.
    pub read_elsewhere: BTreeSet<Position>,
    /// The statements so far.
    pub statements: Integrity,
}

impl Diagnosis {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let all = [
            self.missing.is_empty(),
            self.foreign.is_empty(),
            self.changed.is_empty(),
        ];
        all == [true; 3] && self.other_roots.is_empty() && self.other_history.is_none()
    }

    /// Adds that another history than this log's is known from a position on, up to another one.
    /// What it holds behind the end of the log is a part of it, and not missing.
    pub fn add_other_history(&mut self, found: Stretch) {
        let known = self.other_history.unwrap_or(found);
        let mut all = Stretch {
            from: known.from.min(found.from),
            to: known.to.max(found.to),
        };
        if self.known_to.max(all.to) > self.last {
            all.to = self.known_to.max(all.to);
            self.known_to = all.to;
        }
        self.other_history = Some(all);
        self.missing.retain(|missing| missing.from <= self.last);
    }

    /// What was changed, in stretches.
    #[must_use]
    pub fn changed_stretches(&self) -> Vec<Stretch> {
        let mut stretches = Vec::new();
        for &position in &self.changed {
            Stretch::extend(&mut stretches, position);
        }
        stretches
    }
}

/// Roots that a log has to have.
#[derive(Clone, Copy, Debug, Default)]
pub struct KnownRoots<'a> {
    /// Those that its writer keeps: signed, or noted with each append.
    pub kept: &'a [Checkpoint],
    /// Those that it signed, as the broker keeps them.
    pub published: &'a [Checkpoint],
    /// Those of readers, which may have read the log after it was damaged.
    pub read: &'a [Checkpoint],
}

impl<'a> From<&'a [Checkpoint]> for KnownRoots<'a> {
    fn from(kept: &'a [Checkpoint]) -> Self {
        Self {
            kept,
            ..Self::default()
        }
    }
}

/// Reads all of a log and says what is wrong with it.
///
/// # Errors
/// [`LogError::Unavailable`] and [`LogError::NoStream`].
pub async fn diagnose(log: &EventLog, known: KnownRoots<'_>) -> Result<Diagnosis, LogError> {
    let statements = (*log.read_statements().await?).clone();
    let facts = log.facts().await?;
    let first = walk(log, statements.clone(), known, BTreeSet::new()).await?;
    let (changed, other_roots) = (first.all_changed(), first.roots.last_others());
    let other_history = first.roots.other_history();
    // What needs a changed event is told only by folding the log without it.
    let walk = match changed.is_empty() {
        true => first,
        false => walk(log, statements, known, changed.clone()).await?,
    };
    let mut diagnosis = Diagnosis {
        changed: changed.into_iter().collect(),
        other_roots,
        ..walk.diagnosis(facts.log)
    };
    if let Some(other_history) = other_history {
        diagnosis.add_other_history(other_history);
    }
    Ok(diagnosis)
}

async fn walk(
    log: &EventLog,
    statements: Integrity,
    known: KnownRoots<'_>,
    without: BTreeSet<Position>,
) -> Result<Walk, LogError> {
    let mut walk = Walk {
        roots: Roots::of(known, &statements),
        statements,
        without,
        ..Walk::default()
    };
    walk.last = log
        .scan(Position(0), |scanned| match scanned {
            Scanned::Message {
                position,
                subject,
                bytes,
            } => walk.message(position, &subject, &bytes),
            Scanned::Missing { from, to } => walk.missing(from, to),
        })
        .await?;
    Ok(walk)
}

#[derive(Default)]
struct Walk {
    statements: Integrity,
    frontier: Frontier,
    chains: Chains,
    aggregates: HashMap<AggregateId, Aggregate>,
    /// Roots that the log has to have.
    roots: Roots,
    /// Positions that are passed over as if they were missing.
    without: BTreeSet<Position>,
    last: Position,
    missing: Vec<Stretch>,
    foreign: BTreeMap<Position, Foreign>,
    unfounded: Vec<Position>,
    changed: BTreeSet<Position>,
}

impl Walk {
    fn missing(&mut self, from: Position, to: Position) {
        for position in (from.0..=to.0).map(Position) {
            if self.statements.standing(position) != Standing::Lost {
                Stretch::extend(&mut self.missing, position);
            }
            self.go_on(TreeHash::of_lost_leaf());
        }
    }

    fn message(&mut self, position: Position, subject: &str, bytes: &[u8]) {
        let standing = self.statements.standing(position);
        let leaf = standing.leaf(bytes);
        let found = match standing {
            _ if self.without.contains(&position) => Ok(()),
            Standing::Event => self.event(position, subject, bytes),
            Standing::SetAside => self.link(position, subject, bytes).map(drop),
            Standing::Quarantined | Standing::Lost => Ok(()),
        };
        if let Err((code, detail)) = found {
            let foreign = Foreign {
                position,
                leaf,
                code,
                detail,
            };
            self.foreign.insert(position, foreign);
        }
        self.go_on(leaf);
    }

    fn event(
        &mut self,
        position: Position,
        subject: &str,
        bytes: &[u8],
    ) -> Result<(), (Code, String)> {
        let wrong = |error: &dyn std::fmt::Display, code| (code, error.to_string());
        let recorded = Recorded::decode(position, bytes).map_err(|error| {
            self.doubt(position, subject, bytes);
            wrong(&error, error.code())
        })?;
        self.link(position, subject, bytes)?;
        let id = recorded.header.aggregate;
        let before = self.aggregates.get(&id).cloned();
        match Aggregate::evolve(before, recorded) {
            Ok(aggregate) => {
                self.aggregates.insert(id, aggregate);
            }
            Err(error) if self.missing.is_empty() && self.without.is_empty() => {
                return Err(wrong(&error, error.code()));
            }
            Err(_) => self.unfounded.push(position),
        }
        Ok(())
    }

    /// Whether it follows the event before it in its area, or one that is missing.
    fn link(
        &mut self,
        position: Position,
        subject: &str,
        bytes: &[u8],
    ) -> Result<(), (Code, String)> {
        let area = AreaCode::from_subject(subject);
        let header = match Header::decode(bytes) {
            Ok((header, _)) => header,
            Err(error) => {
                self.doubt(position, subject, bytes);
                return Err((error.code(), error.to_string()));
            }
        };
        let event = Message {
            position,
            hash: EventHash::of(bytes),
            previous: Some(header.previous),
        };
        let Some(area) = area else {
            self.chains.doubt(header.area, event);
            let error = LogError::Foreign { position };
            let detail = format!("{error}: its subject is {subject}");
            return Err((error.code(), detail));
        };
        if area != header.area {
            self.chains.doubt(area, event);
            self.chains.doubt(header.area, event);
            let error = ChainError::Misplaced {
                position,
                area: header.area,
                subject: area,
            };
            return Err((error.code(), error.to_string()));
        }
        let head = self.chains.head(area);
        if self.misses_between(head.position, position) && !self.chains.repeats(&event) {
            self.chains.follow(area, event);
            return Ok(());
        }
        match self.chains.link(area, event) {
            Link::Follows => Ok(()),
            Link::Proves { genuine, changed } => {
                self.foreign.remove(&genuine);
                self.foreign.remove(&changed);
                self.changed.insert(changed);
                Ok(())
            }
            Link::Doubtful => {
                let error = ChainError::Broken {
                    position,
                    area,
                    carried: header.previous,
                    found: head.hash,
                };
                Err((error.code(), error.to_string()))
            }
        }
    }

    /// Adds a message that does not decode to the chain that its subject names.
    fn doubt(&mut self, position: Position, subject: &str, bytes: &[u8]) {
        if let Some(area) = AreaCode::from_subject(subject) {
            let message = Message {
                position,
                hash: EventHash::of(bytes),
                previous: None,
            };
            self.chains.doubt(area, message);
        }
    }

    /// Whether messages between two positions, both excluded, are not there or given up.
    fn misses_between(&self, before: Position, after: Position) -> bool {
        let missing = self.missing.iter();
        let mut missing = missing.filter(|gap| gap.to > before && gap.from < after);
        let mut without = self
            .without
            .iter()
            .filter(|at| **at > before && **at < after);
        missing.next().is_some()
            || without.next().is_some()
            || self.statements.misses_between(before, after)
    }

    fn go_on(&mut self, leaf: TreeHash) {
        self.frontier.append(leaf);
        // Behind what is missing no root can be the one that is known.
        if self.missing.is_empty() {
            self.roots.compare(&self.frontier);
        }
    }

    /// All that was changed, as far as chains and roots tell.
    fn all_changed(&self) -> BTreeSet<Position> {
        let mut changed = self.changed.clone();
        let same_root = self.roots.last_same();
        let other_roots = self.roots.last_others();
        let last = other_roots.last().copied();
        // Nobody signs a root over a message that is no event: up to there it was one.
        for (before, doubtful) in self.chains.doubtful() {
            if doubtful <= same_root {
                changed.insert(doubtful);
            } else if Some(doubtful) <= last {
                changed.insert(doubtful);
                changed.extend(Some(before).filter(|before| *before > same_root));
            }
        }
        let Some(first) = other_roots.first() else {
            return changed;
        };
        // What others follow is what it was.
        let between = |position: &Position| *position > same_root && position <= first;
        if !changed.iter().any(between) {
            changed.extend(self.chains.heads().filter(between));
        }
        if changed.is_empty() {
            changed.extend((same_root.0 + 1..=first.0).map(Position));
        }
        changed
    }

    fn diagnosis(self, log: Option<LogId>) -> Diagnosis {
        let Self { last, missing, .. } = self;
        let known = self.roots.positions();
        let read_elsewhere = self.roots.read_elsewhere(last);
        let known_to = known.max().unwrap_or_default().max(last);
        let mut missing = missing;
        if known_to > last {
            missing.push(Stretch {
                from: Position(last.0 + 1),
                to: known_to,
            });
        }
        Diagnosis {
            log,
            last,
            known_to,
            missing,
            foreign: self.foreign.into_values().collect(),
            unfounded: self.unfounded,
            read_elsewhere,
            statements: self.statements,
            ..Diagnosis::default()
        }
    }
}
