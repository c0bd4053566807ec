//! The district's rules and rosters, as the log has them.

use gridkeeper_proto::{
    area::AreaCode,
    duty::Roster,
    envelope::Position,
    rules::{Rules, Timetables},
    view::{ViewAnswer, ViewQuestion},
};

use crate::{
    Error,
    known::{Kept, Known},
    questions::Questions,
    views::Freshness,
};

/// The rules, and the policies at work.
pub(crate) struct AtWork {
    pub(crate) rules: Rules,
    pub(crate) timetables: Timetables,
}

/// The rules as they were asked for last.
pub(crate) type KnownRules = Known<(), AtWork>;
/// Rosters as they were asked for last.
pub(crate) type KnownRosters = Known<AreaCode, Roster>;

impl Questions {
    /// The district's rules as of a position of the views, or later.
    pub(crate) async fn rules(&self, position: Position) -> Result<Kept<AtWork>, Error> {
        let seen = self.feed.seen_of_rules();
        if let Some(known) = self.known_rules.as_of(&(), position, seen) {
            return Ok(known);
        }
        match self
            .views
            .ask(at_least(position), ViewQuestion::Rules)
            .await?
        {
            (position, ViewAnswer::Rules(rules)) => {
                let same = |known: &AtWork| known.rules == *rules;
                // Views that are ahead of the feed are asked again, mostly for nothing new.
                if let Some(known) = self.known_rules.still(&(), position, same) {
                    return Ok(known);
                }
                let timetables = rules.timetables()?;
                let rules = *rules;
                let at_work = AtWork { rules, timetables };
                Ok(self.known_rules.keep((), position, at_work))
            }
            _ => Err(Error::OtherAnswer),
        }
    }

    /// An area's roster as of a position of the views, or later.
    pub(crate) async fn roster(
        &self,
        area: AreaCode,
        position: Position,
    ) -> Result<Kept<Roster>, Error> {
        let seen = self.feed.seen_of_rosters();
        if let Some(known) = self.known_rosters.as_of(&area, position, seen) {
            return Ok(known);
        }
        let question = ViewQuestion::Roster(area);
        match self.views.ask(at_least(position), question).await? {
            (position, ViewAnswer::Roster(roster)) => {
                Ok(self.known_rosters.keep(area, position, *roster))
            }
            _ => Err(Error::OtherAnswer),
        }
    }
}

fn at_least(position: Position) -> Freshness {
    Freshness {
        at_least: position,
        wait_ms: None,
    }
}
