//! End to end: the real binary, a process for each service, on a real broker.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod backup;
mod bad_input;
mod changed;
mod commands;
mod exactly_once;
mod full_disk;
mod history;
mod init;
mod killed;
mod other_tree;
mod own_views;
mod site;
mod two_histories;
mod up;
mod way_back;
