//! Simulated grid workers, who file through the real HTTP door.
//!
//! What they do and when is a plan ([`Plan`]): pure, and the same for the same seed and start. Sending
//! it ([`send`]) is apart.

mod plan;
mod report;
mod send;
#[cfg(test)]
mod tests;
mod world;

pub(crate) use plan::{Plan, Settings};
pub(crate) use send::{Limits, Tally, send};
pub(crate) use world::World;
