//! The usual life of a case and the ways beside it.

use super::*;

#[test]
fn a_report_is_held_where_its_severity_sends_it_until_its_acceptance_is_due() {
    for (severity, level) in [
        (Severity::General, Level::Grid),
        (Severity::Larger, Level::Community),
        (Severity::Major, Level::Street),
        (Severity::Extreme, Level::District),
    ] {
        let report = Report {
            severity,
            ..report()
        };
        let given = Given::nothing().and(&worker(), 0, &CaseCommand::Report(report));
        assert_eq!(given.case().holder, Holder::of_level(level, area(GRID)));
        assert_eq!(given.due_minute(), 10);
        assert_eq!(given.case().policy, 3);
    }
}

#[test]
fn each_step_of_a_quiet_life_names_who_is_next_and_by_when() {
    let given = Given::accepted();
    assert_eq!(
        (given.case().state, given.due_minute()),
        (CaseState::Accepted, 101)
    );
    let given = given.step(
        &worker(),
        2,
        Step::RecordHandling {
            measure: Measure::Visit,
            note: note(),
        },
    );
    assert_eq!(
        (given.case().state, given.due_minute()),
        (CaseState::Handling, 101)
    );
    let given = Given::resolved();
    assert_eq!(
        (given.case().state, given.due_minute()),
        (CaseState::Resolved, 22)
    );
    assert_eq!(
        given.case().holder.level,
        Level::Community,
        "somebody else verifies"
    );
    let given = Given::verified();
    assert_eq!(
        (given.case().state, given.due_minute()),
        (CaseState::Verified, 33)
    );
    assert_eq!(Given::closed().case().state, CaseState::Closed);
}

#[test]
fn the_handler_does_not_verify_its_own_work() {
    let handled = Given::accepted().step(
        &community(),
        2,
        Step::Resolve {
            outcome: Outcome::Settled,
            note: note(),
        },
    );
    for step in [
        Step::Verify {
            note: String::new(),
        },
        Step::OrderRework { reason: note() },
    ] {
        assert_eq!(handled.when(&community(), 3, step), Err(Refusal::OwnWork));
    }
    let other = claims(Role::Community, "510402002005", "colleague");
    assert!(
        handled
            .when(
                &other,
                3,
                Step::Verify {
                    note: String::new()
                }
            )
            .is_ok()
    );
}

#[test]
fn a_failed_check_sends_the_case_back_to_be_handled() {
    let given = Given::resolved().step(&community(), 5, Step::OrderRework { reason: note() });
    assert_eq!(
        (given.case().state, given.due_minute()),
        (CaseState::Handling, 205)
    );
    assert_eq!(given.case().resolved_at, None);
}

#[test]
fn a_unit_gives_a_case_back_once_and_to_who_assigned_it() {
    let unit = Assignee {
        area: area("510402002005"),
        unit: Some("mediation".into()),
        person: None,
    };
    let assign = |given: Given, minute| {
        given.step(
            &street(),
            minute,
            Step::Assign {
                to: unit.clone(),
                note: String::new(),
            },
        )
    };
    let up = Given::accepted()
        .step(&worker(), 2, Step::Escalate { reason: note() })
        .step(&community(), 3, Step::Escalate { reason: note() });
    let due = up.due_minute();
    let given = assign(up, 4);
    assert_eq!(
        (given.case().holder.unit.as_deref(), given.due_minute()),
        (Some("mediation"), due)
    );
    let given = given.step(&community(), 5, Step::Return { reason: note() });
    assert_eq!(
        given.case().holder,
        Holder::of_level(Level::Street, area(GRID))
    );
    assert_eq!(
        (given.case().state, given.due_minute()),
        (CaseState::Accepted, due)
    );
    let given = assign(given, 6);
    let again = given.when(&community(), 7, Step::Return { reason: note() });
    assert_eq!(again, Err(Refusal::ReturnedBefore { times: 1 }));
}

#[test]
fn nobody_assigns_upwards_or_into_another_district() {
    let given = Given::accepted();
    for code in ["510402002", "510403001001"] {
        let to = Assignee {
            area: area(code),
            unit: None,
            person: None,
        };
        let refused = given.when(
            &centre(),
            2,
            Step::Assign {
                to,
                note: String::new(),
            },
        );
        assert!(
            matches!(refused, Err(Refusal::WrongAssignee { .. })),
            "{code}"
        );
    }
}

#[test]
fn a_transfer_stays_on_its_level_and_keeps_the_due_time() {
    let given = Given::accepted().step(&worker(), 2, Step::Escalate { reason: note() });
    let due = given.due_minute();
    let to = Assignee {
        area: area("510402003001"),
        unit: None,
        person: None,
    };
    let given = given.step(
        &community(),
        3,
        Step::Transfer {
            to: to.clone(),
            reason: note(),
        },
    );
    assert_eq!(
        (given.case().holder.area, given.due_minute()),
        (to.area, due)
    );
    let to = Assignee {
        area: area("510402003"),
        ..to
    };
    let refused = given.when(&street(), 4, Step::Transfer { to, reason: note() });
    assert!(matches!(refused, Err(Refusal::WrongAssignee { .. })));
    let mut given = given;
    given.wait(given.due_minute());
    assert_eq!(
        given.case().holder.area,
        area("510402003"),
        "it goes up where it is held"
    );
}

#[test]
fn a_closed_case_can_be_reopened_and_is_held_again() {
    let given = Given::closed().step(&community(), 50, Step::Reopen { reason: note() });
    let case = given.case();
    assert_eq!(
        (case.state, case.reopenings, case.closed_at),
        (CaseState::Accepted, 1, None)
    );
    assert_eq!(given.due_minute(), 250);
}

#[test]
fn a_closed_case_takes_no_step_but_reopening_and_rating() {
    let given = Given::closed();
    let to = Assignee {
        area: area("510402002005"),
        unit: None,
        person: None,
    };
    let until = start().plus_millis(90 * MINUTE);
    for step in [
        Step::Accept { note: note() },
        Step::Assign {
            to: to.clone(),
            note: note(),
        },
        Step::RecordHandling {
            measure: Measure::Visit,
            note: note(),
        },
        Step::Resolve {
            outcome: Outcome::Settled,
            note: note(),
        },
        Step::Verify { note: note() },
        Step::OrderRework { reason: note() },
        Step::Close { note: note() },
        Step::Return { reason: note() },
        Step::Suspend {
            reason: note(),
            until,
        },
        Step::Resume { note: note() },
        Step::Transfer { to, reason: note() },
        Step::Escalate { reason: note() },
        Step::Supervise { note: note() },
        Step::Merge {
            into: case_id(9),
            note: note(),
        },
        Step::Cancel { reason: note() },
    ] {
        let name = step.name();
        let refused = given.when(&centre(), 60, step);
        assert!(
            matches!(refused, Err(Refusal::WrongState { step, .. }) if step == name),
            "{name}"
        );
    }
    assert!(
        given
            .when(
                &worker(),
                60,
                Step::Rate {
                    satisfied: true,
                    note: note()
                }
            )
            .is_ok()
    );
}
