//! `gridkeeper doctor`: says what is wrong with the log, and which way back fits.

use gridkeeper_eventlog::{
    LogError,
    diagnosis::{Diagnosis, Foreign, Stretch},
    verify::unreadable_sections,
};
use gridkeeper_identity::load_checkpoint_verifier;
use gridkeeper_proto::{code::Coded as _, envelope::Position, id::LogId};

use crate::{
    error::Error,
    evidence::Evidence,
    examination::examine,
    opened_log::{LogPlace, OpenedLog},
    running_views::RunningViews,
    terminal,
    watermarks::Kept,
};

/// Reads the log and holds it against all that is known of it: signed checkpoints, the last acknowledged position, the
/// views. Says what is missing, foreign or changed, and which way back fits. Changes nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(flatten)]
    at: LogPlace,
}

/// Runs the command.
pub(super) async fn run(command: Command) -> Result<(), Error> {
    let opened = command.at.open().await?;
    let OpenedLog {
        installation, log, ..
    } = &opened;
    let evidence = Evidence::of(installation, log, None).await?;
    let options = command.at.place.arguments();
    let own = load_checkpoint_verifier(&installation.layout.keys());
    let own = own.ok().map(|verifier| verifier.origin().log);
    let known_to = evidence
        .roots()
        .into_iter()
        .map(|known| known.position)
        .max();
    let views = RunningViews::of(&opened).await?;
    let diagnosis = match examine(log, &evidence, &views).await {
        Err(Error::Log(LogError::NoStream { .. })) => gone(known_to.unwrap_or_default())?,
        diagnosis => diagnosis?,
    };
    if let (Some(expected), Some(found)) = (own, diagnosis.log)
        && expected != found
    {
        return another(expected, found);
    }
    let keys = opened.keys().await?;
    let keyless = match unreadable_sections(log, &keys).await {
        Ok(cases) => cases.len(),
        // What is missing of the log is said below; keys that are gone altogether are too many to count.
        Err(_) => 0,
    };
    let keys_gone = diagnosis.last > Position(0)
        && match diagnosis.log {
            Some(log) => matches!(keys.confirm(log).await, Err(LogError::NoStream { .. })),
            None => false,
        };
    let seen = Seen {
        diagnosis,
        keyless,
        keys_gone,
        evidence,
    };
    seen.say(&options)?;
    match seen.is_sound() {
        true => Ok(()),
        false => Err(Error::Unsound),
    }
}

fn gone(known_to: Position) -> Result<Diagnosis, Error> {
    terminal::answer("the broker has no log of this district")?;
    let missing = (known_to > Position(0)).then_some(Stretch {
        from: Position(1),
        to: known_to,
    });
    Ok(Diagnosis {
        known_to,
        missing: missing.into_iter().collect(),
        ..Diagnosis::default()
    })
}

fn another(expected: LogId, found: LogId) -> Result<(), Error> {
    let error = LogError::AnotherLog {
        expected,
        found: Some(found),
    };
    terminal::answer(format!("{}: {error}", error.code()))?;
    terminal::answer(
        "put the streams of this installation back, let it use the broker that has them (nats_url), or put its own folder of keys back",
    )?;
    Err(error.into())
}

/// What was seen.
struct Seen {
    diagnosis: Diagnosis,
    /// How many sealed sections have no key.
    keyless: usize,
    /// Whether the broker has no store of keys.
    keys_gone: bool,
    evidence: Evidence,
}

impl Seen {
    fn is_sound(&self) -> bool {
        let has_keys = self.keyless == 0 && !self.keys_gone;
        self.diagnosis.is_whole() && has_keys && self.evidence.of_other_logs.is_empty()
    }

    fn say(&self, options: &str) -> Result<(), Error> {
        let Diagnosis { last, known_to, .. } = &self.diagnosis;
        terminal::answer(format!(
            "the log ends at position {last}, and is known to have reached {known_to}"
        ))?;
        if self.is_sound() {
            return terminal::answer(
                "nothing is wrong with it; services that stopped over it go on when they are started again",
            );
        }
        for kept in &self.evidence.of_other_logs {
            terminal::answer(format!("GK0323: {} is of another log", kept.name()))?;
            exchanged(kept)?;
        }
        self.say_foreign(options)?;
        self.say_changed()?;
        self.say_other_history()?;
        self.say_missing()?;
        self.say_ways_back(options)?;
        match self.keyless {
            0 if self.keys_gone => terminal::answer(format!(
                "GK0324: the broker has no store of keys, and no sealed section needs one of it\n  gridkeeper log accept-loss{options} --keys --reason '...' makes it anew"
            )),
            0 => Ok(()),
            keyless => terminal::answer(format!(
                "GK0329, GK0314: {keyless} sealed sections have no key that opens them\n  restore them from a backup, or: gridkeeper log accept-loss{options} --keys --reason '...'"
            )),
        }
    }

