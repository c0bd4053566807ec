//! Older copies of an installation's folders, a second history written on them, and statements.

use std::collections::BTreeMap;

use gridkeeper_eventlog::read_watermark;
use gridkeeper_tests::{installation::ENDPOINTS, until};
use rand::RngExt as _;

use super::Round;
use crate::{
    blocks::{self, Message},
    damage,
    kinds::{Damage, Folder, Headers, Subject},
    phones,
    scenario::{Scenario, Stream, random},
};

impl Round<'_> {
    /// Copies all folders while nothing uses them.
    pub(super) async fn copy_folders(&mut self) {
        self.installation.stop_all().await;
        self.installation.broker.stop().await.unwrap();
        self.files.copy_folders();
        self.installation.broker.restart().await.unwrap();
        self.installation.start_all().await;
    }

    /// Where one folder is to be newer than all others, waits until it is so on the disk: views may
    /// be a second behind, and after a kill nobody would know more than the others.
    pub(super) async fn until_newer_folder_has_all(&self) {
        let (Damage::AllOlderBut(newer) | Damage::TwoHistories(newer)) = self.scenario.damage
        else {
            return;
        };
        if newer == Folder::Broker {
            return;
        }
        let (folder, last) = (
            self.files.folder(newer),
            self.client.ledger().last_position(),
        );
        until("the newer folder has all", async || {
            let reached = read_watermark(&folder)?.checkpoint.position;
            (reached.0 >= last).then_some(())
        })
        .await;
    }

    /// Exchanges folders of the installation, whose services do not run. Gives the log before the
    /// damage: of two histories, the one that was written last.
    pub(super) async fn exchange_folders(&mut self) -> BTreeMap<u64, Message> {
        self.stop_broker().await;
        let damage = self.scenario.damage;
        let mut log = self.log_in_files();
        if let Damage::TwoHistories(newer) = damage {
            self.files.keep_newer(newer);
            self.files.put_older(&Folder::ALL);
            self.give_up_what_is_not_in_files();
            let count = self.write_on().await;
            self.stop_broker().await;
            self.files.put_newer(newer);
            log = self.log_in_files();
            self.evidence.done =
                format!("{count} reports filed on older copies; {newer:?} put back as it was");
        } else {
            let older = damage.older_folders();
            self.files.put_older(&older);
            self.evidence.done = format!("older copies of {older:?}");
        }
        self.installation.broker.restart().await.unwrap();
        log
    }

    /// Files reports on what the folders hold now; gives how many. Nothing runs afterwards but the
    /// broker.
    async fn write_on(&mut self) -> usize {
        let Scenario {
            reports,
            description,
            seed,
            ..
        } = *self.scenario;
        let count = random(seed ^ 0x2415).random_range(8..=reports);
        self.installation.broker.restart().await.unwrap();
        self.installation.start_all().await;
        phones::fill(&self.client, reports, reports + count, description).await;
        self.until_views_have_all().await;
        self.stop_services().await;
        count
    }

    fn log_in_files(&self) -> BTreeMap<u64, Message> {
        blocks::messages(&self.files.stream(Stream::Events))
    }

    /// What the log does not hold any more is lost, and nothing is left that tells of it.
    fn give_up_what_is_not_in_files(&self) {
        let log = self.log_in_files();
        let mut ledger = self.client.ledger();
        for id in ledger.not_in(&log) {
            ledger.give_up(&id);
        }
    }

    /// Brings a statement into the log: what is no event is published and quarantined.
    pub(super) async fn make_statement(&mut self) {
        let garbage = Damage::Garbage(Subject::Known, Headers::Id);
        let scenario = Scenario {
            damage: garbage,
            ..self.scenario.clone()
        };
        damage::publish(&self.raw, &scenario, "").await;
        let treatment = self.follow_doctor().await;
        assert!(treatment.failures.is_empty(), "{treatment:?}");
        for endpoint in ENDPOINTS {
            self.installation.until_ready(endpoint).await;
        }
    }
}
