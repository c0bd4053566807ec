//! Answers to questions, each read at one position.

use std::{collections::BTreeMap, fmt::Display, ops::Bound};

use gridkeeper_proto::{
    area::AreaCode,
    code::Coded,
    envelope::Position,
    id::CaseId,
    inquiry::Inquiry,
    time::Day,
    view::{
        AreaDays, AreaSummary, CaseFilter, CasePage, DayRollup, EscalationFilter, InquiryFilter,
        InquiryPage, ViewAnswer, ViewError, ViewQuestion, ViewReply, ViewRequest,
    },
};
use gridkeeper_viewstore::{Reader, ViewStore};

use crate::{
    Error,
    keys::{self, Due, Facets},
};

/// The longest reply in bytes, over the broker or not: the longest message of a broker that is not told otherwise.
pub const LONGEST_REPLY: usize = 1 << 20;

/// The most cases of a page.
const PAGE: u32 = 1_000;

/// After how many index entries a page ends that has a case already. Commits wait while a page is read,
/// and 50,000 entries take some tens of milliseconds.
const SCAN: usize = 50_000;

/// What a reply holds besides its cases or figures is far below this, in bytes.
const FRAME: usize = 1_024;

/// The reply to a question, at most `max_bytes` long.
///
/// A page of cases ends where it would become longer. Figures are not cut: a question for more of them
/// than a reply holds is answered with [`Error::TooLarge`].
#[must_use]
pub fn answer(store: &ViewStore, question: &ViewQuestion, max_bytes: usize) -> ViewReply {
    store.read(|reader| read(reader, question, max_bytes))
}

/// The same, if the views can be read at once and hold what is asked for.
#[must_use]
pub fn try_answer(store: &ViewStore, request: &ViewRequest, max_bytes: usize) -> Option<ViewReply> {
    let read = store.try_read(|reader| {
        let holds = request.at_least <= reader.position();
        holds.then(|| read(reader, &request.question, max_bytes))
    });
    read.flatten()
}

fn read(reader: &Reader<'_>, question: &ViewQuestion, max_bytes: usize) -> ViewReply {
    let answered = Answers { reader, max_bytes }.to(question);
    ViewReply {
        position: reader.position(),
        answer: answered.map_err(|error| stopped(&error)),
    }
}

/// The reply's bytes; in place of one that became too long, its error.
#[must_use]
pub fn encode(reply: &ViewReply, max_bytes: usize) -> Vec<u8> {
    let bytes = reply.encode();
    if bytes.len() <= max_bytes {
        return bytes;
    }
    refusal(
        reply.position,
        stopped(&Error::TooLarge { limit: max_bytes }),
    )
    .encode()
}

/// A reply without an answer.
#[must_use]
pub fn refusal(position: Position, error: ViewError) -> ViewReply {
    ViewReply {
        position,
        answer: Err(error),
    }
}

pub(crate) fn stopped(error: &(impl Coded + Display)) -> ViewError {
    ViewError::Stopped {
        code: error.code().0,
        detail: error.to_string(),
    }
}

struct Answers<'a> {
    reader: &'a Reader<'a>,
    max_bytes: usize,
}

