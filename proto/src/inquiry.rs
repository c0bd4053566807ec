//! 首问责任: whoever takes a resident's question owns it, in charge of the matter or not, until it is answered or
//! somebody else has taken it over (the district's own rule).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    access::{AccessError, Claims, Role},
    answers::Answers,
    area::AreaCode,
    case::{Channel, Refusal},
    envelope::Position,
    event::{
        InquiryAnswered, InquiryDeclined, InquiryEvent, InquiryHandedOver, InquiryOffered,
        InquiryTaken, Recorded,
    },
    id::{CaseId, InquiryId},
    text::{names_person, optional_text, text},
    time::Timestamp,
};

/// What the log says of one inquiry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inquiry {
    /// Its id.
    pub id: InquiryId,
    /// Where it was asked.
    pub area: AreaCode,
    /// The question.
    pub question: String,
    /// How it came in.
    pub channel: Channel,
    /// Who owns it.
    pub owner: String,
    /// Since when.
    pub owned_since: Timestamp,
    /// Who was asked to take it over, and has not said yet.
    pub offered_to: Option<String>,
    /// When it was asked.
    pub taken_at: Timestamp,
    /// Who was asked first.
    pub taken_by: String,
    /// How often it was handed over.
    pub handovers: u32,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// The answer.
    pub answer: Option<String>,
    /// The case that it became.
    pub case: Option<CaseId>,
    /// Number of its events.
    pub version: u32,
    /// Its events, in order.
    pub events: Vec<Position>,
    /// The commands it answered.
    pub answered: Answers,
}

/// What somebody wants to do with an inquiry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "inquiry", rename_all = "snake_case", deny_unknown_fields)]
pub enum InquiryCommand {
    /// Take a resident's question; whoever sends this owns it.
    Take {
        /// The question: 1 to 4,000 characters.
        question: String,
        /// How it came in.
        channel: Channel,
    },
    /// Ask somebody else to take it over. It stays with its owner until that is accepted.
    Offer {
        /// The other person's id: 1 to 64 characters.
        to: String,
        /// Remark.
        #[serde(default)]
        note: String,
    },
    /// Take it over, when asked to.
    Accept,
    /// Do not take it over.
    Decline {
        /// Why: 1 to 4,000 characters.
        reason: String,
    },
    /// Answer the resident.
    Answer {
        /// The answer: 1 to 4,000 characters.
        answer: String,
        /// The case that the question became.
        #[serde(default)]
        case: Option<CaseId>,
    },
}

impl InquiryCommand {
    /// Its name, as `inquiry` in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Take { .. } => "take",
            Self::Offer { .. } => "offer",
            Self::Accept => "accept",
            Self::Decline { .. } => "decline",
            Self::Answer { .. } => "answer",
        }
    }
}

impl Inquiry {
    /// The inquiry after an event; none for an event before its first.
    #[must_use]
    pub fn evolve(before: Option<&Self>, recorded: &Recorded<InquiryEvent>) -> Option<Self> {
        let at = recorded.header.recorded_at;
        let mut after = match (before, &recorded.event) {
            (None, InquiryEvent::InquiryTaken(event)) => Self {
                id: recorded.header.aggregate.into(),
                area: recorded.header.area,
                question: event.question.clone(),
                channel: event.channel,
                owner: event.owner.clone(),
                owned_since: at,
                offered_to: None,
                taken_at: at,
                taken_by: event.owner.clone(),
                handovers: 0,
                answered_at: None,
                answer: None,
                case: None,
                version: 0,
                events: Vec::new(),
                answered: Answers::default(),
            },
            (None, _) | (Some(_), InquiryEvent::InquiryTaken(_)) => return None,
            (Some(before), _) => before.clone(),
        };
        match &recorded.event {
            InquiryEvent::InquiryTaken(_) => {}
            InquiryEvent::InquiryOffered(event) => after.offered_to = Some(event.to.clone()),
            InquiryEvent::InquiryDeclined(_) => after.offered_to = None,
            InquiryEvent::InquiryHandedOver(event) => {
                after.owner.clone_from(&event.to);
                after.owned_since = at;
                after.offered_to = None;
                after.handovers += 1;
            }
            InquiryEvent::InquiryAnswered(event) => {
                after.answered_at = Some(at);
                after.answer = Some(event.answer.clone());
                after.case = event.case;
                after.offered_to = None;
            }
        }
        after.version += 1;
        after.events.push(recorded.position);
        let version = after.version;
        after
            .answered
            .remember(recorded.position, &recorded.header, version);
        Some(after)
    }

