//! The views as a plain fold in memory, written without any of the aggregator's code: cases in a map,
//! everything else counted anew from them at the end. Keys are put together here by hand, after the
//! table in `keys.rs`.

use std::collections::{BTreeMap, HashMap};

use gridkeeper_liveviews::{Progress, log::RawEvent};
use gridkeeper_proto::{
    area::AreaCode,
    chain::AreaHead,
    duty::Roster,
    envelope::EventHash,
    event::{ByAggregate, CaseEvent, Recorded},
    id::{CaseId, InquiryId},
    inquiry::Inquiry,
    rules::Rules,
    time::{Day, Zone},
    tree::TreeHash,
    view::{AreaSummary, CaseView, DayRollup},
};
use serde::Serialize;

pub(crate) type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Default)]
pub(crate) struct Plain {
    pub(crate) cases: HashMap<CaseId, CaseView>,
    pub(crate) days: HashMap<(AreaCode, Day), DayRollup>,
    heads: HashMap<AreaCode, AreaHead>,
    progress: Progress,
    rules: Rules,
    rosters: HashMap<AreaCode, Roster>,
    inquiries: HashMap<InquiryId, Inquiry>,
    units: HashMap<(String, Day), DayRollup>,
}

impl Plain {
    pub(crate) fn of(log: &[RawEvent], zone: &Zone) -> Self {
        let mut plain = Self::default();
        for raw in log {
            let head = AreaHead {
                position: raw.position,
                hash: EventHash::of(&raw.bytes),
            };
            plain.heads.insert(raw.area, head);
            plain.progress.leaf = TreeHash::of_leaf(&raw.bytes);
            plain.progress.frontier.append(plain.progress.leaf);
            let recorded = Recorded::decode(raw.position, &raw.bytes).unwrap();
            match recorded.by_aggregate() {
                ByAggregate::Case(recorded) => plain.fold(&recorded, zone),
                ByAggregate::Rules(recorded) => plain.rules.evolve(&recorded),
                ByAggregate::Roster(recorded) => {
                    let area = recorded.header.area;
                    plain.rosters.entry(area).or_default().evolve(&recorded);
                }
                ByAggregate::Inquiry(recorded) => {
                    let id = recorded.header.aggregate.into();
                    let before = plain.inquiries.get(&id);
                    let inquiry = Inquiry::evolve(before, &recorded).unwrap();
                    plain.inquiries.insert(id, inquiry);
                }
                ByAggregate::Integrity(_) => {}
            }
        }
        plain.days.retain(|_, rollup| !rollup.is_empty());
        plain
    }

    fn fold(&mut self, recorded: &Recorded<CaseEvent>, zone: &Zone) {
        let id = recorded.header.aggregate.into();
        let before = self.cases.get(&id);
        let day = zone.day_of(recorded.header.recorded_at);
        for area in recorded.header.area.and_ancestors() {
            let rollup = self.days.entry((area, day)).or_default();
            rollup.count(before.map(|view| &view.case), recorded);
        }
        let ends = matches!(
            recorded.event.name(),
            "verified" | "rework_ordered" | "closed" | "reopened" | "rated"
        );
        let unit = before.and_then(|view| match ends {
            true => view.case.resolved_by_unit.clone(),
            false => view.case.holder.unit.clone(),
        });
        if let Some(unit) = unit {
            let rollup = self.units.entry((unit, day)).or_default();
            rollup.count(before.map(|view| &view.case), recorded);
        }
        let after = CaseView::evolve(before.cloned().map(Box::new), recorded).unwrap();
        self.cases.insert(id, *after);
    }

    pub(crate) fn summaries(&self) -> HashMap<AreaCode, AreaSummary> {
        let mut summaries: HashMap<AreaCode, AreaSummary> = HashMap::new();
        for view in self.cases.values() {
            for area in view.case.grid.and_ancestors() {
                summaries.entry(area).or_default().replace(None, view);
            }
        }
        summaries
    }

    /// All keys and values that a store of these views has to hold.
    pub(crate) fn entries(&self) -> Entries {
        let mut entries = Entries::new();
        for (area, summary) in self.summaries() {
            entries.insert(join(2, &[&padded(area)]), value(&summary));
        }
        for ((area, day), rollup) in &self.days {
            let number = biased(day.number());
            entries.insert(join(3, &[&padded(*area), &number]), value(rollup));
        }
        for (area, head) in &self.heads {
            entries.insert(join(0xf0, &[area.as_str().as_bytes()]), value(head));
        }
        entries.insert(vec![0xf1], value(&self.progress));
        for ((unit, day), rollup) in &self.units {
            if !rollup.is_empty() {
                let key = join(11, &[&named(unit), &biased(day.number())]);
                entries.insert(key, value(rollup));
            }
        }
        for (area, roster) in &self.rosters {
            entries.insert(join(8, &[&padded(*area)]), value(roster));
        }
        for (id, inquiry) in &self.inquiries {
            entries.insert(join(9, &[id.as_bytes()]), value(inquiry));
            if inquiry.answered_at.is_none() {
                let key = join(10, &[&named(&inquiry.owner), id.as_bytes()]);
                entries.insert(key, value(&inquiry.area));
            }
        }
        if self.rules != Rules::default() {
            entries.insert(vec![7], value(&self.rules));
        }
        for (id, view) in &self.cases {
            entries.insert(join(1, &[id.as_bytes()]), value(view));
            index(id, view, &mut entries);
        }
        entries
    }
}

fn index(id: &CaseId, view: &CaseView, entries: &mut Entries) {
    let case = &view.case;
    let (id, grid) = (id.as_bytes(), padded(case.grid));
    let facets = (
        case.state,
        case.holder.level,
        case.overdue,
        &case.category,
        &case.holder.unit,
        &case.holder.person,
        case.holder.area,
        case.policy,
    );
    entries.insert(join(4, &[&grid, id]), value(&facets));
    if !case.state.is_open() {
        return;
    }
    let moment = view.next_moment().unwrap().millis();
    let moment = (u64::try_from(moment).unwrap() + (1 << 63)).to_be_bytes();
    let due = (case.grid, case.holder.level);
    entries.insert(join(5, &[&moment, id]), value(&due));
}

fn named(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap() + 1;
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

fn join(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&[kind], parts.concat().as_slice()].concat()
}

fn padded(area: AreaCode) -> Vec<u8> {
    let mut digits = area.to_string().into_bytes();
    digits.resize(15, 0);
    digits
}

fn biased(number: i32) -> [u8; 4] {
    u32::try_from(i64::from(number) + (1 << 31))
        .unwrap()
        .to_be_bytes()
}

/// The store's typed values: format byte 1, then postcard.
fn value<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![1]).unwrap()
}
