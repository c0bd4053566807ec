//! Cases: one, its timeline, who holds it by when; and lists of them.

#![allow(
    unused_qualifications,
    reason = "utoipa::path repeats the types of the responses with their paths"
)]

use std::sync::Arc;

use axum::extract::State;
use futures::{StreamExt as _, TryStreamExt as _};
use gridkeeper_http::{Bearer, Json, Path, Problem, Query, Refusals};
use gridkeeper_proto::{
    access::Claims,
    api::{CaseDetail, CaseList, EscalationList, EscalationStatus, EventRecord, Timeline},
    area::{AreaCode, Level},
    case::{Case, CaseState, Holder, PartiesState},
    code::{Code, Coded as _},
    duty::{Held, Roster},
    envelope::Position,
    event::{ByAggregate, CaseEvent, Recorded},
    id::CaseId,
    sealed::{Party, open},
    time::Timestamp,
    view::{CaseFilter, CaseView, DueCase, EscalationFilter, Served},
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Error,
    error::page_limit,
    questions::{Handle, Questions},
    record, status,
    views::{Freshness, last_case},
};

/// How many events of a case are read from the log at once.
const READ_AT_ONCE: usize = 16;
/// The most cases of a page.
const MOST: u32 = 1_000;
/// The code of a sealed section without a key.
const NO_KEY: Code = Code(329);

pub(crate) fn routes() -> OpenApiRouter<Handle> {
    OpenApiRouter::new()
        .routes(routes!(case))
        .routes(routes!(timeline))
        .routes(routes!(escalation))
        .routes(routes!(cases))
        .routes(routes!(escalations))
}

