//! Commands to the district's rules.

use axum::extract::State;
use gridkeeper_http::{Bearer, Json, Problem, Refusals};
use gridkeeper_proto::{
    access::Claims,
    api::{ChangeReceipt, RulesRequest},
    command::{Command, digest},
    rules::Rules,
};
use tokio::{sync::oneshot, time::Instant};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Handle, Intake, Reply, answered, count_answer};
use crate::{
    Error,
    log::Keys,
    plan::{Answer, Job},
};

pub(super) fn routes<K: Keys>() -> OpenApiRouter<Handle<K>> {
    OpenApiRouter::new().routes(routes!(change_rules))
}

/// Adopt a policy, or a year of the calendar.
///
/// A policy holds for the cases reported from then on; older ones keep theirs. A command that is sent again gets
/// the answer it got.
#[utoipa::path(
    post,
    path = "/v1/rules/commands",
    tag = "intake",
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
    let answer = match intake.enqueue_rules(request, claims) {
        Ok(reply) => answered(reply).await,
        Err(error) => Err(error),
    };
    count_answer(answer.as_ref().err());
    Ok(Json(receipt(answer?)))
}

impl<K: Keys> Intake<K> {
    fn enqueue_rules(&self, request: RulesRequest, claims: Claims) -> Result<Reply, Error> {
        self.is_open()?;
        let content = serde_json::to_vec(&request.command).expect("a command is JSON");
        let district = self.district.code();
        let (reply, answer) = oneshot::channel();
        self.enqueue(Job {
            command_id: request.id,
            digest: digest(&content),
            aggregate: Rules::id(district),
            area: district,
            command: Command::Rules(request.command),
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
}

fn receipt(answer: Answer) -> ChangeReceipt {
    ChangeReceipt {
        position: answer.position,
        version: answer.version,
        repeated: answer.repeated,
    }
}
