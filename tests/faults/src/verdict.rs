//! What a round showed, and whether that may be.
//!
//! A damage has three good ends: it is harmless; it is named by a code, with nothing appended and
//! nothing wrong answered; or the installation recovers without a hand. All else fails the round.

use std::{collections::BTreeSet, fmt, path::PathBuf, time::Duration};

use crate::{
    health::{State, codes_in},
    raw_log::Difference,
    round::{WayBack, line},
    scenario::Scenario,
};

const MAX_SHOWN: usize = 4;

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// What exactly was done.
    pub(crate) done: String,
    /// Positions of which the damage itself changed the event.
    pub(crate) changed: Vec<u64>,
    /// How the services are in the end.
    pub(crate) state: State,
    /// Whether one of them was red with a code in between.
    pub(crate) was_red: bool,
    /// Answers that contradict the ledger.
    pub(crate) wrong: Vec<String>,
    /// Questions of the last comparison that were not answered with 200.
    pub(crate) unanswered: Vec<String>,
    /// Cases whose parties are not shown.
    pub(crate) without_parties: Vec<String>,
    /// What `gridkeeper verify` said.
    pub(crate) verified: Verified,
    /// What became of the log.
    pub(crate) log: Difference,
    /// Whether all services were green while the broker's own figures of the log said that something
    /// is missing.
    pub(crate) green_over_a_hole: bool,
    /// How many commands were acknowledged after the damage.
    pub(crate) acknowledged_after: usize,
    /// Commands acknowledged after the damage that the log does not hold.
    pub(crate) lost_after_damage: Vec<String>,
    /// Positions acknowledged before the damage that the log does not hold any more.
    pub(crate) lost_before_damage: Vec<u64>,
    /// How the way back ended, where one was gone.
    pub(crate) way_back: Option<WayBack>,
}

/// What `gridkeeper verify` said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verified {
    /// It was not asked.
    #[default]
    NotAsked,
    /// The log is whole.
    Whole,
    /// It is not, with these codes.
    Names(BTreeSet<String>),
    /// It failed without a code.
    Wordless(String),
    /// It did not end in time.
    Hangs,
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("not asked"),
            Self::Whole => f.write_str("whole"),
            Self::Names(codes) => f.write_str(&line(codes)),
            Self::Wordless(said) => write!(f, "without a code: {said}"),
            Self::Hangs => f.write_str("hangs"),
        }
    }
}

/// The good ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every answer agrees with the ledger, and nothing was ever red.
    Harmless,
    /// Something was red, and then every answer agrees with the ledger.
    Recovered,
    /// Every answer agrees with the ledger; what the damage left unreadable is known to `gridkeeper
    /// verify` alone, and to every service at its next start.
    Latent,
    /// Services are red; these are their words.
    Named(String),
}

/// A round and how it ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was done.
    pub scenario: Scenario,
    /// What exactly was done.
    pub done: String,
    /// How it ended, where that may be.
    pub verdict: Verdict,
    /// Why the round fails; empty when it does not.
    pub failures: Vec<String>,
    /// What was seen, in a line.
    pub seen: String,
    /// What the way back cost, where one was gone.
    pub way_back: Option<String>,
    /// How long it took.
    pub took: Duration,
    /// The folder of the installation, which stays where the round fails.
    pub folder: Option<PathBuf>,
}

impl Evidence {
    pub(crate) fn report(&self, scenario: &Scenario, took: Duration) -> Report {
        Report {
            scenario: scenario.clone(),
            done: self.done.clone(),
            verdict: self.verdict(),
            failures: self.failures(scenario),
            seen: format!(
                "{}; verify: {}; log: {} lost, {} overwritten, {} added; {} acknowledged after",
                self.state.line(),
                self.verified,
                self.log.lost.len(),
                self.log.overwritten.len(),
                self.log.added.len(),
                self.acknowledged_after,
            ),
            way_back: self.way_back.as_ref().map(WayBack::line),
            took,
            folder: None,
        }
    }

    /// Whether the doctor has to be asked.
    pub(crate) fn names_something(&self) -> bool {
        !self.state.is_green() || self.verified != Verified::Whole
    }

    fn verdict(&self) -> Verdict {
        match (self.state.is_green(), self.log.keeps_all()) {
            (true, true) if self.was_red => Verdict::Recovered,
            (true, true) => Verdict::Harmless,
            (true, false) => Verdict::Latent,
            (false, _) => Verdict::Named(self.state.line()),
        }
    }

