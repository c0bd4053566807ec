//! Signs checkpoints on a timer while events come, and one at the end.

use std::{sync::Arc, time::Duration};

use gridkeeper_eventlog::WatermarkFile;
use gridkeeper_proto::{
    checkpoint::{Checkpoint, CheckpointSigner},
    code::Coded as _,
    envelope::Position,
};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use super::CheckpointFolder;
use crate::{Error, appends::Appends, decider::Shared, log::Log};

/// How often a checkpoint is signed while events come.
const SIGN_EVERY: Duration = Duration::from_secs(60);
/// How often the watermark is forced onto the disk while events come.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Signs checkpoints of the state.
pub(crate) struct Notary {
    pub(crate) signer: Arc<CheckpointSigner>,
    pub(crate) folder: CheckpointFolder,
    pub(crate) watermark: WatermarkFile,
    pub(crate) state: Shared,
    pub(crate) appends: Appends,
}

impl Notary {
    /// Works for as long as it is polled.
    pub(crate) async fn run<L: Log>(&self, log: &L) {
        let mut signing = interval(SIGN_EVERY);
        let mut syncing = interval(SYNC_EVERY);
        signing.set_missed_tick_behavior(MissedTickBehavior::Delay);
        syncing.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut signed, mut synced) = (Position(0), Position(0));
        loop {
            tokio::select! {
                _ = signing.tick() => self.sign(log, &mut signed).await,
                _ = syncing.tick() => {
                    self.sync(&mut synced).await;
                    if self.appends.are_unacknowledged() {
                        self.probe(log).await;
                    }
                }
            }
        }
    }

    /// Signs what the log is now, unless that is signed.
    pub(crate) async fn sign<L: Log>(&self, log: &L, signed: &mut Position) {
        let checkpoint = self.checkpoint();
        if checkpoint.position == *signed {
            return;
        }
        match self.signed(checkpoint, log).await {
            Ok(()) => *signed = checkpoint.position,
            Err(error) => {
                tracing::error!(code = %error.code(), %error, "a checkpoint is not signed");
            }
        }
    }

    async fn signed<L: Log>(&self, checkpoint: Checkpoint, log: &L) -> Result<(), Error> {
        let note = self.signer.sign(&checkpoint)?;
        let (folder, text) = (self.folder.clone(), note.clone());
        let added = spawn_blocking(move || folder.add(checkpoint.position, &text)).await;
        added.unwrap_or(Ok(()))?;
        log.add_checkpoint(&note).await?;
        metrics::counter!("gridkeeper_intake_checkpoints_total").increment(1);
        Ok(())
    }

    /// Finds out, without a command that waits, whether appends land again.
    async fn probe<L: Log>(&self, log: &L) {
        let checkpoint = self.checkpoint();
        let probing = async { log.probe(&self.signer.sign(&checkpoint)?).await };
        match probing.await {
            Ok(true) => {
                tracing::info!("the log takes events again");
                self.appends.acknowledged();
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(code = %error.code(), %error, "the log takes no events"),
        }
    }

    async fn sync(&self, synced: &mut Position) {
        let position = self.checkpoint().position;
        if position == *synced {
            return;
        }
        let watermark = self.watermark.clone();
        match spawn_blocking(move || watermark.sync()).await {
            Ok(Err(error)) => {
                tracing::error!(%error, "the watermark is not on the disk");
            }
            _ => *synced = position,
        }
    }

    fn checkpoint(&self) -> Checkpoint {
        let state = self.state.read().expect("no holder of the lock panics");
        state.checkpoint()
    }
}
