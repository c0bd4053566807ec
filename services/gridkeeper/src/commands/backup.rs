//! `gridkeeper backup`: takes a backup of the log and the keys, or checks one.

use std::path::PathBuf;

use gridkeeper_backup::{Acknowledged, Checked, Limits, Source, Taken, check, take};
use gridkeeper_eventlog::{EventLog, KeyStore, Watermark, read_watermark};
use gridkeeper_identity::load_checkpoint_verifier;

use crate::{
    error::Error,
    evidence::{self, named_verifier},
    installation::{BrokerChoice, Installation, Place},
    terminal::{self, Paced},
};

/// Takes a backup of the log, the keys of sealed parties and the signed checkpoints while everything runs. In a folder
/// with a backup it adds what is new. A run that was interrupted is gone on with by the next one.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// The folder of the backup.
    dir: PathBuf,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    broker: BrokerChoice,
    /// Read the whole backup and verify it, without a broker; nothing is added.
    #[arg(long, conflicts_with_all = ["nats", "own_broker"])]
    check: bool,
    /// The public key of checkpoints that was kept elsewhere; that of the installation when left out.
    #[arg(long)]
    key: Option<PathBuf>,
}

/// Runs the command.
pub(super) async fn run(command: Command) -> Result<(), Error> {
    gridkeeper_private::mask();
    let paced = Paced::default();
    if command.check {
        return run_check(&command, &paced);
    }
    let installation = Installation::open_made(&command.place, command.broker.named())?;
    let layout = &installation.layout;
    let verifier = named_verifier(command.key.as_deref())?
        .or_else(|| load_checkpoint_verifier(&layout.keys()).ok());
    let files = match &verifier {
        Some(verifier) => evidence::checkpoints(&layout.config.intake.folder, verifier)?,
        None => {
            terminal::progress("there is no key of checkpoints: the backup holds none of them");
            Vec::new()
        }
    };
    let watermark = read_watermark(&layout.config.intake.folder);
    let broker = command.broker.open(layout).await?;
    let (district, options) = (installation.district.code(), &layout.config.log);
    let source = Source {
        log: EventLog::open(&broker.url, district, options).await?,
        keys: KeyStore::open(&broker.url, district, options).await?,
        notes: files.into_iter().map(|file| file.note).collect(),
        acknowledged: watermark.map(
            |Watermark {
                 log, checkpoint, ..
             }| Acknowledged {
                log,
                up_to: checkpoint,
            },
        ),
        verifier,
        limits: Limits::default(),
    };
    let now = installation.clock.now();
    let taken = take(&command.dir, &source, now, |at| paced.progress(&at)).await;
    broker.stop().await?;
    show_taken(&taken?)
}

fn show_taken(taken: &Taken) -> Result<(), Error> {
    let manifest = &taken.manifest;
    terminal::answer(format!(
        "the backup holds the log up to position {} ({} messages are new) and {} keys",
        manifest.position, taken.read, manifest.keys
    ))?;
    match manifest.verified_against {
        Some(position) => terminal::answer(format!(
            "its root is {}; it is verified against the checkpoint signed at position {position}",
            manifest.root
        ))?,
        None => terminal::answer(format!(
            "its root is {}; there is no signed checkpoint to verify it against",
            manifest.root
        ))?,
    }
    if taken.without_key > 0 {
        terminal::answer(format!(
            "{} cases have sealed parties that no key opens: `gridkeeper verify` names one",
            taken.without_key
        ))?;
    }
    if taken.only_here > 0 {
        terminal::answer(format!(
            "THE BROKER HAS LOST OR CHANGED {} KEYS of sealed parties; the backup keeps them: `gridkeeper doctor`",
            taken.only_here
        ))?;
    }
    if let Some(longer) = taken.longer {
        terminal::answer(format!(
            "THE LOG IS SHORTER than it is known to have been, up to position {}: `gridkeeper doctor`",
            longer.position
        ))?;
    }
    match taken.without_key + taken.only_here > 0 || taken.longer.is_some() {
        true => Err(Error::Unsound),
        false => Ok(()),
    }
}

fn run_check(command: &Command, paced: &Paced) -> Result<(), Error> {
    let named = named_verifier(command.key.as_deref())?;
    let keys = command.place.layout()?.keys();
    let own = load_checkpoint_verifier(&keys).ok();
    let verifier = named.as_ref().or(own.as_ref());
    if verifier.is_none() {
        terminal::progress(format!(
            "there is no key of checkpoints in {}: the backup is checked by the key that it holds itself",
            keys.display()
        ));
    }
    let checked = check(&command.dir, verifier, |at| paced.progress(&at));
    show_checked(&checked?)
}

fn show_checked(checked: &Checked) -> Result<(), Error> {
    let (manifest, verified) = (&checked.manifest, &checked.verified);
    terminal::answer(format!(
        "the backup of {} is whole: {} messages of {} areas; digest {}",
        manifest.made_at, verified.end.position, verified.areas, verified.digest
    ))?;
    terminal::answer(format!(
        "its root is {}; {} signed checkpoints say so up to their positions",
        verified.end.root, verified.checkpoints
    ))?;
    let sealed = verified.sealed;
    terminal::answer(format!(
        "{} cases have sealed parties: {} forgotten, all others have their keys",
        sealed.cases, sealed.forgotten
    ))?;
    match checked.longer {
        Some(longer) => terminal::answer(format!(
            "the log was longer: a checkpoint signed at position {} is in the backup",
            longer.position
        )),
        None => Ok(()),
    }
}
