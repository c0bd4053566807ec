//! Decides waiting commands one after the other, each on top of those before it.

use std::collections::VecDeque;

use gridkeeper_proto::{
    access::Claims,
    area::AreaCode,
    case::{Decided, Decision, Refusal, Situation, decide},
    command::{Command, Step},
    envelope::Header,
    event::Recorded,
    id::{CaseId, CommandId, EventId},
    policy::Timetable,
    time::Timestamp,
};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    Error,
    log::NewEvent,
    state::{Changes, State},
};

/// What a command became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The case's grid.
    pub(crate) grid: AreaCode,
    /// The place of its last event.
    pub(crate) position: gridkeeper_proto::envelope::Position,
    /// The case's version after it.
    pub(crate) version: u32,
    /// Whether it had been recorded before.
    pub(crate) repeated: bool,
}

/// A command that waits to be decided.
#[derive(Debug)]
pub(crate) struct Job {
    /// Its id.
    pub(crate) command_id: CommandId,
    /// Digest of its content.
    pub(crate) digest: [u8; 8],
    /// The case it is for.
    pub(crate) case_id: CaseId,
    /// The grid of a report; a step's is its case's.
    pub(crate) grid: AreaCode,
    /// What is to happen.
    pub(crate) command: Command,
    /// Who asks.
    pub(crate) claims: Claims,
    /// When it happened.
    pub(crate) occurred_at: Timestamp,
    /// The version that the sender saw.
    pub(crate) if_version: Option<u32>,
    /// Until when it may wait for the log.
    pub(crate) deadline: Instant,
    /// How often others were faster.
    pub(crate) conflicts: u32,
    /// Whether its events were sent and may stand in the log without an acknowledgement.
    pub(crate) sent: bool,
    /// Whoever waits for the answer.
    pub(crate) reply: oneshot::Sender<Result<Answer, Error>>,
}

impl Job {
    /// Answers; whoever went away in between asks again with the same id.
    pub(crate) fn answer(self, answer: Result<Answer, Error>) {
        let _gone = self.reply.send(answer);
    }

    /// Whether it forgets persons, so that a key has to be destroyed before it is answered.
    pub(crate) fn forgets(&self) -> bool {
        matches!(self.command, Command::Step(Step::ForgetParties { .. }))
    }
}

/// What a job comes to, if the plan's events are appended in the next places.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// This answer.
    Answer(Answer),
    /// This refusal, provided that the state is the newest.
    Refused(Refusal),
}

/// Decisions that belong together: all their events are appended, or none.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The jobs, in order.
    pub(crate) jobs: Vec<(Job, Outcome)>,
    /// Their events, in order.
    pub(crate) events: Vec<NewEvent>,
    /// What they change.
    pub(crate) changes: Changes,
}

impl Plan {
    /// Decides jobs from the front of the queue until it is empty or the next one's events would be too
    /// many; `most_jobs` bounds how many are taken.
    ///
    /// # Errors
    /// An event that its own case does not take.
    pub(crate) fn of(
        waiting: &mut VecDeque<Job>,
        state: &State,
        policy: &Timetable,
        now: Timestamp,
        (most_jobs, most_events): (usize, usize),
    ) -> Result<Self, Error> {
        let mut plan = Self {
            jobs: Vec::new(),
            events: Vec::new(),
            changes: Changes::on(state),
        };
        while plan.jobs.len() < most_jobs
            && let Some(job) = waiting.pop_front()
        {
            match plan.decide(&job, state, policy, now) {
                Err(refusal) => plan.jobs.push((job, Outcome::Refused(refusal))),
                Ok((answer, events)) => {
                    let full = plan.events.len() + events.len() > most_events;
                    if full && !plan.events.is_empty() {
                        waiting.push_front(job);
                        break;
                    }
                    let answer = plan.add(&job, answer, events, state)?;
                    plan.jobs.push((job, Outcome::Answer(answer)));
                }
            }
        }
        Ok(plan)
    }

    fn decide(
        &self,
        job: &Job,
        state: &State,
        policy: &Timetable,
        now: Timestamp,
    ) -> Result<(Answer, Vec<Decided>), Refusal> {
        let case = self.changes.case(state, job.case_id);
        let grid = case.map_or(job.grid, |case| case.grid);
        let other = match &job.command {
            Command::Step(Step::Merge { into, .. }) => self.changes.case(state, *into),
            _ => None,
        };
        let decision = decide(
            &job.command,
            &Situation {
                command_id: job.command_id,
                digest: job.digest,
                case_id: job.case_id,
                case,
                grid,
                other,
                claims: &job.claims,
                policy,
                now,
                if_version: job.if_version,
            },
        )?;
        let version = case.map_or(0, |case| case.version);
        Ok(match decision {
            Decision::Repeated { position, version } => {
                let repeated = !job.sent;
                let answer = Answer {
                    grid,
                    position,
                    version,
                    repeated,
                };
                (answer, Vec::new())
            }
            Decision::Events(events) => {
                let position = self.changes.next();
                let answer = Answer {
                    grid,
                    position,
                    version,
                    repeated: false,
                };
                (answer, events)
            }
        })
    }

    fn add(
        &mut self,
        job: &Job,
        mut answer: Answer,
        events: Vec<Decided>,
        state: &State,
    ) -> Result<Answer, Error> {
        for (index, decided) in (0..).zip(events) {
            let (head, moved) = self.changes.head(state, answer.grid);
            let payload = decided.event.encode();
            let header = Header {
                event_id: EventId::in_case(job.case_id, job.command_id, index),
                case_id: job.case_id,
                command_id: job.command_id,
                command_digest: job.digest,
                grid: answer.grid,
                occurred_at: job.occurred_at,
                recorded_at: decided.recorded_at,
                actor: job.claims.actor(),
                event_type: payload.event_type,
                schema_version: payload.schema_version,
                previous: head.hash,
            };
            let bytes = header.encode(&payload.bytes);
            answer.position = self.changes.next();
            answer.version += 1;
            self.events.push(NewEvent {
                grid: answer.grid,
                event_id: header.event_id,
                bytes: bytes.clone(),
                expected: (!moved).then_some(head.position),
            });
            let recorded = Recorded {
                position: answer.position,
                header,
                event: decided.event,
            };
            self.changes.add(state, recorded, &bytes)?;
        }
        Ok(answer)
    }
}
