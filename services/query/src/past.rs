//! Lists of cases as of a past moment, folded from the log.

use std::collections::{BTreeMap, HashSet};

use gridkeeper_proto::{
    area::AreaCode,
    duty::Roster,
    envelope::Position,
    event::ByAggregate,
    id::CaseId,
    time::Timestamp,
    view::{CaseFilter, CasePage, CaseView, DueCase, EscalationFilter, Listed, ViewError},
};

use crate::{Error, feed::RANGE, questions::Questions, record};

impl Questions {
    /// The cases of an area as of a past moment, by recorded time, and the position that the log was read to. The
    /// whole log is read for it: a few at once do so, the others wait.
    pub(crate) async fn past(
        &self,
        area: AreaCode,
        (at_least, as_of): (Position, Timestamp),
    ) -> Result<(Position, BTreeMap<(AreaCode, CaseId), Box<CaseView>>), Error> {
        if as_of > self.clock.now() {
            return Err(Error::NotYet { as_of });
        }
        // The places last as long as the service.
        let _place = self.past_places.acquire().await.ok();
        self.may_read_log().await?;
        let last = self.log.last_position().await?;
        if last < at_least {
            return Err(ViewError::Behind { position: last }.into());
        }
        let (mut cases, mut over) = (BTreeMap::new(), HashSet::new());
        let mut position = Position(0);
        let (max_events, max_bytes) = RANGE;
        while position < last {
            let range = self.log.read_after(position, max_events, max_bytes).await?;
            let Some(end) = range.last() else { break };
            position = end.position;
            for stored in range.iter().filter(|stored| stored.is_event_in(&area)) {
                let ByAggregate::Case(recorded) = record::recorded(stored)?.by_aggregate() else {
                    continue;
                };
                let id: CaseId = recorded.header.aggregate.into();
                // Recorded times of a case never go back.
                if recorded.header.recorded_at > as_of {
                    over.insert(id);
                }
                if !over.contains(&id) {
                    let key = (recorded.header.area, id);
                    let view = CaseView::evolve(cases.remove(&key), &recorded)?;
                    cases.insert(key, view);
                }
            }
        }
        Ok((position, cases))
    }

    /// An area's roster as it was known at a past moment.
    pub(crate) async fn past_roster(
        &self,
        area: AreaCode,
        position: Position,
        as_of: Timestamp,
    ) -> Result<Roster, Error> {
        let now = self.roster(area, position).await?;
        self.may_read_log().await?;
        let mut then = Roster::default();
        for position in &now.value.events {
            let recorded = record::recorded(&self.log.read(*position).await?)?;
            let ByAggregate::Roster(recorded) = recorded.by_aggregate() else {
                let position = *position;
                return Err(Error::OtherEvent { position });
            };
            if recorded.header.recorded_at > as_of {
                break;
            }
            then.evolve(&recorded);
        }
        Ok(then)
    }

    /// Cases of an area as of a past moment, by grid and id.
    pub(crate) async fn past_cases(
        &self,
        filter: &CaseFilter,
        when: (Position, Timestamp),
    ) -> Result<(Position, CasePage), Error> {
        let (position, cases) = self.past(filter.area, when).await?;
        let wanted = cases.into_iter().filter(|(key, view)| {
            let later = filter.after.is_none_or(|after| *key > after);
            later && filter.wants(Listed::of(&view.case))
        });
        Ok((position, page(wanted.map(|(_, view)| *view), filter.limit)))
    }

    /// Open cases of an area as of a past moment, the earliest due first.
    pub(crate) async fn past_escalations(
        &self,
        filter: &EscalationFilter,
        when: (Position, Timestamp),
    ) -> Result<(Position, CasePage), Error> {
        let (position, cases) = self.past(filter.area, when).await?;
        let due = cases.into_values().filter_map(|view| {
            let due_at = view.next_moment()?;
            let case = view.case.id;
            Some((DueCase { due_at, case }, view))
        });
        let mut due: Vec<_> = due
            .filter(|(due, view)| {
                filter.after.is_none_or(|after| *due > after)
                    && filter.due_before.is_none_or(|before| due.due_at < before)
                    && filter
                        .level
                        .is_none_or(|level| level == view.case.holder.level)
            })
            .collect();
        due.sort_by_key(|(due, _)| *due);
        let due = due.into_iter().map(|(_, view)| *view);
        Ok((position, page(due, filter.limit)))
    }
}

fn page(cases: impl Iterator<Item = CaseView>, limit: u32) -> CasePage {
    let mut cases = cases.peekable();
    let page = cases.by_ref().take(limit as usize).collect();
    CasePage {
        cases: page,
        more: cases.peek().is_some(),
    }
}
