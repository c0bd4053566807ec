//! Commands: repeated, stale, from people who may not.

use super::*;

#[test]
fn who_stands_below_the_holder_does_not_act_for_it() {
    let given = Given::accepted().step(&worker(), 2, Step::Escalate { reason: note() });
    let resolve = Step::Resolve {
        outcome: Outcome::Settled,
        note: note(),
    };
    assert_eq!(
        given.when(&worker(), 3, resolve.clone()),
        Err(Refusal::HeldAbove {
            holder: Level::Community,
            role: Role::GridWorker
        })
    );
    assert!(given.when(&community(), 3, resolve.clone()).is_ok());
    assert!(given.when(&centre(), 3, resolve).is_ok());
}

#[test]
fn a_case_of_another_area_is_not_touched() {
    let neighbour = claims(Role::Street, "510402003", "street");
    let refused = Given::accepted().when(&neighbour, 2, Step::Cancel { reason: note() });
    assert!(matches!(refused, Err(Refusal::Access(_))));
}

#[test]
fn a_case_merges_only_into_an_older_open_one() {
    let newer = Given::nothing().and(&worker(), 5, &CaseCommand::Report(report()));
    let older = Case {
        id: case_id(9),
        ..Given::reported().case().clone()
    };
    let over = Case {
        id: case_id(9),
        ..Given::closed().case().clone()
    };
    let merge = |given: &Given, other: Option<&Case>| {
        let (policy, claims) = (policy(), community());
        let step = Step::Merge {
            into: case_id(9),
            note: String::new(),
        };
        let situation = Situation {
            other,
            ..given.situation(&claims, &policy, 6)
        };
        decide(&CaseCommand::Step(step), &situation)
    };
    assert!(merge(&newer, Some(&older)).is_ok());
    for other in [None, Some(&over)] {
        assert!(matches!(
            merge(&newer, other),
            Err(Refusal::WrongMerge { .. })
        ));
    }
    let youngest = Case {
        id: case_id(9),
        ..newer.case().clone()
    };
    let refused = merge(&Given::reported(), Some(&youngest));
    assert!(
        matches!(refused, Err(Refusal::WrongMerge { .. })),
        "merges never run in a circle"
    );
}

#[test]
fn the_same_command_again_gets_the_same_answer_and_another_content_is_refused() {
    let mut given = Given::accepted();
    given.commands = 0;
    let (policy, claims) = (policy(), worker());
    let again = decide(
        &CaseCommand::Report(report()),
        &given.situation(&claims, &policy, 9_999),
    );
    assert_eq!(
        again,
        Ok(Decision::Repeated {
            position: Position(1),
            version: 1
        })
    );
    let other = Situation {
        digest: [1; 8],
        ..given.situation(&claims, &policy, 9)
    };
    assert_eq!(
        decide(&CaseCommand::Report(report()), &other),
        Err(Refusal::IdReused)
    );
}

#[test]
fn a_stale_version_is_refused() {
    let given = Given::accepted();
    let (policy, claims) = (policy(), worker());
    let stale = Situation {
        if_version: Some(1),
        ..given.situation(&claims, &policy, 3)
    };
    let step = CaseCommand::Step(Step::RecordHandling {
        measure: Measure::Visit,
        note: note(),
    });
    assert_eq!(
        decide(&step, &stale),
        Err(Refusal::StaleVersion {
            expected: 1,
            actual: 2
        })
    );
}
