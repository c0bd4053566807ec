//! `gridkeeper import`: the history of another system, through intake's door.

use std::{path::PathBuf, time::Duration};

use crate::{
    door::Door,
    error::Error,
    files,
    import::{Mapping, Outcome, Rows, send},
    terminal,
};

/// How long intake may be down or busy before the import ends.
const PATIENCE: Duration = Duration::from_secs(60);
/// Refused rows that are shown; the report holds all of them.
const SHOWN: usize = 20;

/// Imports the history of another system. The same import again adds nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// The mapping of the file's columns.
    #[arg(long)]
    map: PathBuf,
    /// The history, as CSV in UTF-8 whose first line names the columns.
    file: PathBuf,
    /// Intake's address.
    #[arg(long, default_value = "http://127.0.0.1:8401")]
    intake: String,
    /// A file with the token of an admin of the district.
    #[arg(long)]
    token_file: PathBuf,
    /// Where to write counts and every refused row as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
}

/// Runs the import.
pub(super) async fn run(command: Command) -> Result<(), Error> {
    let mapping = Mapping::read(&command.map)?;
    let token = files::read(&command.token_file)?;
    let door = Door::new(&command.intake, PATIENCE)?;
    let mut rows = Rows::open(&mapping, &command.file)?;
    let outcome = send(&mut rows, &door, token.trim(), |so_far| {
        terminal::progress(format!("{} rows: {}", so_far.rows, counts(so_far)));
    })
    .await?;
    if let Some(path) = &command.report {
        let text = serde_json::to_string_pretty(&outcome).map_err(|error| Error::Io {
            action: "write",
            path: path.clone(),
            source: error.into(),
        })?;
        files::write(path, &text)?;
    }
    show(&outcome, command.report.is_some())
}

fn counts(outcome: &Outcome) -> String {
    let Outcome {
        recorded,
        repeated,
        refused,
        ..
    } = outcome;
    format!("{recorded} recorded, {repeated} repeated, {refused} refused")
}

fn show(outcome: &Outcome, reported: bool) -> Result<(), Error> {
    if !outcome.refused_rows.is_empty() {
        terminal::answer(format!(
            "{:>7}  {:>7}  {:<20}  {:<6}  reason",
            "row", "line", "record", "code"
        ))?;
    }
    for refused in outcome.refused_rows.iter().take(SHOWN) {
        terminal::answer(format!(
            "{:>7}  {:>7}  {:<20}  {:<6}  {}",
            refused.row, refused.line, refused.record, refused.code, refused.reason
        ))?;
    }
    let hidden = outcome.refused_rows.len().saturating_sub(SHOWN);
    if hidden > 0 {
        let hint = if reported {
            "the report holds them"
        } else {
            "--report FILE writes them"
        };
        terminal::answer(format!("… and {hidden} more: {hint}"))?;
    }
    for (code, count) in &outcome.refused_by_code {
        terminal::answer(format!("refused with {code}: {count}"))?;
    }
    terminal::answer(format!("{} rows: {}", outcome.rows, counts(outcome)))
}
