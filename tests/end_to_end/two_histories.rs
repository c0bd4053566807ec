//! Parts of an installation that are older than others, and logs that were gone on with from an older copy.

use std::fs;

use gridkeeper_eventlog::read_watermark;
use gridkeeper_proto::api::Receipt;
use gridkeeper_tests::{installation::SERVICES, sample_district, until};

use crate::{
    site::{Site, report},
    way_back::copy,
};

const GRID: &str = "51040200200501";
const OTHER: &str = "51040200300101";
const THIRD: &str = "51040200100101";

const BROKER: &str = "broker";
const EVIDENCE: &str = "data/log";
const VIEWS: &str = "data/aggregator";
const TIMERS: &str = "data/escalator";
const ALL: [&str; 4] = [BROKER, EVIDENCE, VIEWS, TIMERS];

const ENDPOINTS: [&str; 4] = ["intake", "aggregator", "query", "escalator"];

impl Site {
    /// Copies folders of the installation, which is stopped, to a place of this name.
    fn set_aside(&self, name: &str) {
        for part in ALL {
            copy(&self.path(part), &self.path(name).join(part));
        }
    }

    /// Puts folders back as they were at this place.
    fn put_back(&self, name: &str, parts: &[&str]) {
        for part in parts {
            fs::remove_dir_all(self.path(part)).unwrap();
            copy(&self.path(name).join(part), &self.path(part));
        }
    }

    async fn stop_everything(&mut self) {
        self.stop_all().await;
        self.broker.stop().await.unwrap();
    }

