//! Decides waiting commands one after the other, each on top of those before it.

use gridkeeper_http::{ClockFault, Reading};
use gridkeeper_proto::{
    access::{Actor, Claims},
    aggregate::Aggregate,
    area::AreaCode,
    case::{Case, Decided, Decision, Refusal, Situation, decide},
    command::{CaseCommand, Command, Step},
    duty::Roster,
    envelope::{Header, Position},
    event::{CaseEvent, ClockDiffered, Event, Recorded},
    id::{AggregateId, CaseId, CommandId, EventId},
    inquiry::{Inquiry, InquiryCommand},
    rules::Rules,
    time::Timestamp,
    tree::TreeHash,
};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    Error,
    log::NewEvent,
    state::{Base, Changes},
};

/// How many moments of a case are recorded with one command, at most: rungs of the ladder, and reminders between
/// them. Far more than a case has.
const MOST_MOMENTS: usize = 64;

/// A job's events and those that happened before by themselves are at most so many.
const ROOM_FOR_A_JOB: usize = 16;

/// What a command became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The case's grid, or the area whose own it changes.
    pub(crate) area: AreaCode,
    /// The place of its last event.
    pub(crate) position: Position,
    /// The aggregate's version after it.
    pub(crate) version: u32,
    /// Whether it had been recorded before.
    pub(crate) repeated: bool,
    /// The hash of the leaf at the position; `None` until the event is in the log.
    pub(crate) leaf: Option<TreeHash>,
}

/// A command that waits to be decided.
#[derive(Debug)]
pub(crate) struct Job {
    /// Its id.
    pub(crate) command_id: CommandId,
    /// Digest of its content.
    pub(crate) digest: [u8; 8],
    /// What it is for.
    pub(crate) aggregate: AggregateId,
    /// The grid of a report; a step's is its case's. Of other commands the area whose own they change.
    pub(crate) area: AreaCode,
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
        matches!(
            self.command,
            Command::Case(CaseCommand::Step(Step::ForgetParties { .. }))
        )
    }

    /// The case it is for, where it is for one.
    pub(crate) fn case_id(&self) -> CaseId {
        self.aggregate.into()
    }
}

/// What a job comes to, if the plan's events are appended in the next places.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// This answer.
    Answer(Answer),
    /// This refusal, provided that the state is the newest.
    Refused(Refusal),
    /// No decision: time alone would make it, and the time is in doubt.
    Postponed(ClockFault),
}

impl Outcome {
    /// Whether the job has events of its own.
    pub(crate) fn has_events(&self) -> bool {
        matches!(self, Self::Answer(answer) if !answer.repeated)
    }

    /// The area that its events lie in.
    pub(crate) fn area(&self, job: &Job) -> AreaCode {
        match self {
            Self::Answer(answer) => answer.area,
            Self::Refused(_) | Self::Postponed(_) => job.area,
        }
    }
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
    /// Nothing decided yet.
    pub(crate) fn on(base: Base<'_>) -> Self {
        Self {
            jobs: Vec::new(),
            events: Vec::new(),
            changes: Changes::on(base),
        }
    }

    /// How many jobs can be added whatever their events are, so that there are at most `most_events`; a plan
    /// without events takes at least one.
    pub(crate) fn room(&self, most_events: usize) -> usize {
        let for_events = most_events.saturating_sub(self.events.len()) / ROOM_FOR_A_JOB;
        let least = usize::from(self.events.is_empty());
        let for_jobs = most_events.saturating_sub(self.jobs.len());
        for_events.max(least).min(for_jobs)
    }

    /// Decides a job on top of those before it. `base` is that of the whole plan.
    ///
    /// # Errors
    /// An event that its own aggregate does not take.
    pub(crate) fn add_job(&mut self, job: Job, base: Base<'_>, now: Reading) -> Result<(), Error> {
        if let Some(fault) = now.fault
            && self.waits_for_clocks(&job, base)
        {
            self.jobs.push((job, Outcome::Postponed(fault)));
            return Ok(());
        }
        let decided = match self.pass_time(&job, base, now)? {
            Ok(now) => self.decide(&job, base, now),
            Err(refusal) => Err(refusal),
        };
        let outcome = match decided {
            Err(refusal) => Outcome::Refused(refusal),
            Ok((answer, mut events)) => {
                mark_doubt(&job, &mut events, now);
                Outcome::Answer(self.add(&job, answer, events, base)?)
            }
        };
        self.jobs.push((job, outcome));
        Ok(())
    }

