//! One round: an installation is filled, damaged, tried and judged.

mod histories;
mod treatment;
mod way_back;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use gridkeeper_broker::BrokerError;
use gridkeeper_tests::{installation::Installation, sample_district, until};
use tokio::time::{Instant, interval, timeout};

use self::treatment::Treatment;
pub(crate) use self::way_back::WayBack;
use crate::{
    blocks::{self, Message},
    client::Client,
    damage::{self, Files},
    health::{State, codes_in},
    judge::{self, Found},
    kinds::Damage,
    phones::{self, Phones},
    raw_log::{Difference, RawLog},
    scenario::{Scenario, Stream, random},
    verdict::{Evidence, Report, Verified},
};

/// How long services may say neither that they are ready nor what is wrong.
const WORDLESS: Duration = Duration::from_secs(30);
/// For how long all have to be green: longer than a follower waits for an event before it looks for
/// the end.
const GREEN: Duration = Duration::from_millis(1_500);
/// For how long the same codes have to be said: longer than services wait before they try again.
const RED: Duration = Duration::from_millis(2_500);
const POLL: Duration = Duration::from_millis(100);
/// How long `gridkeeper verify` may take.
const VERIFY: Duration = Duration::from_secs(60);

/// An installation under test.
struct Round<'a> {
    scenario: &'a Scenario,
    binary: PathBuf,
    installation: Installation,
    raw: RawLog,
    client: Client,
    files: Files,
    evidence: Evidence,
}

/// Runs a round with the binary; the installation's folder stays where the round fails.
pub async fn run(binary: &Path, scenario: &Scenario) -> Report {
    let began = Instant::now();
    let mut round = Round::prepare(binary, scenario).await;
    let before = round.fill_and_damage().await;
    let end = before.keys().next_back().copied().unwrap_or(0);
    round.try_and_judge(end).await;
    if scenario.again {
        round.restart().await;
        round.try_and_judge(end).await;
    }
    round.compare().await;
    round.verify().await;
    round.look_at_the_logs(&before).await;
    if scenario.way_back && round.evidence.names_something() {
        round.way_back(&before).await;
    }
    let mut report = round.evidence.report(scenario, began.elapsed());
    if !report.failures.is_empty() {
        report.folder = Some(round.leave());
    }
    report
}

impl<'a> Round<'a> {
    /// Starts an installation whose streams have small blocks.
    async fn prepare(binary: &Path, scenario: &'a Scenario) -> Self {
        let binary = std::path::absolute(binary).unwrap();
        let mut installation = Installation::new(&binary, &sample_district()).await;
        let raw = RawLog::connect(&installation.broker.url()).await;
        installation.start("intake");
        installation.until_ready("intake").await;
        installation.stop("intake").await;
        let streams = [Stream::Events, Stream::Keys].map(Stream::name);
        for stream in streams {
            raw.limit_bytes(stream, true).await;
        }
        installation.broker.restart().await.unwrap();
        let raw = RawLog::connect(&installation.broker.url()).await;
        for stream in streams {
            raw.limit_bytes(stream, false).await;
        }
        installation.start_all().await;
        let client = Client::new(
            installation.url("intake"),
            installation.url("query"),
            token(&binary, &installation.path("data")).await,
        );
        let files = Files {
            broker: installation.path("broker"),
            data: installation.path("data"),
            copy: installation.path("copy"),
        };
        Self {
            scenario,
            binary,
            installation,
            raw,
            client,
            files,
            evidence: Evidence::default(),
        }
    }

