//! What a batch of events changes in PostgreSQL's tables, worked out with the code that the views use: each row once.
//!
//! All cases are kept in memory, so that none has to be read back: better than any service that may be stopped
//! could do it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use gridkeeper_liveviews::log::RawEvent;
use gridkeeper_proto::{
    area::AreaCode,
    envelope::EventHash,
    event::{ByAggregate, CaseEvent, Recorded},
    id::CaseId,
    time::{Timestamp, Zone},
    view::{AreaSummary, CaseView, DayRollup},
};

/// The numbers of an [`AreaSummary`], by name.
pub(super) fn summary_names() -> Vec<String> {
    let numbered =
        |name: &'static str, count: usize| (0..count).map(move |at| format!("{name}_{at}"));
    let single = [
        "overdue",
        "supervised",
        "closed_late",
        "satisfied",
        "dissatisfied",
    ];
    std::iter::once("reported".to_owned())
        .chain(numbered("state", 10))
        .chain(numbered("level", 5))
        .chain(numbered("severity", 4))
        .chain(single.map(str::to_owned))
        .collect()
}

fn summary_numbers(of: &AreaSummary) -> Vec<i64> {
    let single = [
        of.overdue,
        of.supervised,
        of.closed_late,
        of.satisfied,
        of.dissatisfied,
    ];
    std::iter::once(&of.reported)
        .chain(&of.by_state)
        .chain(&of.open_by_level)
        .chain(&of.open_by_severity)
        .chain(&single)
        .map(|number| i64::try_from(*number).unwrap())
        .collect()
}

/// The numbers of a [`DayRollup`], by name.
pub(super) const DAY_NAMES: [&str; 15] = [
    "reported",
    "accepted",
    "accepted_in_time",
    "resolved",
    "resolved_in_time",
    "closed",
    "closed_in_time",
    "closed_late",
    "returned",
    "reworked",
    "reopened",
    "satisfied",
    "dissatisfied",
    "escalated",
    "deadlines_missed",
];

pub(super) fn day_numbers(of: &DayRollup) -> [i64; 15] {
    [
        of.reported,
        of.accepted,
        of.accepted_in_time,
        of.resolved,
        of.resolved_in_time,
        of.closed,
        of.closed_in_time,
        of.closed_late,
        of.returned,
        of.reworked,
        of.reopened,
        of.satisfied,
        of.dissatisfied,
        of.escalated,
        of.deadlines_missed,
    ]
    .map(|number| i64::try_from(number).unwrap())
}

/// The rows that a batch changes.
#[derive(Default)]
pub(super) struct Rows {
    /// The last event.
    pub(super) last: i64,
    /// Cases as they are now.
    pub(super) cases: Vec<Arc<CaseView>>,
    /// Cases with another next moment, or none any more.
    pub(super) due: Vec<(Arc<CaseView>, Option<Timestamp>)>,
    /// What is added to the summaries of areas.
    pub(super) summaries: BTreeMap<i64, Vec<i64>>,
    /// What is added to the open and all cases of an area by category.
    pub(super) categories: BTreeMap<(i64, String), [i64; 2]>,
    /// What is added to the days of areas, and of units by their numbers.
    pub(super) days: BTreeMap<(i64, i32), DayRollup>,
    /// Units that come up for the first time.
    pub(super) units: Vec<(i64, String)>,
    /// The hashes of the areas' last events.
    pub(super) heads: BTreeMap<i64, EventHash>,
}

/// Folds events into rows.
pub(super) struct Fold {
    zone: Zone,
    cases: HashMap<CaseId, Arc<CaseView>>,
    heads: HashMap<AreaCode, EventHash>,
    units: HashMap<String, i64>,
}

impl Fold {
    pub(super) fn new(zone: Zone) -> Self {
        Self {
            zone,
            cases: HashMap::new(),
            heads: HashMap::new(),
            units: HashMap::new(),
        }
    }

    /// What the next events change.
    pub(super) fn rows(&mut self, events: &[RawEvent]) -> Rows {
        let (mut rows, mut touched) = (Rows::default(), BTreeMap::new());
        for event in events {
            let recorded = Recorded::decode(event.position, &event.bytes).unwrap();
            let head = self.heads.entry(event.area).or_default();
            assert_eq!(recorded.header.previous, *head);
            *head = EventHash::of(&event.bytes);
            rows.heads.insert(number(event.area), *head);
            rows.last = i64::try_from(event.position.0).unwrap();
            let ByAggregate::Case(recorded) = recorded.by_aggregate() else {
                continue;
            };
            let id = CaseId::from(recorded.header.aggregate);
            let before = self.cases.remove(&id);
            self.count_day(before.as_deref(), &recorded, &mut rows);
            touched.entry(id).or_insert_with(|| before.clone());
            let own = before.map(|view| Box::new(Arc::unwrap_or_clone(view)));
            let now = CaseView::evolve(own, &recorded).unwrap();
            self.cases.insert(id, Arc::from(now));
        }
        for (id, before) in touched {
            let now = &self.cases[&id];
            rows.replace(before.as_deref(), now);
        }
        rows
    }

    fn count_day(
        &mut self,
        before: Option<&CaseView>,
        recorded: &Recorded<CaseEvent>,
        rows: &mut Rows,
    ) {
        let case = before.map(|view| &view.case);
        let day = self.zone.day_of(recorded.header.recorded_at).number();
        let areas = recorded.header.area.and_ancestors().map(number);
        let unit = case.and_then(|case| case.unit_concerned(&recorded.event));
        let unit = unit.map(|unit| {
            let next = i64::try_from(self.units.len()).unwrap() + 1;
            *self.units.entry(unit.to_owned()).or_insert_with(|| {
                rows.units.push((next, unit.to_owned()));
                next
            })
        });
        for scope in areas.chain(unit) {
            rows.days
                .entry((scope, day))
                .or_default()
                .count(case, recorded);
        }
    }
}

impl Rows {
    fn replace(&mut self, before: Option<&CaseView>, now: &Arc<CaseView>) {
        let summary = |view: &CaseView| {
            let mut summary = AreaSummary::default();
            summary.replace(None, view);
            summary
        };
        for (view, sign) in before
            .map(|view| (view, -1))
            .into_iter()
            .chain([(&**now, 1)])
        {
            let counted = summary(view);
            let numbers = summary_numbers(&counted);
            for area in now.case.grid.and_ancestors().map(number) {
                let sums = self
                    .summaries
                    .entry(area)
                    .or_insert_with(|| vec![0; numbers.len()]);
                sums.iter_mut()
                    .zip(&numbers)
                    .for_each(|(sum, number)| *sum += sign * number);
                let category = view.case.category.clone();
                let sums = self.categories.entry((area, category)).or_default();
                sums[0] += sign * i64::from(view.is_open());
                sums[1] += sign;
            }
        }
        if before.and_then(CaseView::next_moment) != now.next_moment() {
            self.due.push((Arc::clone(now), now.next_moment()));
        }
        self.cases.push(Arc::clone(now));
    }
}

/// An area as a number.
pub(super) fn number(area: AreaCode) -> i64 {
    area.as_str().parse().unwrap()
}
