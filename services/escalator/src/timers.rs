//! Which case needs a step at which moment: a projection of the log.
//!
//! | prefix | key after it | value |
//! |---|---|---|
//! | 1 | case (16) | [`Case`] |
//! | 2 | moment (8, sign bit turned), case (16) | [`Moment`] |
//! | 3 | | [`Rules`] |
//! | 4 | case (16) | nothing: its moment lies beyond the calendar, and is told when that goes on |

use std::{collections::HashMap, ops::Bound};

use gridkeeper_liveviews::log::LogEvent;
use gridkeeper_proto::{
    case::{Case, Moment},
    command::Step,
    event::{ByAggregate, CaseEvent, Recorded},
    id::{CaseId, CommandId},
    rules::{Rules, RulesError, Timetables},
    time::Timestamp,
};
use gridkeeper_viewstore::{Changes, Projection, ProjectionError, Reader, Schema};

use crate::Error;

/// The layout of the timers. Raised with every change of keys, values or folding.
pub const SCHEMA: Schema = Schema {
    name: "escalator",
    version: 6,
};

const CASE: u8 = 1;
const TIMER: u8 = 2;
const RULES: u8 = 3;
const BEYOND: u8 = 4;

const ID_WIDTH: usize = 16;

/// A moment of a case that has to be told to intake. Ordered by the moment, then by the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// The case.
    pub case: CaseId,
    /// What happens then.
    pub moment: Moment,
}

impl Due {
    /// The step as a command.
    #[must_use]
    pub fn step(&self) -> Step {
        Step::PassMoment { at: self.at }
    }

    /// The id of that command: the same for the same moment of the same case, whoever sends it and when.
    #[must_use]
    pub fn command_id(&self) -> CommandId {
        CommandId::derived(self.case, "pass_moment", self.at.millis())
    }
}

/// The timers of a district. What it keeps between batches follows from what is stored.
#[derive(Clone, Debug, Default)]
pub struct Timers {
    /// The rules at work, and the version of the rules that they are of.
    at_work: Option<(u32, Timetables)>,
}

impl Projection<LogEvent> for Timers {
    fn fold(&mut self, events: &[LogEvent], changes: &mut Changes) -> Result<(), ProjectionError> {
        let Some(last) = events.last() else {
            return Ok(());
        };
        let failed = |error| ProjectionError::new(last.position, error);
        let rules: Rules = changes
            .value(&[RULES])
            .map_err(Error::from)
            .map_err(failed)?
            .unwrap_or_default();
        let mut batch = Batch {
            rules,
            new_rules: false,
            cases: HashMap::new(),
        };
        for event in events {
            batch
                .fold(event, changes)
                .map_err(|error| ProjectionError::new(event.position, error))?;
        }
        batch.write(self, changes).map_err(failed)
    }
}

/// What a batch has folded so far.
struct Batch {
    rules: Rules,
    new_rules: bool,
    /// The cases that it touches, and where they stand in the index before it.
    cases: HashMap<CaseId, (Option<Placed>, Case)>,
}

/// A case's place in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placed {
    At(Due),
    Beyond,
}

impl Batch {
    fn fold(&mut self, event: &LogEvent, changes: &Changes) -> Result<(), Error> {
        match event.recorded.as_ref().map_err(Clone::clone)? {
            ByAggregate::Case(recorded) => self.fold_case(recorded, changes),
            ByAggregate::Rules(recorded) => {
                self.rules.evolve(recorded);
                self.new_rules = true;
                Ok(())
            }
            // Nothing happens to them by itself.
            ByAggregate::Roster(_) | ByAggregate::Inquiry(_) | ByAggregate::Integrity(_) => Ok(()),
        }
    }

    fn fold_case(
        &mut self,
        recorded: &Recorded<CaseEvent>,
        changes: &Changes,
    ) -> Result<(), Error> {
        let id: CaseId = recorded.header.aggregate.into();
        let (before, case) = match self.cases.remove(&id) {
            Some((before, case)) => (before, Some(case)),
            None => match changes.value(&case_key(id))? {
                Some(Stored(case, place)) => (Stored::placed(&place, id), Some(case)),
                None => (None, None),
            },
        };
        self.cases
            .insert(id, (before, Case::evolve(case, recorded)?));
        Ok(())
    }

