//! Which case needs a step at which moment: a projection of the log.
//!
//! | prefix | key after it | value |
//! |---|---|---|
//! | 1 | case (16) | [`Case`] |
//! | 2 | moment (8, sign bit turned), case (16) | [`Timer`] |

use std::{collections::HashMap, ops::Bound};

use gridkeeper_liveviews::log::RawEvent;
use gridkeeper_proto::{
    case::Case,
    command::Step,
    event::Recorded,
    id::{CaseId, CommandId},
    time::Timestamp,
};
use gridkeeper_viewstore::{Changes, Projection, ProjectionError, Reader, Schema};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The layout of the timers. Raised with every change of keys, values or folding.
pub const SCHEMA: Schema = Schema {
    name: "escalator",
    version: 3,
};

const CASE: u8 = 1;
const TIMER: u8 = 2;

/// The step that a case needs at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Timer {
    /// Its due time passes.
    MissDeadline,
    /// Its suspension ends.
    Resume {
        /// The version of the case that is suspended until then. A resumption names no moment, so that
        /// without it one that comes too late would end a suspension that was begun in between.
        version: u32,
    },
}

/// A step that is due. Ordered by the moment, then by the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// The moment.
    pub at: Timestamp,
    /// The case.
    pub case: CaseId,
    /// The step.
    pub timer: Timer,
}

impl Due {
    /// The step as a command.
    #[must_use]
    pub fn step(&self) -> Step {
        match self.timer {
            Timer::MissDeadline => Step::MissDeadline { due_at: self.at },
            Timer::Resume { .. } => Step::Resume {
                note: String::new(),
            },
        }
    }

    /// The version that the case has to have for the step; none where the step itself says what it is for.
    #[must_use]
    pub fn if_version(&self) -> Option<u32> {
        match self.timer {
            Timer::MissDeadline => None,
            Timer::Resume { version } => Some(version),
        }
    }

    /// The id of that command: the same for the same step of the same case, whoever sends it and when.
    #[must_use]
    pub fn command_id(&self) -> CommandId {
        let purpose = match self.timer {
            Timer::MissDeadline => "miss_deadline",
            Timer::Resume { .. } => "resume",
        };
        CommandId::derived(self.case, purpose, self.at.millis())
    }
}

/// The step that a case needs next; none for a case at its end, and for one found overdue at the top of
/// the ladder.
#[must_use]
pub fn timer_of(case: &Case) -> Option<Due> {
    let due = |at, timer| {
        Some(Due {
            at,
            case: case.id,
            timer,
        })
    };
    match &case.suspension {
        Some(suspension) => {
            let version = case.version;
            due(suspension.until, Timer::Resume { version })
        }
        None if case.state.is_open() && !case.overdue => due(case.due_at, Timer::MissDeadline),
        None => None,
    }
}

/// The timers of a district. Keeps nothing between batches.
#[derive(Clone, Copy, Debug)]
pub struct Timers;

impl Projection<RawEvent> for Timers {
    fn apply(&mut self, events: &[RawEvent], changes: &mut Changes) -> Result<(), ProjectionError> {
        let mut cases: HashMap<CaseId, (Option<Due>, Case)> = HashMap::new();
        for event in events {
            fold(event, &mut cases, changes)
                .map_err(|error| ProjectionError::new(event.position, error))?;
        }
        let Some(last) = events.last() else {
            return Ok(());
        };
        for (before, case) in cases.values() {
            write(*before, case, changes)
                .map_err(|error| ProjectionError::new(last.position, error))?;
        }
        Ok(())
    }
}

fn fold(
    event: &RawEvent,
    cases: &mut HashMap<CaseId, (Option<Due>, Case)>,
    changes: &Changes,
) -> Result<(), Error> {
    let recorded = &Recorded::decode(event.position, &event.bytes)?;
    let id = recorded.header.case_id;
    match cases.get_mut(&id) {
        Some((_, case)) => *case = Case::evolve(Some(case), recorded)?,
        None => {
            let found: Option<Case> = changes.value(&case_key(id))?;
            let before = found.as_ref().and_then(timer_of);
            let case = Case::evolve(found.as_ref(), recorded)?;
            cases.insert(id, (before, case));
        }
    }
    Ok(())
}

fn write(before: Option<Due>, case: &Case, changes: &mut Changes) -> Result<(), Error> {
    let now = timer_of(case);
    if before != now {
        if let Some(before) = before {
            changes.remove(timer_key(before))?;
        }
        if let Some(now) = now {
            changes.put_value(timer_key(now), &now.timer)?;
        }
    }
    changes.put_value(case_key(case.id), case)?;
    Ok(())
}

/// Steps whose moment is not after `now`, the earliest first, at most so many.
///
/// # Errors
/// The store cannot be read.
pub fn due(reader: &Reader<'_>, now: Timestamp, most: usize) -> Result<Vec<Due>, Error> {
    let (start, end) = (vec![TIMER], moment_key(now.plus_millis(1)));
    let range = (
        Bound::Included(start.as_slice()),
        Bound::Excluded(end.as_slice()),
    );
    reader
        .range(range)
        .values::<Timer>()
        .take(most)
        .map(|entry| {
            let (key, timer) = entry?;
            parse(&key, timer).ok_or(Error::Index { key })
        })
        .collect()
}

fn case_key(case: CaseId) -> Vec<u8> {
    let mut key = vec![CASE];
    key.extend_from_slice(case.as_bytes());
    key
}

fn timer_key(due: Due) -> Vec<u8> {
    let mut key = moment_key(due.at);
    key.extend_from_slice(due.case.as_bytes());
    key
}

/// Before every timer of this moment and after every earlier one.
fn moment_key(at: Timestamp) -> Vec<u8> {
    let mut key = vec![TIMER];
    key.extend_from_slice(&(at.millis().cast_unsigned() ^ (1 << 63)).to_be_bytes());
    key
}

fn parse(key: &[u8], timer: Timer) -> Option<Due> {
    let (moment, case) = key.get(1..)?.split_first_chunk::<8>()?;
    let millis = (u64::from_be_bytes(*moment) ^ (1 << 63)).cast_signed();
    Some(Due {
        at: Timestamp::from_millis(millis).ok()?,
        case: CaseId::from_bytes(case.try_into().ok()?),
        timer,
    })
}
