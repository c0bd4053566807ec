//! The state that commands are decided on: cases and other aggregates, the rules at work, the head of each area,
//! and the position in the log that all are of. It follows from the log and is filled from it at every start.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use gridkeeper_proto::{
    aggregate::Aggregate,
    anchor::Anchor,
    area::AreaCode,
    case::Case,
    chain::{self, AreaHead},
    checkpoint::Checkpoint,
    envelope::{EventHash, Header, Position},
    event::{CaseEvent, Recorded},
    id::{AggregateId, CaseId, LogId},
    integrity::{Integrity, Standing},
    rules::Timetables,
    time::Timestamp,
    tree::{Frontier, TreeHash},
};

use crate::{Error, aggregates::Aggregates, evidence::LogEnd, log::Stored};

/// Aggregates and heads as of a position.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    aggregates: Aggregates,
    timetables: Arc<Timetables>,
    heads: HashMap<AreaCode, AreaHead>,
    /// Where the broker sees the last message of an area, where that is not the area's last event.
    counted: HashMap<AreaCode, Position>,
    /// The tree over the log.
    frontier: Frontier,
    anchor: Anchor,
    statements: Arc<Integrity>,
    forgotten: BTreeSet<CaseId>,
    /// The latest recorded time.
    last_recorded_at: Option<Timestamp>,
}

impl State {
    /// The latest recorded time of an event; `None` before the first.
    pub(crate) fn last_recorded_at(&self) -> Option<Timestamp> {
        self.last_recorded_at
    }

    /// Sets which log it is of.
    pub(crate) fn set_log(&mut self, log: LogId) {
        self.anchor.log = Some(log);
    }

    /// Sets what the log says of itself, unless more of it is known.
    pub(crate) fn set_statements(&mut self, statements: Arc<Integrity>) {
        if statements.position > self.statements.position {
            self.anchor.stated = statements.stated;
            self.statements = statements;
        }
    }

    /// What the log says of itself.
    pub(crate) fn statements(&self) -> &Arc<Integrity> {
        &self.statements
    }

    /// The last position, and what ties the state to the log.
    pub(crate) fn anchor(&self) -> Anchor {
        self.anchor
    }