    /// Whether a job that was not answered before is decided by time alone, or as much by time as an import, which can
    /// wait.
    fn waits_for_clocks(&self, job: &Job, base: Base<'_>) -> bool {
        let case = self.changes.case(base, job.case_id());
        if case.is_some_and(|case| case.answered.to(job.command_id).is_some()) {
            return false;
        }
        match &job.command {
            Command::Case(CaseCommand::Step(step)) => matches!(step, Step::PassMoment { .. }),
            Command::Case(CaseCommand::Report(report)) => report.imported.is_some(),
            _ => false,
        }
    }

    /// Records what has happened to a case by itself, before a step is decided, whatever becomes of the step.
    /// Gives the moment as of which the step is decided, which is never before the case's last event. While the time
    /// is in doubt, that is recorded which has happened by all clocks.
    fn pass_time(
        &mut self,
        job: &Job,
        base: Base<'_>,
        reading: Reading,
    ) -> Result<Result<Timestamp, Refusal>, Error> {
        let timetables = self.changes.timetables();
        let mut now = reading.time;
        if !matches!(job.command, Command::Case(CaseCommand::Step(_))) {
            return Ok(Ok(now));
        }
        for _ in 0..MOST_MOMENTS {
            let Some(case) = self.changes.case(base, job.case_id()) else {
                return Ok(Ok(now));
            };
            now = now.max(case.last_recorded_at);
            if case.answered.to(job.command_id).is_some() || !case.state.is_open() {
                return Ok(Ok(now));
            }
            let passed = match reading.fault {
                None => now,
                Some(_) => reading.agreed(),
            };
            let happened = match timetables.of(case.policy) {
                Ok(timetable) => case.happened(timetable, passed),
                Err(error) => return Ok(Err(error.into())),
            };
            let happened = match happened {
                Ok(None) => return Ok(Ok(now)),
                Ok(Some(happened)) => happened,
                Err(error) => return Ok(Err(error.into())),
            };
            let by_itself = By {
                aggregate: job.aggregate,
                area: case.grid,
                command_id: happened.command_id,
                digest: [0; 8],
                occurred_at: happened.at,
                actor: Actor::gridkeeper(),
            };
            for (index, event) in (0..).zip(happened.events) {
                self.add_event(&by_itself, index, (now, event.into()), base)?;
            }
        }
        Ok(Ok(now))
    }

    fn decide(
        &self,
        job: &Job,
        base: Base<'_>,
        now: Timestamp,
    ) -> Result<(Answer, Vec<(Timestamp, Event)>), Refusal> {
        let found = self.changes.aggregate(base, job.aggregate);
        if found.is_some_and(|found| !found.takes(&job.command)) {
            return Err(Refusal::IdReused);
        }
        if let Command::Case(command) = &job.command {
            return self.decide_case(job, command, base, now);
        }
        let area = match found.and_then(Aggregate::inquiry) {
            Some(inquiry) => inquiry.area,
            None => job.area,
        };
        if let Some(found) = found {
            let command = (job.command_id, job.digest);
            let reach = Inquiry::reach(found.inquiry(), (area, &job.claims));
            if let Some(answer) = found.answered().again(command, reach)? {
                let (position, version) = (answer.position, answer.version);
                let answer = Answer::again(area, (position, version), job);
                return Ok((answer, Vec::new()));
            }
        }
        if let Command::Inquiry(InquiryCommand::Answer { case: Some(id), .. }) = &job.command {
            let case = self.changes.case(base, *id);
            let theirs = |case: &&Case| job.claims.within(case.grid).is_ok();
            case.filter(theirs)
                .ok_or(Refusal::NoSuchCase { case: *id })?;
        }
        let events = self.decide_other(job, found, (area, now))?;
        let events = events.into_iter().map(|event| (now, event));
        let answer = self.first_answer(area, found.map_or(0, Aggregate::version));
        Ok((answer, events.collect()))
    }

    /// What follows for anything but a case.
    fn decide_other(
        &self,
        job: &Job,
        found: Option<&Aggregate>,
        (area, now): (AreaCode, Timestamp),
    ) -> Result<Vec<Event>, Refusal> {
        let claims = &job.claims;
        match &job.command {
            // It was decided before.
            Command::Case(_) => Ok(Vec::new()),
            Command::Rules(command) => {
                claims.within(area)?;
                let nothing = Rules::default();
                let rules = found.and_then(Aggregate::rules).unwrap_or(&nothing);
                let events = rules.decide(command, claims, now)?;
                Ok(events.into_iter().map(Event::from).collect())
            }
            Command::Roster(command) => {
                let nothing = Roster::default();
                let roster = found.and_then(Aggregate::roster).unwrap_or(&nothing);
                let timetables = self.changes.timetables();
                let events = roster.decide(command, (area, claims), timetables.days()?)?;
                Ok(events.into_iter().map(Event::from).collect())
            }
            Command::Inquiry(command) => {
                let inquiry = found.and_then(Aggregate::inquiry);
                let id = job.aggregate.into();
                let event = Inquiry::decide(inquiry, id, command, (area, claims))?;
                Ok(vec![event.into()])
            }
        }
    }