    /// Files reports and does the damage; gives the log as it was before it.
    async fn fill_and_damage(&mut self) -> BTreeMap<u64, Message> {
        let Scenario {
            reports,
            description,
            moment,
            ..
        } = *self.scenario;
        phones::fill(&self.client, 0, reports / 2, description).await;
        if self.scenario.damage.needs_copy() {
            self.files.copy_streams();
        }
        if self.scenario.damage.needs_folders() {
            self.copy_folders().await;
        }
        phones::fill(&self.client, reports / 2, reports, description).await;
        if let Damage::RepublishStatement(_) = self.scenario.damage {
            self.make_statement().await;
        }
        self.until_views_have_all().await;
        // They go on while the broker is away. What is published through it comes between two of
        // their reports.
        let goes_away = !self.scenario.damage.needs_broker();
        let phones = (moment.services_run() && goes_away)
            .then(|| Phones::start(self.client.clone(), 40, random(self.scenario.seed)));
        self.until_newer_folder_has_all().await;
        if !moment.services_run() {
            self.stop_services().await;
        }
        let before = if self.scenario.damage.needs_broker() {
            let known = self.case_with_parties();
            let before = blocks::messages(&self.files.stream(Stream::Events));
            self.evidence.done = damage::publish(&self.raw, self.scenario, &known).await;
            before
        } else if self.scenario.damage.needs_folders() {
            self.exchange_folders().await
        } else {
            self.stop_broker().await;
            let before = blocks::messages(&self.files.stream(Stream::Events));
            self.evidence.done = self.files.damage(self.scenario);
            if let Damage::ChangeEvent(_) = self.scenario.damage {
                let damaged = blocks::messages(&self.files.stream(Stream::Events));
                self.evidence.changed = Difference::between(&before, &damaged).overwritten;
            }
            self.start_damaged_broker().await;
            before
        };
        if !moment.services_run() {
            self.start_services();
        }
        if let Some(phones) = phones {
            phones.stop().await;
        }
        before
    }

    /// Waits until the views have what was acknowledged, so that what they hold is known.
    async fn until_views_have_all(&self) {
        until("the views have every report", async || {
            let found = judge::probe(&self.client, 1).await;
            (found.wrong.is_empty() && found.unanswered.is_empty()).then_some(())
        })
        .await;
    }

    fn case_with_parties(&self) -> String {
        let ledger = self.client.ledger();
        let mut cases = ledger.cases().iter();
        let found = cases.find(|(_, case)| case.report["parties"].is_array());
        found.map(|(id, _)| id.clone()).unwrap_or_default()
    }

    async fn stop_services(&mut self) {
        match self.scenario.moment.kills_broker() {
            true => self.installation.kill_all().await,
            false => self.installation.stop_all().await,
        }
    }

    async fn stop_broker(&mut self) {
        let broker = &mut self.installation.broker;
        let stopped = match self.scenario.moment.kills_broker() {
            true => broker.kill().await,
            false => broker.stop().await,
        };
        stopped.unwrap();
    }

    fn start_services(&mut self) {
        for service in gridkeeper_tests::installation::SERVICES {
            self.installation.start(service);
        }
    }

    /// Restarts everything once more.
    async fn restart(&mut self) {
        self.stop_services().await;
        self.stop_broker().await;
        self.start_damaged_broker().await;
        self.start_services();
    }

    /// Starts the broker on its damaged files. One that reads them for ever is started as the page
    /// of its code says: without the index of the stream.
    async fn start_damaged_broker(&mut self) {
        match self.installation.broker.restart().await {
            Ok(()) => return,
            Err(BrokerError::Silent { .. }) => {}
            Err(error) => panic!("the broker does not start: {error}"),
        }
        if self.scenario.moment.services_run() {
            let state = State::of(&self.client, &mut self.installation).await;
            self.evidence.green_over_a_hole |= state.is_green();
            self.evidence.was_red |= state.is_red();
            let found = judge::probe(&self.client, 6).await;
            self.evidence.wrong.extend(found.wrong);
        }
        self.installation.broker.kill().await.unwrap();
        let index = blocks::index_file(&self.files.stream(self.scenario.stream));
        std::fs::remove_file(&index).unwrap();
        self.installation.broker.restart().await.unwrap();
        self.evidence.done += "; the broker silent (GK0805) until the index was removed";
    }

