//! What follows from a command: events, the answer given before, or a refusal.

mod course;
mod escalation;
mod report;
mod step;

use super::{Case, Refusal};
use crate::text::{optional_text, text};
use crate::{
    access::Claims,
    area::AreaCode,
    command::CaseCommand,
    envelope::Position,
    event::CaseEvent,
    id::{CaseId, CommandId},
    policy::Timetable,
    time::Timestamp,
};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// A phone's clock may run ahead by this much; more is a mistake worth refusing.
const CLOCK_SKEW: i64 = 10 * MINUTE;

/// All that a decision stands on, besides the command.
pub struct Situation<'a> {
    /// The command's id.
    pub command_id: CommandId,
    /// Digest of its content.
    pub digest: [u8; 8],
    /// The case it is for.
    pub case_id: CaseId,
    /// That case, as of the grid's head; none when it was never reported.
    pub case: Option<&'a Case>,
    /// The grid of the case or of the report.
    pub grid: AreaCode,
    /// For a merge the case named as the older one.
    pub other: Option<&'a Case>,
    /// Who asks.
    pub claims: &'a Claims,
    /// The district's limits.
    pub policy: &'a Timetable,
    /// Intake's clock.
    pub now: Timestamp,
    /// The version of the case that the sender saw, where it insists on it.
    pub if_version: Option<u32>,
}

/// What follows from a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// These happen, all or none, in this order.
    Events(Vec<Decided>),
    /// The same command was answered before.
    Repeated {
        /// The place of its last event.
        position: Position,
        /// The case's version after it.
        version: u32,
    },
}

/// An event that follows from a command, and the time it is recorded at.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// Never before the case's previous event.
    pub recorded_at: Timestamp,
    /// What happens.
    pub event: CaseEvent,
}

/// Decides a command.
///
/// # Errors
/// A [`Refusal`]; nothing changes.
pub fn decide(command: &CaseCommand, situation: &Situation<'_>) -> Result<Decision, Refusal> {
    if let Some(case) = situation.case {
        let command = (situation.command_id, situation.digest);
        let reach = situation.claims.within(situation.grid);
        if let Some(answer) = case.answered.again(command, reach)? {
            let (position, version) = (answer.position, answer.version);
            return Ok(Decision::Repeated { position, version });
        }
    }
    let events = match command {
        CaseCommand::Report(report) => situation.report(report)?,
        CaseCommand::Step(step) => {
            let last = situation
                .case
                .map_or(situation.now, |case| case.last_recorded_at);
            let recorded_at = situation.now.max(last);
            let events = situation.step(step)?.into_iter();
            events.map(|event| Decided { recorded_at, event }).collect()
        }
    };
    Ok(Decision::Events(events))
}
