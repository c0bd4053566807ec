//! 督办: reminders ahead of a due time, supervision after it, and how often a case may be given back or extended.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::PolicyError;
use crate::area::Level;

/// Who watches over cases, and what they are allowed. Common practice of districts is the default: a note after
/// half of the time, a yellow card after three quarters, supervision past the due time, one return, and one
/// extension of at most half the limit, granted by the level above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Oversight {
    /// Reminders ahead of the due time, earliest first.
    pub reminders: Vec<Reminder>,
    /// After which further shares of the limit, in per cent, a case that is overdue at the top of the ladder
    /// is reminded of again, though not more often than once in 24 hours of the limit's own time: 1 to 1,000.
    pub overdue_every: u16,
    /// Whether the level above supervises a case from its first missed due time on.
    pub supervise: bool,
    /// How often a unit may give a case back: 0 to 100.
    pub returns: u32,
    /// Extensions.
    pub extensions: Extensions,
}

/// A reminder ahead of the due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reminder {
    /// When this share of the limit is gone, in per cent: 1 to 99.
    pub at: u16,
    /// Which card.
    pub card: Card,
}

/// How urgently a holder is reminded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Card {
    /// 提醒: a note.
    Note,
    /// 黄牌: the due time is near.
    Yellow,
    /// 红牌: the due time is very near, or has passed.
    Red,
}

/// 延期: how often the due time may be put off, how far, and who grants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Extensions {
    /// How often: 0 to 100.
    pub times: u32,
    /// By how much of the limit at most, in per cent: 1 to 1,000.
    pub at_most: u16,
    /// The lowest level that grants it; where left out, the level above the holder's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted_by: Option<Level>,
}

impl Default for Oversight {
    fn default() -> Self {
        let reminder = |at, card| Reminder { at, card };
        Self {
            reminders: vec![reminder(50, Card::Note), reminder(75, Card::Yellow)],
            overdue_every: 50,
            supervise: true,
            returns: 1,
            extensions: Extensions::default(),
        }
    }
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            times: 1,
            at_most: 50,
            granted_by: None,
        }
    }
}

impl Extensions {
    /// The lowest level that grants an extension to a holder on a level; the city grants its own.
    #[must_use]
    pub fn granting(&self, holder: Level) -> Level {
        let above = || holder.above().unwrap_or(Level::City);
        self.granted_by.unwrap_or_else(above)
    }
}

impl Oversight {
    pub(super) fn check(&self, of: &str) -> Result<(), PolicyError> {
        let wrong = |field, range| {
            Err(PolicyError::Oversight {
                field,
                range,
                of: of.to_owned(),
            })
        };
        let shares: Vec<_> = self.reminders.iter().map(|reminder| reminder.at).collect();
        let ascending = shares.iter().zip(shares.iter().skip(1)).all(|(a, b)| a < b);
        if shares.len() > 8 || !ascending || shares.iter().any(|at| !(1..=99).contains(at)) {
            return wrong(
                "reminders",
                "at most 8, from 1 to 99 per cent, the earliest first",
            );
        }
        if !(1..=1_000).contains(&self.overdue_every) {
            return wrong("overdue_every", "1 to 1,000 per cent");
        }
        if !(1..=1_000).contains(&self.extensions.at_most) {
            return wrong("extensions.at_most", "1 to 1,000 per cent");
        }
        if self.returns > 100 || self.extensions.times > 100 {
            return wrong("returns and extensions.times", "0 to 100");
        }
        Ok(())
    }
}
