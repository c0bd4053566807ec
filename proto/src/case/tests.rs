//! Given / when / then: what follows from a command, by the events before it.

use super::{
    Case, CaseKind, CaseState, Channel, Decision, EscalationReason, Holder, Measure, Outcome,
    Place, Refusal, Severity, Situation, Stage, decide,
};
use crate::{
    access::{Claims, Role},
    area::{AreaCode, Level},
    case::SourceRecord,
    command::{Assignee, Command, Imported, ImportedClosing, Report, Step},
    envelope::{EventHash, Header, Position},
    event::{Event, Recorded},
    id::{CaseId, CommandId, EventId},
    policy::{Limits, Policy, SettleLimits},
    time::Timestamp,
};

const GRID: &str = "51040200200507";
const MINUTE: i64 = 60_000;

fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

fn start() -> Timestamp {
    "2026-11-23T00:00:00Z".parse().unwrap()
}

fn case_id(number: u8) -> CaseId {
    format!("01980000-0000-7000-8000-0000000000{number:02x}")
        .parse()
        .unwrap()
}

fn claims(role: Role, code: &str, id: &str) -> Claims {
    Claims {
        sub: id.into(),
        role,
        areas: vec![area(code)],
        iat: 0,
        exp: 1,
    }
}

fn worker() -> Claims {
    claims(Role::GridWorker, GRID, "worker")
}

fn community() -> Claims {
    claims(Role::Community, "510402002005", "community")
}

fn street() -> Claims {
    claims(Role::Street, "510402002", "street")
}

fn centre() -> Claims {
    claims(Role::Centre, "510402", "centre")
}

fn admin() -> Claims {
    claims(Role::Admin, "510402", "admin")
}

fn service() -> Claims {
    claims(Role::Service, "510402", "escalator")
}

fn policy() -> Policy {
    let limits = |starts_at| Limits {
        starts_at,
        accept_minutes: 10,
        settle_minutes: SettleLimits {
            grid: 100,
            community: 200,
            street: 300,
            district: 400,
            city: 500,
        },
        verify_minutes: 20,
        close_minutes: 30,
    };
    Policy {
        version: 3,
        general: limits(Level::Grid),
        larger: limits(Level::Community),
        major: limits(Level::Street),
        extreme: limits(Level::District),
    }
}

fn report() -> Report {
    Report {
        kind: CaseKind::Dispute,
        category: "dispute.neighbour".into(),
        severity: Severity::General,
        channel: Channel::GridWorker,
        description: "water from above".into(),
        place: Place::default(),
        people: None,
        parties: None,
        filed_at: None,
        imported: None,
    }
}

fn note() -> String {
    "done".into()
}

/// A history in the making: commands are decided at their minute and their events folded.
struct Given {
    case: Option<Case>,
    position: u64,
    commands: u8,
}

impl Given {
    fn nothing() -> Self {
        Self {
            case: None,
            position: 0,
            commands: 0,
        }
    }

    fn reported() -> Self {
        Self::nothing().and(&worker(), 0, &Command::Report(report()))
    }

    fn accepted() -> Self {
        Self::reported().step(
            &worker(),
            1,
            Step::Accept {
                note: String::new(),
            },
        )
    }

    fn resolved() -> Self {
        Self::accepted().step(
            &worker(),
            2,
            Step::Resolve {
                outcome: Outcome::Settled,
                note: note(),
            },
        )
    }

    fn verified() -> Self {
        Self::resolved().step(
            &community(),
            3,
            Step::Verify {
                note: String::new(),
            },
        )
    }

    fn closed() -> Self {
        Self::verified().step(
            &community(),
            4,
            Step::Close {
                note: String::new(),
            },
        )
    }

    fn situation<'a>(
        &'a self,
        claims: &'a Claims,
        policy: &'a Policy,
        minute: i64,
    ) -> Situation<'a> {
        Situation {
            command_id: CommandId::derived(case_id(1), "test", i64::from(self.commands)),
            digest: [0; 8],
            case_id: case_id(1),
            case: self.case.as_ref(),
            grid: area(GRID),
            other: None,
            claims,
            policy,
            now: start().plus_millis(minute * MINUTE),
            if_version: None,
        }
    }

    #[track_caller]
    fn and(mut self, claims: &Claims, minute: i64, command: &Command) -> Self {
        let policy = policy();
        let situation = self.situation(claims, &policy, minute);
        let (command_id, now) = (situation.command_id, situation.now);
        let Decision::Events(events) = decide(command, &situation).unwrap() else {
            panic!("the command was answered before")
        };
        for (index, decided) in (0..).zip(events) {
            self.position += 1;
            let header = Header {
                event_id: EventId::of(command_id, index),
                case_id: case_id(1),
                command_id,
                command_digest: [0; 8],
                grid: area(GRID),
                occurred_at: now,
                recorded_at: decided.recorded_at,
                actor: claims.actor(),
                event_type: 0,
                schema_version: 0,
                previous: EventHash::default(),
            };
            let position = Position(self.position);
            let recorded = Recorded {
                position,
                header,
                event: decided.event,
            };
            self.case = Some(Case::evolve(self.case.as_ref(), &recorded).unwrap());
        }
        self.commands += 1;
        self
    }

    #[track_caller]
    fn step(self, claims: &Claims, minute: i64, step: Step) -> Self {
        self.and(claims, minute, &Command::Step(step))
    }

    fn when(&self, claims: &Claims, minute: i64, step: Step) -> Result<Vec<Event>, Refusal> {
        let policy = policy();
        match decide(
            &Command::Step(step),
            &self.situation(claims, &policy, minute),
        )? {
            Decision::Events(events) => {
                Ok(events.into_iter().map(|decided| decided.event).collect())
            }
            Decision::Repeated { .. } => panic!("the command was answered before"),
        }
    }

    fn case(&self) -> &Case {
        self.case.as_ref().unwrap()
    }

    fn due_minute(&self) -> i64 {
        self.case().due_at.since(start()) / MINUTE
    }
}

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
        let given = Given::nothing().and(&worker(), 0, &Command::Report(report));
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
fn a_missed_deadline_marks_the_case_and_sends_it_up_one_level() {
    let given = Given::accepted();
    let due_at = given.case().due_at;
    assert_eq!(
        given.when(&service(), 100, Step::MissDeadline { due_at }),
        Err(Refusal::NotMissed { due_at }),
        "a minute early"
    );
    let given = given.step(&service(), 101, Step::MissDeadline { due_at });
    let case = given.case();
    assert_eq!(case.holder, Holder::of_level(Level::Community, area(GRID)));
    assert_eq!(
        (case.deadlines_missed, case.escalations, case.overdue),
        (1, 1, false)
    );
    assert_eq!(given.due_minute(), 301, "the level above has its own time");
    let again = given.when(&service(), 102, Step::MissDeadline { due_at });
    assert_eq!(
        again,
        Err(Refusal::NotMissed {
            due_at: case.due_at
        })
    );
}

