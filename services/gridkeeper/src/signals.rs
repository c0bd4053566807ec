//! Being asked to stop: Ctrl-C, or SIGTERM from whoever runs the process.

use tokio::signal::unix::{SignalKind, signal};

use crate::error::Error;

/// Ready once the process is asked to stop. From this call on the signals no longer end it by themselves.
///
/// # Errors
/// The system does not let the process listen for signals.
pub(crate) fn asked_to_stop() -> Result<impl Future<Output = ()>, Error> {
    let listen = |kind| {
        signal(kind).map_err(|source| Error::Io {
            action: "listen for",
            path: "signals".into(),
            source,
        })
    };
    let (mut interrupt, mut terminate) = (
        listen(SignalKind::interrupt())?,
        listen(SignalKind::terminate())?,
    );
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
