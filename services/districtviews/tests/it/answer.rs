//! Answers equal what a look over all cases gives, however they are paged.

use gridkeeper_districtviews::{
    answer::{answer, encode},
    projection::{SCHEMA, Views},
};
use gridkeeper_proto::{
    area::{AreaCode, Level},
    case::CaseState,
    code::Coded as _,
    id::CaseId,
    time::{Day, Zone},
    view::{
        CaseFilter, CasePage, CaseView, DueCase, EscalationFilter, Served, ViewAnswer, ViewError,
        ViewQuestion,
    },
};
use gridkeeper_viewstore::{Options, Projector, ViewStore};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use crate::{
    history::{GRIDS, History, area, attempts, case_id, district},
    plain::Plain,
};

/// What the broker takes by default.
const MAX_BYTES: usize = 1 << 20;

struct Filled {
    store: ViewStore,
    plain: Plain,
    _folder: tempfile::TempDir,
}

fn filled() -> Filled {
    let zone = Zone::named("Asia/Shanghai").unwrap();
    let mut runner = TestRunner::deterministic();
    let attempts = attempts(1_500).new_tree(&mut runner).unwrap().current();
    let log = History::of(&attempts).log();
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = ViewStore::open(folder.path(), SCHEMA, Options::default()).unwrap();
    Projector::new(store.generation(), Views::new(zone.clone()))
        .apply(&gridkeeper_liveviews::log::decoded(&log))
        .unwrap();
    Filled {
        store,
        plain: Plain::of(&log, &zone),
        _folder: folder,
    }
}

fn any_case(area: AreaCode) -> CaseFilter {
    CaseFilter {
        area,
        state: None,
        level: None,
        overdue: None,
        category: None,
        unit: None,
        person: None,
        served: None,
        after: None,
        limit: 1_000,
    }
}

impl Filled {
    fn ask(&self, question: &ViewQuestion) -> ViewAnswer {
        let reply = answer(&self.store, question, MAX_BYTES);
        assert_eq!(reply.position, self.store.position());
        reply.answer.unwrap()
    }

    fn page(&self, question: &ViewQuestion) -> CasePage {
        match self.ask(question) {
            ViewAnswer::Cases(page) => page,
            other => panic!("{other:?}"),
        }
    }

    /// All pages of a filter, of so many cases each.
    fn cases(&self, filter: &CaseFilter, limit: u32) -> Vec<CaseView> {
        let mut filter = CaseFilter {
            limit,
            ..filter.clone()
        };
        let mut all: Vec<CaseView> = Vec::new();
        loop {
            let page = self.page(&ViewQuestion::Cases(filter.clone()));
            assert!(page.cases.len() <= limit as usize);
            all.extend(page.cases);
            if !page.more {
                return all;
            }
            let last = all.last().unwrap();
            filter.after = Some((last.case.grid, last.case.id));
        }
    }

    /// The cases that hold, in the order of grid and id, from the plain fold.
    fn expected(&self, holds: impl Fn(&CaseView) -> bool) -> Vec<CaseView> {
        let mut cases: Vec<_> = self.plain.cases.values().cloned().collect();
        cases.retain(holds);
        cases.sort_by_key(|view| (view.case.grid, view.case.id));
        cases
    }
}

#[test]
fn each_filter_gives_the_cases_it_names_in_pages_of_any_length() {
    let filled = filled();
    let street = area("510402002");
    let all = filled.expected(|_| true);
    assert!(all.len() > 30);
    type Holds = Box<dyn Fn(&CaseView) -> bool>;
    let mut filters: Vec<(CaseFilter, Holds)> = Vec::new();
    for area in [district(), street, area(GRIDS[0]), area(GRIDS[1])] {
        let holds = move |view: &CaseView| area.contains(&view.case.grid);
        filters.push((any_case(area), Box::new(holds)));
    }
    for state in CaseState::ALL {
        let mut filter = any_case(district());
        filter.state = Some(state);
        filters.push((filter, Box::new(move |view| view.case.state == state)));
    }
    for level in Level::ALL {
        let mut filter = any_case(district());
        filter.level = Some(level);
        filters.push((
            filter,
            Box::new(move |view| view.case.holder.level == level),
        ));
    }
    for overdue in [false, true] {
        let mut filter = any_case(district());
        filter.overdue = Some(overdue);
        filters.push((filter, Box::new(move |view| view.case.overdue == overdue)));
    }
    let mut filter = any_case(district());
    filter.person = Some("person".into());
    filters.push((
        filter,
        Box::new(|view| view.case.holder.person.as_deref() == Some("person")),
    ));
    let community = area("510402002005");
    let mut filter = any_case(district());
    filter.served = Some(Served {
        area: community,
        persons: vec!["person".into(), "nobody".into()],
        posts: vec!["unit".into()],
        policies: vec![1],
    });
    filters.push((
        filter,
        Box::new(move |view| {
            let holder = &view.case.holder;
            let person = holder.person.as_deref().is_none_or(|it| it == "person");
            let unit =
                holder.person.is_some() || holder.unit.as_deref().is_none_or(|it| it == "unit");
            holder.area == community && view.is_open() && person && unit
        }),
    ));
    let mut filter = any_case(district());
    filter.unit = Some("unit".into());
    filters.push((
        filter,
        Box::new(|view| view.case.holder.unit.as_deref() == Some("unit")),
    ));
    let mut some = 0;
    for (filter, holds) in filters {
        let expected = filled.expected(holds);
        some += usize::from(!expected.is_empty() && expected.len() < all.len());
        for limit in [1, 2, 7, 1_000] {
            assert_eq!(filled.cases(&filter, limit), expected, "{filter:?} {limit}");
        }
    }
    assert!(some > 8, "most filters tell cases apart");
}