    fn failures(&self, scenario: &Scenario) -> Vec<String> {
        let mut failures = Vec::new();
        let mut fail = |what: &str, seen: &[String]| failures.extend(told(what, seen));
        let mut wrong = self.wrong.clone();
        wrong.sort_unstable();
        wrong.dedup();
        fail("wrong answer", &wrong);
        fail("acknowledged and not in the log", &self.lost_after_damage);
        let numbers = |all: &[u64]| all.iter().map(u64::to_string).collect::<Vec<_>>();
        let mut overwritten = self.log.overwritten.clone();
        overwritten.retain(|position| !self.changed.contains(position));
        fail("position written over", &numbers(&overwritten));
        if self.green_over_a_hole {
            let text = "the broker's figures show that the log has lost events";
            fail("green", &[text.to_owned()]);
        }
        if self.state.is_wordless() {
            fail("no word", &[self.state.line()]);
        }
        match &self.verified {
            Verified::Hangs => fail("verify", &["hangs".to_owned()]),
            Verified::Wordless(said) => {
                fail("verify fails without a code", std::slice::from_ref(said));
            }
            Verified::Whole if !self.log.keeps_all() || !self.lost_before_damage.is_empty() => {
                let lost = self.lost_before_damage.len().max(self.log.lost.len());
                fail("verify says whole", &[format!("{lost} events are missing")]);
            }
            _ => {}
        }
        match self.state.is_green() {
            true => self.green_failures(scenario, &mut fail),
            false => self.red_failures(scenario, &mut fail),
        }
        let way_back = self.way_back.iter();
        failures.extend(way_back.flat_map(|way| way.failures.iter().cloned()));
        failures
    }

    /// What may not be while all services are green.
    fn green_failures(&self, scenario: &Scenario, fail: &mut impl FnMut(&str, &[String])) {
        if !self.changed.is_empty() {
            fail("green", &["an event was changed".to_owned()]);
        }
        // What only reading shows is named by those who read it.
        let named = self.verified != Verified::Whole && !self.green_over_a_hole;
        let mut unanswered = self.unanswered.iter();
        if !named || !unanswered.all(|answer| !codes_in(answer).is_empty()) {
            fail("green and does not answer", &self.unanswered);
        }
        if self.verified == Verified::Whole {
            fail(
                "green, verified, and the parties are gone",
                &self.without_parties,
            );
        }
        let names_nothing = self.log.keeps_all() && self.without_parties.is_empty();
        if let Verified::Names(codes) = &self.verified
            && names_nothing
            && !scenario.spares_log()
        {
            fail("green, and verify names", &[line(codes)]);
        }
    }

    /// What may not be while a service is red with a code.
    fn red_failures(&self, scenario: &Scenario, fail: &mut impl FnMut(&str, &[String])) {
        let garbage = scenario.damage.needs_broker() && !scenario.spares_log();
        let damaged = !self.log.keeps_all() || garbage;
        if damaged && !self.state.is_wordless() && !self.state.is_red_at("intake") {
            fail("intake is not red", &[self.state.line()]);
        }
        // The message itself is not the services'.
        let appended = self.log.added.len().saturating_sub(usize::from(garbage));
        if damaged && !scenario.moment.services_run() && appended > 0 {
            fail("appended to a damaged log", &[format!("{appended} events")]);
        }
        if damaged && !scenario.moment.services_run() && self.acknowledged_after > 0 {
            let count = self.acknowledged_after;
            fail(
                "acknowledged on a damaged log",
                &[format!("{count} commands")],
            );
        }
    }
}

/// What was seen of something that may not be; `None` where nothing was.
pub(crate) fn told(what: &str, seen: &[String]) -> Option<String> {
    let first = seen.first()?;
    let count = seen.len();
    let shown = seen[..count.min(MAX_SHOWN)].join("; ");
    Some(match count {
        1 => format!("{what}: {first}"),
        _ => format!("{what}, {count} times: {shown}"),
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        let verdict = match (&self.verdict, self.failures.is_empty()) {
            (_, false) => "FAILED",
            (Verdict::Harmless, _) => "harmless",
            (Verdict::Recovered, _) => "recovered",
            (Verdict::Latent, _) => "latent",
            (Verdict::Named(_), _) => "named",
        };
        let back = match (&self.way_back, self.failures.is_empty()) {
            (Some(_), true) => ", then back,",
            _ => "",
        };
        writeln!(f, "{verdict}{back} in {seconds:.1} s: {}", self.scenario)?;
        writeln!(f, "    {}", self.done)?;
        write!(f, "    {}", self.seen)?;
        if let Some(way_back) = &self.way_back {
            write!(f, "\n    way back: {way_back}")?;
        }
        for failure in &self.failures {
            write!(f, "\n    - {failure}")?;
        }
        if let Some(folder) = &self.folder {
            write!(f, "\n    kept: {}", folder.display())?;
        }
        Ok(())
    }
}
