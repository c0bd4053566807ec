//! What the views hold, and how an event changes them. Pure: who stores them is the aggregator.
//!
//! The views of an area are sums over its cases and events, so that those of a street are the sums of
//! those of its communities, and so on up.

mod area;
mod histogram;
mod request;

use serde::{Deserialize, Serialize};

pub use area::{AreaSummary, DayRollup};
pub use histogram::Histogram;
pub use request::{
    AreaDays, CaseFilter, CasePage, DueCase, EscalationFilter, InquiryFilter, InquiryPage, Listed,
    Served, ViewAnswer, ViewError, ViewQuestion, ViewReply, ViewRequest,
};

use crate::{
    case::{Case, CaseState, Channel, EvolveError, Place, SourceRecord},
    envelope::Position,
    event::{CaseEvent, Recorded},
    time::Timestamp,
};

/// A case as the views keep it: its state, what was reported, and where its events stand in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseView {
    /// State, holder, due time.
    pub case: Case,
    /// What happened, in the reporter's words.
    pub description: String,
    /// Where.
    pub place: Place,
    /// How it came in.
    pub channel: Channel,
    /// How many people are involved.
    pub people: Option<u32>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it was saved on the phone.
    pub filed_at: Option<Timestamp>,
    /// The record of another system it comes from.
    pub source: Option<SourceRecord>,
    /// Whether it was closed late: after its due time, or after one had passed on the way.
    pub closed_late: bool,
    /// Its events, in order.
    pub events: Vec<Position>,
}

impl CaseView {
    /// The case after an event; `before` is none for the event that reports it.
    ///
    /// # Errors
    /// A log that does not begin the case with exactly one report.
    pub fn evolve(
        before: Option<Box<Self>>,
        recorded: &Recorded<CaseEvent>,
    ) -> Result<Box<Self>, EvolveError> {
        let mut after = match (before, &recorded.event) {
            (Some(mut view), _) => {
                view.case = Case::evolve(Some(view.case), recorded)?;
                view
            }
            (None, CaseEvent::Reported(report)) => Box::new(Self {
                case: Case::evolve(None, recorded)?,
                description: report.description.clone(),
                place: report.place.clone(),
                channel: report.channel,
                people: report.people,
                occurred_at: recorded.header.occurred_at,
                filed_at: report.filed_at,
                source: report.source.clone(),
                closed_late: false,
                events: Vec::new(),
            }),
            // `Case::evolve` lets nothing but a report begin a case.
            (None, _) => {
                let (position, case) = (recorded.position, recorded.header.aggregate.into());
                return Err(EvolveError::Unreported { position, case });
            }
        };
        match &recorded.event {
            CaseEvent::Closed(event) => after.closed_late = event.in_time == Some(false),
            CaseEvent::Reopened(_) => after.closed_late = false,
            _ => {}
        }
        after.events.push(recorded.position);
        Ok(after)
    }

    /// Whether the case is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.case.state.is_open()
    }

    /// When somebody has to look at the case next: its due time, or the end of its suspension. None for
    /// a case at its end, and for one found overdue at the top of the ladder.
    #[must_use]
    pub fn next_moment(&self) -> Option<Timestamp> {
        match self.case.state {
            CaseState::Suspended => self
                .case
                .suspension
                .as_ref()
                .map(|suspension| suspension.until),
            state if state.is_open() => Some(self.case.due_at),
            _ => None,
        }
    }
}
