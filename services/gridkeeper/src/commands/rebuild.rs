//! `gridkeeper rebuild`: asks the running aggregator to build its views anew, or to compare them.

use std::time::Duration;

use gridkeeper_aggregator::rebuild;

use crate::{
    error::Error,
    installation::{Installation, Place},
    terminal,
};

/// Builds the aggregator's views anew from the log beside the running ones, compares both at one position,
/// and lets the new ones take over.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(flatten)]
    place: Place,
    /// Address of the broker; the aggregator's when left out.
    #[arg(long)]
    nats: Option<String>,
    /// Only compare; the running views stay. Ends with an error when they differ.
    #[arg(long)]
    diff: bool,
    /// How long to wait for the outcome, in minutes.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
}

/// Runs the command.
pub(super) async fn run(command: Command) -> Result<(), Error> {
    let installation = Installation::open_made(&command.place, command.nats.as_deref())?;
    let url = command
        .nats
        .unwrap_or(installation.layout.config.aggregator.nats_url);
    let client =
        async_nats::connect(&url)
            .await
            .map_err(|error| gridkeeper_aggregator::Error::Broker {
                detail: error.to_string(),
            })?;
    let limit = Duration::from_secs(command.minutes * 60);
    let district = installation.district.code();
    let report = rebuild::request(&client, district, command.diff, limit).await?;
    let different = report.only_running + report.only_rebuilt + report.different;
    terminal::answer(format!(
        "at position {}: {} keys equal, {different} different; took {} ms",
        report.position, report.equal, report.took_ms
    ))?;
    for key in &report.first {
        terminal::answer(format!("differs: {key}"))?;
    }
    if report.swapped {
        return terminal::answer("the rebuilt views serve now");
    }
    match report.is_equal() {
        true => Ok(()),
        false => Err(Error::Differ { keys: different }),
    }
}
