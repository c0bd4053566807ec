//! What all services of Gridkeeper agree on, and nothing that needs a clock, a disk or a network.
//!
//! The way of the data: a [`command::Command`] is decided against the [`case::Case`] it is for
//! ([`case::decide`]); the [`event::Event`]s that follow are wrapped in an [`envelope::Header`], appended
//! to the log, and folded into cases ([`case::Case::evolve`]) and views ([`view`]).

pub mod access;
pub mod aggregate;
pub mod anchor;
pub mod answers;
pub mod api;
pub mod area;
pub mod calendar;
pub mod case;
pub mod chain;
pub mod checkpoint;
pub mod clock;
pub mod code;
pub mod command;
pub mod duty;
pub mod envelope;
pub mod event;
pub mod id;
pub mod inquiry;
pub mod integrity;
pub mod limit;
pub mod policy;
pub mod rules;
pub mod sealed;
mod text;
pub mod time;
pub mod tree;
pub mod view;
pub mod whatif;
