//! Whether the way back that the doctor tells ends well, by the ledger.
//!
//! Every report that was acknowledged is answered right, or named as lost and taken again. A lost
//! step leaves its case as it was before the step; the steps of a lost report are lost with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::{Instant, interval};

use super::{POLL, Round, Treatment, treatment::output};
use crate::{
    blocks::Message,
    doctor::GivenUp,
    health::State,
    judge::{self, Lost},
    ledger::Command,
    phones,
    raw_log::RawLog,
    scenario::{Moment, Stream},
    verdict::told,
};

/// How long services may take until they are green, and until they answer all.
const LIMIT: Duration = Duration::from_secs(45);

/// How a way back ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct WayBack {
    /// What was done, and what it printed.
    said: Vec<String>,
    /// How many positions were given up.
    given_up: u64,
    /// How many of their events the views knew.
    known: u64,
    /// Of how many cases the keys were given up.
    keys: u64,
    /// How many reports and steps are lost.
    lost: usize,
    /// How many lost reports are not named.
    nameless: usize,
    /// How many were taken again.
    filed_again: usize,
    /// Why it does not end well.
    pub(crate) failures: Vec<String>,
}

impl WayBack {
    fn of(treatment: &Treatment) -> Self {
        let given_up = treatment.given_up.iter();
        let known = given_up.clone().map(|gone| gone.known);
        Self {
            said: treatment.said.clone(),
            known: known.sum(),
            given_up: given_up.map(|gone| gone.to + 1 - gone.from).sum(),
            keys: treatment.keys,
            failures: treatment.failures.clone(),
            ..Self::default()
        }
    }

    fn fail(&mut self, what: &str, seen: &[String]) {
        self.failures.extend(told(what, seen));
    }

    /// What it cost, in a line; what was printed follows where it does not end well.
    pub(crate) fn line(&self) -> String {
        let Self {
            given_up,
            known,
            keys,
            lost,
            nameless,
            filed_again,
            ..
        } = self;
        let line = format!(
            "{given_up} positions given up, the events of {known} known; {keys} keys given up; \
             {lost} commands lost, {nameless} without a name, {filed_again} taken again"
        );
        match self.failures.is_empty() {
            true => line,
            false => format!("{line}\n{}", self.said.join("\n")),
        }
    }
}