    fn write(mut self, timers: &mut Timers, changes: &mut Changes) -> Result<(), Error> {
        if self.new_rules {
            changes.put_value([RULES], &self.rules)?;
            self.take_in_all(changes)?;
        }
        let timetables = timers.at_work(&self.rules)?;
        for (id, (before, case)) in &self.cases {
            let now = placed(case, timetables)?;
            if *before != now {
                if let Some(before) = before {
                    changes.remove(before.key(*id))?;
                }
                match now {
                    Some(Placed::At(due)) => changes.put_value(timer_key(due), &due.moment)?,
                    Some(Placed::Beyond) => changes.put_value(beyond_key(*id), &())?,
                    None => {}
                }
            }
            let at = now.map(Placed::moment);
            changes.put_value(case_key(*id), &(case, at))?;
        }
        Ok(())
    }

    /// Another calendar may tell other moments: all cases that wait are looked at again.
    fn take_in_all(&mut self, changes: &Changes) -> Result<(), Error> {
        for prefix in [TIMER, BEYOND] {
            for entry in changes.prefix(&[prefix], None) {
                let key = entry?.key;
                let id = key.last_chunk().filter(|_| key.len() > ID_WIDTH);
                let stored = match id {
                    Some(id) => changes.value(&case_key(CaseId::from_bytes(*id)))?,
                    None => None,
                };
                let Some(Stored(case, place)) = stored else {
                    return Err(Error::Index { key });
                };
                let before = Stored::placed(&place, case.id);
                self.cases.entry(case.id).or_insert((before, case));
            }
        }
        Ok(())
    }
}

/// A case and its place in the index: the moment, or none for one beyond the calendar.
#[derive(serde::Serialize, serde::Deserialize)]
struct Stored(Case, Place);

/// None for a case that is nowhere in the index, and none within for one beyond the calendar.
type Place = Option<Option<(Timestamp, Moment)>>;

impl Stored {
    fn placed(place: &Place, case: CaseId) -> Option<Placed> {
        place.map(|place| match place {
            Some((at, moment)) => Placed::At(Due { at, case, moment }),
            None => Placed::Beyond,
        })
    }
}

impl Placed {
    fn key(self, case: CaseId) -> Vec<u8> {
        match self {
            Self::At(due) => timer_key(due),
            Self::Beyond => beyond_key(case),
        }
    }

    fn moment(self) -> Option<(Timestamp, Moment)> {
        match self {
            Self::At(due) => Some((due.at, due.moment)),
            Self::Beyond => None,
        }
    }
}

/// Where a case belongs in the index: nowhere when it is at its end.
fn placed(case: &Case, timetables: &Timetables) -> Result<Option<Placed>, Error> {
    if !case.state.is_open() {
        return Ok(None);
    }
    let timetable = match timetables.of(case.policy) {
        // The event that adopted it was given up as lost: it is adopted again.
        Err(RulesError::UnknownPolicy { .. }) => return Ok(Some(Placed::Beyond)),
        timetable => timetable?,
    };
    Ok(match case.next_moment(timetable) {
        Ok(next) => next.map(|next| {
            Placed::At(Due {
                at: next.at,
                case: case.id,
                moment: next.moment,
            })
        }),
        Err(_) => Some(Placed::Beyond),
    })
}

impl Timers {
    fn at_work(&mut self, rules: &Rules) -> Result<&Timetables, RulesError> {
        let current = self.at_work.take();
        let current = current.filter(|(version, _)| *version == rules.version);
        let current = match current {
            Some(current) => current,
            None => (rules.version, rules.timetables()?),
        };
        Ok(&self.at_work.insert(current).1)
    }
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
        .values::<Moment>()
        .take(most)
        .map(|entry| {
            let (key, moment) = entry?;
            parse(&key, moment).ok_or(Error::Index { key })
        })
        .collect()
}

/// How many cases have a moment beyond the calendar.
///
/// # Errors
/// The store cannot be read.
pub fn beyond(reader: &Reader<'_>) -> Result<usize, Error> {
    let mut count = 0;
    for entry in reader.prefix(&[BEYOND], None) {
        entry?;
        count += 1;
    }
    Ok(count)
}

fn case_key(case: CaseId) -> Vec<u8> {
    id_key(CASE, case)
}

fn beyond_key(case: CaseId) -> Vec<u8> {
    id_key(BEYOND, case)
}

fn id_key(prefix: u8, case: CaseId) -> Vec<u8> {
    let mut key = vec![prefix];
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

fn parse(key: &[u8], moment: Moment) -> Option<Due> {
    let (at, case) = key.get(1..)?.split_first_chunk::<8>()?;
    let millis = (u64::from_be_bytes(*at) ^ (1 << 63)).cast_signed();
    Some(Due {
        at: Timestamp::from_millis(millis).ok()?,
        case: CaseId::from_bytes(case.try_into().ok()?),
        moment,
    })
}
