//! Backups of logs on a real broker.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod broken_logs;
mod damage;
mod interrupted;
mod restored;
mod site;
mod taken;