impl Answers<'_> {
    fn to(&self, question: &ViewQuestion) -> Result<ViewAnswer, Error> {
        Ok(match question {
            ViewQuestion::Case(id) => {
                ViewAnswer::Case(self.reader.value(&keys::case(*id))?.map(Box::new))
            }
            ViewQuestion::Cases(filter) => ViewAnswer::Cases(self.cases(filter)?),
            ViewQuestion::Escalations(filter) => ViewAnswer::Cases(self.escalations(filter)?),
            ViewQuestion::Summaries(areas) => ViewAnswer::Summaries(self.summaries(areas)?),
            ViewQuestion::Days(areas, from, to) => ViewAnswer::Days(self.days(areas, *from, *to)?),
            ViewQuestion::Spans(areas, from, to) => {
                ViewAnswer::Spans(self.spans(areas, *from, *to)?)
            }
            ViewQuestion::Rules => {
                let rules = self.reader.value(&keys::rules())?;
                ViewAnswer::Rules(Box::new(rules.unwrap_or_default()))
            }
            ViewQuestion::Roster(area) => {
                let roster = self.reader.value(&keys::roster(*area))?;
                ViewAnswer::Roster(Box::new(roster.unwrap_or_default()))
            }
            ViewQuestion::Inquiry(id) => {
                ViewAnswer::Inquiry(self.reader.value(&keys::inquiry(*id))?.map(Box::new))
            }
            ViewQuestion::Inquiries(filter) => ViewAnswer::Inquiries(self.inquiries(filter)?),
            ViewQuestion::Units(from, to) => ViewAnswer::Units(self.units(*from, *to)?),
            ViewQuestion::Position => ViewAnswer::Position,
            ViewQuestion::History => ViewAnswer::History,
        })
    }

    fn cases(&self, filter: &CaseFilter) -> Result<CasePage, Error> {
        let after = filter.after.map(|(grid, case)| keys::listed(grid, case));
        let listed = self
            .reader
            .prefix(&keys::listed_in(filter.area), after.as_deref())
            .values::<Facets>();
        let mut page = self.page(filter.limit);
        for (scanned, entry) in listed.enumerate() {
            let (key, facets) = entry?;
            let wanted = filter.wants(facets.listed());
            if page.ends_before(self, scanned, wanted, &key)? {
                break;
            }
        }
        Ok(page.page)
    }

    fn escalations(&self, filter: &EscalationFilter) -> Result<CasePage, Error> {
        let start = match filter.after {
            Some(after) => Bound::Excluded(keys::due(after.due_at, after.case)),
            None => Bound::Included(keys::all_due()),
        };
        let end = filter
            .due_before
            .map_or_else(keys::after_all_due, keys::due_from);
        let start = start.as_ref().map(Vec::as_slice);
        let due = self
            .reader
            .range((start, Bound::Excluded(end.as_slice())))
            .values::<Due>();
        let mut page = self.page(filter.limit);
        for (scanned, entry) in due.enumerate() {
            let (key, due) = entry?;
            let wanted = filter.area.contains(&due.grid)
                && filter.level.is_none_or(|level| level == due.level);
            if page.ends_before(self, scanned, wanted, &key)? {
                break;
            }
        }
        Ok(page.page)
    }

    fn summaries(&self, areas: &[AreaCode]) -> Result<Vec<(AreaCode, AreaSummary)>, Error> {
        let mut room = self.max_bytes;
        let mut summaries = Vec::with_capacity(areas.len());
        for area in areas {
            let key = keys::summary(*area);
            self.take(&mut room, &key)?;
            summaries.push((*area, self.reader.value(&key)?.unwrap_or_default()));
        }
        Ok(summaries)
    }

    fn days(&self, areas: &[AreaCode], from: Day, to: Day) -> Result<Vec<AreaDays>, Error> {
        let mut room = self.max_bytes;
        let mut answer = Vec::with_capacity(areas.len());
        for area in areas {
            let (first, last) = (keys::day(*area, from), keys::day(*area, to));
            let range = (
                Bound::Included(first.as_slice()),
                Bound::Included(last.as_slice()),
            );
            let mut days = Vec::new();
            for entry in self.reader.range(range).values::<DayRollup>() {
                let (key, rollup) = entry?;
                self.take(&mut room, &key)?;
                let day = keys::day_of(&key).ok_or_else(|| Error::Index { key: key.clone() })?;
                days.push((day, rollup));
            }
            answer.push(AreaDays { area: *area, days });
        }
        Ok(answer)
    }

    fn spans(
        &self,
        areas: &[AreaCode],
        from: Day,
        to: Day,
    ) -> Result<Vec<(AreaCode, DayRollup)>, Error> {
        areas
            .iter()
            .map(|area| {
                let (first, last) = (keys::day(*area, from), keys::day(*area, to));
                let range = (
                    Bound::Included(first.as_slice()),
                    Bound::Included(last.as_slice()),
                );
                let mut span = DayRollup::default();
                for entry in self.reader.range(range).values::<DayRollup>() {
                    span.merge(&entry?.1);
                }
                Ok((*area, span))
            })
            .collect()
    }

    /// Each unit's figures over a span, by name.
    fn units(&self, from: Day, to: Day) -> Result<Vec<(String, DayRollup)>, Error> {
        let mut units: BTreeMap<String, DayRollup> = BTreeMap::new();
        let all = self.reader.prefix(&keys::all_unit_days(), None);
        for entry in all.values::<DayRollup>() {
            let (key, rollup) = entry?;
            let broken = || Error::Index { key: key.clone() };
            let day = keys::day_of(&key).ok_or_else(broken)?;
            let unit = keys::unit_of(&key).ok_or_else(broken)?;
            if (from..=to).contains(&day) {
                units.entry(unit.to_owned()).or_default().merge(&rollup);
            }
        }
        Ok(units.into_iter().collect())
    }

    fn inquiries(&self, filter: &InquiryFilter) -> Result<InquiryPage, Error> {
        let owner = filter.owner.as_deref();
        let (prefix, after) = match (filter.open, &filter.after) {
            (true, after) => {
                let after = after.as_ref().map(|(owner, id)| keys::owned(owner, *id));
                (keys::owned_by(owner), after)
            }
            (false, after) => {
                let after = after.as_ref().map(|(_, id)| keys::inquiry(*id));
                (keys::all_inquiries(), after)
            }
        };
        let limit = filter.limit.clamp(1, PAGE) as usize;
        let mut room = self.max_bytes.saturating_sub(FRAME);
        let mut inquiries = Vec::new();
        for (scanned, entry) in self.reader.prefix(&prefix, after.as_deref()).enumerate() {
            let index = entry?.key;
            let broken = || Error::Index { key: index.clone() };
            let key = keys::inquiry(keys::inquiry_of(&index).ok_or_else(broken)?);
            let inquiry: Inquiry = self.reader.value(&key)?.ok_or_else(broken)?;
            let wanted = filter.area.contains(&inquiry.area)
                && owner.is_none_or(|owner| owner == inquiry.owner)
                && (filter.offered_to.is_none() || filter.offered_to == inquiry.offered_to);
            let length = self.reader.get(&key)?.map_or(0, |bytes| bytes.len());
            let full = inquiries.len() >= limit || length > room || scanned >= SCAN;
            if !inquiries.is_empty() && full {
                return Ok(InquiryPage {
                    inquiries,
                    more: true,
                });
            }
            if wanted {
                room = room.saturating_sub(length);
                inquiries.push(inquiry);
            }
        }
        Ok(InquiryPage {
            inquiries,
            more: false,
        })
    }

    /// Takes the length of a stored value from the room that the reply has left.
    fn take(&self, room: &mut usize, key: &[u8]) -> Result<(), Error> {
        let length = self.reader.get(key)?.map_or(0, |value| value.len());
        *room = room.checked_sub(length).ok_or(Error::TooLarge {
            limit: self.max_bytes,
        })?;
        Ok(())
    }

    fn page(&self, limit: u32) -> Page {
        Page {
            page: CasePage {
                cases: Vec::new(),
                more: false,
            },
            limit: limit.clamp(1, PAGE) as usize,
            room: self.max_bytes.saturating_sub(FRAME),
        }
    }
}

