//! The log on a real broker.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod append;
mod follow;
mod keys;
mod proxy;
mod site;
mod statements;
mod verify;
