//! Folds events into the views. The same log gives the same views, bit for bit, however it is cut into
//! batches.
//!
//! Between two commits each view is read and written once: events are folded into the cases first, and what
//! a case counts in its areas and has in the indexes is then replaced in one step by what it counts and
//! has at the end. That is the same as replacing it at each event, since areas are sums. Figures of areas,
//! which nearly every batch changes, are kept between commits.

use std::collections::{HashMap, hash_map::Entry};

use foldhash::fast::RandomState;
use gridkeeper_liveviews::{Cache, log::LogEvent};
use gridkeeper_proto::{
    area::AreaCode,
    case::EvolveError,
    duty::Roster,
    envelope::Position,
    event::{ByAggregate, CaseEvent, InquiryEvent, Recorded},
    id::{CaseId, InquiryId},
    inquiry::Inquiry,
    rules::Rules,
    time::{Day, Zone},
    view::{AreaSummary, CaseView, DayRollup, Listed},
};
use gridkeeper_viewstore::{Changes, Projection, ProjectionError, Schema};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error,
    keys::{self, Due, Facets},
};

/// The layout of the views. Raised with every change of [`keys`], of the values, or of the folding.
pub const SCHEMA: Schema = Schema {
    name: "aggregator",
    version: 9,
};

/// How many figures of each kind are kept at most between commits: all of a district with some thousand grids.
const FIGURES: usize = 16_384;

/// The views of a district, as one projector folds into them: between commits it keeps figures of areas.
#[derive(Clone, Debug)]
pub struct Views {
    zone: Zone,
    areas: Areas,
    batch: Option<Batch>,
}

impl Views {
    /// Views whose days are those of the zone.
    #[must_use]
    pub fn new(zone: Zone) -> Self {
        Self {
            zone,
            areas: Areas {
                summaries: Cache::new(),
                days: Cache::new(),
            },
            batch: None,
        }
    }
}

/// What is told of areas.
#[derive(Clone, Debug)]
struct Areas {
    summaries: Cache<AreaCode, AreaSummary>,
    days: Cache<(AreaCode, Day), DayRollup>,
}

impl Areas {
    /// Puts what changed.
    fn write(&mut self, changes: &mut Changes) -> Result<(), Error> {
        self.summaries.write(FIGURES, |area, summary| {
            changes.put_value(keys::summary(area), summary)
        })?;
        self.days
            .write(FIGURES, |(area, day), rollup| match rollup.is_empty() {
                true => Ok(()),
                false => changes.put_value(keys::day(area, day), rollup),
            })?;
        Ok(())
    }
}

impl Projection<LogEvent> for Views {
    fn fold(&mut self, events: &[LogEvent], changes: &mut Changes) -> Result<(), ProjectionError> {
        let batch = self
            .batch
            .get_or_insert_with(|| Batch::after(changes.based_on()));
        for event in events {
            batch
                .fold(event, &self.zone, &mut self.areas, changes)
                .map_err(|error| ProjectionError::new(event.position, error))?;
        }
        Ok(())
    }

    fn write(&mut self, changes: &mut Changes) -> Result<(), ProjectionError> {
        let Some(batch) = self.batch.take() else {
            return Ok(());
        };
        let last = batch.last;
        batch
            .write(&mut self.areas, changes)
            .and_then(|()| self.areas.write(changes))
            .map_err(|error| ProjectionError::new(last, error))
    }

    fn kept(&self) -> usize {
        self.batch.as_ref().map_or(0, |batch| batch.cases.len())
    }
}

/// A case that the batch touches.
#[derive(Clone, Debug)]
struct Touched {
    /// As it was before the batch; none when the batch reports it.
    before: Option<Box<CaseView>>,
    /// After the batch's latest event of it; none until that is folded.
    now: Option<Box<CaseView>>,
}

/// What a batch has folded so far.
#[derive(Clone, Debug, Default)]
struct Batch {
    last: Position,
    cases: HashMap<CaseId, Touched, RandomState>,
    /// What is about the work of units, by unit and day.
    units: HashMap<(String, Day), DayRollup>,
    rules: Option<Rules>,
    rosters: HashMap<AreaCode, Roster>,
    /// Inquiries before the batch and now.
    inquiries: HashMap<InquiryId, (Option<Inquiry>, Inquiry)>,
}

impl Batch {
    fn after(last: Position) -> Self {
        Self {
            last,
            ..Self::default()
        }
    }

    fn fold(
        &mut self,
        event: &LogEvent,
        zone: &Zone,
        areas: &mut Areas,
        changes: &Changes,
    ) -> Result<(), Error> {
        let recorded = event.recorded.as_ref().map_err(Clone::clone)?;
        self.last = event.position;
        match recorded {
            ByAggregate::Case(recorded) => self.fold_case(recorded, zone, areas, changes),
            ByAggregate::Rules(recorded) => {
                let rules = match &mut self.rules {
                    Some(rules) => rules,
                    none => none.insert(stored(changes, &keys::rules())?),
                };
                rules.evolve(recorded);
                Ok(())
            }
            ByAggregate::Roster(recorded) => {
                let roster = match self.rosters.entry(recorded.header.area) {
                    Entry::Occupied(roster) => roster.into_mut(),
                    Entry::Vacant(free) => {
                        let roster = stored(changes, &keys::roster(*free.key()))?;
                        free.insert(roster)
                    }
                };
                roster.evolve(recorded);
                Ok(())
            }
            ByAggregate::Inquiry(recorded) => self.fold_inquiry(recorded, changes),
            // What the log says of itself is shown by the log.
            ByAggregate::Integrity(_) => Ok(()),
        }
    }

