//! The rules of a case; one operation is one command decided or one event folded.

use std::{collections::BTreeMap, hint::black_box};

use gridkeeper_proto::{
    case::{Case, Decision, Situation, decide},
    event::{ByAggregate, CaseEvent, Recorded},
    id::{AggregateId, CommandId},
};
use uuid::Uuid;

use crate::{
    lives::{Asked, Lives},
    work::Work,
};

/// A report of a new case.
pub(crate) fn decide_report() -> Work {
    decided(|asked| asked.case.is_none())
}

/// A step of a case, of each kind as many.
pub(crate) fn decide_step() -> Work {
    decided(|asked| asked.case.is_some())
}

/// Commands are decided again as they were decided first.
fn decided(chosen: impl Fn(&Asked) -> bool) -> Work {
    let Lives { log, asked } = Lives::written();
    let asked: Vec<_> = asked.iter().filter(|asked| chosen(asked)).collect();
    Work::of(asked.len(), asked.len(), move |number| {
        let asked = asked[number];
        let situation = Situation {
            // The case has not answered it before.
            command_id: CommandId::new(Uuid::max()),
            digest: [7; 8],
            case_id: asked.id,
            case: asked.case.as_ref(),
            grid: asked.grid,
            other: None,
            claims: &asked.claims,
            policy: log.timetables().current().unwrap(),
            now: asked.now,
            if_version: None,
        };
        let decision = decide(black_box(&asked.command), black_box(&situation));
        assert!(matches!(black_box(decision), Ok(Decision::Events(_))));
    })
}

/// A case's events from its report to its end.
pub(crate) fn evolve() -> Work {
    let mut lives: BTreeMap<AggregateId, Vec<Recorded<CaseEvent>>> = BTreeMap::new();
    for recorded in Lives::written().recorded() {
        if let ByAggregate::Case(recorded) = recorded.by_aggregate() {
            let life = lives.entry(recorded.header.aggregate).or_default();
            life.push(recorded);
        }
    }
    let lives: Vec<_> = lives.into_values().collect();
    let events = lives.iter().map(Vec::len).sum();
    Work::of(lives.len(), events, move |number| {
        let life = black_box(&lives[number]);
        let case = life.iter().fold(None, |case, recorded| {
            Some(Case::evolve(case, recorded).unwrap())
        });
        black_box(case);
    })
}
