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
    evidence::{Evidence, known_to_views},
    opened_log::{LogPlace, OpenedLog},
    terminal,
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
        installation,
        url,
        log,
    } = &opened;
    let evidence = Evidence::of(installation, log, None).await?;
    let options = command.at.place.arguments();
    let own = load_checkpoint_verifier(&installation.layout.keys());
    let own = own.ok().map(|verifier| verifier.origin().log);
    let known_to = evidence
        .checkpoints
        .iter()
        .map(|known| known.position)
        .max();
    let diagnosis = match evidence.diagnose(log).await {
        Err(LogError::NoStream { .. }) => gone(known_to.unwrap_or_default())?,
        diagnosis => diagnosis?,
    };
    if let (Some(expected), Some(found)) = (own, diagnosis.log)
        && expected != found
    {
        return another(expected, found);
    }
    let behind = Position(diagnosis.last.0 + 1);
    let views = known_to_views(installation, url, (behind, None)).await?;
    let beyond = views.map_or(Position(0), |known| known.position);
    let diagnosis = with_views(diagnosis, beyond);
    let keys = opened.keys().await?;
    let keyless = match unreadable_sections(log, &keys).await {
        Ok(cases) => cases.len(),
        // What is missing of the log is said below; keys that are gone altogether are too many to count.
        Err(_) => 0,
    };
    say(&diagnosis, keyless, &options)?;
    match diagnosis.is_whole() && keyless == 0 {
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

/// Views may be the last to know how far the log went.
fn with_views(mut diagnosis: Diagnosis, beyond: Position) -> Diagnosis {
    if beyond > diagnosis.known_to {
        let from = Position(diagnosis.known_to.0 + 1);
        match diagnosis.missing.last_mut() {
            Some(last) if last.to == diagnosis.known_to => last.to = beyond,
            _ => diagnosis.missing.push(Stretch { from, to: beyond }),
        }
        diagnosis.known_to = beyond;
    }
    diagnosis
}

fn say(diagnosis: &Diagnosis, keyless: usize, options: &str) -> Result<(), Error> {
    let Diagnosis { last, known_to, .. } = diagnosis;
    terminal::answer(format!(
        "the log ends at position {last}, and is known to have reached {known_to}"
    ))?;
    if diagnosis.is_whole() && keyless == 0 {
        return terminal::answer(
            "nothing is wrong with it; services that stopped over it go on when they are started again",
        );
    }
    for foreign in &diagnosis.foreign {
        let Foreign {
            position,
            code,
            detail,
            ..
        } = foreign;
        terminal::answer(format!(
            "{code}: the message at position {position} is no event: {detail}"
        ))?;
        if diagnosis.changed.is_empty() {
            terminal::answer(format!(
                "  gridkeeper log quarantine{options} --position {position} --reason '...'"
            ))?;
        }
    }
    if let (Some(first), Some(last)) = (diagnosis.other_roots.first(), diagnosis.other_roots.last())
    {
        terminal::answer(format!(
            "GK0328: from position {first} to {last} the log has not the roots that it had: events were changed or exchanged"
        ))?;
    }
    for Stretch { from, to } in diagnosis.changed_stretches() {
        terminal::answer(format!(
            "positions {from} to {to} hold other events than they held, or one of them does where nothing tells which"
        ))?;
    }
    for Stretch { from, to } in &diagnosis.missing {
        terminal::answer(format!("positions {from} to {to} are missing"))?;
    }
    if !diagnosis.unfounded.is_empty() {
        terminal::answer(format!(
            "{} events that are there need one that is missing",
            diagnosis.unfounded.len()
        ))?;
    }
    if !diagnosis.missing.is_empty()
        || !diagnosis.other_roots.is_empty()
        || !diagnosis.changed.is_empty()
    {
        terminal::answer(format!(
            "1. Stop the services. Keep a copy of the broker's folder as it is.\n\
             2. Where there is a backup: `gridkeeper backup{options} DIR` brings into it what is still there behind it; \
             then put the broker's folder aside, start an empty broker, and `gridkeeper restore{options} DIR`."
        ))?;
    }
    if !diagnosis.changed.is_empty() {
        terminal::answer(format!(
            "3. Where nothing better is left: gridkeeper log accept-loss{options} --changed --reason '...'"
        ))?;
    } else if let Some(Stretch { from, .. }) = diagnosis.missing.first()
        && diagnosis.other_roots.is_empty()
    {
        terminal::answer(format!(
            "3. Where nothing better is left: gridkeeper log accept-loss{options} --from {from} --reason '...'"
        ))?;
    }
    if keyless > 0 {
        terminal::answer(format!(
            "GK0329, GK0314: {keyless} sealed sections have no key that opens them\n  restore them from a backup, or: gridkeeper log accept-loss{options} --keys --reason '...'"
        ))?;
    }
    Ok(())
}
