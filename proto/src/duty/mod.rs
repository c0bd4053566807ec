//! 值班: who is on duty where and when, who stands in for whom, and whether enough are there.
//!
//! AX posts (AX岗, the district's own way): each member of a team has one fixed A post and is X for the others, so
//! that nobody is told to come back because one person is away.

mod plan;
mod staffing;
mod stand_in;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use plan::{Days, On, Plan, PlanError, PlannedShift};
pub use staffing::{Gap, StaffingError, StaffingRule, gaps};
pub use stand_in::{Held, StandIn};

use crate::{
    access::{Claims, Role},
    answers::Answers,
    area::AreaCode,
    case::Refusal,
    envelope::Position,
    event::{AbsenceRecorded, AbsenceWithdrawn, Recorded, RosterEvent, RosterPlanned},
    id::{AggregateId, CommandId},
    text::text,
    time::Timestamp,
};

/// A member of an area's team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The person's id: 1 to 64 characters.
    pub person: String,
    /// The A post: 1 to 100 characters.
    pub post: String,
    /// The posts that the member is X for; every other one where left out.
    #[serde(default)]
    pub stands_in_for: Option<Vec<String>>,
}

/// Somebody is on duty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Shift {
    /// From this moment.
    pub from: Timestamp,
    /// Up to this moment, without it.
    pub to: Timestamp,
    /// Who.
    pub person: String,
}

/// Somebody is away in spite of a shift: on leave, ill, in training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Absence {
    /// The command that recorded it.
    pub id: CommandId,
    /// Who.
    pub person: String,
    /// From this moment.
    pub from: Timestamp,
    /// Up to this moment, without it.
    pub to: Timestamp,
    /// Why.
    pub reason: String,
}

/// What changes an area's roster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "duty", rename_all = "snake_case", deny_unknown_fields)]
pub enum RosterCommand {
    /// Plan a span of days anew.
    Plan {
        /// The plan.
        plan: Plan,
    },
    /// Say that a member is away.
    RecordAbsence {
        /// Who.
        person: String,
        /// From this moment.
        from: Timestamp,
        /// Up to this moment, without it; at most 366 days later.
        to: Timestamp,
        /// Why: 1 to 4,000 characters.
        reason: String,
    },
    /// Say that a member is not away after all.
    WithdrawAbsence {
        /// The command that recorded the absence.
        absence: CommandId,
    },
}

/// The team of a span of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Team {
    /// From this moment.
    from: Timestamp,
    /// Up to this moment, without it.
    to: Timestamp,
    members: Vec<Member>,
}

/// What the log says of the duty in one area.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// In order, none within the time of another.
    teams: Vec<Team>,
    /// In order.
    shifts: Vec<Shift>,
    absences: Vec<Absence>,
    /// Its events, in order.
    pub events: Vec<Position>,
    /// Number of its events.
    pub version: u32,
    /// The commands it answered.
    pub answered: Answers,
}

const LONGEST_ABSENCE: i64 = 366 * 24 * 3_600_000;

impl Roster {
    /// The aggregate of an area's roster.
    #[must_use]
    pub fn id(area: AreaCode) -> AggregateId {
        AggregateId::of_area(area, "roster")
    }