    /// The end of the log.
    pub(crate) fn end(&self) -> LogEnd<'_> {
        LogEnd {
            frontier: &self.frontier,
            leaf: self.anchor.leaf,
            stated: self.anchor.stated,
        }
    }

    /// The root of the log up to its position.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint::of(&self.frontier, self.anchor.stated)
    }

    /// The tree over the log.
    pub(crate) fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Up to where the log is contained.
    pub(crate) fn position(&self) -> Position {
        self.anchor.position
    }

    /// The rules at work.
    pub(crate) fn timetables(&self) -> Arc<Timetables> {
        Arc::clone(&self.timetables)
    }

    /// The aggregate, where anything happened to it.
    pub(crate) fn aggregate(&self, id: AggregateId) -> Option<&Aggregate> {
        self.aggregates.get(id)
    }

    /// The case, where it was reported.
    pub(crate) fn case(&self, id: CaseId) -> Option<&Case> {
        self.aggregate(id.into())?.case()
    }

    /// Cases whose parties are forgotten and whose key is not known to be destroyed.
    pub(crate) fn keys_to_destroy(&self) -> Vec<CaseId> {
        self.forgotten.iter().copied().collect()
    }

    /// The case's key is destroyed.
    pub(crate) fn key_destroyed(&mut self, case: CaseId) {
        self.forgotten.remove(&case);
    }

    /// Whether the key of the case is still to be destroyed.
    pub(crate) fn key_remains(&self, case: CaseId) -> bool {
        self.forgotten.contains(&case)
    }

    /// Takes over a message read from the log, after checking that it follows from those before. The hashes that the
    /// tree gains are added to `hashes`.
    ///
    /// # Errors
    /// An event that does not decode, breaks the chain of its area, or does not fit its case.
    pub(crate) fn apply_stored(
        &mut self,
        stored: &Stored,
        hashes: &mut Vec<TreeHash>,
    ) -> Result<(), Error> {
        let position = stored.position;
        match stored.standing {
            Standing::Event => {
                let recorded = Recorded::decode(position, &stored.bytes)
                    .map_err(|source| Error::Event { position, source })?;
                self.link(stored, &recorded.header)?;
                self.evolve(recorded)?;
            }
            Standing::SetAside => {
                let (header, _) = Header::decode(&stored.bytes)
                    .map_err(|source| Error::Event { position, source })?;
                self.link(stored, &header)?;
            }
            Standing::Quarantined | Standing::Lost => {
                // The broker counts it as the last one on its subject all the same.
                if let Some(area) = stored.area {
                    self.counted.insert(area, position);
                }
            }
        }
        self.go_on(stored.leaf, hashes);
        Ok(())
    }

    /// Takes over where the broker sees the last message of an area, after the log was read to its
    /// end. Where messages were given up, it may count one that it does not give, or none where there
    /// are some; what it sees is what an append has to expect.
    pub(crate) fn count_as_broker(&mut self, area: AreaCode, last: Position) {
        if last <= self.position() && !self.statements.losses().is_empty() {
            self.counted.insert(area, last);
        }
    }

    /// The hash of the last event of an area, and where the broker sees the last message of it.
    fn head(&self, area: AreaCode) -> AreaHead {
        let head = self.heads.get(&area).copied().unwrap_or_default();
        let counted = self.counted.get(&area).copied();
        AreaHead {
            position: counted.unwrap_or(head.position),
            ..head
        }
    }

    fn link(&mut self, stored: &Stored, header: &Header) -> Result<(), Error> {
        let position = stored.position;
        let area = stored.area.unwrap_or(header.area);
        let head = self.heads.entry(header.area).or_default();
        chain::check((position, area), header, *head, &self.statements)?;
        *head = AreaHead {
            position,
            hash: EventHash::of(&stored.bytes),
        };
        self.counted.remove(&header.area);
        Ok(())
    }

    fn evolve(&mut self, recorded: Recorded) -> Result<(), Error> {
        let position = recorded.position;
        let id = recorded.header.aggregate;
        self.last_recorded_at = self.last_recorded_at.max(Some(recorded.header.recorded_at));
        self.forgotten.extend(forgotten(&recorded));
        let before = self.aggregates.remove(id).map(|before| *before);
        let aggregate = Aggregate::evolve(before, recorded)?;
        if let Some(timetables) = timetables(&aggregate, position)? {
            self.timetables = timetables;
        }
        if let Some(statements) = aggregate.integrity() {
            self.set_statements(Arc::new(statements.clone()));
        }
        self.aggregates.insert(id, Box::new(aggregate));
        Ok(())
    }

    fn go_on(&mut self, leaf: TreeHash, hashes: &mut Vec<TreeHash>) {
        self.frontier
            .append_observed(leaf, |hash| hashes.push(hash));
        self.anchor = self.anchor.after(leaf);
    }

    /// Takes over what was decided on top of this state and has been appended in the very next positions; gives the
    /// hashes that the tree gains.
    pub(crate) fn apply(&mut self, changes: Changes) -> Vec<TreeHash> {
        self.forgotten.extend(changes.forgotten);
        self.last_recorded_at = self.last_recorded_at.max(changes.last_recorded_at);
        for (id, aggregate) in changes.aggregates {
            self.aggregates.insert(id, aggregate);
        }
        self.timetables = changes.timetables;
        self.counted
            .retain(|area, _| !changes.heads.contains_key(area));
        self.heads.extend(changes.heads);
        let mut hashes = Vec::with_capacity(2 * changes.leaves.len());
        for leaf in changes.leaves {
            self.go_on(leaf, &mut hashes);
        }
        hashes
    }
}

/// The case whose parties an event forgets.
fn forgotten(recorded: &Recorded) -> Option<CaseId> {
    match recorded.of_case()? {
        (case, CaseEvent::PartiesForgotten(_)) => Some(case),
        _ => None,
    }
}

/// The rules at work after an event, where it changed them.
fn timetables(after: &Aggregate, position: Position) -> Result<Option<Arc<Timetables>>, Error> {
    let Some(rules) = after.rules() else {
        return Ok(None);
    };
    let timetables = rules.timetables();
    let timetables = timetables.map_err(|source| Error::Rules { position, source })?;
    Ok(Some(Arc::new(timetables)))
}

/// What commands are decided on: the state, and what an append that is under way will change of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base<'a> {
    pub(crate) state: &'a State,
    pub(crate) ahead: Option<&'a Changes>,
}