impl Round<'_> {
    /// Follows the doctor and judges what comes of it. `before` is the log before the damage.
    pub(super) async fn way_back(&mut self, before: &BTreeMap<u64, Message>) {
        let treatment = self.follow_doctor().await;
        let mut way = WayBack::of(&treatment);
        if treatment.whole && self.until_green(&mut way).await {
            self.give_up_what_is_lost(before, &treatment, &mut way)
                .await;
            self.try_everything(&mut way).await;
            self.compare_again("before lost reports are filed again", &mut way)
                .await;
            self.ask_for_lost(&treatment, &mut way).await;
            self.file_again(&mut way).await;
            self.compare_again("after lost reports were filed again", &mut way)
                .await;
            if self.scenario.again {
                self.restart_services().await;
                self.until_green(&mut way).await;
                self.try_everything(&mut way).await;
            }
            self.ask_commands(&mut way).await;
            self.until_green(&mut way).await;
        }
        self.evidence.way_back = Some(way);
    }

    /// Waits until all services are green; says whether they are.
    async fn until_green(&mut self, way: &mut WayBack) -> bool {
        let (began, mut interval) = (Instant::now(), interval(POLL));
        loop {
            interval.tick().await;
            let state = State::of(&self.client, &mut self.installation).await;
            if state.is_green() {
                return true;
            }
            if began.elapsed() > LIMIT {
                way.fail("not green after the way back", &[state.line()]);
                return false;
            }
        }
    }

    /// Enters into the ledger what the log does not hold any more, by the broker itself and by what
    /// was said to be given up.
    async fn give_up_what_is_lost(
        &self,
        before: &BTreeMap<u64, Message>,
        treatment: &Treatment,
        way: &mut WayBack,
    ) {
        let raw = RawLog::connect(&self.installation.broker.url()).await;
        let stream = Stream::Events.name();
        let now = raw.messages(stream, raw.state(stream).await.last()).await;
        let given_up = &treatment.given_up;
        let mut ledger = self.client.ledger();
        let gone: BTreeSet<String> = ledger.not_in(&now).into_iter().collect();
        let mut lost = gone.clone();
        let mut silent = Vec::new();
        for command in ledger.commands() {
            let Some(position) = command.position else {
                continue;
            };
            if given_up.iter().any(|gone| gone.takes(position)) {
                lost.insert(command.id.clone());
            }
            let named = given_up.iter().any(|gone| gone.covers(position));
            if gone.contains(&command.id) && !named {
                silent.push(format!("{} at {position}", command.id));
            }
        }
        let of_lost = |command: &&Command| command.position.is_some();
        let commands = ledger.commands().iter().filter(of_lost);
        let steps = commands.filter(|command| lost.contains(&command.case));
        let steps: Vec<_> = steps.map(|command| command.id.clone()).collect();
        lost.extend(steps);
        lost.iter().for_each(|id| ledger.give_up(id));
        way.lost = ledger.lost().count();
        way.fail("lost and not given up", &silent);
        // Where nothing tells which event was changed, whole ones are given up with it.
        let log = &self.evidence.log;
        let whole = before
            .keys()
            .filter(|at| !log.lost.contains(at) && !log.overwritten.contains(at));
        let takes = |at: &&u64| {
            given_up
                .iter()
                .any(|gone| !gone.changed && gone.takes(**at))
        };
        let needless: Vec<_> = whole.filter(takes).map(u64::to_string).collect();
        way.fail("given up and still there", &needless);
    }

    /// Files new reports in all grids, sends what is in doubt until nothing is, and asks for each
    /// receipt again.
    async fn try_everything(&self, way: &mut WayBack) {
        phones::file_everywhere(&self.client).await;
        if !phones::settle_within(&self.client, LIMIT).await {
            let doubtful: Vec<_> = {
                let ledger = self.client.ledger();
                let all = ledger.in_doubt();
                all.map(|command| format!("{} {}", command.id, command.body["grid"]))
                    .collect()
            };
            way.fail("not taken after the way back", &doubtful);
        }
        phones::repeat_acknowledged(&self.client).await;
    }

    /// Compares every answer with the ledger once more.
    async fn compare_again(&self, when: &str, way: &mut WayBack) {
        let (began, mut interval) = (Instant::now(), interval(POLL));
        let found = loop {
            interval.tick().await;
            let found = judge::compare(&self.client).await;
            // What is read from the log waits until the log is compared.
            if found.unanswered.is_empty() || began.elapsed() > LIMIT {
                break found;
            }
        };
        way.fail(&format!("wrong {when}"), &found.wrong);
        way.fail(&format!("no answer {when}"), &found.unanswered);
        if found.without_parties.len() as u64 > way.keys {
            way.fail(&format!("without parties {when}"), &found.without_parties);
        }
        let wrong = std::mem::take(&mut self.client.ledger().wrong);
        way.fail(&format!("wrong receipts {when}"), &wrong);
    }

    /// Asks for what is lost: reports are named, and steps left no trace.
    async fn ask_for_lost(&self, treatment: &Treatment, way: &mut WayBack) {
        let Lost { nameless, wrong } = judge::ask_for_lost(&self.client).await;
        way.fail("wrong answer for what is lost", &wrong);
        way.nameless = nameless.len();
        let unknown: u64 = treatment.given_up.iter().map(GivenUp::unknown).sum();
        // After a kill the views may be some moments behind.
        let told_all =
            self.scenario.moment == Moment::Stopped && self.scenario.damage.leaves_views();
        if nameless.len() as u64 > unknown || told_all {
            way.fail("lost without a name", &nameless);
        }
    }

    /// Files again what is lost.
    async fn file_again(&self, way: &mut WayBack) {
        phones::file_lost_again(&self.client).await;
        let left: Vec<_> = {
            let ledger = self.client.ledger();
            ledger.lost().map(|command| command.id.clone()).collect()
        };
        way.filed_again = way.lost - left.len();
        way.fail("lost and not taken again", &left);
    }

    /// The commands that say that a log and its views are right.
    async fn ask_commands(&self, way: &mut WayBack) {
        for arguments in [&["verify"][..], &["rebuild", "--diff"], &["doctor"]] {
            let ended = output(&mut self.installation.command(arguments)).await;
            let said = ended.as_ref().map(|output| {
                let text = [&*output.stdout, &output.stderr].concat();
                String::from_utf8_lossy(&text).into_owned()
            });
            let well = ended.is_some_and(|output| output.status.success());
            let said = said.unwrap_or_else(|| "does not end".to_owned());
            if !well || arguments[0] == "rebuild" && !said.contains(" 0 different") {
                way.fail(&arguments.join(" "), &[said]);
            }
        }
    }
}