    /// The roster of a plan alone.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn planned(plan: &Plan, days: &Days) -> Result<Self, PlanError> {
        plan.check()?;
        let (from, to) = plan.span(days)?;
        let members = plan.members.clone();
        Ok(Self {
            teams: vec![Team { from, to, members }],
            shifts: plan.laid_out(days)?,
            ..Self::default()
        })
    }

    /// The roster after an event.
    pub fn evolve(&mut self, recorded: &Recorded<RosterEvent>) {
        match &recorded.event {
            RosterEvent::RosterPlanned(event) => {
                self.replace_team(Team {
                    from: event.from,
                    to: event.to,
                    members: event.members.clone(),
                });
                let span = event.from..event.to;
                self.shifts.retain(|shift| !span.contains(&shift.from));
                self.shifts.extend(event.shifts.iter().cloned());
                self.shifts.sort();
            }
            RosterEvent::AbsenceRecorded(event) => self.absences.push(Absence {
                id: recorded.header.command_id,
                person: event.person.clone(),
                from: event.from,
                to: event.to,
                reason: event.reason.clone(),
            }),
            RosterEvent::AbsenceWithdrawn(event) => {
                self.absences.retain(|absence| absence.id != event.absence);
            }
        }
        self.version += 1;
        self.events.push(recorded.position);
        self.answered
            .remember(recorded.position, &recorded.header, self.version);
    }

    /// A team instead of whoever was the team in its time.
    fn replace_team(&mut self, team: Team) {
        let before = |other: &Team| Team {
            to: other.to.min(team.from),
            ..other.clone()
        };
        let after = |other: &Team| Team {
            from: other.from.max(team.to),
            ..other.clone()
        };
        let parts = self
            .teams
            .iter()
            .flat_map(|other| [before(other), after(other)]);
        let mut teams: Vec<_> = parts.filter(|part| part.from < part.to).collect();
        teams.push(team);
        teams.sort_by_key(|team| team.from);
        self.teams = teams;
    }

    /// What follows from a command.
    ///
    /// # Errors
    /// [`Refusal`]; nothing changes.
    pub fn decide(
        &self,
        command: &RosterCommand,
        (area, claims): (AreaCode, &Claims),
        days: &Days,
    ) -> Result<Vec<RosterEvent>, Refusal> {
        claims.within(area)?;
        if matches!(claims.role, Role::GridWorker | Role::Analyst) {
            return Err(Refusal::RoleMayNot {
                step: "plan duty",
                role: claims.role,
            });
        }
        let event = match command {
            RosterCommand::Plan { plan } => {
                if plan.area != area {
                    let planned = plan.area;
                    return Err(PlanError::OtherArea { planned, area }.into());
                }
                plan.check()?;
                let (from, to) = plan.span(days)?;
                RosterEvent::RosterPlanned(RosterPlanned {
                    from,
                    to,
                    members: plan.members.clone(),
                    shifts: plan.laid_out(days)?,
                })
            }
            RosterCommand::RecordAbsence {
                person,
                from,
                to,
                reason,
            } => {
                self.check_absence(person, (*from, *to), reason)?;
                RosterEvent::AbsenceRecorded(AbsenceRecorded {
                    person: person.clone(),
                    from: *from,
                    to: *to,
                    reason: reason.clone(),
                })
            }
            RosterCommand::WithdrawAbsence { absence } => {
                if !self.absences.iter().any(|known| known.id == *absence) {
                    return Err(PlanError::NoAbsence { absence: *absence }.into());
                }
                RosterEvent::AbsenceWithdrawn(AbsenceWithdrawn { absence: *absence })
            }
        };
        Ok(vec![event])
    }

    fn check_absence(
        &self,
        person: &str,
        (from, to): (Timestamp, Timestamp),
        reason: &str,
    ) -> Result<(), Refusal> {
        let mut all = self.teams.iter().flat_map(|team| &team.members);
        if !all.any(|member| member.person == person) {
            let person = person.to_owned();
            return Err(PlanError::NoMember { person }.into());
        }
        if to <= from || to.since(from) > LONGEST_ABSENCE {
            return Err(Refusal::AbsurdTime {
                field: "to",
                why: "has to come after 'from', at most 366 days later",
            });
        }
        text("reason", reason)
    }

    /// Whether there was any plan.
    #[must_use]
    pub fn is_planned(&self) -> bool {
        !self.teams.is_empty()
    }

    /// The team at a moment, in the order of its plan. Between plans, and after the last, the team of the latest
    /// plan before goes on, though nobody of it is on duty; before the first that of the first.
    #[must_use]
    pub fn team(&self, at: Timestamp) -> &[Member] {
        let begun = self.teams.partition_point(|team| team.from <= at);
        let team = self.teams.get(begun.saturating_sub(1));
        team.map_or(&[], |team| &team.members)
    }

    /// The teams of a span of time as one, in order, each member once.
    #[must_use]
    pub fn members(&self, from: Timestamp, to: Timestamp) -> Vec<&Member> {
        let mut members: Vec<&Member> = self.team(from).iter().collect();
        let later = self.teams.iter();
        let later = later.filter(|team| team.from >= from && team.from < to);
        for member in later.flat_map(|team| &team.members) {
            if !members.contains(&member) {
                members.push(member);
            }
        }
        members
    }

    /// The member that a person is at a moment.
    #[must_use]
    pub fn member(&self, person: &str, at: Timestamp) -> Option<&Member> {
        self.team(at).iter().find(|member| member.person == person)
    }

    /// Shifts that have not ended at a moment and begin before another, in order.
    pub fn shifts(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Shift> {
        self.shifts
            .iter()
            .filter(move |shift| shift.from < to && shift.to > from)
    }

    /// Absences that have not ended at a moment and begin before another.
    pub fn absences(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Absence> {
        self.absences
            .iter()
            .filter(move |absence| absence.from < to && absence.to > from)
    }

    /// Who is on duty at a moment, in the order of the team.
    pub fn on_duty(&self, at: Timestamp) -> impl Iterator<Item = &Member> {
        self.team(at)
            .iter()
            .filter(move |member| self.is_on_duty(&member.person, at))
    }

    fn is_on_duty(&self, person: &str, at: Timestamp) -> bool {
        let covers = |from: Timestamp, to: Timestamp| from <= at && at < to;
        let mut shifts = self.shifts.iter();
        let mut absences = self.absences.iter();
        shifts.any(|shift| shift.person == person && covers(shift.from, shift.to))
            && !absences.any(|away| away.person == person && covers(away.from, away.to))
    }

    /// The moments after one at which anybody's duty may begin or end, in order.
    fn edges(&self, after: Timestamp) -> Vec<Timestamp> {
        let shifts = self.shifts.iter().flat_map(|shift| [shift.from, shift.to]);
        let absences = self.absences.iter().flat_map(|away| [away.from, away.to]);
        let teams = self.teams.iter().map(|team| team.from);
        let all = shifts.chain(absences).chain(teams);
        let mut edges: Vec<_> = all.filter(|at| *at > after).collect();
        edges.sort();
        edges.dedup();
        edges
    }
}
