//! What a backup holds, and what the next run adds.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _};

use gridkeeper_backup::{Acknowledged, Source, check, take};
use gridkeeper_proto::{
    checkpoint::Checkpoint,
    code::{Code, Coded as _},
    envelope::Position,
    id::LogId,
    sealed::CaseKey,
    time::Timestamp,
    tree::TreeHash,
};
use uuid::Uuid;

use crate::site::{copy, files, site};

#[tokio::test]
async fn a_backup_is_whole_verified_and_its_owners_alone() {
    let site = site(700).await;
    site.sign().await;
    let taken = site.take("backup").await.unwrap();
    assert_eq!(taken.manifest.position, site.last);
    assert_eq!(taken.manifest.verified_against, Some(site.last));
    assert_eq!((taken.read, taken.checkpoints), (site.last.0, 1));
    assert_eq!((taken.without_key, taken.longer), (0, None));

    let checked = check(&site.path("backup"), None, |_| {}).unwrap();
    let verified = site.verified().await;
    assert_eq!(checked.manifest, taken.manifest);
    assert_eq!(
        (
            checked.verified.end,
            checked.verified.digest,
            checked.verified.sealed
        ),
        (verified.end, verified.digest, verified.sealed)
    );
    assert!(verified.sealed.forgotten > 3 && verified.sealed.cases > 10);
    assert_eq!(checked.verified.checkpoints, 1);
    let open = gridkeeper_private_open(&site.path("backup"));
    assert_eq!(open, 0, "nobody else may read keys");
}

/// How many files and folders others can reach.
fn gridkeeper_private_open(folder: &std::path::Path) -> usize {
    let mut open = usize::from(fs::metadata(folder).unwrap().permissions().mode() & 0o077 != 0);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        open += match path.is_dir() {
            true => gridkeeper_private_open(&path),
            false => usize::from(fs::metadata(&path).unwrap().permissions().mode() & 0o077 != 0),
        };
    }
    open
}

#[tokio::test]
async fn the_next_run_reads_what_is_new_and_leaves_what_one_run_would_have() {
    let mut site = site(150).await;
    let mut seen = 0;
    for round in 0..6 {
        let taken = site.take("backup").await.unwrap();
        assert_eq!(taken.read, site.last.0 - seen, "round {round}");
        seen = site.last.0;
        if round % 2 == 0 {
            site.sign().await;
        }
        site.write(70).await;
    }
    site.take("backup").await.unwrap();
    let again = site.take("backup").await.unwrap();
    assert_eq!(again.read, 0);
    site.take("at once").await.unwrap();
    let (steps, once) = (files(&site.path("backup")), files(&site.path("at once")));
    let names: Vec<_> = once
        .keys()
        .filter(|name| name.starts_with("segments/"))
        .collect();
    assert!(names.len() > 4, "{names:?}");
    assert_eq!(steps, once);
    check(&site.path("backup"), None, |_| {}).unwrap();
}

#[tokio::test]
async fn a_key_that_was_erased_is_gone_with_the_next_run() {
    let mut site = site(70).await;
    site.take("backup").await.unwrap();
    let keys = site.keys.all().await.unwrap();
    let all = |files: BTreeMap<String, Vec<u8>>| files.into_values().collect::<Vec<_>>().concat();
    let holds = |key: &[u8]| {
        let bytes = all(files(&site.path("backup")));
        bytes.windows(32).any(|window| window == key)
    };
    // One of these persons is forgotten in what follows.
    assert!(keys.values().all(|key| holds(&key.0)));
    site.write(120).await;
    let left = site.keys.all().await.unwrap();
    let erased: Vec<_> = keys
        .iter()
        .filter(|(case, _)| !left.contains_key(case))
        .collect();
    assert!(!erased.is_empty());
    site.take("backup").await.unwrap();
    let holds = |key: &[u8]| {
        let bytes = all(files(&site.path("backup")));
        bytes.windows(32).any(|window| window == key)
    };
    assert!(erased.iter().all(|(_, key)| !holds(&key.0)));
    assert!(left.values().all(|key| holds(&key.0)));
}

