//! Due times: missed, moved, kept from an import.

use super::*;
use crate::policy::Concerned;

#[test]
fn suspending_stops_the_clock_and_resuming_moves_the_due_time_by_just_that() {
    let until = start().plus_millis(90 * MINUTE);
    let given = Given::accepted().step(
        &community(),
        11,
        Step::Suspend {
            reason: note(),
            until,
        },
    );
    assert_eq!(given.case().state, CaseState::Suspended);
    let given = given.step(
        &community(),
        90,
        Step::Resume {
            note: String::new(),
        },
    );
    assert_eq!(
        (given.case().state, given.due_minute()),
        (CaseState::Accepted, 101 + 79)
    );
}

#[test]
fn a_suspension_ends_in_the_future_and_within_a_year() {
    let given = Given::accepted();
    for minute in [1, 2, 2 + 367 * 24 * 60] {
        let until = start().plus_millis(minute * MINUTE);
        let refused = given.when(
            &community(),
            2,
            Step::Suspend {
                reason: note(),
                until,
            },
        );
        assert!(
            matches!(refused, Err(Refusal::AbsurdTime { field: "until", .. })),
            "{minute}"
        );
    }
}

#[test]
fn an_imported_record_keeps_its_own_times() {
    let at = |minute: i64| start().plus_millis(minute * MINUTE);
    let source = SourceRecord {
        system: "old".into(),
        record: "7".into(),
        state: None,
    };
    let imported = Imported {
        source,
        reported_at: at(-900),
        due_at: Some(at(-500)),
        closed: Some(ImportedClosing { at: Some(at(-400)) }),
    };
    let import = |imported: Imported| Report {
        imported: Some(imported),
        ..report()
    };
    let given = Given::nothing().and(&admin(), 0, &CaseCommand::Report(import(imported.clone())));
    let case = given.case();
    assert_eq!((case.state, case.version), (CaseState::Closed, 2));
    assert_eq!((case.reported_at, case.due_at), (at(-900), at(-500)));
    assert_eq!(case.closed_at, Some(at(-400)));

    let (policy, admin, worker, nothing) = (policy(), admin(), worker(), Given::nothing());
    let backwards = Imported {
        reported_at: at(-300),
        ..imported.clone()
    };
    let refused = decide(
        &CaseCommand::Report(import(backwards)),
        &nothing.situation(&admin, &policy, 0),
    );
    assert!(matches!(
        refused,
        Err(Refusal::AbsurdTime {
            field: "imported.closed.at",
            ..
        })
    ));
    let refused = decide(
        &CaseCommand::Report(import(imported)),
        &nothing.situation(&worker, &policy, 0),
    );
    assert!(
        matches!(refused, Err(Refusal::Access(_))),
        "only an import brings its own times"
    );
}

#[test]
fn time_never_runs_backwards_within_a_case() {
    let given = Given::accepted().step(
        &worker(),
        -30,
        Step::RecordHandling {
            measure: Measure::Contact,
            note: note(),
        },
    );
    assert_eq!(given.case().last_recorded_at, start().plus_millis(MINUTE));
}

#[test]
fn a_request_goes_up_with_its_reason_and_supervision_leaves_the_holder() {
    let given = Given::reported();
    let events = given
        .when(
            &worker(),
            1,
            Step::Escalate {
                reason: "too big".into(),
            },
        )
        .unwrap();
    let [CaseEvent::Escalated(escalated)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (escalated.reason, escalated.note.as_str()),
        (EscalationReason::Request, "too big")
    );
    assert_eq!(
        escalated.due_at,
        policy()
            .due(
                Concerned {
                    category: "dispute.neighbour",
                    severity: Severity::General,
                    stage: Stage::Accept,
                    level: Level::Community,
                },
                start().plus_millis(MINUTE),
            )
            .unwrap()
    );
    let given = given.step(&street(), 2, Step::Supervise { note: note() });
    assert!(given.case().supervised);
    assert_eq!(given.case().holder.level, Level::Grid);
}

#[test]
fn a_closing_says_whether_it_was_in_time() {
    let close = Step::Close {
        note: String::new(),
    };
    let in_time = |events: &[CaseEvent]| match events {
        [CaseEvent::Closed(closed)] => closed.in_time,
        _ => panic!("{events:?}"),
    };
    let given = Given::verified();
    assert_eq!(
        in_time(&given.when(&community(), 33, close.clone()).unwrap()),
        Some(true)
    );
    let mut late = given;
    let minute = late.due_minute();
    late.wait(minute);
    assert_eq!(
        in_time(&late.when(&street(), minute + 1, close).unwrap()),
        Some(false)
    );
}

#[test]
fn an_imported_closing_is_judged_only_by_the_records_own_times() {
    let at = |minute: i64| start().plus_millis(minute * MINUTE);
    for (due, closed, in_time) in [
        (Some(-500), Some(-400), Some(false)),
        (Some(-400), Some(-400), Some(true)),
        (None, Some(-400), None),
        (Some(-500), None, None),
    ] {
        let source = SourceRecord {
            system: "old".into(),
            record: "7".into(),
            state: None,
        };
        let imported = Imported {
            source,
            reported_at: at(-900),
            due_at: due.map(at),
            closed: Some(ImportedClosing { at: closed.map(at) }),
        };
        let report = CaseCommand::Report(Report {
            imported: Some(imported),
            ..report()
        });
        let (policy, admin, nothing) = (policy(), admin(), Given::nothing());
        let decision = decide(&report, &nothing.situation(&admin, &policy, 0)).unwrap();
        let Decision::Events(events) = decision else {
            panic!("{decision:?}")
        };
        let CaseEvent::Closed(closed) = &events[1].event else {
            panic!("{events:?}")
        };
        assert_eq!(closed.in_time, in_time);
    }
}
