//! The figures of areas: as of now, of the areas below, and by day.

#![allow(
    unused_qualifications,
    reason = "utoipa::path repeats the types of the responses with their paths"
)]

use axum::extract::State;
use gridkeeper_district::Area;
use gridkeeper_http::{Bearer, Json, Path, Problem, Query, Refusals};
use gridkeeper_proto::view::{ViewAnswer, ViewQuestion};
use gridkeeper_proto::{
    access::Claims,
    api::{
        AreaAnswer, AssessmentAnswer, ChildrenAnswer, RollupsAnswer, UnitAssessment,
        UnitsAssessment,
    },
    area::AreaCode,
    envelope::Position,
    time::Day,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Error, figures,
    questions::{Handle, Questions},
    views::Freshness,
};

pub(crate) fn routes() -> OpenApiRouter<Handle> {
    OpenApiRouter::new()
        .routes(routes!(area))
        .routes(routes!(children))
        .routes(routes!(rollups))
        .routes(routes!(assessment))
        .routes(routes!(units))
}

/// The figures of an area as of now.
#[utoipa::path(
    get,
    path = "/v1/areas/{code}",
    tag = "areas",
    security(("bearer" = [])),
    params(("code" = AreaCode, Path, description = "The area"), Freshness),
    responses(
        (status = 200, description = "Its figures", body = AreaAnswer),
        (status = 404, description = "No such area", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn area(
    State(Handle(query)): State<Handle>,
    Bearer(claims): Bearer,
    Path(code): Path<AreaCode>,
    Query(fresh): Query<Freshness>,
) -> Result<Json<AreaAnswer>, Problem> {
    let area = query.known_area(&claims, code)?;
    let (position, mut summaries) = query.views.summaries(fresh, vec![code]).await?;
    let (_, summary) = summaries.pop().ok_or(Error::OtherAnswer)?;
    Ok(Json(AreaAnswer {
        position,
        figures: figures::of_area(area, summary),
    }))
}

/// The figures of the areas right below one.
#[utoipa::path(
    get,
    path = "/v1/areas/{code}/children",
    tag = "areas",
    security(("bearer" = [])),
    params(("code" = AreaCode, Path, description = "The area"), Freshness),
    responses(
        (status = 200, description = "By code; none below a grid", body = ChildrenAnswer),
        (status = 404, description = "No such area", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn children(
    State(Handle(query)): State<Handle>,
    Bearer(claims): Bearer,
    Path(code): Path<AreaCode>,
    Query(fresh): Query<Freshness>,
) -> Result<Json<ChildrenAnswer>, Problem> {
    query.known_area(&claims, code)?;
    let codes = query.district.children(code).map(Area::code).collect();
    let (position, summaries) = query.views.summaries(fresh, codes).await?;
    let children = query
        .district
        .children(code)
        .zip(summaries)
        .map(|(area, (_, summary))| figures::of_area(area, summary))
        .collect();
    Ok(Json(ChildrenAnswer { position, children }))
}

/// The years that can be asked for: those of a calendar.
const FIRST_YEAR: i16 = 1970;
const LAST_YEAR: i16 = 2199;

/// By what figures are rolled up.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum By {
    /// By day of the district's zone.
    #[default]
    Day,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct RollupsQuery {
    /// By what.
    #[serde(default, rename = "by")]
    #[param(inline)]
    _by: By,
    /// The first day.
    from: Day,
    /// The last day.
    to: Day,
    /// Answer from views that hold at least this position.
    #[serde(default)]
    at_least: Position,
    /// How long to wait for it, in milliseconds.
    wait_ms: Option<u32>,
}

/// The figures of an area by day, by recorded time in the district's zone.
#[utoipa::path(
    get,
    path = "/v1/areas/{code}/rollups",
    tag = "areas",
    security(("bearer" = [])),
    params(("code" = AreaCode, Path, description = "The area"), RollupsQuery),
    responses(
        (status = 200, description = "Every day of the span", body = RollupsAnswer),
        (status = 404, description = "No such area", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn rollups(
    State(Handle(query)): State<Handle>,
    Bearer(claims): Bearer,
    Path(code): Path<AreaCode>,
    Query(asked): Query<RollupsQuery>,
) -> Result<Json<RollupsAnswer>, Problem> {
    query.known_area(&claims, code)?;
    let (from, to) = query.span(asked.from, asked.to)?;
    let fresh = Freshness {
        at_least: asked.at_least,
        wait_ms: asked.wait_ms,
    };
    let (position, days) = query.views.days(fresh, code, (from, to)).await?;
    Ok(Json(RollupsAnswer {
        position,
        code,
        days: figures::of_days(days, from, to),
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AssessmentQuery {
    /// The first day.
    from: Day,
    /// The last day.
    to: Day,
    /// Answer from views that hold at least this position.
    #[serde(default)]
    at_least: Position,
    /// How long to wait for it, in milliseconds.
    wait_ms: Option<u32>,
}

/// How an area and those right below it did over a span of days: in time, late, given back, opened again,
/// how long it took, and what residents say.
#[utoipa::path(
    get,
    path = "/v1/areas/{code}/assessment",
    tag = "areas",
    security(("bearer" = [])),
    params(("code" = AreaCode, Path, description = "The area"), AssessmentQuery),
    responses(
        (status = 200, description = "The area and its children side by side", body = AssessmentAnswer),
        (status = 404, description = "No such area", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn assessment(
    State(Handle(query)): State<Handle>,
    Bearer(claims): Bearer,
    Path(code): Path<AreaCode>,
    Query(asked): Query<AssessmentQuery>,
) -> Result<Json<AssessmentAnswer>, Problem> {
    let area = query.known_area(&claims, code)?;
    let (from, to) = query.span(asked.from, asked.to)?;
    let fresh = Freshness {
        at_least: asked.at_least,
        wait_ms: asked.wait_ms,
    };
    let areas: Vec<&Area> = std::iter::once(area)
        .chain(query.district.children(code))
        .collect();
    let codes = areas.iter().map(|area| area.code()).collect();
    let (position, spans) = query.views.spans(fresh, codes, (from, to)).await?;
    let mut assessed = areas
        .into_iter()
        .zip(&spans)
        .map(|(area, (_, span))| figures::assessment(area, span));
    Ok(Json(AssessmentAnswer {
        position,
        from,
        to,
        area: assessed.next().ok_or(Error::OtherAnswer)?,
        children: assessed.collect(),
    }))
}

/// How the units did over a span of days: what was recorded of the cases that they held.
#[utoipa::path(
    get,
    path = "/v1/assessment/units",
    tag = "areas",
    security(("bearer" = [])),
    params(AssessmentQuery),
    responses(
        (status = 200, description = "All units that held a case, side by side", body = UnitsAssessment),
        Refusals,
    ),
)]
async fn units(
    State(Handle(query)): State<Handle>,
    Bearer(claims): Bearer,
    Query(asked): Query<AssessmentQuery>,
) -> Result<Json<UnitsAssessment>, Problem> {
    // Units work for all of the district.
    query.known_area(&claims, query.district.code())?;
    let (from, to) = query.span(asked.from, asked.to)?;
    let fresh = Freshness {
        at_least: asked.at_least,
        wait_ms: asked.wait_ms,
    };
    let question = ViewQuestion::Units(from, to);
    let (position, ViewAnswer::Units(units)) = query.views.ask(fresh, question).await? else {
        return Err(Error::OtherAnswer.into());
    };
    let units = units.into_iter().map(|(unit, span)| UnitAssessment {
        unit,
        figures: figures::of_span(&span),
    });
    Ok(Json(UnitsAssessment {
        position,
        from,
        to,
        units: units.collect(),
    }))
}

impl Questions {
    /// A span of days that is not too long.
    pub(crate) fn span(&self, from: Day, to: Day) -> Result<(Day, Day), Error> {
        let days = i64::from(to.number()) - i64::from(from.number()) + 1;
        let most = self.options.span_days;
        let told = |day: Day| (FIRST_YEAR..=LAST_YEAR).contains(&day.year());
        match (1..=i64::from(most)).contains(&days) && told(from) && told(to) {
            true => Ok((from, to)),
            false => Err(Error::Span { most }),
        }
    }

    /// An area of the district that is the bearer's.
    pub(crate) fn known_area(&self, claims: &Claims, code: AreaCode) -> Result<&Area, Error> {
        let area = self.district.area(code).ok_or(Error::UnknownArea {
            area: code,
            district: self.district.code(),
        })?;
        claims.within(code)?;
        Ok(area)
    }
}
