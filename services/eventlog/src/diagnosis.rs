//! What is wrong with a log, all of it at once, and what would have to be given up to go on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use gridkeeper_proto::{
    aggregate::Aggregate,
    area::AreaCode,
    chain::{self, AreaHead},
    checkpoint::Checkpoint,
    code::{Code, Coded as _},
    envelope::{EventHash, Header, Position},
    event::Recorded,
    id::{AggregateId, LogId},
    integrity::{Integrity, Standing},
    tree::{Frontier, TreeHash},
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
    /// Positions up to which the log has another root than the one that was signed.
    pub changed: Vec<Position>,
    /// The statements so far.
    pub statements: Integrity,
}

impl Diagnosis {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.foreign.is_empty() && self.changed.is_empty()
    }
}

/// Reads all of a log and says what is wrong with it. `known` are roots that the log has to have.
///
/// # Errors
/// [`LogError::Unavailable`] and [`LogError::NoStream`].
pub async fn diagnose(log: &EventLog, known: &[Checkpoint]) -> Result<Diagnosis, LogError> {
    let statements = (*log.read_statements().await?).clone();
    let facts = log.facts().await?;
    let mut walk = Walk {
        statements,
        ..Walk::default()
    };
    for checkpoint in known {
        let roots = walk.known.entry(checkpoint.position).or_default();
        roots.insert(checkpoint.root.0);
    }
    let last = log
        .scan(Position(0), |scanned| match scanned {
            Scanned::Message {
                position,
                subject,
                bytes,
            } => walk.message(position, &subject, &bytes),
            Scanned::Missing { from, to } => walk.missing(from, to),
        })
        .await?;
    Ok(walk.diagnosis(facts.log, last))
}

#[derive(Default)]
struct Walk {
    statements: Integrity,
    frontier: Frontier,
    heads: HashMap<AreaCode, AreaHead>,
    aggregates: HashMap<AggregateId, Aggregate>,
    /// Roots that the log has to have, by position.
    known: BTreeMap<Position, BTreeSet<[u8; 32]>>,
    missing: Vec<Stretch>,
    foreign: Vec<Foreign>,
    unfounded: Vec<Position>,
    changed: Vec<Position>,
}

impl Walk {
    fn missing(&mut self, from: Position, to: Position) {
        for position in (from.0..=to.0).map(Position) {
            self.go_on(TreeHash::of_lost_leaf());
            if self.statements.standing(position) == Standing::Lost {
                continue;
            }
            match self.missing.last_mut() {
                Some(stretch) if stretch.to.0 + 1 == position.0 => stretch.to = position,
                _ => self.missing.push(Stretch {
                    from: position,
                    to: position,
                }),
            }
        }
    }

    fn message(&mut self, position: Position, subject: &str, bytes: &[u8]) {
        let standing = self.statements.standing(position);
        let leaf = standing.leaf(bytes);
        let found = match standing {
            Standing::Event => self.event(position, subject, bytes),
            Standing::SetAside => self.link(position, subject, bytes).map(drop),
            Standing::Quarantined | Standing::Lost => Ok(()),
        };
        if let Err((code, detail)) = found {
            self.foreign.push(Foreign {
                position,
                leaf,
                code,
                detail,
            });
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
        let recorded =
            Recorded::decode(position, bytes).map_err(|error| wrong(&error, error.code()))?;
        self.link(position, subject, bytes)?;
        let id = recorded.header.aggregate;
        let before = self.aggregates.get(&id).cloned();
        match Aggregate::evolve(before, recorded) {
            Ok(aggregate) => {
                self.aggregates.insert(id, aggregate);
            }
            Err(error) if self.missing.is_empty() => return Err(wrong(&error, error.code())),
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
        let area = AreaCode::from_subject(subject).ok_or_else(|| {
            let error = LogError::Foreign { position };
            (error.code(), format!("{error}: its subject is {subject}"))
        })?;
        let (header, _) =
            Header::decode(bytes).map_err(|error| (error.code(), error.to_string()))?;
        let head = self.heads.entry(header.area).or_default();
        let checked = chain::check((position, area), &header, *head, &self.statements);
        let after_hole = self
            .missing
            .iter()
            .any(|stretch| stretch.to > head.position && stretch.from < position);
        if let Err(error) = checked
            && !(after_hole && area == header.area)
        {
            return Err((error.code(), error.to_string()));
        }
        *head = AreaHead {
            position,
            hash: EventHash::of(bytes),
        };
        Ok(())
    }

    fn go_on(&mut self, leaf: TreeHash) {
        self.frontier.append(leaf);
        let position = self.frontier.position();
        let Some(roots) = self.known.get(&position) else {
            return;
        };
        let root = self.frontier.root().0;
        let differs = roots.iter().any(|known| *known != root);
        // Behind what is missing no root can be the one that was signed.
        if differs && self.missing.is_empty() && self.statements.loss_at(position).is_none() {
            self.changed.push(position);
        }
    }

    fn diagnosis(mut self, log: Option<LogId>, last: Position) -> Diagnosis {
        let known = self.known.keys().copied();
        let known = known.filter(|known| self.statements.loss_at(*known).is_none());
        let known_to = known.max().unwrap_or_default().max(last);
        if known_to > last {
            self.missing.push(Stretch {
                from: Position(last.0 + 1),
                to: known_to,
            });
        }
        Diagnosis {
            log,
            last,
            known_to,
            missing: self.missing,
            foreign: self.foreign,
            unfounded: self.unfounded,
            changed: self.changed,
            statements: self.statements,
        }
    }
}
