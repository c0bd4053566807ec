//! Sends the rows of a file to intake, and keeps account of every one.

use std::{collections::BTreeMap, time::Duration};

use gridkeeper_proto::{
    api::{ReportRequest, ReportResult, ReportsRequest},
    code::Coded,
    id::CaseId,
};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::rows::Rows;
use crate::door::{Answer, Door, DoorError};

/// Intake takes this many reports in one request.
const BATCH: usize = 500;
/// The wait before reports that intake could not take yet are sent again.
const WAIT: Duration = Duration::from_millis(500);

/// What became of the rows.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Outcome {
    /// Rows read.
    pub(crate) rows: u64,
    /// Rows recorded now.
    pub(crate) recorded: u64,
    /// Rows that had been recorded before.
    pub(crate) repeated: u64,
    /// Rows refused.
    pub(crate) refused: u64,
    /// Rows refused, by code.
    pub(crate) refused_by_code: BTreeMap<String, u64>,
    /// Every refused row.
    pub(crate) refused_rows: Vec<RefusedRow>,
}

/// A row that was not recorded.
#[derive(Debug, Serialize)]
pub(crate) struct RefusedRow {
    /// Its number, the first row below the names of the columns being 1.
    pub(crate) row: u64,
    /// The line of the file that it begins on.
    pub(crate) line: u64,
    /// The record's own id, where it has one.
    pub(crate) record: String,
    /// The stable code of the reason.
    pub(crate) code: String,
    /// The reason.
    pub(crate) reason: String,
}

impl Outcome {
    fn refuse(&mut self, at: &Origin, code: String, reason: String) {
        self.refused += 1;
        *self.refused_by_code.entry(code.clone()).or_default() += 1;
        self.refused_rows.push(RefusedRow {
            row: at.row,
            line: at.line,
            record: at.record.clone(),
            code,
            reason,
        });
    }
}

/// The row that a report comes from.
struct Origin {
    row: u64,
    line: u64,
    record: String,
}

type Pending = Vec<(Origin, ReportRequest)>;

/// Sends all rows. `progress` is called after every batch.
///
/// # Errors
/// [`DoorError`]: intake is gone or refuses the requests as such. What was recorded until then stays,
/// and the same import again goes on from there.
pub(crate) async fn send(
    rows: &mut Rows<'_>,
    door: &Door,
    token: &str,
    mut progress: impl FnMut(&Outcome),
) -> Result<Outcome, DoorError> {
    let mut outcome = Outcome::default();
    let mut batch: Pending = Vec::with_capacity(BATCH);
    while let Some((row, read)) = rows.next_row() {
        outcome.rows += 1;
        let origin = Origin {
            row: row.number,
            line: row.line,
            record: rows.record_id(&row),
        };
        match read.and_then(|()| rows.report(&row)) {
            Ok(report) => batch.push((origin, report)),
            Err(error) => outcome.refuse(&origin, error.code().to_string(), error.to_string()),
        }
        if batch.len() == BATCH {
            send_batch(std::mem::take(&mut batch), door, token, &mut outcome).await?;
            progress(&outcome);
        }
    }
    if !batch.is_empty() {
        send_batch(batch, door, token, &mut outcome).await?;
    }
    outcome.refused_rows.sort_by_key(|refused| refused.row);
    progress(&outcome);
    Ok(outcome)
}

async fn send_batch(
    mut batch: Pending,
    door: &Door,
    token: &str,
    outcome: &mut Outcome,
) -> Result<(), DoorError> {
    let until = Instant::now() + door.patience();
    loop {
        let reports = batch.iter().map(|(_, report)| report.clone()).collect();
        let answer = match door.reports(token, &ReportsRequest { reports }).await? {
            Answer::Done(answer) => answer,
            Answer::Refused(refused) => return Err(door.refused(refused)),
        };
        let asked: Vec<CaseId> = batch.iter().map(|(_, report)| report.id).collect();
        let answered: Vec<CaseId> = answer.results.iter().map(|result| result.id).collect();
        if asked != answered {
            return Err(DoorError::Strange {
                url: "intake".to_owned(),
                reason: "its results are not those of the reports sent".to_owned(),
            });
        }
        let patient = Instant::now() + WAIT < until;
        let mut again = Vec::new();
        for ((origin, report), result) in batch.into_iter().zip(answer.results) {
            match result {
                ReportResult {
                    receipt: Some(receipt),
                    ..
                } if receipt.repeated => outcome.repeated += 1,
                ReportResult {
                    receipt: Some(_), ..
                } => outcome.recorded += 1,
                ReportResult {
                    refused: Some(refused),
                    ..
                } if refused.retry && patient => {
                    again.push((origin, report));
                }
                ReportResult {
                    refused: Some(refused),
                    ..
                } => {
                    outcome.refuse(&origin, refused.code, refused.detail);
                }
                ReportResult { id, .. } => {
                    return Err(DoorError::Strange {
                        url: "intake".to_owned(),
                        reason: format!("the result of {id} is neither a receipt nor a refusal"),
                    });
                }
            }
        }
        if again.is_empty() {
            return Ok(());
        }
        batch = again;
        sleep(WAIT).await;
    }
}