/// A page of cases in the making.
struct Page {
    page: CasePage,
    limit: usize,
    /// Bytes that the reply has left.
    room: usize,
}

impl Page {
    /// Looks at the next index entry: whether the page ends before it. If not, its case is added where
    /// it is wanted.
    ///
    /// A page says where to go on by its last case, so one that ends early has at least one.
    fn ends_before(
        &mut self,
        answers: &Answers<'_>,
        scanned: usize,
        wanted: bool,
        index: &[u8],
    ) -> Result<bool, Error> {
        let has_one = !self.page.cases.is_empty();
        if has_one && scanned >= SCAN {
            self.page.more = true;
            return Ok(true);
        }
        if !wanted {
            return Ok(false);
        }
        if self.page.cases.len() >= self.limit {
            self.page.more = true;
            return Ok(true);
        }
        let broken = || Error::Index {
            key: index.to_owned(),
        };
        let id: CaseId = keys::case_of(index).ok_or_else(broken)?;
        let key = keys::case(id);
        let length = answers.reader.get(&key)?.ok_or_else(broken)?.len();
        if has_one && length > self.room {
            self.page.more = true;
            return Ok(true);
        }
        self.room = self.room.saturating_sub(length);
        let case = answers.reader.value(&key)?.ok_or_else(broken)?;
        self.page.cases.push(case);
        Ok(false)
    }
}
