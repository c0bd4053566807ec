//! Damage to real files of a real broker, each judged by an independent client: `rows` has the
//! kinds that were seen to do harm, `rounds` has seeded ones.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod rounds;
mod rows;

use std::path::Path;

use gridkeeper_faults::{Report, Scenario, run};

/// Runs scenarios one after the other; gives how they ended.
///
/// # Panics
/// One of them ended neither harmless, nor named, nor recovered.
async fn hold(scenarios: impl IntoIterator<Item = Scenario>) -> Vec<Report> {
    let binary = Path::new(env!("CARGO_BIN_EXE_gridkeeper"));
    let mut reports = Vec::new();
    for scenario in scenarios {
        reports.push(run(binary, &scenario).await);
    }
    let failed = reports.iter().filter(|report| !report.failures.is_empty());
    let failed: Vec<_> = failed.map(Report::to_string).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    reports
}
