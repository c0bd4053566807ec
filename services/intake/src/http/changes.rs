//! Commands to what is not a case: the district's rules, rosters, first inquiries.

use axum::extract::State;
use gridkeeper_http::{Bearer, Json, Path, Problem, Refusals};
use gridkeeper_proto::{
    access::Claims,
    api::{ChangeReceipt, InquiryRequest, RosterRequest, RulesRequest},
    area::AreaCode,
    command::{Command, digest},
    duty::Roster,
    id::{AggregateId, CommandId, InquiryId},
    inquiry::InquiryCommand,
    rules::Rules,
};
use serde::Serialize;
use tokio::{sync::oneshot, time::Instant};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Handle, Intake, answered, count_answer};
use crate::{Error, log::Keys, plan::Job};

pub(super) fn routes<K: Keys>() -> OpenApiRouter<Handle<K>> {
    OpenApiRouter::new()
        .routes(routes!(change_rules))
        .routes(routes!(change_roster))
        .routes(routes!(change_inquiry))
}

/// Adopt a policy, or a year of the calendar.
///
/// A policy holds for the cases reported from then on; older ones keep theirs. A command that is sent again gets
/// the answer it got.
#[utoipa::path(
    post,
    path = "/v1/rules/commands",
    tag = "rules",
    security(("bearer" = [])),
    request_body = RulesRequest,
    responses(
        (status = 200, description = "It is in force", body = ChangeReceipt),
        (status = 409, description = "Refused as things stand; nothing was changed", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many commands wait; `Retry-After` says when to come back", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn change_rules<K: Keys>(
    State(Handle(intake)): State<Handle<K>>,
    Bearer(claims): Bearer,
    Json(request): Json<RulesRequest>,
) -> Result<Json<ChangeReceipt>, Problem> {
    let district = intake.district.code();
    let change = Change {
        id: request.id,
        digest: digest_of(&request.command),
        aggregate: Rules::id(district),
        area: district,
        command: Command::Rules(request.command),
    };
    Ok(Json(intake.change(change, claims).await?))
}

/// Plan the duty in an area, record an absence, or withdraw one.
///
/// A plan replaces what was planned for its days. A command that is sent again gets the answer it got.
#[utoipa::path(
    post,
    path = "/v1/rosters/{area}/commands",
    tag = "duty",
    security(("bearer" = [])),
    params(("area" = AreaCode, Path, description = "The area")),
    request_body = RosterRequest,
    responses(
        (status = 200, description = "The roster is changed", body = ChangeReceipt),
        (status = 429, description = "Too many commands wait; `Retry-After` says when to come back", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn change_roster<K: Keys>(
    State(Handle(intake)): State<Handle<K>>,
    Bearer(claims): Bearer,
    Path(area): Path<AreaCode>,
    Json(request): Json<RosterRequest>,
) -> Result<Json<ChangeReceipt>, Problem> {
    intake.knows_area(area)?;
    let change = Change {
        id: request.id,
        digest: digest_of(&request.command),
        aggregate: Roster::id(area),
        area,
        command: Command::Roster(request.command),
    };
    Ok(Json(intake.change(change, claims).await?))
}

/// Take a resident's question, hand it over, or answer it.
///
/// Whoever takes a question owns it until it is answered or somebody else has taken it over. A command that is
/// sent again gets the answer it got.
#[utoipa::path(
    post,
    path = "/v1/inquiries/{id}/commands",
    tag = "inquiries",
    security(("bearer" = [])),
    params(("id" = InquiryId, Path, description = "The inquiry, a UUIDv7 made by whoever takes the question")),
    request_body = InquiryRequest,
    responses(
        (status = 200, description = "It is recorded", body = ChangeReceipt),
        (status = 404, description = "No such inquiry", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Refused as things stand; nothing was changed", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many commands wait; `Retry-After` says when to come back", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn change_inquiry<K: Keys>(
    State(Handle(intake)): State<Handle<K>>,
    Bearer(claims): Bearer,
    Path(id): Path<InquiryId>,
    Json(request): Json<InquiryRequest>,
) -> Result<Json<ChangeReceipt>, Problem> {
    if matches!(request.command, InquiryCommand::Take { .. }) && !id.is_time_ordered() {
        return Err(Error::IdVersion.into());
    }
    if !intake.knows_inquiry(id) {
        intake.disk.takes_new()?;
    }
    let own = claims.areas.first().copied();
    let area = request.area.or(own).unwrap_or(intake.district.code());
    intake.knows_area(area)?;
    let change = Change {
        id: request.id,
        digest: digest_of(&(request.area, &request.command)),
        aggregate: id.into(),
        area,
        command: Command::Inquiry(request.command),
    };
    Ok(Json(intake.change(change, claims).await?))
}

/// A command on its way to the decider.
struct Change {
    id: CommandId,
    digest: [u8; 8],
    aggregate: AggregateId,
    area: AreaCode,
    command: Command,
}

fn digest_of(command: &impl Serialize) -> [u8; 8] {
    digest(&serde_json::to_vec(command).expect("a command is JSON"))
}

impl<K: Keys> Intake<K> {
    async fn change(&self, change: Change, claims: Claims) -> Result<ChangeReceipt, Error> {
        let answer = match self.enqueue_change(change, claims) {
            Ok(reply) => answered(reply).await,
            Err(error) => Err(error),
        };
        count_answer(answer.as_ref().err());
        let answer = answer?;
        Ok(ChangeReceipt {
            position: answer.position,
            leaf_hash: answer.leaf,
            version: answer.version,
            repeated: answer.repeated,
        })
    }

    fn enqueue_change(&self, change: Change, claims: Claims) -> Result<super::Reply, Error> {
        self.is_open()?;
        let (reply, answer) = oneshot::channel();
        self.enqueue(Job {
            command_id: change.id,
            digest: change.digest,
            aggregate: change.aggregate,
            area: change.area,
            command: change.command,
            claims,
            occurred_at: self.clock.now(),
            if_version: None,
            deadline: Instant::now() + self.options.append_deadline(),
            conflicts: 0,
            sent: false,
            reply,
        })?;
        Ok(answer)
    }

    fn knows_inquiry(&self, id: InquiryId) -> bool {
        let state = self.state.read().expect("no holder of the lock panics");
        state.aggregate(id.into()).is_some()
    }

    fn knows_area(&self, area: AreaCode) -> Result<(), Error> {
        match self.district.area(area) {
            Some(_) => Ok(()),
            None => Err(Error::UnknownArea {
                area,
                district: self.district.code(),
            }),
        }
    }
}
