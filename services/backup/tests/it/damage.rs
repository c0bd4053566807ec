//! Damaged files of a backup are found and named, whatever the damage is and wherever.

use std::fs;

use gridkeeper_backup::{Error, check};
use gridkeeper_proto::code::{Code, Coded as _};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::site::{Site, copy, files, site};

const ROUNDS: u64 = 120;

#[tokio::test]
async fn every_damage_of_a_file_is_found_and_the_file_named() {
    let site = site(400).await;
    site.sign().await;
    site.take("backup").await.unwrap();
    let whole = files(&site.path("backup"));
    for seed in 0..ROUNDS {
        let mut random = StdRng::seed_from_u64(seed);
        let name = whole
            .keys()
            .nth(random.random_range(0..whole.len()))
            .unwrap();
        let mut bytes = whole[name].clone();
        let at = random.random_range(0..bytes.len());
        let what = match seed % 4 {
            0 => {
                bytes[at] ^= 1 << random.random_range(0..8);
                "a bit flipped"
            }
            1 => {
                bytes.truncate(at);
                "cut off"
            }
            2 => {
                let end = bytes.len().min(at + 64);
                if bytes[at..end].iter().all(|byte| *byte == 0) {
                    continue;
                }
                bytes[at..end].fill(0);
                "zeros"
            }
            _ => {
                bytes.insert(at, b' ');
                "a byte more"
            }
        };
        let path = site.path("damaged").join(name);
        copy(&site.path("backup"), &site.path("damaged"));
        fs::write(&path, &bytes).unwrap();
        let checked = check(&site.path("damaged"), None, |_| {});
        if name == "verified" {
            checked.unwrap();
            continue;
        }
        let refused = checked.unwrap_err();
        let stem = name.rsplit('/').next().unwrap();
        assert!(
            matches!(refused, Error::Damaged { .. }) && refused.to_string().contains(stem),
            "{seed}: {what} at {at} of {name}: {refused}"
        );
    }
}

#[tokio::test]
async fn files_that_are_missing_or_were_exchanged_are_found() {
    let mut site = site(300).await;
    site.take("backup").await.unwrap();
    let older = files(&site.path("backup"));
    site.write(300).await;
    site.take("backup").await.unwrap();
    let whole = files(&site.path("backup"));
    let segments: Vec<_> = whole
        .keys()
        .filter(|name| name.contains("segments/"))
        .collect();
    for name in whole.keys().filter(|name| *name != "verified") {
        copy(&site.path("backup"), &site.path("damaged"));
        fs::remove_file(site.path("damaged").join(name)).unwrap();
        let refused = check(&site.path("damaged"), None, |_| {}).unwrap_err();
        let code = if name == "manifest.json" { 344 } else { 343 };
        assert_eq!(refused.code(), Code(code), "{name}: {refused}");
        fs::remove_dir_all(site.path("damaged")).unwrap();
    }
    // An older copy of the segment that has grown since, and one in the place of another.
    let grown = segments
        .iter()
        .find(|name| older.get(**name).is_some_and(|old| *old != whole[**name]));
    let grown = grown.unwrap();
    for (name, bytes) in [(*grown, &older[*grown]), (segments[1], &whole[segments[2]])] {
        copy(&site.path("backup"), &site.path("damaged"));
        fs::write(site.path("damaged").join(name), bytes).unwrap();
        let refused = check(&site.path("damaged"), None, |_| {}).unwrap_err();
        assert_eq!(refused.code(), Code(343), "{name}: {refused}");
        fs::remove_dir_all(site.path("damaged")).unwrap();
    }
}

#[tokio::test]
async fn a_segment_that_is_damaged_stops_the_next_run_and_one_that_was_removed_is_read_again() {
    let mut site = site(500).await;
    site.take("backup").await.unwrap();
    site.write(20).await;
    site.take("whole").await.unwrap();
    let whole = files(&site.path("whole"));
    let segments: Vec<_> = whole
        .keys()
        .filter(|name| name.contains("segments/"))
        .collect();
    let last = files(&site.path("backup"));
    let last = last
        .keys()
        .rfind(|name| name.contains("segments/"))
        .unwrap();
    let damaged = site.path("backup").join(last);
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[40] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let refused = site.take("backup").await.unwrap_err();
    assert_eq!(refused.code(), Code(343), "{refused}");
    fs::remove_file(&damaged).unwrap();
    remove(&site, &segments[1..3]);
    let taken = site.take("backup").await.unwrap();
    assert!(taken.read < site.last.0, "{}", taken.read);
    assert_eq!(files(&site.path("backup")), whole);
    remove(&site, &segments[..1]);
    site.take("backup").await.unwrap();
    assert_eq!(files(&site.path("backup")), whole);
}

fn remove(site: &Site, names: &[&String]) {
    for name in names {
        fs::remove_file(site.path("backup").join(name)).unwrap();
    }
}