    async fn start_red(&mut self, codes: &[&str], red: &[&'static str]) {
        self.broker.restart().await.unwrap();
        for service in SERVICES {
            self.start(service);
        }
        for service in red {
            self.until_red_with_any(service, codes).await;
        }
    }

    /// The way back that the doctor names for what is lost, and that all is right after it.
    async fn give_up(&mut self, option: &[&str], kept: usize, lost: &[Receipt]) {
        let command = [&["log", "accept-loss"], option, &["--reason", "a copy"]].concat();
        let (said, _) = self.fails(&["doctor"]).await;
        assert!(said.contains(&option.join(" ")), "{said}");
        let said = self.run(&command).await;
        let named = format!("{} of their events are known", lost.len());
        assert!(said.contains(&named), "{said}");
        self.restart_right(kept, lost).await;
        // What is filed again counts.
        let again = &lost[0];
        let id = again.case_id.to_string();
        self.door().file(&[report(&id, again.grid.as_str())]).await;
        self.all_is_right(kept + 1, &lost[1..]).await;
    }

    /// Starts everything again, and checks that all is right then.
    async fn restart_right(&mut self, kept: usize, lost: &[Receipt]) {
        self.kill_all().await;
        self.start_all().await;
        let healthy = self.run(&["doctor"]).await;
        assert!(healthy.contains("nothing is wrong"), "{healthy}");
        self.all_is_right(kept, lost).await;
        self.run(&["verify"]).await;
        let same = self.run(&["rebuild", "--diff"]).await;
        assert!(same.contains(" 0 different"), "{same}");
    }

    /// Waits until views and timers have noted that they read up to a position.
    async fn until_read(&self, position: u64) {
        // Nobody vouches for a history before it is compared.
        for folder in [VIEWS, TIMERS] {
            until("what was read is noted", async || {
                let reached = read_watermark(&self.path(folder))?.checkpoint.position;
                (reached.0 >= position).then_some(())
            })
            .await;
        }
    }

    /// Where the log ends, by the broker.
    async fn last_position_of_broker(&self) -> u64 {
        let client = async_nats::connect(self.broker.url()).await.unwrap();
        let context = async_nats::jetstream::new(client);
        let mut stream = context.get_stream("EVT_510402").await.unwrap();
        stream.info().await.unwrap().state.last_sequence
    }

    async fn all_is_right(&self, kept: usize, lost: &[Receipt]) {
        let last = self.last_position().await;
        let all = format!("/v1/areas/510402?at_least={last}&wait_ms=10000");
        assert_eq!(self.answer(&all).await["reported"], kept);
        for receipt in lost {
            let (status, answer) = self.step(&receipt.case_id.to_string()).await;
            assert_eq!(
                (status, answer["code"].as_str()),
                (410, Some("GK0530")),
                "{answer}"
            );
        }
    }
}

/// The first position of receipts.
fn first_of(receipts: &[Receipt]) -> u64 {
    let positions = receipts.iter().map(|receipt| receipt.position.0);
    positions.min().unwrap()
}

/// A stopped installation with a copy of all its parts that is older than its last reports; these.
async fn with_an_older_copy() -> (Site, Vec<Receipt>) {
    let mut site = Site::started(&sample_district()).await;
    site.file(5, GRID).await;
    site.stop_everything().await;
    site.set_aside("older");
    site.broker.restart().await.unwrap();
    site.start_all().await;
    let newest = site.file(5, OTHER).await;
    let last = site.last_position().await;
    let all = format!("/v1/areas/510402?at_least={last}&wait_ms=10000");
    assert_eq!(site.answer(&all).await["reported"], 10);
    site.until_read(last).await;
    site.stop_everything().await;
    (site, newest)
}

/// The log and all that intake keeps of it are older than what one of the others has read.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_only_views_know_to_be_short_is_named_before_anything_is_appended() {
    for (newer, gone) in [(VIEWS, TIMERS), (TIMERS, VIEWS)] {
        let (mut site, lost) = with_an_older_copy().await;
        let end = lost.iter().map(|receipt| receipt.position.0).max().unwrap();
        site.put_back("older", &[BROKER, EVIDENCE]);
        fs::remove_dir_all(site.path(gone)).unwrap();
        site.start_red(&["GK0308"], &ENDPOINTS).await;
        let first = first_of(&lost);
        let missing = format!("positions {first} to {end} are missing");
        let (said, _) = site.fails(&["doctor"]).await;
        assert!(said.contains(&missing), "{newer}: {said}");
        let (_, refused) = site.fails(&["verify"]).await;
        assert!(refused.contains("GK0308"), "{newer}: {refused}");
        // Also while nothing runs.
        site.kill_all().await;
        let (said, _) = site.fails(&["doctor"]).await;
        assert!(said.contains(&missing), "{newer}: {said}");
        for service in SERVICES {
            site.start(service);
        }
        site.until_red("aggregator", "GK0308").await;
        let from = first.to_string();
        if newer == VIEWS {
            site.give_up(&["--from", &from], 5, &lost).await;
        } else {
            // The timers know how far it went, and not whose the reports were.
            site.run(&["log", "accept-loss", "--from", &from, "--reason", "a copy"])
                .await;
            site.kill_all().await;
            site.start_all().await;
            site.all_is_right(5, &[]).await;
        }
    }
}

