//! Flushes beside the folding.

use std::sync::Arc;

use gridkeeper_proto::code::Coded as _;
use gridkeeper_viewstore::Generation;
use tokio::{
    task::JoinHandle,
    time::{Duration, Instant},
};

use crate::{Error, Options, live::ended};

/// Hands what is committed to the disk now and then, while folding goes on.
pub(crate) struct Flushes {
    every: Duration,
    /// From how many views in memory on folding waits for a flush.
    most: usize,
    began: Instant,
    under_way: Option<JoinHandle<Result<(), Error>>>,
}

impl Flushes {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            every: options.flush_every(),
            most: options.views_in_memory,
            began: Instant::now(),
            under_way: None,
        }
    }

    /// Begins a flush where it is time for one, or where enough waits for it; the latter only as soon as the one
    /// before has ended. After it comes `then`, which may block.
    pub(crate) async fn tend(
        &mut self,
        generation: Arc<Generation>,
        then: impl FnOnce() -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let full = generation.waiting() >= self.most;
        if let Some(under_way) = &mut self.under_way {
            if !full && !under_way.is_finished() {
                return Ok(());
            }
            let flushed = ended(under_way.await).await;
            self.under_way = None;
            flushed?;
        }
        if full || self.began.elapsed() >= self.every {
            self.began = Instant::now();
            self.under_way = Some(tokio::task::spawn_blocking(move || {
                let flushed = generation.flush().map_err(Error::from);
                let flushed = flushed.and_then(|()| then());
                // Told here as well, since nobody may ask for the outcome any more.
                flushed.inspect_err(|error| {
                    tracing::error!(code = %error.code(), %error, "views are not flushed");
                })
            }));
        }
        Ok(())
    }
}
