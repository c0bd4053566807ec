//! Who is on duty, who answers for which post, and where too few are.

#![allow(
    unused_qualifications,
    reason = "utoipa::path repeats the types of the responses with their paths"
)]

use axum::extract::State;
use gridkeeper_district::Area;
use gridkeeper_http::{Bearer, Json, Path, Problem, Query, Refusals};
use gridkeeper_proto::{
    api::{DutyAnswer, GapsAnswer, RosterAnswer},
    area::AreaCode,
    calendar::Calendar,
    duty::{Gap, Roster, gaps},
    envelope::Position,
    rules::Timetables,
    time::{Day, Timestamp, Zone},
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Error, questions::Handle};

pub(crate) fn routes() -> OpenApiRouter<Handle> {
    OpenApiRouter::new()
        .routes(routes!(duty))
        .routes(routes!(roster))
        .routes(routes!(staffing_gaps))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DutyQuery {
    /// At this moment; now when left out.
    at: Option<Timestamp>,
    /// Answer from views that hold at least this position.
    #[serde(default)]
    at_least: Position,
}

/// Who is on duty in an area, and who answers for each post: its own member, or an X who stands in.
#[utoipa::path(
    get,
    path = "/v1/rosters/{area}/duty",
    tag = "duty",
    security(("bearer" = [])),
    params(("area" = AreaCode, Path, description = "The area"), DutyQuery),
    responses(
        (status = 200, description = "The duty at the moment", body = DutyAnswer),
        (status = 404, description = "No such area", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn duty(
    State(Handle(query)): State<Handle>,
    Bearer(claims): Bearer,
    Path(area): Path<AreaCode>,
    Query(asked): Query<DutyQuery>,
) -> Result<Json<DutyAnswer>, Problem> {
    query.known_area(&claims, area)?;
    let known = query.roster(area, asked.at_least).await?;
    let (position, roster) = (known.position, known.value);
    let at = asked.at.unwrap_or_else(|| query.clock.now());
    let team = roster.team(at);
    Ok(Json(DutyAnswer {
        position,
        area,
        at,
        members: team.to_vec(),
        on_duty: roster
            .on_duty(at)
            .map(|member| member.person.clone())
            .collect(),
        posts: team
            .iter()
            .filter_map(|member| roster.holds(&member.post, at))
            .collect(),
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct SpanQuery {
    /// The first day, in the district's zone.
    from: Day,
    /// The last day.
    to: Day,
    /// Answer from views that hold at least this position.
    #[serde(default)]
    at_least: Position,
}

/// An area's roster over a span of days, and the hours in which too few are on duty.
#[utoipa::path(
    get,
    path = "/v1/rosters/{area}",
    tag = "duty",
    security(("bearer" = [])),
    params(("area" = AreaCode, Path, description = "The area"), SpanQuery),
    responses(
        (status = 200, description = "Shifts, absences and gaps", body = RosterAnswer),
        (status = 404, description = "No such area", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn roster(
    State(Handle(query)): State<Handle>,
    Bearer(claims): Bearer,
    Path(area): Path<AreaCode>,
    Query(asked): Query<SpanQuery>,
) -> Result<Json<RosterAnswer>, Problem> {
    query.known_area(&claims, area)?;
    let (from, to) = query.span(asked.from, asked.to)?;
    let rules = query.rules(asked.at_least).await?;
    let known = query.roster(area, asked.at_least).await?;
    let (position, roster) = (known.position.min(rules.position), known.value);
    let zone = &rules.value.timetables.days().map_err(Error::from)?.zone;
    let (first, after) = moments(zone, from, to)?;
    let (gaps, unchecked) = gaps_of((area, &roster), &rules.value.timetables, (from, to))?;
    Ok(Json(RosterAnswer {
        position,
        area,
        from,
        to,
        members: roster.members(first, after).into_iter().cloned().collect(),
        shifts: roster.shifts(first, after).cloned().collect(),
        absences: roster.absences(first, after).cloned().collect(),
        gaps,
        unchecked,
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct GapsQuery {
    /// This area and all that lie in it; the token's own when it is for one area.
    area: Option<AreaCode>,
    /// The first day, in the district's zone.
    from: Day,
    /// The last day.
    to: Day,
    /// Answer from views that hold at least this position.
    #[serde(default)]
    at_least: Position,
}

/// The hours in which fewer are on duty than the policy's staffing rules say, such as "8+2" and "5+2".
#[utoipa::path(
    get,
    path = "/v1/staffing-gaps",
    tag = "duty",
    security(("bearer" = [])),
    params(GapsQuery),
    responses((status = 200, description = "By area, rule and time", body = GapsAnswer), Refusals),
)]
async fn staffing_gaps(
    State(Handle(query)): State<Handle>,
    Bearer(claims): Bearer,
    Query(asked): Query<GapsQuery>,
) -> Result<Json<GapsAnswer>, Problem> {
    let area = query.area(&claims, asked.area)?;
    let (from, to) = query.span(asked.from, asked.to)?;
    let rules = query.rules(asked.at_least).await?;
    let timetables = &rules.value.timetables;
    let staffing = &timetables.current().map_err(Error::from)?.policy().staffing;
    let (mut found, mut unplanned) = (Vec::new(), Vec::new());
    let (mut position, mut unchecked) = (rules.position, false);
    for one in query.district.areas().map(Area::code) {
        if !area.contains(&one) || !staffing.iter().any(|rule| rule.is_for(one)) {
            continue;
        }
        let known = query.roster(one, asked.at_least).await?;
        let roster = known.value;
        position = position.min(known.position);
        match roster.is_planned() {
            false => unplanned.push(one),
            true => {
                let (gaps, more) = gaps_of((one, &roster), timetables, (from, to))?;
                found.extend(gaps);
                unchecked |= more;
            }
        }
    }
    Ok(Json(GapsAnswer {
        position,
        from,
        to,
        gaps: found,
        unplanned,
        unchecked,
    }))
}

/// The gaps of an area, and whether the calendar does not know all days, so that some may be missing.
fn gaps_of(
    of: (AreaCode, &Roster),
    timetables: &Timetables,
    (from, to): (Day, Day),
) -> Result<(Vec<Gap>, bool), Error> {
    let days = timetables.days()?;
    let known = days.calendar.as_ref().map(Calendar::span);
    let known = known.map(|(first, last)| (from.max(first), to.min(last)));
    let (mut found, mut unchecked) = (Vec::new(), false);
    for rule in &timetables.current()?.policy().staffing {
        let span = match rule.needs_calendar() {
            true => known.filter(|(first, last)| first <= last),
            false => Some((from, to)),
        };
        unchecked |= rule.is_for(of.0) && span != Some((from, to));
        if let Some(span) = span {
            found.extend(gaps(of, std::slice::from_ref(rule), days, span)?);
        }
    }
    Ok((found, unchecked))
}

/// From the first midnight up to the one after the last day.
fn moments(zone: &Zone, from: Day, to: Day) -> Result<(Timestamp, Timestamp), Error> {
    let moment = |day: Day, minutes| zone.moment_of(day.at(minutes));
    Ok((moment(from, 0)?, moment(to, 24 * 60)?))
}