    fn fold_inquiry(
        &mut self,
        recorded: &Recorded<InquiryEvent>,
        changes: &Changes,
    ) -> Result<(), Error> {
        let id = recorded.header.aggregate.into();
        let (before, now) = match self.inquiries.remove(&id) {
            Some((before, now)) => (before, Some(now)),
            None => {
                let stored: Option<Inquiry> = changes.value(&keys::inquiry(id))?;
                (stored.clone(), stored)
            }
        };
        let foreign = EvolveError::Foreign {
            position: recorded.position,
            aggregate: recorded.header.aggregate,
        };
        let now = Inquiry::evolve(now.as_ref(), recorded).ok_or(foreign)?;
        self.inquiries.insert(id, (before, now));
        Ok(())
    }

    fn fold_case(
        &mut self,
        recorded: &Recorded<CaseEvent>,
        zone: &Zone,
        areas: &mut Areas,
        changes: &Changes,
    ) -> Result<(), Error> {
        let id = recorded.header.aggregate.into();
        let touched = match self.cases.entry(id) {
            Entry::Occupied(touched) => touched.into_mut(),
            Entry::Vacant(free) => free.insert(Touched {
                before: changes.value(&keys::case(id))?.map(Box::new),
                now: None,
            }),
        };
        let own = touched.now.take().or_else(|| touched.before.clone());
        let found = own.as_deref();
        let day = zone.day_of(recorded.header.recorded_at);
        for area in recorded.header.area.and_ancestors() {
            let rollup = areas
                .days
                .change((area, day), || stored(changes, &keys::day(area, day)))?;
            rollup.count(found.map(|view| &view.case), recorded);
        }
        if let Some(unit) = found.and_then(|view| view.case.unit_concerned(&recorded.event)) {
            let rollup = match self.units.entry((unit.to_owned(), day)) {
                Entry::Occupied(rollup) => rollup.into_mut(),
                Entry::Vacant(free) => {
                    let (unit, day) = free.key();
                    let rollup = stored(changes, &keys::unit_day(unit, *day))?;
                    free.insert(rollup)
                }
            };
            rollup.count(found.map(|view| &view.case), recorded);
        }
        touched.now = Some(CaseView::evolve(own, recorded)?);
        Ok(())
    }

    /// Puts everything that the batch changed but the figures of areas. The order of the maps does not matter: every
    /// key is put once, and sums do not depend on the order of what is added.
    fn write(self, areas: &mut Areas, changes: &mut Changes) -> Result<(), Error> {
        for (id, touched) in &self.cases {
            let Some(now) = &touched.now else { continue };
            let before = touched.before.as_deref();
            for area in now.case.grid.and_ancestors() {
                let summary = areas
                    .summaries
                    .change(area, || stored(changes, &keys::summary(area)))?;
                summary.replace(before, now);
            }
            write_indexes(before, now, changes)?;
            changes.put_value(keys::case(*id), now)?;
        }
        for ((unit, day), rollup) in &self.units {
            if !rollup.is_empty() {
                changes.put_value(keys::unit_day(unit, *day), rollup)?;
            }
        }
        for (area, roster) in &self.rosters {
            changes.put_value(keys::roster(*area), roster)?;
        }
        for (before, now) in self.inquiries.values() {
            let owned = |inquiry: &Inquiry| {
                let open = inquiry.is_open();
                open.then(|| (keys::owned(&inquiry.owner, inquiry.id), inquiry.area))
            };
            replace(before.as_ref().and_then(owned), owned(now), changes)?;
            changes.put_value(keys::inquiry(now.id), now)?;
        }
        if let Some(rules) = &self.rules {
            changes.put_value(keys::rules(), rules)?;
        }
        Ok(())
    }
}

/// What the views hold under a key, or what they begin with there.
fn stored<T: DeserializeOwned + Default>(changes: &Changes, key: &[u8]) -> Result<T, Error> {
    Ok(changes.value(key)?.unwrap_or_default())
}

/// The event lies under its own area's subject and names the hash of the one before it there.
fn write_indexes(
    before: Option<&CaseView>,
    now: &CaseView,
    changes: &mut Changes,
) -> Result<(), Error> {
    if before.map(|view| Listed::of(&view.case)) != Some(Listed::of(&now.case)) {
        let key = keys::listed(now.case.grid, now.case.id);
        changes.put_value(key, &Facets::of(now))?;
    }
    replace(before.and_then(due), due(now), changes)
}

/// Puts an index entry instead of another one.
fn replace<T: Serialize + PartialEq>(
    before: Option<(Vec<u8>, T)>,
    now: Option<(Vec<u8>, T)>,
    changes: &mut Changes,
) -> Result<(), Error> {
    if before == now {
        return Ok(());
    }
    if let Some((key, _)) = before {
        changes.remove(key)?;
    }
    if let Some((key, value)) = now {
        changes.put_value(key, &value)?;
    }
    Ok(())
}

fn due(view: &CaseView) -> Option<(Vec<u8>, Due)> {
    let (grid, level) = (view.case.grid, view.case.holder.level);
    let moment = view.next_moment()?;
    Some((keys::due(moment, view.case.id), Due { grid, level }))
}
