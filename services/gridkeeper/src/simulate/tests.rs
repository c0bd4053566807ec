use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use gridkeeper_district::{District, coordinates};
use gridkeeper_proto::{
    access::Role,
    api::{CoordinateSystem, ReportRequest},
    case::CaseKind,
    time::Timestamp,
};

use gridkeeper_http::Clock;
use gridkeeper_identity::SigningKey;
use tokio_util::sync::CancellationToken;

use super::{
    Limits, Plan, Settings, Tally, World,
    plan::{Action, What},
    send,
};
use crate::{
    door::Door,
    testdoor::{self, Seen},
};

/// A day of simulated hours.
const DAY: Duration = Duration::from_secs(24 * 3600 / 60);

fn district() -> District {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/districts/panzhihua-dongqu");
    District::load(root).unwrap()
}

fn plan(seed: u64) -> Plan {
    let start = "2026-11-23T00:00:00Z".parse::<Timestamp>().unwrap();
    let settings = Settings {
        seed,
        start,
        speed: 60.0,
    };
    Plan::new(World::new(&district(), 519), settings)
}

fn day(seed: u64) -> Vec<Action> {
    plan(seed).take_while(|action| action.after < DAY).collect()
}

#[test]
fn the_same_seed_makes_the_same_plan_and_another_one_another() {
    let text = |seed| format!("{:?}", plan(seed).take(300).collect::<Vec<_>>());
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}

#[test]
fn actions_come_in_the_order_of_their_time() {
    let day = day(3);
    assert!(day.is_sorted_by_key(|action| action.after));
    assert!(day.len() > 2_000, "{}", day.len());
}

#[test]
fn days_are_busy_and_nights_are_quiet() {
    // The simulated day begins at eight in the morning, and an hour of it takes a minute.
    let reports_from = |from: u64, to: u64| {
        day(4)
            .iter()
            .filter(|action| matches!(action.what, What::Reports(_)))
            .filter(|action| (from * 60..to * 60).contains(&action.after.as_secs()))
            .count()
    };
    let (morning, night) = (reports_from(0, 3), reports_from(16, 19));
    assert!(
        morning > 5 * night,
        "{morning} in the morning, {night} at night"
    );
}

#[test]
fn workers_file_in_their_own_grids_except_by_mistake() {
    let district = district();
    let (mut right, mut wrong) = (0, 0);
    for action in day(5) {
        let What::Reports(reports) = action.what else {
            continue;
        };
        assert_eq!(
            (action.by.role, action.by.area),
            (Role::GridWorker, action.grid)
        );
        for report in reports {
            let point = report.location.map(|location| {
                coordinates::to_wgs84(location.system, location.longitude, location.latitude)
            });
            let grid = point.map(|point| district.locate(point.unwrap()));
            let known = district
                .category(&report.category)
                .is_some_and(|category| category.kind() == report.kind);
            match grid {
                Some(Ok(grid)) if grid == action.grid && known => right += 1,
                _ => wrong += 1,
            }
        }
    }
    assert!(wrong > 20, "{wrong} mistakes");
    assert!(right > 20 * wrong, "{right} right, {wrong} mistakes");
}

#[test]
fn repeats_late_batches_and_all_steps_of_a_life_occur() {
    let (mut ids, mut repeated, mut largest, mut steps) = (BTreeSet::new(), 0, 0, BTreeSet::new());
    let mut kinds = BTreeSet::new();
    for action in day(6) {
        match action.what {
            What::Reports(reports) => {
                largest = largest.max(reports.len());
                for report in reports {
                    assert!(report.id.is_time_ordered());
                    kinds.insert(report.kind);
                    repeated += usize::from(!ids.insert(report.id));
                }
            }
            What::Step(case, request) => {
                assert!(ids.contains(&case), "a step comes after its report");
                steps.insert(request.command.name());
            }
        }
    }
    assert!(repeated > 10, "{repeated}");
    assert!((10..=20).contains(&largest), "{largest}");
    assert_eq!(
        kinds,
        BTreeSet::from([CaseKind::Dispute, CaseKind::Incident])
    );
    let life = ["accept", "record_handling", "resolve", "verify", "close"];
    assert_eq!(steps, BTreeSet::from(life));
}

#[test]
fn phones_give_either_kind_of_coordinates_and_some_disputes_name_their_parties() {
    let reports: Vec<_> = day(3)
        .into_iter()
        .filter_map(|action| match action.what {
            What::Reports(reports) => Some(reports),
            What::Step(..) => None,
        })
        .flatten()
        .collect();
    for system in [CoordinateSystem::Wgs84, CoordinateSystem::Gcj02] {
        let of_system = |report: &&ReportRequest| {
            report
                .location
                .is_some_and(|location| location.system == system)
        };
        let share = reports.iter().filter(of_system).count() * 10 / reports.len();
        assert!((4..=6).contains(&share), "{system:?}: {share} of ten");
    }
    let (with, without): (Vec<_>, Vec<_>) = reports
        .iter()
        .partition(|report| !report.parties.is_empty());
    assert!(!with.is_empty() && with.len() < without.len());
    assert!(with.iter().all(|report| report.kind == CaseKind::Dispute));
}

