//! Why a command changes nothing.

use super::CaseState;
use crate::{
    access::{AccessError, Role},
    area::Level,
    clock::ClockError,
    code::{Code, Coded},
    duty::PlanError,
    id::{CaseId, InquiryId},
    limit::Limit,
    rules::RulesError,
    time::Timestamp,
};

/// Why a command was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such case.
    #[error("there is no case {case}")]
    NoSuchCase {
        /// The id asked for.
        case: CaseId,
    },
    /// The id was used for something else.
    #[error(
        "this id already stands for a command with another content; use a new id for a new command"
    )]
    IdReused,
    /// The case is not in a state in which the step makes sense.
    #[error("a case that is {state:?} cannot be taken through the step '{step}'")]
    WrongState {
        /// The step.
        step: &'static str,
        /// The case's state.
        state: CaseState,
    },
    /// The case changed since the sender saw it.
    #[error("the case is at version {actual}, not {expected}: read it again and decide anew")]
    StaleVersion {
        /// What the sender saw.
        expected: u32,
        /// What it is.
        actual: u32,
    },
    /// The case is held above the actor's level.
    #[error("the case is held at level {holder:?}, above your role {role:?}")]
    HeldAbove {
        /// Level of the holder.
        holder: Level,
        /// The actor's role.
        role: Role,
    },
    /// The role may not take this step.
    #[error("the role {role:?} may not take the step '{step}'")]
    RoleMayNot {
        /// The step.
        step: &'static str,
        /// The actor's role.
        role: Role,
    },
    /// Whoever handled the case may not verify it.
    #[error("whoever handled a case may not verify it: somebody else has to")]
    OwnWork,
    /// The assignee cannot take the case.
    #[error("the case cannot be given to {area}: {why}")]
    WrongAssignee {
        /// The area named.
        area: crate::area::AreaCode,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Units have returned the case as often as its policy allows.
    #[error("the case may be returned {times} times, and was; it has to be handled or escalated")]
    ReturnedBefore {
        /// How often the policy allows it.
        times: u32,
    },
    /// Nothing lies above.
    #[error("the case is held by the city: no level lies above it")]
    TopLevel,
    /// A merge into itself, a newer case, or one that is over.
    #[error("the case cannot be merged into {into}: {why}")]
    WrongMerge {
        /// The case named.
        into: CaseId,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The moment lies ahead.
    #[error("the moment {at} has not passed")]
    NotPassed {
        /// The moment.
        at: Timestamp,
    },
    /// The case was put off as often as its policy allows.
    #[error("the case's due time may be put off {times} times, and was")]
    ExtendedBefore {
        /// How often the policy allows it.
        times: u32,
    },
    /// Only a level above grants the extension.
    #[error(
        "an extension has to be granted at level {granted_by:?} or above, not by the role {role:?}"
    )]
    GrantedAbove {
        /// The lowest level that grants it.
        granted_by: Level,
        /// The actor's role.
        role: Role,
    },
    /// The extension is longer than the policy allows, or moves nothing.
    #[error(
        "an extension is more than nothing and at most {at_most} per cent of the limit, {limit}"
    )]
    ExtensionTooLong {
        /// The most, in per cent.
        at_most: u16,
        /// The limit.
        limit: Limit,
    },
    /// The extended due time would have passed already.
    #[error("extended by so much it would still be overdue since {due_at}")]
    ExtensionOver {
        /// The due time that it would have.
        due_at: Timestamp,
    },
    /// Whoever is asked to take an inquiry over has it.
    #[error("inquiry {inquiry} is owned by whom it is offered to")]
    OwnAlready {
        /// The inquiry.
        inquiry: InquiryId,
    },
    /// The extension runs by another clock than the limit.
    #[error("the limit is {limit}: give the extension in the same unit, and more than nothing")]
    WrongExtension {
        /// The limit.
        limit: Limit,
    },
    /// A time that makes no sense for the step.
    #[error("the time {field} {why}")]
    AbsurdTime {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A text that is empty where it must not be, or too long.
    #[error("the text {field} has to have {allowed} characters")]
    TextLength {
        /// The field.
        field: &'static str,
        /// The allowed range.
        allowed: &'static str,
    },
    /// The area or the right is not the actor's.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// No such inquiry.
    #[error("there is no inquiry {inquiry}")]
    NoSuchInquiry {
        /// The id asked for.
        inquiry: InquiryId,
    },
    /// The resident was answered.
    #[error("inquiry {inquiry} is answered")]
    InquiryAnswered {
        /// The inquiry.
        inquiry: InquiryId,
    },
    /// Nobody asked the actor to take the inquiry over.
    #[error("you were not asked to take inquiry {inquiry} over")]
    NotAsked {
        /// The inquiry.
        inquiry: InquiryId,
    },
    /// The inquiry is somebody else's.
    #[error("the inquiry is '{owner}'s: whoever took the question answers it or hands it over")]
    NotOwner {
        /// Whose.
        owner: String,
    },
    /// The plan is none, or the roster is not changed.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The rules do not allow it, or are not there.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The due time cannot be told.
    #[error("the due time cannot be told: {0}")]
    Clock(#[from] ClockError),
}

impl Coded for Refusal {
    fn code(&self) -> Code {
        match self {
            Self::Clock(error) => error.code(),
            Self::Rules(error) => error.code(),
            Self::Plan(error) => error.code(),
            Self::NoSuchInquiry { .. } => Code(230),
            Self::InquiryAnswered { .. } => Code(231),
            Self::NotAsked { .. } => Code(232),
            Self::NotOwner { .. } => Code(233),
            Self::NoSuchCase { .. } => Code(200),
            Self::IdReused => Code(201),
            Self::WrongState { .. } => Code(202),
            Self::StaleVersion { .. } => Code(203),
            Self::HeldAbove { .. } => Code(204),
            Self::RoleMayNot { .. } => Code(205),
            Self::OwnWork => Code(206),
            Self::WrongAssignee { .. } => Code(207),
            Self::ReturnedBefore { .. } => Code(208),
            Self::TopLevel => Code(209),
            Self::WrongMerge { .. } => Code(210),
            Self::NotPassed { .. } => Code(211),
            Self::AbsurdTime { .. } => Code(212),
            Self::TextLength { .. } => Code(213),
            Self::ExtendedBefore { .. } => Code(214),
            Self::GrantedAbove { .. } => Code(215),
            Self::ExtensionTooLong { .. } => Code(216),
            Self::WrongExtension { .. } => Code(217),
            Self::ExtensionOver { .. } => Code(218),
            Self::OwnAlready { .. } => Code(234),
            Self::Access(error) => error.code(),
        }
    }
}

impl Refusal {
    /// Codes by which the escalator's word is refused because there is nothing to do: no such case, or by
    /// intake's clock the moment has not passed.
    pub const MOVED_ON: [Code; 2] = [Code(200), Code(211)];
}
