//! `gridkeeper verify`: walks the log and names the first break.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use gridkeeper_eventlog::verify::{Against, Verified, verify};
use gridkeeper_identity::load_checkpoint_verifier;
use gridkeeper_proto::integrity::KeyLoss;

use crate::{
    error::Error,
    evidence::{Evidence, named_verifier},
    files,
    opened_log::{LogPlace, OpenedLog},
    terminal,
};

const TELL_EVERY: Duration = Duration::from_secs(1);

/// Reads the whole log and checks that every event is there once, decodes, lies under its grid and carries
/// the hash of the one before it; that the tree over all of them has every root that was signed; and that every
/// sealed section has its key. Names the first break.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(flatten)]
    at: LogPlace,
    /// A file with a signed checkpoint of this log that was kept elsewhere; may be given more than once.
    #[arg(long)]
    checkpoint: Vec<PathBuf>,
    /// The public key of checkpoints that was kept elsewhere; that of the installation when left out.
    #[arg(long)]
    key: Option<PathBuf>,
}

/// Runs the command.
pub(super) async fn run(command: Command) -> Result<(), Error> {
    let opened = command.at.open().await?;
    let OpenedLog {
        installation, log, ..
    } = &opened;
    let verifier = named_verifier(command.key.as_deref())?;
    if let (Some(named), Ok(log)) = (&verifier, log.facts().await)
        && let Some(found) = log.log.filter(|log| *log != named.origin().log)
    {
        let of = named.origin().log;
        return Err(Error::KeyOfAnotherLog { of, found });
    }
    let evidence = Evidence::of(installation, log, verifier.as_ref()).await?;
    if !evidence.has_key {
        terminal::progress("there is no key of checkpoints: their roots are not compared");
    }
    let unsigned = evidence.unsigned;
    let mut checkpoints = evidence.roots();
    for path in &command.checkpoint {
        let note = files::read(path)?;
        let opened = match &verifier {
            Some(verifier) => verifier.open(&note),
            None => load_checkpoint_verifier(&installation.layout.keys())?.open(&note),
        };
        let opened = opened.map_err(|source| Error::NamedCheckpoint {
            path: path.clone(),
            source,
        });
        checkpoints.push(opened?);
    }
    let against = Against {
        checkpoints,
        keys: Some(opened.keys().await?),
    };
    let mut told = Instant::now();
    let verified = verify(log, against, |position, last| {
        if told.elapsed() >= TELL_EVERY {
            terminal::progress(format!("verified up to position {position} of {last}"));
            told = Instant::now();
        }
    })
    .await?;
    show(&verified, unsigned)
}

fn show(verified: &Verified, unsigned: usize) -> Result<(), Error> {
    let end = &verified.end;
    terminal::answer(format!(
        "{} events of {} areas are whole; digest {}",
        end.position, verified.areas, verified.digest
    ))?;
    terminal::answer(format!(
        "the root is {}; {} signed checkpoints say so up to their positions",
        end.root, verified.checkpoints
    ))?;
    let sealed = verified.sealed;
    terminal::answer(format!(
        "{} cases have sealed parties: {} forgotten, {} lost their keys, all others have them",
        sealed.cases, sealed.forgotten, sealed.lost
    ))?;
    for loss in verified.statements.losses() {
        let accepted = &loss.accepted;
        let (what, to) = match loss.is_of_other_history() {
            true => ("another history of positions", accepted.known_to),
            false => ("positions", accepted.to),
        };
        terminal::answer(format!(
            "LOST: {what} {} to {to} were given up at position {} by {} at {}: {}; {} of their events are known, {} others are set aside",
            accepted.from,
            loss.statement,
            loss.by,
            loss.at,
            accepted.reason,
            accepted.lost.len(),
            accepted.set_aside.len()
        ))?;
    }
    for KeyLoss {
        statement,
        at,
        by,
        cases,
        reason,
    } in verified.statements.key_losses()
    {
        terminal::answer(format!(
            "KEYS LOST: those of {cases} cases were given up at position {statement} by {by} at {at}: {reason}"
        ))?;
    }
    for quarantine in verified.statements.quarantined() {
        let quarantined = &quarantine.quarantined;
        terminal::answer(format!(
            "QUARANTINED: position {} by the statement at position {} of {}: {}",
            quarantined.position, quarantine.statement, quarantine.by, quarantined.reason
        ))?;
    }
    if verified.superseded > 0 {
        terminal::answer(format!(
            "{} signed checkpoints are of the history that was given up",
            verified.superseded
        ))?;
    }
    if unsigned > 0 {
        terminal::answer(format!(
            "{unsigned} messages among the checkpoints on the broker are not signed by this log's key, and were passed over"
        ))?;
    }
    Ok(())
}
