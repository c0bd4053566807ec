//! What the policy allows: returns, extensions, and a limit for assigning.

use super::*;
use crate::policy::Extensions;

fn extend(minutes: u32) -> Step {
    Step::Extend {
        by: Limit::Natural(minutes),
        reason: note(),
    }
}

#[test]
fn the_level_above_extends_a_limit_once_by_at_most_its_half() {
    let given = Given::accepted();
    assert_eq!(
        given.when(&community(), 10, extend(51)),
        Err(Refusal::ExtensionTooLong {
            at_most: 50,
            limit: Limit::Natural(100)
        })
    );
    let given = given.step(&community(), 10, extend(50));
    assert_eq!(given.due_minute(), 151);
    assert_eq!(
        (given.case().extensions, given.case().holder.level),
        (1, Level::Grid)
    );
    assert_eq!(
        given.when(&street(), 11, extend(1)),
        Err(Refusal::ExtendedBefore { times: 1 })
    );
}

#[test]
fn reminders_of_an_extended_limit_count_by_the_whole_of_it() {
    let mut given = Given::accepted();
    given.wait(80);
    let mut given = given.step(&community(), 80, extend(50));
    assert_eq!(
        given.wait(113),
        [],
        "52 per cent were gone: the note is past"
    );
    let events = given.wait(114);
    assert!(matches!(&events[..], [CaseEvent::Reminded(reminded)] if reminded.share == 75));
}

#[test]
fn who_may_grant_an_extension_is_the_policys_to_say() {
    let street_only = || {
        let mut given = Given::under(policy_with(|policy| {
            policy.oversight.extensions = Extensions {
                granted_by: Some(Level::Street),
                ..Extensions::default()
            };
        }));
        given = given.and(&worker(), 0, &CaseCommand::Report(report()));
        given
    };
    let given = street_only();
    assert_eq!(
        given.when(&community(), 1, extend(5)),
        Err(Refusal::GrantedAbove {
            granted_by: Level::Street,
            role: Role::Community
        })
    );
    assert!(given.when(&street(), 1, extend(5)).is_ok());
    let escalated = Given::reported().step(&worker(), 1, Step::Escalate { reason: note() });
    assert!(matches!(
        escalated.when(&community(), 2, extend(5)),
        Err(Refusal::GrantedAbove {
            granted_by: Level::Street,
            ..
        })
    ));
}

#[test]
fn an_extension_is_given_in_the_limits_own_clock_and_is_more_than_nothing() {
    let given = Given::accepted();
    for (by, code) in [
        (Limit::Workdays(1), 217),
        (Limit::Natural(0), 217),
        (Limit::Natural(51), 216),
    ] {
        let step = Step::Extend { by, reason: note() };
        let refused = given.when(&community(), 2, step).unwrap_err();
        assert_eq!(crate::code::Coded::code(&refused).0, code, "{by}");
    }
}

#[test]
fn an_extension_that_would_be_over_already_is_refused() {
    let mut given = Given::accepted();
    given.wait(1_501);
    assert!(given.case().overdue && given.case().holder.level == Level::City);
    let due_at = start().plus_millis(1_561 * MINUTE);
    assert_eq!(
        given.when(&admin(), 1_561, extend(60)),
        Err(Refusal::ExtensionOver { due_at })
    );
    let mut given = given.step(&admin(), 1_560, extend(60));
    assert_eq!((given.due_minute(), given.case().overdue), (1_561, false));
    assert_eq!(given.case().deadlines_missed, 5);
    given.wait(1_561);
    assert_eq!(given.case().deadlines_missed, 6);
}

#[test]
fn how_often_a_unit_may_give_a_case_back_is_the_policys_to_say() {
    for times in 0..3 {
        let assign = || Step::Assign {
            to: Assignee {
                area: area(GRID),
                unit: Some("unit".into()),
                person: None,
            },
            note: String::new(),
        };
        let give_back = || Step::Return { reason: note() };
        let mut given = Given::under(policy_with(|policy| policy.oversight.returns = times))
            .and(&worker(), 0, &CaseCommand::Report(report()))
            .step(&worker(), 1, Step::Accept { note: note() })
            .step(&community(), 2, assign());
        for _ in 0..times {
            given = given
                .step(&worker(), 3, give_back())
                .step(&community(), 4, assign());
        }
        assert_eq!(
            given.when(&worker(), 5, give_back()),
            Err(Refusal::ReturnedBefore { times })
        );
    }
}

#[test]
fn where_assigning_has_a_limit_an_accepted_case_is_due_for_it_first() {
    let policy = || policy_with(|policy| policy.general.assign = Some(Limit::Natural(30)));
    let accepted = || {
        Given::under(policy())
            .and(&worker(), 0, &CaseCommand::Report(report()))
            .step(&worker(), 1, Step::Accept { note: note() })
    };
    let given = accepted();
    assert_eq!(
        (given.case().stage, given.due_minute()),
        (Some(Stage::Assign), 31)
    );
    let to = Assignee {
        area: area(GRID),
        unit: None,
        person: Some("li.na".into()),
    };
    let assigned = given.step(&community(), 20, Step::Assign { to, note: note() });
    assert_eq!(
        (assigned.case().stage, assigned.due_minute()),
        (Some(Stage::Settle), 101),
        "the time to settle runs since acceptance"
    );
    assert_eq!(assigned.case().due_since, start().plus_millis(MINUTE));

    let handle = Step::RecordHandling {
        measure: Measure::Visit,
        note: note(),
    };
    let events = accepted().when(&worker(), 20, handle).unwrap();
    let [
        CaseEvent::Assigned(assigned),
        CaseEvent::HandlingRecorded(_),
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(assigned.holder, Holder::of_level(Level::Grid, area(GRID)));

    let mut late = accepted();
    let missed = late.wait(31);
    let Some(CaseEvent::DeadlineMissed(missed)) = missed.first() else {
        panic!("{missed:?}")
    };
    assert_eq!(missed.rule.as_ref().unwrap().path, "general.assign");
    assert_eq!(
        (late.case().holder.level, late.due_minute()),
        (Level::Community, 61)
    );
}
