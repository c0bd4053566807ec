//! `gridkeeper verify`: walks the log and names the first break.

use std::time::{Duration, Instant};

use gridkeeper_eventlog::{EventLog, verify::verify};

use crate::{
    error::Error,
    installation::{Installation, Place},
    terminal,
};

const TELL_EVERY: Duration = Duration::from_secs(1);

/// Reads the whole log and checks that every event is there once, decodes, lies under its grid and carries
/// the hash of the one before it. Names the first break.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(flatten)]
    place: Place,
    /// Address of the broker; intake's when left out.
    #[arg(long)]
    nats: Option<String>,
}

/// Runs the command.
pub(super) async fn run(command: Command) -> Result<(), Error> {
    let installation = Installation::open(&command.place)?;
    let url = command
        .nats
        .unwrap_or(installation.layout.config.intake.nats_url);
    let district = installation.district.code();
    let log = EventLog::open(&url, district, &installation.layout.config.log).await?;
    let mut told = Instant::now();
    let verified = verify(&log, |position, last| {
        if told.elapsed() >= TELL_EVERY {
            terminal::progress(format!("verified up to position {position} of {last}"));
            told = Instant::now();
        }
    })
    .await?;
    terminal::answer(format!(
        "{} events of {} areas are whole; digest {}",
        verified.last, verified.areas, verified.digest
    ))
}