impl<'a> Base<'a> {
    fn aggregate(self, id: AggregateId) -> Option<&'a Aggregate> {
        let ahead = self.ahead.and_then(|ahead| ahead.aggregates.get(&id));
        let ahead = ahead.map(Box::as_ref);
        ahead.or_else(|| self.state.aggregate(id))
    }

    fn head(self, area: AreaCode) -> AreaHead {
        let ahead = self.ahead.and_then(|ahead| ahead.heads.get(&area));
        ahead.copied().unwrap_or_else(|| self.state.head(area))
    }

    fn timetables(self) -> &'a Arc<Timetables> {
        let ahead = self.ahead.map(|ahead| &ahead.timetables);
        ahead.unwrap_or(&self.state.timetables)
    }

    fn position(self) -> Position {
        let ahead = self.ahead.map(|ahead| ahead.position);
        ahead.unwrap_or(self.state.position())
    }
}

/// What a batch of decisions changes, in front of the state it was decided on.
#[derive(Debug)]
pub(crate) struct Changes {
    based_on: Position,
    aggregates: HashMap<AggregateId, Box<Aggregate>>,
    timetables: Arc<Timetables>,
    heads: HashMap<AreaCode, AreaHead>,
    forgotten: Vec<CaseId>,
    /// The leaves of their events.
    leaves: Vec<TreeHash>,
    position: Position,
    last_recorded_at: Option<Timestamp>,
}

impl Changes {
    /// No change yet.
    pub(crate) fn on(base: Base<'_>) -> Self {
        Self {
            based_on: base.position(),
            aggregates: HashMap::new(),
            timetables: Arc::clone(base.timetables()),
            heads: HashMap::new(),
            forgotten: Vec::new(),
            leaves: Vec::new(),
            position: base.position(),
            last_recorded_at: None,
        }
    }

    /// The last place that was taken before them.
    pub(crate) fn based_on(&self) -> Position {
        self.based_on
    }

    /// The leaves of their events, in order.
    pub(crate) fn leaves(&self) -> &[TreeHash] {
        &self.leaves
    }

    /// How many events they are of.
    pub(crate) fn count(&self) -> u64 {
        self.position.0 - self.based_on.0
    }

    /// The rules at work with these changes.
    pub(crate) fn timetables(&self) -> Arc<Timetables> {
        Arc::clone(&self.timetables)
    }

    /// The aggregate with these changes.
    pub(crate) fn aggregate<'a>(
        &'a self,
        base: Base<'a>,
        id: AggregateId,
    ) -> Option<&'a Aggregate> {
        let own = self.aggregates.get(&id).map(Box::as_ref);
        own.or_else(|| base.aggregate(id))
    }

    /// The case with these changes.
    pub(crate) fn case<'a>(&'a self, base: Base<'a>, id: CaseId) -> Option<&'a Case> {
        self.aggregate(base, id.into())?.case()
    }

    /// The area's head with these changes, and whether one of them moved it.
    pub(crate) fn head(&self, base: Base<'_>, area: AreaCode) -> (AreaHead, bool) {
        match self.heads.get(&area) {
            Some(head) => (*head, true),
            None => (base.head(area), false),
        }
    }

    /// The last place that is taken.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// The place that the next event will have, if nobody else appends before.
    pub(crate) fn next(&self) -> Position {
        Position(self.position.0 + 1)
    }

    /// Adds an event in the next place; gives the version of its aggregate after it.
    ///
    /// # Errors
    /// An event that does not fit its aggregate, which a decision never yields.
    pub(crate) fn add(
        &mut self,
        base: Base<'_>,
        recorded: Recorded,
        bytes: &[u8],
    ) -> Result<u32, Error> {
        let (position, id) = (recorded.position, recorded.header.aggregate);
        let head = AreaHead {
            position,
            hash: EventHash::of(bytes),
        };
        self.heads.insert(recorded.header.area, head);
        self.leaves.push(TreeHash::of_leaf(bytes));
        self.forgotten.extend(forgotten(&recorded));
        self.last_recorded_at = self.last_recorded_at.max(Some(recorded.header.recorded_at));
        let own = self.aggregates.remove(&id).map(|own| *own);
        let before = own.or_else(|| base.aggregate(id).cloned());
        let aggregate = Aggregate::evolve(before, recorded)?;
        if let Some(timetables) = timetables(&aggregate, position)? {
            self.timetables = timetables;
        }
        let version = aggregate.version();
        self.aggregates.insert(id, Box::new(aggregate));
        self.position = position;
        Ok(version)
    }
}
