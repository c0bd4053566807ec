//! Runs that end at any moment are gone on with.

use std::{cell::Cell, fs};

use gridkeeper_backup::{Error, check, restore, take};
use gridkeeper_proto::{
    code::{Code, Coded as _},
    envelope::Position,
    time::Timestamp,
};
use tokio::sync::Notify;

use crate::site::{Site, all, copy, empty, files, restored, site, target};

/// Runs something until it has told of its progress so many times; gives its outcome if it has ended before.
async fn until_told<T>(
    times: usize,
    run: impl AsyncFnOnce(&dyn Fn()) -> Result<T, Error>,
) -> Option<T> {
    let (told, enough) = (Cell::new(0), Notify::new());
    let tell = || {
        told.set(told.get() + 1);
        if told.get() == times {
            enough.notify_one();
        }
    };
    tokio::select! {
        biased;
        () = enough.notified() => None,
        ended = run(&tell) => Some(ended.unwrap()),
    }
}

async fn take_until(site: &Site, name: &str, times: usize) -> bool {
    let path = site.path(name);
    let source = site.source();
    let taken = until_told(times, async |tell| {
        take(&path, &source, Timestamp::EPOCH, |_| tell()).await
    });
    taken.await.is_some()
}

#[tokio::test]
async fn a_backup_that_is_interrupted_at_any_moment_ends_with_the_same_bytes() {
    let mut site = site(450).await;
    site.sign().await;
    site.take("whole").await.unwrap();
    let whole = files(&site.path("whole"));
    // What is on the disk after each write of a run, in the order in which it writes.
    let segments = whole.keys().filter(|name| name.starts_with("segments/"));
    let others = whole
        .keys()
        .filter(|name| !name.starts_with("segments/") && *name != "manifest.json");
    let written: Vec<_> = segments.chain(others).collect();
    for so_many in 0..=written.len() {
        let folder = site.path(&format!("after {so_many}"));
        fs::create_dir_all(folder.join("segments")).unwrap();
        for name in &written[..so_many] {
            fs::write(folder.join(name), &whole[*name]).unwrap();
        }
        let half = written
            .get(so_many)
            .map(|name| (format!("{name}.7.new"), &whole[*name]));
        if let Some((name, bytes)) = half {
            fs::write(folder.join(name), &bytes[..bytes.len() / 2]).unwrap();
        }
        let refused = check(&folder, None, |_| {}).unwrap_err();
        assert_eq!(refused.code(), Code(344), "no run has ended");
        let taken = site.take(&format!("after {so_many}")).await.unwrap();
        assert_eq!(taken.read == 0, so_many >= 5, "{so_many}");
        assert_eq!(files(&folder), whole, "after {so_many} files");
    }
    // The same on top of a backup that is whole.
    let before = files(&site.path("whole"));
    site.write(120).await;
    let mut times = 1;
    loop {
        let name = format!("on top {times}");
        copy(&site.path("whole"), &site.path(&name));
        if take_until(&site, &name, times).await {
            break;
        }
        let checked = check(&site.path(&name), None, |_| {}).unwrap();
        assert_eq!(
            files(&site.path(&name))["manifest.json"],
            before["manifest.json"],
            "up to {} it is as it was",
            checked.manifest.position
        );
        site.take(&name).await.unwrap();
        check(&site.path(&name), None, |_| {}).unwrap();
        times += 1;
    }
    assert!(times >= 2, "{times}");
}

#[tokio::test]
async fn a_restore_that_is_interrupted_at_any_moment_goes_on_and_nobody_uses_what_is_half_there() {
    let site = site(2_500).await;
    site.sign().await;
    site.take("backup").await.unwrap();
    let path = site.path("backup");
    let (_folder, broker) = empty().await;
    let log = gridkeeper_eventlog::EventLog::open(
        &broker.url(),
        crate::site::district(),
        &crate::site::options(),
    )
    .await
    .unwrap();
    let checking = files(&path)
        .keys()
        .filter(|name| name.contains("segments/"))
        .count();
    let mut reached = Vec::new();
    for times in 1.. {
        let target = target(&broker).await;
        let outcome = until_told(checking + times, async |tell| {
            restore(&path, &target, &[], |_| tell()).await
        });
        if let Some(outcome) = outcome.await {
            reached.push(outcome.resumed_after);
            break;
        }
        // Nobody reads or begins what is half there.
        let refused = log.facts().await.unwrap_err();
        assert_eq!(refused.code(), Code(340), "{refused}");
        let begun = log.begin(site.signer.origin().log).await.unwrap_err();
        assert_eq!(begun.code(), Code(340), "{begun}");
        reached.push(target.streams.log().last_position().await.unwrap());
        assert!(times < 200, "it never ends");
    }
    assert!(reached.is_sorted() && reached.len() > 4, "{reached:?}");
    assert!(
        reached[0] > Position(0) && reached[0] < site.last,
        "{reached:?}"
    );
    assert_eq!(log.facts().await.unwrap().last, site.last);
    assert_eq!(all(&log).await, all(&site.log).await);
    let once = restored(&path, &[]).await;
    assert_eq!(all(&once.log).await, all(&log).await);
}
