//! Anything that events happen to, and that commands are decided on.

use crate::{
    answers::Answers,
    case::{Case, EvolveError},
    event::{ByAggregate, Event, Recorded},
    id::CaseId,
    rules::Rules,
};

/// What the log says of one aggregate.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every aggregate is a case: boxing it saves nothing"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// A dispute or an incident.
    Case(Case),
    /// A district's rules.
    Rules(Rules),
}

impl Aggregate {
    /// The aggregate after an event; `before` is none for its first.
    ///
    /// # Errors
    /// A log that intake never writes: an event of another kind of aggregate, or a case that does not begin with
    /// exactly one report.
    pub fn evolve(before: Option<&Self>, recorded: Recorded) -> Result<Self, EvolveError> {
        let foreign = EvolveError::Foreign {
            position: recorded.position,
            aggregate: recorded.header.aggregate,
        };
        Ok(match (recorded.by_aggregate(), before) {
            (ByAggregate::Case(recorded), None) => Self::Case(Case::evolve(None, &recorded)?),
            (ByAggregate::Case(recorded), Some(Self::Case(case))) => {
                Self::Case(Case::evolve(Some(case), &recorded)?)
            }
            (ByAggregate::Rules(recorded), before @ (None | Some(Self::Rules(_)))) => {
                let before = before.and_then(Self::rules).cloned();
                let mut rules = before.unwrap_or_default();
                rules.evolve(&recorded);
                Self::Rules(rules)
            }
            _ => return Err(foreign),
        })
    }

    /// The commands it answered.
    #[must_use]
    pub fn answered(&self) -> &Answers {
        match self {
            Self::Case(case) => &case.answered,
            Self::Rules(rules) => &rules.answered,
        }
    }

    /// Number of its events.
    #[must_use]
    pub fn version(&self) -> u32 {
        match self {
            Self::Case(case) => case.version,
            Self::Rules(rules) => rules.version,
        }
    }

    /// As a case, if it is one.
    #[must_use]
    pub fn case(&self) -> Option<&Case> {
        match self {
            Self::Case(case) => Some(case),
            Self::Rules(_) => None,
        }
    }

    /// As the rules, if it is they.
    #[must_use]
    pub fn rules(&self) -> Option<&Rules> {
        match self {
            Self::Rules(rules) => Some(rules),
            Self::Case(_) => None,
        }
    }
}

impl Recorded {
    /// As an event of a case, if it is one.
    #[must_use]
    pub fn of_case(&self) -> Option<(CaseId, &crate::event::CaseEvent)> {
        match &self.event {
            Event::Case(event) => Some((self.header.aggregate.into(), event)),
            Event::Rules(_) => None,
        }
    }
}
