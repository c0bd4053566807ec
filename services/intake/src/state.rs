//! The state that commands are decided on: cases, the head of each grid, and the position in the log
//! that both are of. It follows from the log and is filled from it at every start.

use std::collections::{BTreeSet, HashMap};

use gridkeeper_proto::{
    area::AreaCode,
    case::Case,
    envelope::{EventHash, Position},
    event::{Event, Recorded},
    id::CaseId,
};

use crate::{Error, log::Stored};

/// The last event of a grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its place; zero where the grid has no event.
    pub(crate) position: Position,
    /// Its hash.
    pub(crate) hash: EventHash,
}

/// Cases and heads as of a position.
#[derive(Debug, Default)]
pub(crate) struct State {
    cases: HashMap<CaseId, Case>,
    heads: HashMap<AreaCode, Head>,
    position: Position,
    forgotten: BTreeSet<CaseId>,
}

impl State {
    /// Up to where the log is contained.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// The case, where it was reported.
    pub(crate) fn case(&self, id: CaseId) -> Option<&Case> {
        self.cases.get(&id)
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
        let grid = recorded.header.grid;
        let head = self.heads.get(&grid).copied().unwrap_or_default();
        if recorded.header.previous != head.hash {
            return Err(Error::Chain { position, grid });
        }
        let case_id = recorded.header.case_id;
        let case = Case::evolve(self.cases.get(&case_id), &recorded)?;
        self.note(&recorded);
        self.cases.insert(case_id, case);
        let hash = EventHash::of(&stored.bytes);
        self.heads.insert(grid, Head { position, hash });
        self.position = position;
        Ok(())
    }

    /// Takes over what was decided on top of this state and has been appended in the very next places.
    pub(crate) fn apply(&mut self, changes: Changes) {
        for recorded in &changes.recorded {
            self.note(recorded);
        }
        self.cases.extend(changes.cases);
        self.heads.extend(changes.heads);
        self.position = changes.position;
    }

    fn note(&mut self, recorded: &Recorded) {
        if matches!(recorded.event, Event::PartiesForgotten(_)) {
            self.forgotten.insert(recorded.header.case_id);
        }
    }
}

/// What a batch of decisions changes, in front of the state it was decided on.
#[derive(Debug)]
pub(crate) struct Changes {
    cases: HashMap<CaseId, Case>,
    heads: HashMap<AreaCode, Head>,
    recorded: Vec<Recorded>,
    position: Position,
}

impl Changes {
    /// No change yet.
    pub(crate) fn on(state: &State) -> Self {
        Self {
            cases: HashMap::new(),
            heads: HashMap::new(),
            recorded: Vec::new(),
            position: state.position,
        }
    }

    /// The case with these changes.
    pub(crate) fn case<'a>(&'a self, state: &'a State, id: CaseId) -> Option<&'a Case> {
        self.cases.get(&id).or_else(|| state.case(id))
    }

    /// The grid's head with these changes, and whether one of them moved it.
    pub(crate) fn head(&self, state: &State, grid: AreaCode) -> (Head, bool) {
        match self.heads.get(&grid) {
            Some(head) => (*head, true),
            None => (state.heads.get(&grid).copied().unwrap_or_default(), false),
        }
    }

    /// The place that the next event will have, if nobody else appends before.
    pub(crate) fn next(&self) -> Position {
        Position(self.position.0 + 1)
    }

    /// Adds an event in the next place.
    ///
    /// # Errors
    /// An event that does not fit its case, which a decision never yields.
    pub(crate) fn add(
        &mut self,
        state: &State,
        recorded: Recorded,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let case_id = recorded.header.case_id;
        let case = Case::evolve(self.case(state, case_id), &recorded)?;
        self.cases.insert(case_id, case);
        let head = Head {
            position: recorded.position,
            hash: EventHash::of(bytes),
        };
        self.heads.insert(recorded.header.grid, head);
        self.position = recorded.position;
        self.recorded.push(recorded);
        Ok(())
    }
}