#[test]
fn at_the_city_a_missed_deadline_only_marks_the_case() {
    let mut given = Given::accepted();
    for _ in 0..4 {
        let (due_at, minute) = (given.case().due_at, given.due_minute());
        given = given.step(&service(), minute, Step::MissDeadline { due_at });
    }
    assert_eq!(given.case().holder.level, Level::City);
    let (due_at, minute) = (given.case().due_at, given.due_minute());
    let events = given
        .when(&service(), minute, Step::MissDeadline { due_at })
        .unwrap();
    assert!(matches!(events[..], [Event::DeadlineMissed(_)]));
    let given = given.step(&service(), minute, Step::MissDeadline { due_at });
    assert!(given.case().overdue);
    let escalate = Step::Escalate { reason: note() };
    assert_eq!(
        given.when(&centre(), minute, escalate),
        Err(Refusal::TopLevel)
    );
    let again = given.when(&service(), minute + 1, Step::MissDeadline { due_at });
    assert_eq!(again, Err(Refusal::NotMissed { due_at }));
}

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
    let due_at = given.case().due_at;
    assert!(matches!(
        given.when(&service(), 200, Step::MissDeadline { due_at }),
        Err(Refusal::WrongState { .. })
    ));
    let given = given.step(
        &service(),
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
    assert_eq!(again, Err(Refusal::ReturnedBefore));
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
    let (due_at, minute) = (given.case().due_at, given.due_minute());
    let given = given.step(&service(), minute, Step::MissDeadline { due_at });
    assert_eq!(
        given.case().holder.area,
        area("510402003"),
        "it goes up where it is held"
    );
}

#[test]
fn a_case_merges_only_into_an_older_open_one() {
    let newer = Given::nothing().and(&worker(), 5, &Command::Report(report()));
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
        decide(&Command::Step(step), &situation)
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

#[test]
fn the_same_command_again_gets_the_same_answer_and_another_content_is_refused() {
    let mut given = Given::accepted();
    given.commands = 0;
    let (policy, claims) = (policy(), worker());
    let again = decide(
        &Command::Report(report()),
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
        decide(&Command::Report(report()), &other),
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
    let step = Command::Step(Step::RecordHandling {
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
    let given = Given::nothing().and(&admin(), 0, &Command::Report(import(imported.clone())));
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
        &Command::Report(import(backwards)),
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
        &Command::Report(import(imported)),
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
    let [Event::Escalated(escalated)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (escalated.reason, escalated.note.as_str()),
        (EscalationReason::Request, "too big")
    );
    assert_eq!(
        escalated.due_at,
        policy().due(
            Severity::General,
            Stage::Accept,
            Level::Community,
            start().plus_millis(MINUTE)
        )
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
    let in_time = |events: &[Event]| match events {
        [Event::Closed(closed)] => closed.in_time,
        _ => panic!("{events:?}"),
    };
    let given = Given::verified();
    assert_eq!(
        in_time(&given.when(&community(), 33, close.clone()).unwrap()),
        Some(true)
    );
    assert_eq!(
        in_time(&given.when(&community(), 34, close.clone()).unwrap()),
        Some(false)
    );
    let (due_at, minute) = (given.case().due_at, given.due_minute());
    let late = given.step(&service(), minute, Step::MissDeadline { due_at });
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
        let report = Command::Report(Report {
            imported: Some(imported),
            ..report()
        });
        let (policy, admin, nothing) = (policy(), admin(), Given::nothing());
        let decision = decide(&report, &nothing.situation(&admin, &policy, 0)).unwrap();
        let Decision::Events(events) = decision else {
            panic!("{decision:?}")
        };
        let Event::Closed(closed) = &events[1].event else {
            panic!("{events:?}")
        };
        assert_eq!(closed.in_time, in_time);
    }
}