    fn say_foreign(&self, options: &str) -> Result<(), Error> {
        for foreign in &self.diagnosis.foreign {
            let Foreign {
                position,
                code,
                detail,
                ..
            } = foreign;
            terminal::answer(format!(
                "{code}: the message at position {position} is no event: {detail}"
            ))?;
            if self.diagnosis.changed.is_empty() {
                terminal::answer(format!(
                    "  gridkeeper log quarantine{options} --position {position} --reason '...'"
                ))?;
            }
        }
        Ok(())
    }

    fn say_changed(&self) -> Result<(), Error> {
        let roots = &self.diagnosis.other_roots;
        if let (Some(first), Some(last)) = (roots.first(), roots.last()) {
            terminal::answer(format!(
                "GK0328: from position {first} to {last} the log has not the roots that it had: events were changed or exchanged"
            ))?;
        }
        for Stretch { from, to } in self.diagnosis.changed_stretches() {
            terminal::answer(format!(
                "positions {from} to {to} hold other events than they held, or one of them does where nothing tells which"
            ))?;
        }
        Ok(())
    }

    fn say_other_history(&self) -> Result<(), Error> {
        let Some(Stretch { from, to }) = self.diagnosis.other_history else {
            return Ok(());
        };
        terminal::answer(format!(
            "GK0328: of positions {from} to {to} another history is known than this log's: what was acknowledged in it is not in this log"
        ))?;
        let within = |kept: &&Kept| {
            let position = kept.checkpoint().position;
            (from..=to).contains(&position) && self.diagnosis.read_elsewhere.contains(&position)
        };
        for kept in self.evidence.read.iter().filter(within) {
            terminal::answer(format!("  {} may be of it", kept.name()))?;
            exchanged(kept)?;
        }
        Ok(())
    }

    fn say_missing(&self) -> Result<(), Error> {
        for Stretch { from, to } in &self.diagnosis.missing {
            terminal::answer(format!("positions {from} to {to} are missing"))?;
        }
        match self.diagnosis.unfounded.len() {
            0 => Ok(()),
            unfounded => terminal::answer(format!(
                "{unfounded} events that are there need one that is missing"
            )),
        }
    }

    fn say_ways_back(&self, options: &str) -> Result<(), Error> {
        let Diagnosis {
            missing,
            changed,
            other_roots,
            other_history,
            ..
        } = &self.diagnosis;
        let holds_other = !changed.is_empty() || !other_roots.is_empty();
        if missing.is_empty() && !holds_other && other_history.is_none() {
            return Ok(());
        }
        terminal::answer(format!(
            "1. Keep a copy of the broker's folder as it is. Leave the services as they are: nothing gets worse.\n\
             2. Where there is a backup: `gridkeeper backup{options} DIR` brings into it what is still there behind it; \
             then stop the services and the broker, put the broker's folder aside, start an empty broker, and \
             `gridkeeper restore{options} DIR`."
        ))?;
        let given_up = match (missing.first(), other_history) {
            _ if !changed.is_empty() => "--changed".to_owned(),
            _ if holds_other => return Ok(()),
            (_, Some(_)) => "--other-history".to_owned(),
            (Some(Stretch { from, .. }), None) => format!("--from {from}"),
            (None, None) => return Ok(()),
        };
        terminal::answer(format!(
            "3. Where nothing better is left: start the broker again, which then counts only what it has; with an \
             aggregator running, red as it is, so that it can name what was lost:\n  \
             gridkeeper log accept-loss{options} {given_up} --reason '...'"
        ))
    }
}

/// What to do about what was made from another log than this one.
fn exchanged(kept: &Kept) -> Result<(), Error> {
    let (what, folder) = (
        kept.made_from_log.unwrap_or("evidence"),
        kept.folder.display(),
    );
    terminal::answer(format!(
        "  where {folder} was exchanged, or is of a copy of the installation: stop its service and put the folder aside; the {what} are made anew from the log"
    ))
}
