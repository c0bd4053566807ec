//! Proofs: what the log was, that a message is in it, that it only grew.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse as _, Response},
};
use gridkeeper_http::{Bearer, Json, Problem, Query, Refusals};
use gridkeeper_proto::{
    api::{ConsistencyProof, InclusionProof},
    envelope::Position,
    tree::TreeHash,
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Handle, Intake};
use crate::{Error, log::Keys};

pub(super) fn routes<K: Keys>() -> OpenApiRouter<Handle<K>> {
    OpenApiRouter::new()
        .routes(routes!(checkpoint))
        .routes(routes!(inclusion))
        .routes(routes!(consistency))
}

/// The log as of now, signed.
///
/// A checkpoint in the text form of <https://c2sp.org/tlog-checkpoint>. Kept elsewhere, it shows later whether the
/// log still holds all that it held: `gridkeeper verify --checkpoint FILE`.
#[utoipa::path(
    get,
    path = "/v1/log/checkpoint",
    tag = "log",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "A signed note: origin, number of messages, root in base64, signature", body = String, content_type = "text/plain"),
        (status = 503, description = "The log is not read to its end, or is broken", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn checkpoint<K: Keys>(
    State(Handle(intake)): State<Handle<K>>,
    Bearer(_claims): Bearer,
) -> Result<Response, Problem> {
    let note = intake.signed_now()?;
    let header = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((header, note).into_response())
}

/// Which message, and in which log.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Included {
    /// The position of a receipt.
    position: Position,
    /// The leaf hash of that receipt: when the log holds another event there, the answer says so.
    leaf_hash: Option<TreeHash>,
    /// Up to which position the log is meant; its end when left out.
    to: Option<Position>,
}

/// The proof that a message is in the log.
///
/// The hashes from the leaf up to the root, as RFC 6962, section 2.1.1, defines them.
#[utoipa::path(
    get,
    path = "/v1/log/inclusion",
    tag = "log",
    security(("bearer" = [])),
    params(Included),
    responses(
        (status = 200, description = "The proof", body = InclusionProof),
        (status = 404, description = "The log does not reach there", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another event is there", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The event was lost: file it again", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The log is not read to its end, or is broken", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn inclusion<K: Keys>(
    State(Handle(intake)): State<Handle<K>>,
    Bearer(_claims): Bearer,
    Query(asked): Query<Included>,
) -> Result<Json<InclusionProof>, Problem> {
    Ok(Json(intake.inclusion(asked)?))
}

/// Which two ends of the log.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Ends {
    /// The earlier end.
    from: Position,
    /// The later one; the log's own end when left out.
    to: Option<Position>,
}

/// The proof that the log up to one position is the beginning of the log up to a later one.
///
/// The hashes as RFC 6962, section 2.1.2, defines them; none where either is empty or both are the same.
#[utoipa::path(
    get,
    path = "/v1/log/consistency",
    tag = "log",
    security(("bearer" = [])),
    params(Ends),
    responses(
        (status = 200, description = "The proof", body = ConsistencyProof),
        (status = 404, description = "The log does not reach there", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The log is not read to its end, or is broken", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn consistency<K: Keys>(
    State(Handle(intake)): State<Handle<K>>,
    Bearer(_claims): Bearer,
    Query(Ends { from, to }): Query<Ends>,
) -> Result<Json<ConsistencyProof>, Problem> {
    Ok(Json(intake.consistency(from, to)?))
}

impl<K: Keys> Intake<K> {
    fn signed_now(&self) -> Result<String, Error> {
        self.is_open()?;
        let state = self.state.read().expect("no holder of the lock panics");
        let checkpoint = state.checkpoint();
        drop(state);
        Ok(self.signer.sign(&checkpoint)?)
    }

    fn inclusion(&self, asked: Included) -> Result<InclusionProof, Error> {
        self.is_open()?;
        let position = asked.position;
        let found = self.tree.leaf(position)?;
        if let Some(leaf) = asked.leaf_hash.filter(|leaf| found != Some(*leaf)) {
            let state = self.state.read().expect("no holder of the lock panics");
            let statements = Arc::clone(state.statements());
            return Err(match (statements.loss_at(position), found) {
                (Some(loss), _) => Error::Lost {
                    position,
                    statement: loss.statement,
                },
                (None, Some(_)) => Error::AnotherLeaf { position, leaf },
                (None, None) => self.beyond(position),
            });
        }
        let Some(leaf_hash) = found else {
            return Err(self.beyond(position));
        };
        let to = asked.to.unwrap_or_else(|| self.tree.position());
        let root = self.tree.root(to)?;
        Ok(InclusionProof {
            position,
            leaf_hash,
            to,
            root,
            proof: self.tree.inclusion(position, to)?,
        })
    }

    fn consistency(&self, from: Position, to: Option<Position>) -> Result<ConsistencyProof, Error> {
        self.is_open()?;
        let to = to.unwrap_or_else(|| self.tree.position());
        let proof = self.tree.consistency(from, to)?;
        Ok(ConsistencyProof {
            from,
            from_root: self.tree.root(from)?,
            to,
            root: self.tree.root(to)?,
            proof,
        })
    }

    fn beyond(&self, position: Position) -> Error {
        Error::BeyondEnd {
            position,
            last: self.tree.position(),
        }
    }
}
