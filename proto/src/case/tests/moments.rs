//! What happens by itself: due times that pass, reminders, the end of a suspension.

use proptest::prelude::*;

use super::*;
use crate::policy::{Card, Extensions, Reminder};

fn types(events: &[CaseEvent]) -> Vec<&'static str> {
    events.iter().map(CaseEvent::name).collect()
}

fn at(minute: i64) -> Timestamp {
    start().plus_millis(minute * MINUTE)
}

/// No reminders and no supervision: only due times.
fn bare() -> Timetable {
    policy_with(|policy| {
        policy.oversight = Oversight {
            reminders: Vec::new(),
            supervise: false,
            ..Oversight::default()
        }
    })
}

fn accepted_under(policy: Timetable) -> Given {
    let accept = Step::Accept {
        note: String::new(),
    };
    let given = Given::under(policy).and(&worker(), 0, &CaseCommand::Report(report()));
    given.step(&worker(), 1, accept)
}

#[test]
fn a_missed_due_time_marks_the_case_sends_it_up_one_level_and_has_it_supervised() {
    let mut given = Given::accepted();
    given.wait(100);
    assert!(
        !given.case().overdue && given.case().escalations == 0,
        "a minute early"
    );
    let events = given.wait(101);
    let [
        CaseEvent::DeadlineMissed(missed),
        CaseEvent::Escalated(escalated),
        CaseEvent::Supervised(supervised),
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((missed.due_at, missed.level), (at(101), Level::Grid));
    let rule = missed.rule.as_ref().unwrap();
    assert_eq!(
        (rule.policy, rule.path.as_str(), rule.limit.as_str()),
        (3, "general.settle.grid", "100 minutes")
    );
    assert_eq!(
        (&escalated.rule, &supervised.rule),
        (&missed.rule, &missed.rule)
    );
    assert_eq!(escalated.reason, EscalationReason::Deadline);
    assert_eq!(supervised.level, Level::Community);
    let case = given.case();
    assert_eq!(case.holder, Holder::of_level(Level::Community, area(GRID)));
    assert_eq!(
        (case.deadlines_missed, case.escalations, case.overdue),
        (1, 1, false)
    );
    assert_eq!(given.due_minute(), 301, "the level above has its own time");
    assert_eq!(given.wait(101), [], "it happens once");
}

#[test]
fn whoever_looks_late_finds_the_same_as_who_looked_every_minute() {
    let (mut often, mut late) = (accepted_under(bare()), accepted_under(bare()));
    let mut seen = Vec::new();
    for minute in 2..=1_600 {
        seen.extend(often.wait(minute));
    }
    assert_eq!(late.wait(1_600), seen);
    let due: Vec<_> = seen
        .iter()
        .filter_map(|event| match event {
            CaseEvent::DeadlineMissed(missed) => Some(missed.due_at.since(start()) / MINUTE),
            _ => None,
        })
        .collect();
    // Each level has its own time from the moment at which the one below had used up its own.
    assert_eq!(due, [101, 301, 601, 1_001, 1_501]);
    assert_eq!(late.case().due_since, often.case().due_since);
    assert!(late.case().overdue && late.case().holder.level == Level::City);
}

#[test]
fn a_holder_is_reminded_after_half_and_three_quarters_of_the_time() {
    let mut given = Given::accepted();
    for (minute, reminder) in [
        (50, None),
        (51, Some((Card::Note, 50))),
        (75, None),
        (76, Some((Card::Yellow, 75))),
        (100, None),
    ] {
        let events = given.wait(minute);
        let reminded = events.iter().map(|event| match event {
            CaseEvent::Reminded(reminded) => {
                assert_eq!(reminded.at, at(minute));
                assert_eq!(reminded.due_at, at(101));
                assert_eq!(reminded.rule.path, "general.settle.grid");
                (reminded.card, reminded.share)
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(
            reminded.collect::<Vec<_>>(),
            Vec::from_iter(reminder),
            "{minute}"
        );
    }
}

/// A limit that ends when the one before would have ended is a limit of its own all the same.
#[test]
fn a_limit_that_ends_at_the_same_moment_as_the_one_before_counts_anew() {
    let mut given = accepted_under(policy_with(|policy| {
        policy.general.verify = Limit::Natural(41);
    }));
    given.wait(59);
    assert_eq!(given.case().reminded, 50);
    let resolve = Step::Resolve {
        outcome: Outcome::Settled,
        note: note(),
    };
    let mut given = given.step(&worker(), 60, resolve);
    let case = given.case();
    assert_eq!(
        (case.due_at, case.due_since, case.reminded),
        (at(101), at(60), 0)
    );
    assert_eq!(given.wait(80), []);
    let events = given.wait(81);
    assert!(matches!(&events[..], [CaseEvent::Reminded(it)] if it.share == 50));
}

#[test]
fn a_reminder_that_something_later_has_overtaken_is_left_out() {
    let mut given = Given::accepted();
    let events = given.wait(90);
    let [CaseEvent::Reminded(reminded)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((reminded.card, reminded.at), (Card::Yellow, at(76)));
    let mut given = Given::accepted();
    let events = given.wait(150);
    assert_eq!(
        types(&events),
        ["deadline_missed", "escalated", "supervised"]
    );
}

#[test]
fn at_the_city_an_overdue_case_is_reminded_of_again_and_again_and_goes_nowhere() {
    let mut given = accepted_under(policy_with(|policy| policy.oversight.reminders.clear()));
    given.wait(1_500);
    assert_eq!(given.case().holder.level, Level::City);
    assert_eq!(types(&given.wait(1_501)), ["deadline_missed"]);
    assert!(given.case().overdue);
    // Half of its 500 minutes would be four hours: six of them are the first day and more.
    for (minute, share) in [
        (3_000, None),
        (3_001, Some(400)),
        (4_501, Some(700)),
        (8_000, Some(1_300)),
    ] {
        let events = given.wait(minute);
        let shares = events.iter().map(|event| match event {
            CaseEvent::Reminded(reminded) => {
                assert_eq!(reminded.card, Card::Red);
                reminded.share
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(
            shares.collect::<Vec<_>>(),
            Vec::from_iter(share),
            "{minute}"
        );
    }
    let escalate = Step::Escalate { reason: note() };
    assert_eq!(
        given.when(&centre(), 8_001, escalate),
        Err(Refusal::TopLevel)
    );
}

#[test]
fn a_suspension_ends_at_its_moment_however_late_that_is_found() {
    let suspend = |until| Step::Suspend {
        reason: note(),
        until,
    };
    let mut given = Given::accepted().step(&community(), 11, suspend(at(90)));
    assert_eq!(given.wait(89), []);
    assert_eq!(types(&given.wait(95)), ["resumed"]);
    assert_eq!(given.due_minute(), 101 + 79);
    assert_eq!(given.case().stood, [(at(11), at(90))]);
    // Ten minutes had passed before, so half of the time is gone forty after.
    assert_eq!(given.wait(129), []);
    assert_eq!(types(&given.wait(130)), ["reminded"]);
}

#[test]
fn an_overdue_case_that_is_suspended_and_resumed_is_not_late_a_second_time() {
    let mut given = accepted_under(bare());
    given.wait(1_501);
    assert!(given.case().overdue);
    let suspend = Step::Suspend {
        reason: note(),
        until: at(1_700),
    };
    let mut given = given.step(&centre(), 1_600, suspend);
    assert_eq!(types(&given.wait(1_710)), ["resumed"]);
    let case = given.case();
    assert_eq!((case.overdue, case.deadlines_missed), (true, 5));
    assert_eq!(given.due_minute(), 1_501);
    // Three times its 500 minutes after the due time, the hundred that it stood not counted.
    assert_eq!(given.wait(3_100), []);
    assert_eq!(types(&given.wait(3_101)), ["reminded"]);
}

#[test]
fn the_escalators_word_needs_a_moment_that_has_passed_and_changes_nothing_itself() {
    let given = Given::accepted();
    let pass = |minute| Step::PassMoment { at: at(minute) };
    assert_eq!(
        given.when(&service(), 100, pass(101)),
        Err(Refusal::NotPassed { at: at(101) })
    );
    assert_eq!(given.when(&service(), 101, pass(101)), Ok(vec![]));
    assert!(matches!(
        given.when(&centre(), 101, pass(101)),
        Err(Refusal::RoleMayNot { .. })
    ));
}

#[test]
fn an_imported_case_that_was_late_goes_up_from_when_the_district_could_know() {
    let source = SourceRecord {
        system: "old".into(),
        record: "7".into(),
        state: None,
    };
    let imported = Imported {
        source,
        reported_at: at(-90_000),
        due_at: Some(at(-80_000)),
        closed: None,
    };
    let report = Report {
        imported: Some(imported),
        ..report()
    };
    let mut given = Given::nothing().and(&admin(), 0, &CaseCommand::Report(report));
    let case = given.case();
    assert_eq!((case.deadlines_missed, case.escalations), (1, 1));
    assert_eq!(
        (case.holder.level, given.due_minute()),
        (Level::Community, 10)
    );
    assert_eq!(given.wait(4), []);
}

fn given_steps() -> impl Strategy<Value = Vec<(u8, u16)>> {
    prop::collection::vec((0..12_u8, 0..150_u16), 0..40)
}

/// Any step that anybody might take.
fn any_step(what: u8, minute: i64) -> Step {
    let (note, reason) = (note(), note());
    match what {
        0 => Step::Accept { note },
        1 => Step::RecordHandling {
            measure: Measure::Visit,
            note,
        },
        2 => Step::Resolve {
            outcome: Outcome::Settled,
            note,
        },
        3 => Step::Verify { note },
        4 => Step::Close { note },
        5 | 6 => Step::Suspend {
            reason,
            until: at(minute + 40),
        },
        7 => Step::Resume { note },
        8 => Step::Reopen { reason },
        9 => Step::Extend {
            by: Limit::Natural(30),
            reason,
        },
        10 => Step::Escalate { reason },
        _ => Step::OrderRework { reason },
    }
}

proptest! {
    #[test]
    fn looking_at_any_moments_gives_the_same_escalations(
        steps in given_steps(),
        looks in prop::collection::vec(0..4_000_i64, 0..60),
    ) {
        let mut moments: Vec<_> = looks.iter().map(|minute| (*minute, None)).collect();
        let mut minute = 0;
        for (what, pause) in &steps {
            minute += i64::from(*pause);
            moments.push((minute, Some(*what)));
        }
        let end = minute.max(4_000);
        moments.sort_by_key(|(minute, _)| *minute);
        let run = |with_looks: bool| {
            let mut given = accepted_under(bare());
            let mut happened = Vec::new();
            let mut level = Level::Grid;
            for (minute, what) in moments.iter().filter(|(_, what)| with_looks || what.is_some()) {
                let before = given.case().clone();
                let events = given.wait((*minute).max(1));
                if before.suspension.as_ref().is_some_and(|stop| stop.until > at(*minute)) {
                    prop_assert_eq!(&events, &[], "a suspended case never escalates");
                }
                happened.extend(events);
                if let Some(what) = what {
                    let step = any_step(*what, *minute);
                    let minute = (*minute).max(1);
                    let admin = admin();
                    if given.when(&admin, minute, step.clone()).is_ok() {
                        given = given.step(&admin, minute, step);
                    }
                }
                let holder = given.case().holder.level;
                let state = given.case().state;
                prop_assert!(holder >= level, "it never goes down by itself");
                prop_assert!(!(state.is_open() && given.case().stage.is_none()));
                level = holder;
            }
            happened.extend(given.wait(end));
            // A reminder that something later has overtaken is left out.
            happened.retain(|event| !matches!(event, CaseEvent::Reminded(_)));
            Ok((happened, given.case().clone()))
        };
        let ((without, case), (with, same)) = (run(false)?, run(true)?);
        prop_assert_eq!(without, with);
        prop_assert_eq!((case.due_at, case.holder, case.state), (same.due_at, same.holder, same.state));
    }

    #[test]
    fn each_moment_comes_after_the_one_before(
        shares in prop::collection::btree_set(1..=99_u16, 0..5),
        every in 1..200_u16,
    ) {
        let mut given = accepted_under(policy_with(|policy| {
            policy.oversight = Oversight {
                reminders: shares.iter().map(|at| Reminder { at: *at, card: Card::Note }).collect(),
                overdue_every: every,
                extensions: Extensions::default(),
                ..Oversight::default()
            };
        }));
        let mut before = start();
        let mut command_ids = std::collections::BTreeSet::new();
        for _ in 0..40 {
            let next = given.case().next_moment(&given.policy).unwrap().unwrap();
            prop_assert!(next.at > before, "{:?}", next);
            let early = given.case().happened(&given.policy, next.at.plus_millis(-1)).unwrap();
            prop_assert_eq!(early, None);
            let happened = given.case().happened(&given.policy, next.at).unwrap().unwrap();
            prop_assert_eq!(happened.at, next.at);
            prop_assert!(command_ids.insert(happened.command_id));
            let recorded_at = next.at;
            let decided = happened.events.into_iter().map(|event| Decided { recorded_at, event });
            given.record(happened.command_id, &service(), recorded_at, decided.collect());
            before = next.at;
        }
    }
}