    /// Phones file new reports in other grids at once, and repeat old ones, until the services are
    /// all green or one is red with a code. `end` is where the log ended before the damage.
    async fn try_and_judge(&mut self, end: u64) {
        // As many as may have been lost, so that positions would be taken again up to the old end.
        let new = if self.scenario.again { 200 } else { 48 };
        let random = random(self.scenario.seed ^ 0xf11e);
        let phones = Phones::start(self.client.clone(), new, random);
        let (began, mut interval) = (Instant::now(), interval(POLL));
        let mut last = (State::default(), began);
        loop {
            interval.tick().await;
            let state = State::of(&self.client, &mut self.installation).await;
            self.evidence.was_red |= state.is_red();
            let found = judge::probe(&self.client, 6).await;
            self.evidence.wrong.extend(found.wrong);
            if last.0 != state {
                last = (state, Instant::now());
            }
            let (state, since) = &last;
            let settled = match (state.is_wordless(), state.is_green()) {
                (true, _) => began.elapsed() > WORDLESS,
                (_, true) => since.elapsed() > GREEN,
                (_, false) => since.elapsed() > RED || began.elapsed() > WORDLESS,
            };
            if settled {
                break;
            }
        }
        phones.stop().await;
        self.evidence.state = last.0;
        if self.evidence.state.is_green() {
            let raw = RawLog::connect(&self.installation.broker.url()).await;
            let log = raw.state(Stream::Events.name()).await;
            let visible = log.shows_a_hole() || log.last() < end;
            self.evidence.green_over_a_hole |= visible;
        }
    }

    /// Compares every answer with the ledger.
    async fn compare(&mut self) {
        if self.evidence.state.is_green() {
            phones::try_doubts(&self.client).await;
        }
        let Found {
            wrong,
            unanswered,
            without_parties,
            ..
        } = judge::compare(&self.client).await;
        self.evidence.wrong.extend(wrong);
        self.evidence.unanswered = unanswered;
        self.evidence.without_parties = without_parties;
        let state = State::of(&self.client, &mut self.installation).await;
        if self.evidence.state.is_green() && !state.is_green() {
            // What was found by asking is found all the same.
            self.evidence.was_red |= state.is_red();
            self.evidence.state = state;
        }
    }

    async fn verify(&mut self) {
        let command = &mut self.installation.command(&["verify"]);
        self.evidence.verified = match timeout(VERIFY, command.output()).await {
            Err(_) => Verified::Hangs,
            Ok(output) => {
                let output = output.unwrap();
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                match (output.status.success(), codes_in(&said)) {
                    (true, _) => Verified::Whole,
                    (false, codes) if codes.is_empty() => Verified::Wordless(said),
                    (false, codes) => Verified::Names(codes),
                }
            }
        };
    }

    /// What became of the log, by the broker itself.
    async fn look_at_the_logs(&mut self, before: &BTreeMap<u64, Message>) {
        let stream = Stream::Events.name();
        let raw = RawLog::connect(&self.installation.broker.url()).await;
        let state = raw.state(stream).await;
        let end = before.keys().next_back().copied().unwrap_or(0);
        let now = raw.messages(stream, state.last().max(end)).await;
        self.evidence.log = Difference::between(before, &now);
        let mut ledger = self.client.ledger();
        let wrong = std::mem::take(&mut ledger.wrong);
        self.evidence.wrong.extend(wrong);
        for command in ledger.commands() {
            let Some(position) = command.position else {
                continue;
            };
            let case: uuid::Uuid = command.case.parse().unwrap();
            let holds = |log: &BTreeMap<u64, Message>| {
                let message = log.get(&position);
                message.is_some_and(|message| message.names(case))
            };
            match (holds(before), holds(&now)) {
                (true, true) => {}
                (true, false) => self.evidence.lost_before_damage.push(position),
                (false, held) => {
                    self.evidence.acknowledged_after += 1;
                    if !held {
                        let text = format!("{} at {position}", command.id);
                        self.evidence.lost_after_damage.push(text);
                    }
                }
            }
        }
    }

    /// Leaves the folder behind, with what was found.
    fn leave(mut self) -> PathBuf {
        let folder = self.installation.keep();
        let text = format!("{}\n{:#?}\n", self.scenario, self.evidence);
        std::fs::write(folder.join("evidence.txt"), text).unwrap();
        folder
    }
}

/// A token of the installation's administrator.
async fn token(binary: &Path, data: &Path) -> String {
    let output = tokio::process::Command::new(binary)
        .args(["token", "--role", "admin", "--area", "510402"])
        .args(["--id", "faults", "--data"])
        .arg(data)
        .output();
    let output = output.await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The codes that a set of texts names, in a line.
pub(crate) fn line(codes: &BTreeSet<String>) -> String {
    let codes: Vec<_> = codes.iter().map(String::as_str).collect();
    codes.join("+")
}

impl Scenario {
    /// Whether the log itself is meant to be left alone.
    pub(crate) fn spares_log(&self) -> bool {
        self.stream == Stream::Keys && self.damage != Damage::OlderBroker
    }
}
