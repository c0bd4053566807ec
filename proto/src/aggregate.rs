//! Anything that events happen to, and that commands are decided on.

use crate::{
    answers::Answers,
    case::{Case, EvolveError},
    command::Command,
    duty::Roster,
    event::{ByAggregate, Event, Recorded},
    id::CaseId,
    inquiry::Inquiry,
    integrity::Integrity,
    rules::Rules,
};

/// What the log says of one aggregate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all aggregates are cases: a box would cost memory, not save it"
)]
pub enum Aggregate {
    /// A dispute or an incident.
    Case(Case),
    /// A district's rules.
    Rules(Rules),
    /// An area's roster.
    Roster(Roster),
    /// A first inquiry.
    Inquiry(Inquiry),
    /// What the log says of itself.
    Integrity(Integrity),
}

impl Aggregate {
    /// The aggregate after an event; `before` is none for its first.
    ///
    /// # Errors
    /// A log that intake never writes: an event of another kind of aggregate, or a case that does not begin with
    /// exactly one report.
    pub fn evolve(before: Option<Self>, recorded: Recorded) -> Result<Self, EvolveError> {
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
                let mut rules = match before {
                    Some(Self::Rules(rules)) => rules,
                    _ => Rules::default(),
                };
                rules.evolve(&recorded);
                Self::Rules(rules)
            }
            (ByAggregate::Roster(recorded), before @ (None | Some(Self::Roster(_)))) => {
                let mut roster = match before {
                    Some(Self::Roster(roster)) => roster,
                    _ => Roster::default(),
                };
                roster.evolve(&recorded);
                Self::Roster(roster)
            }
            (ByAggregate::Inquiry(recorded), before @ (None | Some(Self::Inquiry(_)))) => {
                let before = before.as_ref().and_then(Self::inquiry);
                Self::Inquiry(Inquiry::evolve(before, &recorded).ok_or(foreign)?)
            }
            (ByAggregate::Integrity(recorded), before @ (None | Some(Self::Integrity(_)))) => {
                let mut integrity = match before {
                    Some(Self::Integrity(integrity)) => integrity,
                    _ => Integrity::default(),
                };
                integrity.evolve(&recorded);
                Self::Integrity(integrity)
            }
            _ => return Err(foreign),
        })
    }

    /// Whether it is what a command is for. An id stands for one thing: whoever sends a command for another kind of
    /// thing under it has used it twice.
    #[must_use]
    pub fn takes(&self, command: &Command) -> bool {
        matches!(
            (self, command),
            (Self::Case(_), Command::Case(_))
                | (Self::Rules(_), Command::Rules(_))
                | (Self::Roster(_), Command::Roster(_))
                | (Self::Inquiry(_), Command::Inquiry(_))
        )
    }

    /// The commands it answered.
    #[must_use]
    pub fn answered(&self) -> &Answers {
        match self {
            Self::Case(case) => &case.answered,
            Self::Rules(rules) => &rules.answered,
            Self::Roster(roster) => &roster.answered,
            Self::Inquiry(inquiry) => &inquiry.answered,
            Self::Integrity(integrity) => &integrity.answered,
        }
    }

    /// Number of its events.
    #[must_use]
    pub fn version(&self) -> u32 {
        match self {
            Self::Case(case) => case.version,
            Self::Rules(rules) => rules.version,
            Self::Roster(roster) => roster.version,
            Self::Inquiry(inquiry) => inquiry.version,
            Self::Integrity(integrity) => integrity.version,
        }
    }

    /// As a case, if it is one.
    #[must_use]
    pub fn case(&self) -> Option<&Case> {
        match self {
            Self::Case(case) => Some(case),
            _ => None,
        }
    }

    /// As the rules, if it is they.
    #[must_use]
    pub fn rules(&self) -> Option<&Rules> {
        match self {
            Self::Rules(rules) => Some(rules),
            _ => None,
        }
    }

    /// As a roster, if it is one.
    #[must_use]
    pub fn roster(&self) -> Option<&Roster> {
        match self {
            Self::Roster(roster) => Some(roster),
            _ => None,
        }
    }

    /// As what the log says of itself, if it is that.
    #[must_use]
    pub fn integrity(&self) -> Option<&Integrity> {
        match self {
            Self::Integrity(integrity) => Some(integrity),
            _ => None,
        }
    }

    /// As an inquiry, if it is one.
    #[must_use]
    pub fn inquiry(&self) -> Option<&Inquiry> {
        match self {
            Self::Inquiry(inquiry) => Some(inquiry),
            _ => None,
        }
    }
}

impl Recorded {
    /// As an event of a case, if it is one.
    #[must_use]
    pub fn of_case(&self) -> Option<(CaseId, &crate::event::CaseEvent)> {
        match &self.event {
            Event::Case(event) => Some((self.header.aggregate.into(), event)),
            _ => None,
        }
    }
}
