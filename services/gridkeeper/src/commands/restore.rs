//! `gridkeeper restore`: restores the log and the keys from a backup.

use std::path::PathBuf;

use gridkeeper_backup::{Known, Missing, Restored, Target, restore};
use gridkeeper_eventlog::Restoration;
use gridkeeper_identity::load_checkpoint_verifier;
use gridkeeper_proto::checkpoint::CheckpointVerifier;

use crate::{
    error::Error,
    evidence,
    installation::{BrokerChoice, Installation, Place},
    layout::Layout,
    terminal::{self, Paced},
    watermarks::kept_of,
};

/// Restores the log, the keys of sealed parties and the signed checkpoints of a backup into a broker that has none
/// of them, reads all of it back, and names what is known to be missing. It ends with 3 where something is. A run that
/// was interrupted is gone on with by the next one; until the end no service uses the streams.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// The folder of the backup.
    dir: PathBuf,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    broker: BrokerChoice,
}

/// Runs the command.
pub(super) async fn run(command: Command) -> Result<(), Error> {
    gridkeeper_private::mask();
    let installation = Installation::open_made(&command.place, command.broker.named())?;
    let layout = &installation.layout;
    // Without it no intake could go on with the restored log.
    let verifier = load_checkpoint_verifier(&layout.keys())?;
    let known = known(layout, &verifier)?;
    let broker = command.broker.open(layout).await?;
    let district = installation.district.code();
    let streams = Restoration::open(&broker.url, district, &layout.config.log).await?;
    let target = Target {
        streams,
        district,
        verifier: Some(verifier),
    };
    let paced = Paced::default();
    let restored = restore(&command.dir, &target, &known, |at| paced.progress(&at)).await;
    broker.stop().await?;
    show(restored?)
}

/// What is known of the log beside the backup.
fn known(layout: &Layout, verifier: &CheckpointVerifier) -> Result<Vec<Known>, Error> {
    let folder = &layout.config.intake.folder;
    let files = evidence::checkpoints(folder, verifier)?.into_iter();
    let mut known: Vec<_> = files
        .map(|file| Known {
            checkpoint: file.checkpoint,
            by: format!("the signed checkpoint {}", file.path.display()),
        })
        .collect();
    let (watermarks, _) = kept_of(&layout.config, verifier.origin().log)?;
    known.extend(watermarks.iter().map(|kept| Known {
        checkpoint: kept.checkpoint(),
        by: kept.name(),
    }));
    Ok(known)
}

fn show(restored: Restored) -> Result<(), Error> {
    let (manifest, verified) = (&restored.manifest, &restored.verified);
    terminal::answer(format!(
        "{} messages of {} areas and {} keys are restored, as of {}",
        verified.end.position, verified.areas, manifest.keys, manifest.made_at
    ))?;
    terminal::answer(format!(
        "read back, the log has the backup's root {} and digest {}; {} checkpoints and watermarks have the same roots",
        verified.end.root, verified.digest, verified.checkpoints
    ))?;
    match restored.missing {
        None => Ok(()),
        Some(Missing { from, to, by }) => Err(Error::RestoredShorter { from, to, by }),
    }
}
