//! Doing what the doctor says, as an operator does who reads it.

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use gridkeeper_tests::installation::SERVICES;
use tokio::{
    process::Command,
    time::{Instant, interval, timeout},
};

use super::{POLL, Round, WORDLESS};
use crate::{
    doctor::{self, GivenUp},
    health::State,
};

/// How often the doctor is asked.
const TRIES: usize = 6;
/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was done because the doctor said so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Treatment {
    /// The commands and what they printed, in their order.
    pub(crate) said: Vec<String>,
    /// What was given up.
    pub(crate) given_up: Vec<GivenUp>,
    /// Of how many cases the keys were given up.
    pub(crate) keys: u64,
    /// Whether the doctor finds nothing wrong in the end.
    pub(crate) whole: bool,
    /// What may not be on the way.
    pub(crate) failures: Vec<String>,
}

impl Treatment {
    /// Notes what a command printed; gives that, and whether it ended well.
    fn note(&mut self, name: &str, output: Option<Output>) -> (bool, String) {
        let Some(output) = output else {
            self.said.push(format!("{name}: does not end"));
            return (false, String::new());
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        let status = output.status;
        self.said.push(format!("{name}: {status}\n{said}{errors}"));
        (status.success(), said)
    }

    /// Notes what may not be, with the first line of what was printed last.
    fn fail(&mut self, what: &str) {
        let last = self.said.last().and_then(|said| said.lines().next());
        let last = last.unwrap_or_default();
        self.failures.push(format!("{what}: {last}"));
    }
}

impl Round<'_> {
    /// Asks the doctor and runs the commands that it prints, until it finds nothing wrong.
    pub(super) async fn follow_doctor(&mut self) -> Treatment {
        let mut treatment = Treatment::default();
        let mut refused = Vec::new();
        for _ in 0..TRIES {
            let asked = output(&mut self.installation.command(&["doctor"])).await;
            let (whole, said) = treatment.note("doctor", asked);
            if whole {
                treatment.whole = true;
                return treatment;
            }
            let commands = doctor::commands(&said);
            if commands.is_empty() {
                treatment.fail("the doctor knows no way");
                return treatment;
            }
            if said.contains("start the broker again") {
                self.stop_broker().await;
                self.start_damaged_broker().await;
            }
            for words in commands {
                if refused.contains(&words) {
                    treatment.fail("the doctor says to run again what failed");
                    return treatment;
                }
                if !self.obey(&words, &mut treatment).await {
                    treatment.fail("what the doctor says to run fails");
                    refused.push(words);
                    break;
                }
            }
            self.restart_services().await;
        }
        treatment.fail("the doctor comes to no end");
        treatment
    }

    /// Runs a command that the doctor printed, word for word.
    async fn obey(&self, words: &[String], treatment: &mut Treatment) -> bool {
        let mut command = Command::new(&self.binary);
        command.args(&words[1..]).stdin(Stdio::null());
        let ended = output(command.kill_on_drop(true)).await;
        let (well, said) = treatment.note(&words[1..].join(" "), ended);
        let changed = words.iter().any(|word| word == "--changed");
        let given_up = doctor::given_up(&said, changed);
        treatment.given_up.extend(given_up);
        treatment.keys += doctor::given_up_keys(&said);
        well
    }

    /// Restarts all services and waits until each says how it is.
    pub(super) async fn restart_services(&mut self) {
        self.installation.stop_all().await;
        for service in SERVICES {
            self.installation.start(service);
        }
        let (began, mut interval) = (Instant::now(), interval(POLL));
        loop {
            interval.tick().await;
            let state = State::of(&self.client, &mut self.installation).await;
            if !state.is_wordless() || began.elapsed() > WORDLESS {
                return;
            }
        }
    }
}

/// What a command printed; `None` where it does not end in time.
pub(super) async fn output(command: &mut Command) -> Option<Output> {
    let ended = timeout(PATIENCE, command.output()).await;
    ended.ok().map(Result::unwrap)
}
