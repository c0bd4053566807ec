//! The district's rules at work, as the log has them.

use std::sync::{Arc, Mutex, PoisonError};

use gridkeeper_proto::{
    envelope::Position,
    rules::{Rules, Timetables},
    view::{ViewAnswer, ViewQuestion},
};

use crate::{Error, questions::Questions, views::Freshness};

/// The rules that were asked for last, and the position that they are of.
#[derive(Default)]
pub(crate) struct KnownRules(Mutex<Option<Known>>);

#[derive(Clone)]
struct Known {
    position: Position,
    rules: Arc<Rules>,
    timetables: Arc<Timetables>,
}

impl Questions {
    /// The policies at work, at least as of a position of the views.
    pub(crate) async fn timetables(&self, position: Position) -> Result<Arc<Timetables>, Error> {
        Ok(self.known_rules(position).await?.timetables)
    }

    /// The rules, at least as of a position of the views.
    pub(crate) async fn rules(&self, position: Position) -> Result<(Position, Arc<Rules>), Error> {
        let known = self.known_rules(position).await?;
        Ok((known.position.max(position), known.rules))
    }

    /// They are asked for once, and again after each change that was seen.
    async fn known_rules(&self, position: Position) -> Result<Known, Error> {
        // In this order every change up to `seen` is told.
        let seen = self.feed.position();
        let changed = self.feed.rules();
        if let Some(known) = self.known_rules.last()
            && known.position >= changed
            && (known.position >= position || seen >= position)
        {
            return Ok(known);
        }
        let fresh = Freshness {
            at_least: changed.max(position),
            wait_ms: None,
        };
        let (position, answer) = self.views.ask(fresh, ViewQuestion::Rules).await?;
        let ViewAnswer::Rules(rules) = answer else {
            return Err(Error::OtherAnswer);
        };
        let timetables = Arc::new(rules.timetables()?);
        let known = Known {
            position,
            rules: Arc::new(*rules),
            timetables,
        };
        self.known_rules.remember(known.clone());
        Ok(known)
    }
}

impl KnownRules {
    fn last(&self) -> Option<Known> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn remember(&self, known: Known) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last
            .as_ref()
            .is_none_or(|last| last.position <= known.position)
        {
            *last = Some(known);
        }
    }
}
