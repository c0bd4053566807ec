//! `gridkeeper intake`, `aggregator`, `escalator`, `query`: one service in a process of its own, on a
//! broker that runs elsewhere.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    error::Error,
    installation::{Installation, Place},
    logging,
    signals::asked_to_stop,
    supervise::Parts,
};

/// Runs one service until it is asked to stop.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(flatten)]
    place: Place,
}

/// Runs the service of this name until the process is asked to stop.
pub(super) async fn run<F>(
    command: Command,
    name: &'static str,
    service: fn(Arc<Installation>, CancellationToken) -> F,
) -> Result<(), Error>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    logging::begin();
    let asked = asked_to_stop()?;
    let installation = Arc::new(Installation::open(&command.place)?);
    let mut parts = Parts::default();
    parts.start(name, |stop| service(installation, stop));
    parts.run(asked).await
}