    /// Whether the resident waits for an answer.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.answered_at.is_none()
    }

    /// Whether an inquiry is within somebody's reach: it was asked in their area, or is theirs, or they were asked
    /// to take it over.
    ///
    /// # Errors
    /// [`AccessError::OutsideArea`].
    pub fn reach(
        inquiry: Option<&Self>,
        (area, claims): (AreaCode, &Claims),
    ) -> Result<(), AccessError> {
        let theirs = |inquiry: &Self| {
            inquiry.owner == claims.sub || inquiry.offered_to.as_ref() == Some(&claims.sub)
        };
        match inquiry.is_some_and(theirs) {
            true => Ok(()),
            false => claims.within(area),
        }
    }

    /// What follows from a command; `before` is none for a question that nobody has taken.
    ///
    /// # Errors
    /// [`Refusal`]; nothing changes.
    pub fn decide(
        before: Option<&Self>,
        id: InquiryId,
        command: &InquiryCommand,
        (area, claims): (AreaCode, &Claims),
    ) -> Result<InquiryEvent, Refusal> {
        Self::reach(before, (area, claims))?;
        let (name, role) = (command.name(), claims.role);
        if matches!(role, Role::Analyst | Role::Service) {
            return Err(Refusal::RoleMayNot { step: name, role });
        }
        match (before, command) {
            (None, InquiryCommand::Take { question, channel }) => {
                text("question", question)?;
                Ok(InquiryEvent::InquiryTaken(InquiryTaken {
                    question: question.clone(),
                    channel: *channel,
                    owner: claims.sub.clone(),
                }))
            }
            (Some(_), InquiryCommand::Take { .. }) => Err(Refusal::IdReused),
            (None, _) => Err(Refusal::NoSuchInquiry { inquiry: id }),
            (Some(inquiry), command) => inquiry.step(command, claims),
        }
    }

    fn step(&self, command: &InquiryCommand, claims: &Claims) -> Result<InquiryEvent, Refusal> {
        if !self.is_open() {
            return Err(Refusal::InquiryAnswered { inquiry: self.id });
        }
        let who = &claims.sub;
        let asked = || match self.offered_to.as_ref() == Some(who) {
            true => Ok(()),
            false => Err(Refusal::NotAsked { inquiry: self.id }),
        };
        // Whoever runs the centre sees to it that nothing stays with somebody who is gone.
        let owns = || match who == &self.owner || matches!(claims.role, Role::Centre | Role::Admin)
        {
            true => Ok(()),
            false => Err(Refusal::NotOwner {
                owner: self.owner.clone(),
            }),
        };
        Ok(match command {
            InquiryCommand::Offer { to, note } => {
                owns()?;
                if !names_person(to) {
                    let (field, allowed) = ("to", "1 to 64");
                    return Err(Refusal::TextLength { field, allowed });
                }
                if *to == self.owner {
                    return Err(Refusal::OwnAlready { inquiry: self.id });
                }
                optional_text("note", note)?;
                InquiryEvent::InquiryOffered(InquiryOffered {
                    to: to.clone(),
                    note: note.clone(),
                })
            }
            InquiryCommand::Accept => {
                asked()?;
                InquiryEvent::InquiryHandedOver(InquiryHandedOver {
                    from: self.owner.clone(),
                    to: who.clone(),
                })
            }
            InquiryCommand::Decline { reason } => {
                asked()?;
                text("reason", reason)?;
                InquiryEvent::InquiryDeclined(InquiryDeclined {
                    by: who.clone(),
                    reason: reason.clone(),
                })
            }
            InquiryCommand::Answer { answer, case } => {
                owns()?;
                text("answer", answer)?;
                InquiryEvent::InquiryAnswered(InquiryAnswered {
                    answer: answer.clone(),
                    case: *case,
                })
            }
            InquiryCommand::Take { .. } => return Err(Refusal::IdReused),
        })
    }
}
