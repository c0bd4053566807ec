//! Damage to the log.