#[test]
fn a_category_stands_for_those_below_it_and_not_for_longer_words() {
    let filled = filled();
    let count = |category: &str| {
        let mut filter = any_case(district());
        filter.category = Some(category.into());
        filled.cases(&filter, 1_000).len()
    };
    let exact = |wanted: &str| {
        let cases = filled.expected(|view| view.case.category == wanted);
        cases.len()
    };
    let family = exact("dispute.family") + exact("dispute.family.divorce");
    assert!(exact("dispute.family") > 0 && exact("dispute.family.divorce") > 0 && exact("12") > 0);
    assert_eq!(count("dispute.family"), family);
    assert_eq!(count("dispute"), family + exact("dispute"));
    assert_eq!(
        count("dispute.family.divorce"),
        exact("dispute.family.divorce")
    );
    assert_eq!(count("12"), exact("12"));
    assert_eq!((count("dispute.fam"), count("1"), count("")), (0, 0, 0));
}

#[test]
fn open_cases_come_in_the_order_of_their_next_moment() {
    let filled = filled();
    let moment = |view: &CaseView| (view.next_moment().unwrap(), view.case.id);
    let mut open = filled.expected(CaseView::is_open);
    open.sort_by_key(moment);
    let middle = moment(&open[open.len() / 2]).0;
    let community = area("510402002005");
    for (area, level, due_before) in [
        (district(), None, None),
        (district(), None, Some(middle)),
        (community, None, None),
        (district(), Some(Level::District), None),
    ] {
        let expected: Vec<_> = open
            .iter()
            .filter(|view| area.contains(&view.case.grid))
            .filter(|view| level.is_none_or(|level| view.case.holder.level == level))
            .filter(|view| due_before.is_none_or(|before| moment(view).0 < before))
            .cloned()
            .collect();
        for limit in [1, 3, 1_000] {
            let mut filter = EscalationFilter {
                area,
                level,
                due_before,
                after: None,
                limit,
            };
            let mut all = Vec::new();
            loop {
                let page = filled.page(&ViewQuestion::Escalations(filter.clone()));
                all.extend(page.cases);
                if !page.more {
                    break;
                }
                let (due_at, case): (_, CaseId) = moment(all.last().unwrap());
                filter.after = Some(DueCase { due_at, case });
            }
            assert_eq!(all, expected, "{filter:?}");
        }
    }
}

#[test]
fn cases_summaries_and_days_are_those_of_the_plain_fold() {
    let filled = filled();
    let known = filled.expected(|_| true).remove(0);
    let found = filled.ask(&ViewQuestion::Case(known.case.id));
    assert_eq!(found, ViewAnswer::Case(Some(Box::new(known))));
    let unknown = filled.ask(&ViewQuestion::Case(case_id(255)));
    assert_eq!(unknown, ViewAnswer::Case(None));

    let nowhere = area("510402009");
    let summaries = filled.plain.summaries();
    let asked = vec![nowhere, district(), area(GRIDS[3])];
    let expected = asked.iter().map(|area| {
        let summary = summaries.get(area).cloned();
        (*area, summary.unwrap_or_default())
    });
    let expected = ViewAnswer::Summaries(expected.collect());
    assert_eq!(filled.ask(&ViewQuestion::Summaries(asked)), expected);

    let mut days: Vec<Day> = filled.plain.days.keys().map(|(_, day)| *day).collect();
    days.sort();
    days.dedup();
    let (from, to) = (days[1], days[days.len() - 2]);
    let question = |from, to| ViewQuestion::Days(vec![district(), nowhere], from, to);
    let ViewAnswer::Days(found) = filled.ask(&question(from, to)) else {
        panic!("days")
    };
    let expected: Vec<_> = days[1..days.len() - 1]
        .iter()
        .filter_map(|day| {
            let rollup = filled.plain.days.get(&(district(), *day))?;
            Some((*day, rollup.clone()))
        })
        .collect();
    assert!(expected.len() > 2);
    assert_eq!(found[0].days, expected);
    assert_eq!((found[1].area, found[1].days.len()), (nowhere, 0));
    let ViewAnswer::Days(none) = filled.ask(&question(to, from)) else {
        panic!("days")
    };
    assert!(
        none[0].days.is_empty(),
        "a range that ends before it begins"
    );
}

#[test]
fn no_reply_is_longer_than_the_broker_takes() {
    let filled = filled();
    let limit = 4_096;
    let question = ViewQuestion::Cases(any_case(district()));
    let reply = answer(&filled.store, &question, limit);
    assert!(encode(&reply, limit).len() <= limit);
    let Ok(ViewAnswer::Cases(page)) = reply.answer else {
        panic!("{:?}", reply.answer)
    };
    assert!(page.more && !page.cases.is_empty());

    let question = ViewQuestion::Summaries(vec![district(); 1_000]);
    let reply = answer(&filled.store, &question, limit);
    let bytes = encode(&reply, limit);
    assert!(bytes.len() <= limit);
    let refused = gridkeeper_proto::view::ViewReply::decode(&bytes).unwrap();
    let Err(error @ ViewError::Stopped { code: 606, .. }) = refused.answer else {
        panic!("{:?}", refused.answer)
    };
    assert_eq!(error.code().0, 601);
}

#[test]
fn a_limit_of_zero_gives_one_case() {
    let filled = filled();
    let mut filter = any_case(district());
    filter.limit = 0;
    let page = filled.page(&ViewQuestion::Cases(filter));
    assert_eq!((page.cases.len(), page.more), (1, true));
}
