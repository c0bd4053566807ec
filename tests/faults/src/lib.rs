//! Damages installations and lets an independent client judge what they answer then.
//!
//! Each round has a seed, which decides what is done. It fills an installation with reports and
//! keeps a ledger of the receipts, damages files of the broker or publishes what is no event, tries
//! new reports and old ones at once, and compares every answer with the ledger, every position with
//! what the broker holds there, and `gridkeeper verify` with both. Where a fault is named, it does
//! what the doctor says, as an operator would, and compares again. The judge uses the HTTP API
//! alone and none of the services' types.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod blocks;
mod client;
mod damage;
mod doctor;
mod folders;
mod health;
mod judge;
mod kinds;
mod ledger;
mod phones;
mod raw_log;
mod round;
mod scenario;
mod verdict;

pub use kinds::{Damage, Folder, Headers, Part, Subject, Which};
pub use round::run;
pub use scenario::{Moment, Scenario, Stream};
pub use verdict::{Report, Verdict};
