//! First inquiries: who owes a resident an answer.

#![allow(
    unused_qualifications,
    reason = "utoipa::path repeats the types of the responses with their paths"
)]

use axum::extract::State;
use gridkeeper_http::{Bearer, Json, Path, Problem, Query, Refusals};
use gridkeeper_proto::{
    api::{InquiryAnswer, InquiryList},
    area::AreaCode,
    case::Refusal,
    envelope::Position,
    id::InquiryId,
    inquiry::Inquiry,
    view::{InquiryFilter, ViewAnswer, ViewQuestion},
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Error, cases::not_a_cursor, error::page_limit, questions::Handle, views::Freshness};

/// The most inquiries of a page.
const MOST: u32 = 1_000;

pub(crate) fn routes() -> OpenApiRouter<Handle> {
    OpenApiRouter::new()
        .routes(routes!(inquiries))
        .routes(routes!(inquiry))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct InquiriesQuery {
    /// Asked in this area; when left out anywhere for whoever asks for the own ones, else in the token's own area.
    area: Option<AreaCode>,
    /// Only those that wait for an answer.
    #[serde(default)]
    open: bool,
    /// Of this owner.
    owner: Option<String>,
    /// That this person was asked to take over, and has not said yet.
    offered_to: Option<String>,
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

/// First inquiries of an area: the open ones by owner, or all.
#[utoipa::path(
    get,
    path = "/v1/inquiries",
    tag = "inquiries",
    security(("bearer" = [])),
    params(InquiriesQuery),
    responses((status = 200, description = "A page of inquiries", body = InquiryList), Refusals),
)]
async fn inquiries(
    State(Handle(query)): State<Handle>,
    Bearer(claims): Bearer,
    Query(asked): Query<InquiriesQuery>,
) -> Result<Json<InquiryList>, Problem> {
    let fresh = Freshness {
        at_least: asked.at_least,
        wait_ms: asked.wait_ms,
    };
    let me = |name: &Option<String>| name.as_ref() == Some(&claims.sub);
    let area = match asked.area {
        None if me(&asked.owner) || me(&asked.offered_to) => query.district.code(),
        area => query.area(&claims, area)?,
    };
    let filter = InquiryFilter {
        area,
        open: asked.open,
        owner: asked.owner,
        offered_to: asked.offered_to,
        after: asked.after.as_deref().map(cursor).transpose()?,
        limit: page_limit(asked.limit, MOST)?,
    };
    let question = ViewQuestion::Inquiries(filter);
    let (position, ViewAnswer::Inquiries(page)) = query.views.ask(fresh, question).await? else {
        return Err(Error::OtherAnswer.into());
    };
    let last = page.inquiries.last().filter(|_| page.more);
    let next = last.map(|inquiry| format!("{}.{}", inquiry.id, inquiry.owner));
    let inquiries = page.inquiries.into_iter().map(Into::into).collect();
    Ok(Json(InquiryList {
        position,
        inquiries,
        next,
    }))
}

fn cursor(text: &str) -> Result<(String, InquiryId), Error> {
    let parsed = text
        .split_once('.')
        .and_then(|(id, owner)| Some((owner.to_owned(), id.parse().ok()?)));
    parsed.ok_or_else(|| not_a_cursor(text))
}

/// A first inquiry.
#[utoipa::path(
    get,
    path = "/v1/inquiries/{id}",
    tag = "inquiries",
    security(("bearer" = [])),
    params(("id" = InquiryId, Path, description = "The inquiry"), Freshness),
    responses(
        (status = 200, description = "The inquiry", body = InquiryAnswer),
        (status = 404, description = "No such inquiry within the bearer's reach", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn inquiry(
    State(Handle(query)): State<Handle>,
    Bearer(claims): Bearer,
    Path(id): Path<InquiryId>,
    Query(fresh): Query<Freshness>,
) -> Result<Json<InquiryAnswer>, Problem> {
    let question = ViewQuestion::Inquiry(id);
    let (position, ViewAnswer::Inquiry(found)) = query.views.ask(fresh, question).await? else {
        return Err(Error::OtherAnswer.into());
    };
    let within = |found: &Inquiry| Inquiry::reach(Some(found), (found.area, &claims)).is_ok();
    let missing = Error::Missing(Refusal::NoSuchInquiry { inquiry: id });
    let found = found.filter(|found| within(found)).ok_or(missing)?;
    Ok(Json(InquiryAnswer {
        position,
        inquiry: (*found).into(),
    }))
}