    fn decide_case(
        &self,
        job: &Job,
        command: &CaseCommand,
        base: Base<'_>,
        now: Timestamp,
    ) -> Result<(Answer, Vec<(Timestamp, Event)>), Refusal> {
        let case = self.changes.case(base, job.case_id());
        let area = case.map_or(job.area, |case| case.grid);
        let other = match command {
            CaseCommand::Step(Step::Merge { into, .. }) => self.changes.case(base, *into),
            _ => None,
        };
        let timetables = self.changes.timetables();
        let policy = match case {
            Some(case) => timetables.of(case.policy)?,
            None => timetables.current()?,
        };
        let decision = decide(
            command,
            &Situation {
                command_id: job.command_id,
                digest: job.digest,
                case_id: job.case_id(),
                case,
                grid: area,
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
                (Answer::again(area, (position, version), job), Vec::new())
            }
            Decision::Events(events) => {
                let decided = |Decided { recorded_at, event }: Decided| (recorded_at, event.into());
                let events = events.into_iter().map(decided).collect();
                (self.first_answer(area, version), events)
            }
        })
    }

    /// The answer as long as no event of the command is added.
    fn first_answer(&self, area: AreaCode, version: u32) -> Answer {
        Answer {
            area,
            position: self.changes.position(),
            version,
            repeated: false,
            leaf: None,
        }
    }

    fn add(
        &mut self,
        job: &Job,
        mut answer: Answer,
        events: Vec<(Timestamp, Event)>,
        base: Base<'_>,
    ) -> Result<Answer, Error> {
        let by = By {
            aggregate: job.aggregate,
            area: answer.area,
            command_id: job.command_id,
            digest: job.digest,
            occurred_at: job.occurred_at,
            actor: job.claims.actor(),
        };
        for (index, event) in (0..).zip(events) {
            (answer.position, answer.version) = self.add_event(&by, index, event, base)?;
        }
        Ok(answer)
    }

    fn add_event(
        &mut self,
        by: &By,
        index: u32,
        (recorded_at, event): (Timestamp, Event),
        base: Base<'_>,
    ) -> Result<(Position, u32), Error> {
        let (head, moved) = self.changes.head(base, by.area);
        let payload = event.encode();
        let header = Header {
            event_id: EventId::in_aggregate(by.aggregate, by.command_id, index),
            aggregate: by.aggregate,
            command_id: by.command_id,
            command_digest: by.digest,
            area: by.area,
            occurred_at: by.occurred_at,
            recorded_at,
            actor: by.actor.clone(),
            event_type: payload.event_type,
            schema_version: payload.schema_version,
            previous: head.hash,
        };
        let bytes = header.encode(&payload.bytes);
        self.events.push(NewEvent {
            area: by.area,
            event_id: header.event_id,
            bytes: bytes.clone(),
            expected: (!moved).then_some(head.position),
        });
        let position = self.changes.next();
        let recorded = Recorded {
            position,
            header,
            event,
        };
        let version = self.changes.add(base, recorded, &bytes)?;
        Ok((position, version))
    }
}

/// Marks the events of a command to a case that are recorded while the time is in doubt.
fn mark_doubt(job: &Job, events: &mut Vec<(Timestamp, Event)>, now: Reading) {
    if let Some(fault) = now.fault
        && matches!(job.command, Command::Case(_))
        && let Some((recorded_at, _)) = events.last()
    {
        let (own, broker) = fault.times();
        let mark = CaseEvent::ClockDiffered(ClockDiffered { own, broker });
        events.push((*recorded_at, mark.into()));
    }
}

/// Whose command events answer, and what it was for.
struct By {
    aggregate: AggregateId,
    area: AreaCode,
    command_id: CommandId,
    digest: [u8; 8],
    occurred_at: Timestamp,
    actor: Actor,
}

impl Answer {
    /// To a command that was answered before. What was sent and not acknowledged is no repetition.
    fn again(area: AreaCode, (position, version): (Position, u32), job: &Job) -> Self {
        Self {
            area,
            position,
            version,
            repeated: !job.sent,
            leaf: None,
        }
    }
}
