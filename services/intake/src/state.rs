//! The state that commands are decided on: cases and other aggregates, the rules at work, the head of each area,
//! and the position in the log that all are of. It follows from the log and is filled from it at every start.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use gridkeeper_proto::{
    aggregate::Aggregate,
    area::AreaCode,
    case::Case,
    envelope::{EventHash, Position},
    event::{CaseEvent, Recorded},
    id::{AggregateId, CaseId},
    rules::Timetables,
};

use crate::{Error, aggregates::Aggregates, log::Stored};

/// The last event of an area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its place; zero where the area has no event.
    pub(crate) position: Position,
    /// Its hash.
    pub(crate) hash: EventHash,
}

/// Aggregates and heads as of a position.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    aggregates: Aggregates,
    timetables: Arc<Timetables>,
    heads: HashMap<AreaCode, Head>,
    position: Position,
    forgotten: BTreeSet<CaseId>,
}

impl State {
    /// Up to where the log is contained.
    pub(crate) fn position(&self) -> Position {
        self.position
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

    /// Takes over an event read from the log, after checking that it follows from those before.
    ///
    /// # Errors
    /// An event that does not decode, breaks the chain of its grid, or does not fit its case.
    pub(crate) fn apply_stored(&mut self, stored: &Stored) -> Result<(), Error> {
        let position = stored.position;
        let recorded = Recorded::decode(position, &stored.bytes)
            .map_err(|source| Error::Event { position, source })?;
        let area = recorded.header.area;
        let head = self.heads.get(&area).copied().unwrap_or_default();
        if recorded.header.previous != head.hash {
            return Err(Error::Chain { position, area });
        }
        let id = recorded.header.aggregate;
        self.forgotten.extend(forgotten(&recorded));
        let before = self.aggregates.remove(id).map(|before| *before);
        let aggregate = Aggregate::evolve(before, recorded)?;
        if let Some(timetables) = timetables(&aggregate, position)? {
            self.timetables = timetables;
        }
        self.aggregates.insert(id, Box::new(aggregate));
        let hash = EventHash::of(&stored.bytes);
        self.heads.insert(area, Head { position, hash });
        self.position = position;
        Ok(())
    }

    /// Takes over what was decided on top of this state and has been appended in the very next places.
    pub(crate) fn apply(&mut self, changes: Changes) {
        self.forgotten.extend(changes.forgotten);
        for (id, aggregate) in changes.aggregates {
            self.aggregates.insert(id, aggregate);
        }
        self.timetables = changes.timetables;
        self.heads.extend(changes.heads);
        self.position = changes.position;
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

    fn head(self, area: AreaCode) -> Head {
        let ahead = self.ahead.and_then(|ahead| ahead.heads.get(&area));
        let head = ahead.or_else(|| self.state.heads.get(&area));
        head.copied().unwrap_or_default()
    }

    fn timetables(self) -> &'a Arc<Timetables> {
        let ahead = self.ahead.map(|ahead| &ahead.timetables);
        ahead.unwrap_or(&self.state.timetables)
    }

    fn position(self) -> Position {
        let ahead = self.ahead.map(|ahead| ahead.position);
        ahead.unwrap_or(self.state.position)
    }
}

/// What a batch of decisions changes, in front of the state it was decided on.
#[derive(Debug)]
pub(crate) struct Changes {
    based_on: Position,
    aggregates: HashMap<AggregateId, Box<Aggregate>>,
    timetables: Arc<Timetables>,
    heads: HashMap<AreaCode, Head>,
    forgotten: Vec<CaseId>,
    position: Position,
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
            position: base.position(),
        }
    }

    /// The last place that was taken before them.
    pub(crate) fn based_on(&self) -> Position {
        self.based_on
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
    pub(crate) fn head(&self, base: Base<'_>, area: AreaCode) -> (Head, bool) {
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
        let head = Head {
            position,
            hash: EventHash::of(bytes),
        };
        self.heads.insert(recorded.header.area, head);
        self.forgotten.extend(forgotten(&recorded));
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