/// An installation whose log was gone on with from an older copy, while views of what came after
/// the copy are left.
async fn gone_on_with_from_a_copy(own: usize) -> (Site, Vec<Receipt>) {
    let (mut site, lost) = with_an_older_copy().await;
    site.set_aside("newer");
    site.put_back("older", &ALL);
    site.broker.restart().await.unwrap();
    site.start_all().await;
    site.file(own, THIRD).await;
    site.stop_everything().await;
    site.put_back("newer", &[VIEWS]);
    (site, lost)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_in_another_history_is_named_and_given_up() {
    for own in [2, 9] {
        let (mut site, lost) = gone_on_with_from_a_copy(own).await;
        site.start_red(&["GK0308", "GK0322", "GK0328"], &["intake", "aggregator"])
            .await;
        let (said, _) = site.fails(&["doctor"]).await;
        assert!(said.contains("another history is known"), "{said}");
        let from = (lost[0].position.0 + 20).to_string();
        for part in [&["--from", &from][..], &["--changed"]] {
            let command = [&["log", "accept-loss"], part, &["--reason", "a copy"]].concat();
            site.fails(&command).await;
        }
        site.give_up(&["--other-history"], 5 + own, &lost).await;
        let shown = site.run(&["verify"]).await;
        assert!(
            shown.contains("LOST: another history of positions"),
            "{shown}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn views_of_another_history_that_are_put_aside_are_made_anew() {
    let (mut site, _) = gone_on_with_from_a_copy(7).await;
    site.start_red(&["GK0322", "GK0328"], &["intake", "aggregator"])
        .await;
    let (said, _) = site.fails(&["doctor"]).await;
    let advice = format!("{} was exchanged", site.path(VIEWS).display());
    assert!(said.contains(&advice), "{said}");
    site.kill_all().await;
    fs::rename(site.path(VIEWS), site.path("aside")).unwrap();
    site.start_all().await;
    let healthy = site.run(&["doctor"]).await;
    assert!(healthy.contains("nothing is wrong"), "{healthy}");
    site.all_is_right(12, &[]).await;
}

/// Two histories that were both signed.
#[tokio::test(flavor = "multi_thread")]
async fn two_signed_histories_are_told_apart_and_one_is_given_up() {
    let (mut site, _) = gone_on_with_from_a_copy(9).await;
    site.put_back("newer", &[EVIDENCE]);
    let own = site.path("newer/data/log/checkpoints");
    assert!(fs::read_dir(own).unwrap().count() > 0);
    site.start_red(&["GK0322", "GK0328"], &["intake", "aggregator"])
        .await;
    let (said, _) = site.fails(&["doctor"]).await;
    assert!(said.contains("another history is known"), "{said}");
    assert!(said.contains("--other-history"), "{said}");
}

/// Intake's folder alone is of the other history, which went on for longer.
#[tokio::test(flavor = "multi_thread")]
async fn evidence_of_a_longer_history_tells_where_the_two_may_part() {
    let (mut site, lost) = gone_on_with_from_a_copy(2).await;
    site.put_back("older", &[VIEWS]);
    site.put_back("newer", &[EVIDENCE]);
    site.start_red(&["GK0308"], &["intake", "aggregator", "escalator"])
        .await;
    let first = first_of(&lost);
    let (said, _) = site.fails(&["doctor"]).await;
    let named = format!("of positions {first} to ");
    assert!(said.contains(&named), "{said}");
}

/// After a loss was given up, the log is not yet as long as it was when it loses its end again.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_after_a_loss_was_given_up_is_named_too() {
    let (mut site, lost) = with_an_older_copy().await;
    site.put_back("older", &[BROKER]);
    site.start_red(&["GK0308"], &ENDPOINTS).await;
    let from = first_of(&lost).to_string();
    let given_up: &[&str] = &["--from", &from];
    site.give_up(given_up, 5, &lost).await;

    // The copy that is put back holds the statement, or it does not.
    site.stop_everything().await;
    site.set_aside("with the statement");
    for (copy, kept) in [("with the statement", 6), ("older", 5)] {
        site.broker.restart().await.unwrap();
        site.start_all().await;
        let again = site.file(2, THIRD).await;
        site.until_read(again[1].position.0).await;
        site.stop_everything().await;
        site.put_back(copy, &[BROKER]);
        site.start_red(&["GK0308"], &ENDPOINTS).await;
        let (said, _) = site.fails(&["doctor"]).await;
        let end = again[1].position;
        assert!(said.contains(&format!("to {end} are missing")), "{said}");
        let (_, refused) = site.fails(&["verify"]).await;
        assert!(refused.contains("GK0308"), "{refused}");
        let from = site.last_position_of_broker().await + 1;
        let from = from.to_string();
        site.run(&["log", "accept-loss", "--from", &from, "--reason", "again"])
            .await;
        site.restart_right(kept, &again).await;
        site.stop_everything().await;
    }
}
