//! The kinds of damage that were seen to do harm: at several places, and in logs of one block and
//! of many.

use gridkeeper_faults::{
    Damage, Folder, Headers, Moment, Part, Report, Scenario, Subject, Verdict, Which,
};

use crate::hold;

/// Characters of a description that give logs of one block, of some, and of many.
const SIZES: [usize; 3] = [20, 300, 3_000];

/// A damage in logs of three sizes.
fn sizes(seed: u64, damage: Damage) -> impl Iterator<Item = Scenario> {
    SIZES
        .into_iter()
        .zip(seed..)
        .map(move |(description, seed)| Scenario {
            description,
            reports: 96,
            ..Scenario::new(seed, damage, Moment::Stopped)
        })
}

/// What makes the broker drop a part of the log, or all of it.
fn drops(seed: u64) -> impl Iterator<Item = Scenario> {
    let damages = [
        Damage::FlipBit(Which::Newest, Part::Length),
        Damage::FlipBit(Which::Middle, Part::Length),
        Damage::ZeroPage(Which::Newest),
        Damage::ZeroPage(Which::First),
        Damage::RemoveStream,
    ];
    damages
        .into_iter()
        .zip(seed..)
        .map(|(damage, seed)| Scenario {
            reports: 96,
            description: 1_000,
            ..Scenario::new(seed, damage, Moment::Stopped)
        })
}

/// Small logs with these damages.
fn each(seed: u64, damages: impl IntoIterator<Item = Damage>) -> impl Iterator<Item = Scenario> {
    let scenarios = damages.into_iter().zip(seed..);
    scenarios.map(|(damage, seed)| Scenario {
        reports: 96,
        ..Scenario::new(seed, damage, Moment::Stopped)
    })
}

#[track_caller]
fn assert_named(reports: &[Report]) {
    for report in reports {
        assert!(matches!(report.verdict, Verdict::Named(_)), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_report_is_written_over_where_the_last_records_are_gone() {
    let cuts = [1, 2, 9].into_iter().zip([100, 110, 120]);
    let cuts = cuts.map(|(records, seed)| (Damage::CutRecords(Which::Newest, records), seed));
    let scenarios = cuts
        .zip(SIZES)
        .map(|((damage, seed), description)| Scenario {
            reports: 96,
            description,
            keeps_index: false,
            ..Scenario::new(seed, damage, Moment::Stopped)
        });
    assert_named(&hold(scenarios).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_on_a_log_of_which_the_broker_dropped_a_part() {
    assert_named(&hold(drops(200)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_a_part_is_named_at_the_second_start_too() {
    let scenarios = drops(300).map(|scenario| Scenario {
        again: true,
        ..scenario
    });
    assert_named(&hold(scenarios).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_gone_with_its_views_is_not_begun_anew() {
    let moments = [Moment::Stopped, Moment::Killed];
    let scenarios = moments
        .into_iter()
        .zip(400..)
        .map(|(moment, seed)| Scenario {
            reports: 96,
            ..Scenario::new(seed, Damage::RemoveStreamAndViews, moment)
        });
    assert_named(&hold(scenarios).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_the_broker_counts_and_cannot_give_is_named_and_nothing_hangs() {
    assert_named(&hold(sizes(500, Damage::CutBytes(Which::Newest, 10))).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_changed_so_that_the_broker_finds_it_whole_is_named() {
    let places = [Which::First, Which::Middle, Which::Newest];
    let moments = [Moment::Stopped, Moment::UnderServices, Moment::Killed];
    let scenarios = places.into_iter().zip(moments).zip(800..);
    let scenarios = scenarios.map(|((which, moment), seed)| Scenario {
        reports: 96,
        description: 1_000,
        ..Scenario::new(seed, Damage::ChangeEvent(which), moment)
    });
    assert_named(&hold(scenarios).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_no_event_is_named_and_nothing_is_appended() {
    let subjects = [
        (Subject::Known, Headers::Id, Moment::Stopped),
        (Subject::Known, Headers::None, Moment::UnderServices),
        (Subject::Unknown, Headers::None, Moment::Stopped),
        (Subject::Unknown, Headers::Id, Moment::UnderServices),
    ];
    let scenarios = subjects.into_iter().zip(600..);
    let scenarios = scenarios.map(|((subject, headers, moment), seed)| Scenario {
        reports: 96,
        ..Scenario::new(seed, Damage::Garbage(subject, headers), moment)
    });
    assert_named(&hold(scenarios).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_published_once_more_is_named_and_counted_once() {
    let moments = [
        (Headers::Id, Moment::Stopped),
        (Headers::None, Moment::UnderServices),
        (Headers::Id, Moment::UnderServices),
    ];
    let scenarios = moments.into_iter().zip(900..);
    let scenarios = scenarios.map(|((headers, moment), seed)| Scenario {
        reports: 96,
        ..Scenario::new(seed, Damage::Republish(headers), moment)
    });
    assert_named(&hold(scenarios).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_statement_among_the_statements_is_named_and_nothing_more_is_given_up() {
    let damages = [
        Damage::Garbage(Subject::District, Headers::None),
        Damage::RepublishStatement(Headers::Id),
    ];
    assert_named(&hold(each(1_000, damages)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_older_than_the_log_catch_up() {
    let damages = [
        Damage::OlderFolder(Folder::Intake),
        Damage::OlderFolder(Folder::Aggregator),
        Damage::OlderFolder(Folder::Escalator),
        Damage::AllOlderBut(Folder::Broker),
    ];
    for report in hold(each(1_100, damages)).await {
        let green = matches!(report.verdict, Verdict::Harmless | Verdict::Recovered);
        assert!(green, "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_older_than_any_folder_is_named_and_given_up() {
    let damages = [
        Damage::AllOlderBut(Folder::Intake),
        Damage::AllOlderBut(Folder::Aggregator),
        Damage::AllOlderBut(Folder::Escalator),
    ];
    assert_named(&hold(each(1_200, damages)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_another_history_is_named_and_that_history_given_up() {
    let damages = Folder::ALL[1..].iter().copied().map(Damage::TwoHistories);
    assert_named(&hold(each(1_300, damages)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_damaged_every_answer_agrees_with_the_ledger() {
    let moments = [Moment::Stopped, Moment::Killed, Moment::KilledUnderServices];
    let scenarios = moments.into_iter().zip(700..);
    let scenarios = scenarios.map(|(moment, seed)| Scenario {
        again: true,
        ..Scenario::new(seed, Damage::Nothing, moment)
    });
    for report in hold(scenarios).await {
        let green = matches!(report.verdict, Verdict::Harmless | Verdict::Recovered);
        assert!(green, "{report}");
    }
}