#[tokio::test]
async fn keys_that_the_broker_has_lost_or_has_others_for_stay_in_the_backup() {
    let mut site = site(70).await;
    let whole = site.take("backup").await.unwrap();
    assert_eq!(whole.only_here, 0);
    let keys = site.keys.all().await.unwrap();
    let lost = *keys.keys().next().unwrap();
    let changed = *keys.keys().nth(1).unwrap();
    // As damage to the stream does, without an event that somebody is forgotten.
    for case in [lost, changed] {
        site.keys.destroy(case).await.unwrap();
    }
    let another = CaseKey([7; 32]);
    let kept = site.keys.put_if_absent(changed, another).await.unwrap();
    assert_eq!(kept, another);
    for _ in 0..2 {
        let taken = site.take("backup").await.unwrap();
        assert_eq!(
            (taken.only_here, taken.manifest.keys),
            (2, whole.manifest.keys)
        );
        let checked = check(&site.path("backup"), None, |_| {}).unwrap();
        assert_eq!(checked.verified.end.position, taken.manifest.position);
    }
    site.write(40).await;
    let taken = site.take("backup").await.unwrap();
    let left = site.keys.all().await.unwrap();
    assert_eq!(taken.only_here, 2);
    assert_eq!(taken.manifest.keys, left.len() as u64 + 1);
}

#[tokio::test]
async fn a_folder_of_another_log_or_of_somebody_else_is_left_as_it_is() {
    let mut ours = site(120).await;
    ours.take("backup").await.unwrap();
    let before = files(&ours.path("backup"));

    // The same log up to there, and then another history.
    let mut other = site(120).await;
    other.write(30).await;
    ours.publish("evt.510402.garbage", None, b"by hand").await;
    ours.take("backup").await.unwrap_err();
    let with_garbage = files(&ours.path("backup"));
    copy(&ours.path("backup"), &other.path("backup"));
    let refused = other.take("backup").await.unwrap_err();
    assert_eq!(refused.code(), Code(347), "{refused}");
    assert_eq!(files(&other.path("backup")), with_garbage);
    assert_eq!(before["manifest.json"], with_garbage["manifest.json"]);

    // A shorter one.
    let shorter = site(60).await;
    copy(&ours.path("backup"), &shorter.path("backup"));
    let refused = shorter.take("backup").await.unwrap_err();
    assert_eq!(refused.code(), Code(348), "{refused}");

    fs::create_dir(shorter.path("photos")).unwrap();
    fs::write(shorter.path("photos/cat.jpg"), "cat").unwrap();
    let refused = shorter.take("photos").await.unwrap_err();
    assert_eq!(refused.code(), Code(344), "{refused}");
    let refused = check(&shorter.path("nowhere"), None, |_| {}).unwrap_err();
    assert_eq!(refused.code(), Code(344), "{refused}");
}

#[tokio::test]
async fn two_runs_at_once_are_one() {
    let site = site(150).await;
    let source = site.source();
    let (path, now) = (site.path("backup"), Timestamp::EPOCH);
    let first = take(&path, &source, now, |_| {});
    let second = take(&path, &source, now, |_| {});
    let (first, second) = tokio::join!(first, second);
    let refused = [first, second].into_iter().filter_map(Result::err);
    let refused: Vec<_> = refused.map(|error| error.code()).collect();
    assert_eq!(refused, [Code(345)]);
    let checked = check(&path, None, |_| {}).unwrap();
    assert_eq!(checked.verified.end.position, site.last);
    assert!(site.last > Position(100));
}

#[tokio::test]
async fn a_log_that_is_known_to_have_been_another_is_not_taken_for_the_right_one() {
    let site = site(70).await;
    let end = site.verified().await.end;
    let now = Timestamp::EPOCH;
    let log = site.signer.verifier().origin().log;
    let of_log = |log, up_to| Source {
        acknowledged: Some(Acknowledged { log, up_to }),
        ..site.source()
    };
    let known = |up_to| of_log(log, up_to);
    let path = site.path("backup");
    let changed = Checkpoint {
        root: TreeHash::EMPTY,
        ..end
    };
    let refused = take(&path, &known(changed), now, |_| {}).await.unwrap_err();
    assert_eq!(refused.code(), Code(328));
    let longer = Checkpoint {
        position: Position(end.position.0 + 1),
        ..end
    };
    let taken = take(&path, &known(longer), now, |_| {}).await.unwrap();
    assert_eq!(taken.longer, Some(longer));
    let taken = take(&path, &known(end), now, |_| {}).await.unwrap();
    assert_eq!(taken.longer, None);
    let of_another = of_log(LogId::new(Uuid::max()), end);
    let refused = take(&path, &of_another, now, |_| {}).await.unwrap_err();
    assert_eq!(refused.code(), Code(346));
}