#[test]
fn late_reports_were_saved_up_to_six_hours_before_they_are_sent() {
    let start = "2026-11-23T00:00:00Z".parse::<Timestamp>().unwrap();
    let mut late = 0;
    for action in day(7) {
        let What::Reports(reports) = action.what else {
            continue;
        };
        let sent = start.plus_millis(i64::try_from(action.after.as_millis()).unwrap());
        for saved in reports.iter().filter_map(|report| report.filed_at) {
            late += 1;
            assert!((0..6 * 3_600_000).contains(&sent.since(saved)));
        }
    }
    assert!(late > 50, "{late}");
}

#[test]
fn without_workers_there_is_no_plan() {
    let settings = Settings {
        seed: 1,
        start: Timestamp::EPOCH,
        speed: 1.0,
    };
    assert!(
        Plan::new(World::new(&district(), 0), settings)
            .next()
            .is_none()
    );
}

#[tokio::test]
async fn sent_plans_keep_the_order_of_each_case_and_count_what_became_of_them() {
    let (address, seen) = testdoor::start(Seen {
        busy: 5,
        ..Seen::default()
    })
    .await;
    let keys = tempfile::tempdir().unwrap();
    let key = Arc::new(SigningKey::create(keys.path()).unwrap());
    let start = "2026-11-23T00:00:00Z".parse::<Timestamp>().unwrap();
    let settings = Settings {
        seed: 9,
        start,
        speed: 50_000.0,
    };
    let plan = Plan::new(World::new(&district(), 519), settings);
    let tally = Arc::new(Mutex::new(Tally::default()));
    let limits = Limits {
        time: None,
        reports: Some(600),
    };
    let door = Door::new(&address, Duration::from_secs(20)).unwrap();
    let clock = Clock::new(move || start);
    send(
        plan,
        door,
        key,
        clock,
        limits,
        Arc::clone(&tally),
        CancellationToken::new(),
    )
    .await
    .unwrap();
    let (seen, tally) = (seen.lock().unwrap(), tally.lock().unwrap());
    assert!((600..620).contains(&tally.reports_sent), "{tally:?}");
    let refused: u64 = tally.reports_refused.values().sum();
    assert_eq!(
        tally.reports_sent,
        tally.reports_recorded + tally.reports_repeated + refused
    );
    assert_eq!(tally.reports_recorded, seen.cases.len() as u64);
    assert!(tally.reports_repeated > 0 && refused > 0, "{tally:?}");
    assert_eq!(
        (seen.steps, tally.steps_sent),
        (tally.steps_recorded, tally.steps_recorded)
    );
    assert!(seen.steps > 300, "{}", seen.steps);
    assert_eq!(seen.steps_too_early, 0, "a step came before its report");
}

#[tokio::test]
async fn a_stop_ends_an_endless_plan_and_loses_no_count() {
    let (address, seen) = testdoor::start(Seen::default()).await;
    let keys = tempfile::tempdir().unwrap();
    let key = Arc::new(SigningKey::create(keys.path()).unwrap());
    let settings = Settings {
        seed: 9,
        start: Timestamp::EPOCH,
        speed: 50_000.0,
    };
    let plan = Plan::new(World::new(&district(), 519), settings);
    let (tally, stop) = (
        Arc::new(Mutex::new(Tally::default())),
        CancellationToken::new(),
    );
    let door = Door::new(&address, Duration::from_secs(20)).unwrap();
    let clock = Clock::new(|| Timestamp::EPOCH);
    let sent = tokio::spawn(send(
        plan,
        door,
        key,
        clock,
        Limits::default(),
        Arc::clone(&tally),
        stop.clone(),
    ));
    while seen.lock().unwrap().cases.is_empty() {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), sent)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(
        tally.lock().unwrap().reports_recorded,
        seen.lock().unwrap().cases.len() as u64
    );
}

#[tokio::test]
async fn intake_refuses_the_planned_mistakes_and_nothing_else() {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/districts/panzhihua-dongqu");
    let intake = crate::realdoor::start(&root).await;
    let clock = Clock::system();
    let settings = Settings {
        seed: 11,
        start: clock.now(),
        speed: 20_000.0,
    };
    let plan = Plan::new(World::new(&district(), 519), settings);
    let tally = Arc::new(Mutex::new(Tally::default()));
    let limits = Limits {
        time: None,
        reports: Some(800),
    };
    let door = Door::new(&intake.address, Duration::from_secs(20)).unwrap();
    let key = Arc::clone(&intake.key);
    send(
        plan,
        door,
        key,
        clock,
        limits,
        Arc::clone(&tally),
        CancellationToken::new(),
    )
    .await
    .unwrap();
    let tally = tally.lock().unwrap();
    assert!(
        tally.reports_recorded > 700 && tally.reports_repeated > 0,
        "{tally:?}"
    );
    let refused: u64 = tally.reports_refused.values().sum();
    assert!((1..80).contains(&refused), "{tally:?}");
    assert_eq!(
        tally.reports_refused.len(),
        3,
        "outside, unknown category, another's grid: {tally:?}"
    );
    assert!(
        tally.steps_recorded > 300 && tally.steps_refused.is_empty(),
        "{tally:?}"
    );
    let recorded = tally.reports_recorded + tally.steps_recorded;
    let adopted = district().rules().len() as u64;
    assert_eq!(intake.log.events() as u64, recorded + adopted);
}