/// A case.
///
/// The parties are given to those who may see them.
#[utoipa::path(
    get,
    path = "/v1/cases/{id}",
    tag = "cases",
    security(("bearer" = [])),
    params(("id" = CaseId, Path, description = "The case"), Freshness),
    responses(
        (status = 200, description = "The case", body = CaseDetail),
        (status = 404, description = "No such case in the bearer's areas", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn case(
    State(Handle(query)): State<Handle>,
    Bearer(claims): Bearer,
    Path(id): Path<CaseId>,
    Query(fresh): Query<Freshness>,
) -> Result<Json<CaseDetail>, Problem> {
    let (position, view) = query.case(&claims, id, fresh).await?;
    let parties = query.parties(&claims, &view).await?;
    Ok(Json(status::detail(position, view, parties)))
}

/// A case's events, in the order of the log.
#[utoipa::path(
    get,
    path = "/v1/cases/{id}/timeline",
    tag = "cases",
    security(("bearer" = [])),
    params(("id" = CaseId, Path, description = "The case"), Freshness),
    responses(
        (status = 200, description = "Its events", body = Timeline),
        (status = 404, description = "No such case in the bearer's areas", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn timeline(
    State(Handle(query)): State<Handle>,
    Bearer(claims): Bearer,
    Path(id): Path<CaseId>,
    Query(fresh): Query<Freshness>,
) -> Result<Json<Timeline>, Problem> {
    let (position, view) = query.case(&claims, id, fresh).await?;
    let events = query.events(&view.events, |_| true).await?;
    Ok(Json(Timeline {
        position,
        case_id: id,
        events,
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EscalationQuery {
    /// As of this moment; now when left out.
    as_of: Option<Timestamp>,
    /// Answer from views that hold at least this position.
    #[serde(default)]
    at_least: Position,
    /// How long to wait for it, in milliseconds.
    wait_ms: Option<u32>,
}

/// Who holds a case, by when, and where it goes next: now, or as of a past moment.
///
/// The answer for a past moment is folded from the case's events up to it, by recorded time.
#[utoipa::path(
    get,
    path = "/v1/cases/{id}/escalation",
    tag = "cases",
    security(("bearer" = [])),
    params(("id" = CaseId, Path, description = "The case"), EscalationQuery),
    responses(
        (status = 200, description = "Its status", body = EscalationStatus),
        (status = 404, description = "No such case in the bearer's areas, or not yet reported then", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn escalation(
    State(Handle(query)): State<Handle>,
    Bearer(claims): Bearer,
    Path(id): Path<CaseId>,
    Query(asked): Query<EscalationQuery>,
) -> Result<Json<EscalationStatus>, Problem> {
    let fresh = Freshness {
        at_least: asked.at_least,
        wait_ms: asked.wait_ms,
    };
    let (position, view) = query.case(&claims, id, fresh).await?;
    let now = query.clock.now();
    if let Some(as_of) = asked.as_of {
        if as_of > now {
            return Err(Error::NotYet { as_of }.into());
        }
        let (case, history) = query.as_of(&view, as_of).await?;
        let roster = query.past_roster(case.holder.area, position, as_of).await?;
        let status = query
            .escalation(position, &case, (as_of, &roster), history)
            .await?;
        return Ok(Json(status));
    }
    let history = match status::has_history(&view.case) {
        true => query.events(&view.events, status::is_escalation).await?,
        false => Vec::new(),
    };
    let roster = query.roster(view.case.holder.area, position).await?;
    let status = query
        .escalation(position, &view.case, (now, &roster.value), history)
        .await?;
    Ok(Json(status))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct CasesQuery {
    /// Filed in this area; the token's own when it is for one area.
    area: Option<AreaCode>,
    /// In this state.
    state: Option<CaseState>,
    /// Held at this level.
    level: Option<Level>,
    /// Whether their due time was found passed.
    overdue: Option<bool>,
    /// Of this category or one below it.
    category: Option<String>,
    /// Held by this unit.
    unit: Option<String>,
    /// Held by this person.
    person: Option<String>,
    /// Open, and held by those whom this person answers for by the roster of the area: the own cases while on duty,
    /// and those of whom the person stands in for; by name, by unit, or by the post of the ladder.
    served_by: Option<String>,
    /// As of this past moment, folded from the log; now, from the views, when left out.
    as_of: Option<Timestamp>,
    /// The `next` of the page before.
    after: Option<String>,
    /// At most so many: 1 to 1,000.
    #[serde(default = "hundred")]
    limit: u32,
    /// Answer from views that hold at least this position.
    #[serde(default)]
    at_least: Position,
    /// How long to wait for it, in milliseconds.
    wait_ms: Option<u32>,
}

fn hundred() -> u32 {
    100
}

/// Cases of an area, by grid and id.
#[utoipa::path(
    get,
    path = "/v1/cases",
    tag = "cases",
    security(("bearer" = [])),
    params(CasesQuery),
    responses((status = 200, description = "A page of cases", body = CaseList), Refusals),
)]
async fn cases(
    State(Handle(query)): State<Handle>,
    Bearer(claims): Bearer,
    Query(asked): Query<CasesQuery>,
) -> Result<Json<CaseList>, Problem> {
    let fresh = Freshness {
        at_least: asked.at_least,
        wait_ms: asked.wait_ms,
    };
    let area = query.area(&claims, asked.area)?;
    let served = match &asked.served_by {
        Some(person) => Some(
            query
                .served(area, person, (fresh.at_least, asked.as_of))
                .await?,
        ),
        None => None,
    };
    let filter = CaseFilter {
        area,
        state: asked.state,
        level: asked.level,
        overdue: asked.overdue,
        category: asked.category,
        unit: asked.unit,
        person: asked.person,
        served,
        after: asked.after.as_deref().map(cursor).transpose()?,
        limit: page_limit(asked.limit, MOST)?,
    };
    let (position, page) = match asked.as_of {
        Some(as_of) => query.past_cases(&filter, (fresh.at_least, as_of)).await?,
        None => query.views.cases(fresh, filter).await?,
    };
    let next = last_case(&page).map(|case| format!("{}.{}", case.grid, case.id));
    let cases = page.cases.iter().map(|view| status::summary(&view.case));
    Ok(Json(CaseList {
        position,
        cases: cases.collect(),
        next,
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EscalationsQuery {
    /// Filed in this area; the token's own when it is for one area.
    area: Option<AreaCode>,
    /// Held at this level.
    level: Option<Level>,
    /// Due before this moment.
    due_before: Option<Timestamp>,
    /// As of this past moment, folded from the log; now, from the views, when left out.
    as_of: Option<Timestamp>,
    /// The `next` of the page before.
    after: Option<String>,
    /// At most so many: 1 to 1,000.
    #[serde(default = "hundred")]
    limit: u32,
    /// Answer from views that hold at least this position.
    #[serde(default)]
    at_least: Position,
    /// How long to wait for it, in milliseconds.
    wait_ms: Option<u32>,
}

/// Open cases of an area, the earliest due first; for a suspended one the end of its suspension counts.
#[utoipa::path(
    get,
    path = "/v1/escalations",
    tag = "cases",
    security(("bearer" = [])),
    params(EscalationsQuery),
    responses((status = 200, description = "A page of cases", body = EscalationList), Refusals),
)]
async fn escalations(
    State(Handle(query)): State<Handle>,
    Bearer(claims): Bearer,
    Query(asked): Query<EscalationsQuery>,
) -> Result<Json<EscalationList>, Problem> {
    let fresh = Freshness {
        at_least: asked.at_least,
        wait_ms: asked.wait_ms,
    };
    let filter = EscalationFilter {
        area: query.area(&claims, asked.area)?,
        level: asked.level,
        due_before: asked.due_before,
        after: asked.after.as_deref().map(due_cursor).transpose()?,
        limit: page_limit(asked.limit, MOST)?,
    };
    let (position, page) = match asked.as_of {
        Some(as_of) => {
            query
                .past_escalations(&filter, (fresh.at_least, as_of))
                .await?
        }
        None => query.views.escalations(fresh, filter).await?,
    };
    let next = page.cases.last().filter(|_| page.more).and_then(|view| {
        let moment = view.next_moment()?;
        Some(format!("{}.{}", moment.millis(), view.case.id))
    });
    let cases = page.cases.iter().map(|view| status::summary(&view.case));
    Ok(Json(EscalationList {
        position,
        cases: cases.collect(),
        next,
    }))
}

fn cursor(text: &str) -> Result<(AreaCode, CaseId), Error> {
    let parsed = text
        .split_once('.')
        .and_then(|(grid, case)| Some((grid.parse().ok()?, case.parse().ok()?)));
    parsed.ok_or_else(|| not_a_cursor(text))
}

fn due_cursor(text: &str) -> Result<DueCase, Error> {
    let parsed = text.split_once('.').and_then(|(moment, case)| {
        Some(DueCase {
            due_at: Timestamp::from_millis(moment.parse().ok()?).ok()?,
            case: case.parse().ok()?,
        })
    });
    parsed.ok_or_else(|| not_a_cursor(text))
}

pub(crate) fn not_a_cursor(text: &str) -> Error {
    Error::Cursor {
        after: text.chars().take(80).collect(),
    }
}

/// Who answers for a case by the roster of the area that holds it: for the person who has it, for the unit's post,
/// or for the post of the ladder.
fn held(case: &Case, post: Option<&str>, (roster, now): (&Roster, Timestamp)) -> Option<Held> {
    let Holder { unit, person, .. } = &case.holder;
    match (person, unit.as_deref().or(post)) {
        (Some(person), _) => roster.holds_of(person, now),
        (None, Some(post)) => roster.holds(post, now),
        (None, None) => None,
    }
}

impl Questions {
    /// A case of the bearer's areas; to others it is not there.
    async fn case(
        &self,
        claims: &Claims,
        id: CaseId,
        fresh: Freshness,
    ) -> Result<(Position, CaseView), Error> {
        let (position, view) = self.views.case(fresh, id).await?;
        match view {
            Some(view) if claims.within(view.case.grid).is_ok() => Ok((position, *view)),
            Some(_) => Err(Error::NoSuchCase { case: id }),
            None => Err(self.missing(id)),
        }
    }

    /// Why there is no case: it never was, or it was lost.
    fn missing(&self, case: CaseId) -> Error {
        let statements = self.log.statements();
        match statements.loss_of(case) {
            Some((loss, lost)) => Error::Lost {
                case,
                position: lost.position,
                statement: loss.statement,
            },
            None => Error::NoSuchCase { case },
        }
    }

    /// For whom a person answers by the roster of an area, now or as it was known at a past moment.
    async fn served(
        &self,
        area: AreaCode,
        person: &str,
        (position, as_of): (Position, Option<Timestamp>),
    ) -> Result<Served, Error> {
        let at = as_of.unwrap_or_else(|| self.clock.now());
        let roster = match as_of {
            Some(as_of) => Arc::new(self.past_roster(area, position, as_of).await?),
            None => self.roster(area, position).await?.value,
        };
        let members: Vec<_> = roster.served_by(person, at).collect();
        let posts: Vec<_> = members.iter().map(|member| member.post.clone()).collect();
        let rules = self.rules(position).await?;
        let ladders = rules.value.timetables.all();
        let theirs = ladders.filter(|timetable| {
            let post = timetable.policy().ladder.post(area.level());
            posts.iter().any(|own| own == post)
        });
        Ok(Served {
            area,
            persons: members.iter().map(|member| member.person.clone()).collect(),
            policies: theirs.map(|timetable| timetable.policy().version).collect(),
            posts,
        })
    }

    /// A case's status by the policy that it runs under.
    async fn escalation(
        &self,
        position: Position,
        case: &Case,
        (now, roster): (Timestamp, &Roster),
        history: Vec<EventRecord>,
    ) -> Result<EscalationStatus, Error> {
        let rules = self.rules(position).await?;
        let timetable = rules.value.timetables.of(case.policy)?;
        let post = status::post(case, timetable);
        let held = case
            .state
            .is_open()
            .then(|| held(case, post, (roster, now)));
        let held = held.flatten();
        let at = (timetable, now);
        Ok(status::escalation(position, case, at, (held, history)))
    }

    /// An event of a case.
    async fn event(&self, position: Position) -> Result<Recorded<CaseEvent>, Error> {
        let recorded = record::recorded(&self.log.read(position).await?)?;
        match recorded.by_aggregate() {
            ByAggregate::Case(recorded) => Ok(recorded),
            _ => Err(Error::OtherEvent { position }),
        }
    }

    /// The case as of a past moment, and the history of its escalation until then.
    async fn as_of(
        &self,
        view: &CaseView,
        as_of: Timestamp,
    ) -> Result<(Case, Vec<EventRecord>), Error> {
        let all = self.recorded(&view.events).await?;
        let until = all.partition_point(|recorded| recorded.header.recorded_at <= as_of);
        let mut case = None;
        for recorded in &all[..until] {
            case = Some(Case::evolve(case.take(), recorded)?);
        }
        let id = view.case.id;
        let case = case.ok_or(Error::NotReported { case: id, as_of })?;
        let history = all
            .into_iter()
            .take(until)
            .filter(|recorded| status::is_escalation(&recorded.event));
        Ok((case, history.map(record::of).collect()))
    }

    /// The events at these positions, in order.
    async fn recorded(&self, positions: &[Position]) -> Result<Vec<Recorded<CaseEvent>>, Error> {
        self.may_read_log().await?;
        futures::stream::iter(positions.to_vec())
            .map(|position| self.event(position))
            .buffered(READ_AT_ONCE)
            .try_collect()
            .await
    }

    /// Those of the events at these positions that are wanted, in order.
    async fn events(
        &self,
        positions: &[Position],
        wanted: fn(&CaseEvent) -> bool,
    ) -> Result<Vec<EventRecord>, Error> {
        let all = self.recorded(positions).await?.into_iter();
        let wanted = all.filter(|recorded| wanted(&recorded.event));
        Ok(wanted.map(record::of).collect())
    }

    /// The parties of a case, or why they cannot be read; `None` if the bearer may not see them,
    /// and if there are none.
    async fn parties(
        &self,
        claims: &Claims,
        view: &CaseView,
    ) -> Result<Option<Result<Vec<Party>, Code>>, Error> {
        let case = view.case.id;
        let reported = match (view.case.parties, view.events.first()) {
            (PartiesState::Sealed, Some(first)) if claims.sees_parties() => *first,
            _ => return Ok(None),
        };
        let Some(key) = self.keys.get(case).await? else {
            tracing::error!(code = %NO_KEY, %case, "the parties have no key");
            return Ok(Some(Err(NO_KEY)));
        };
        self.may_read_log().await?;
        let CaseEvent::Reported(report) = self.event(reported).await?.event else {
            return Ok(None);
        };
        let opened = report.parties.map(|sealed| open(key, case, &sealed));
        Ok(opened.map(|opened| {
            opened.map_err(|error| {
                tracing::error!(code = %error.code(), %case, %error, "the parties cannot be read");
                error.code()
            })
        }))
    }
}
