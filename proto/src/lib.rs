//! What all services of Gridkeeper agree on, and nothing that needs a clock, a disk or a network.
//!
//! The way of the data: a [`command::Command`] is decided against the [`case::Case`] it is for
//! ([`case::decide`]); the [`event::Event`]s that follow are wrapped in an [`envelope::Header`], appended
//! to the log, and folded into cases ([`case::Case::evolve`]) and views ([`view`]).

pub mod access;
pub mod area;
pub mod code;
pub mod envelope;
pub mod id;
pub mod time;
