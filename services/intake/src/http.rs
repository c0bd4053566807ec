//! The endpoint: reports and steps in, receipts out.

#![allow(
    unused_qualifications,
    reason = "utoipa::path repeats the types of the responses with their paths"
)]

mod changes;
mod log;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::extract::{FromRef, State};
use gridkeeper_district::District;
use gridkeeper_http::{Bearer, Clock, Json, Path, Problem, Refusals};
use gridkeeper_identity::Verifier;
use gridkeeper_proto::{
    access::Claims,
    api::{
        CommandRequest, Receipt, RefusedItem, ReportRequest, ReportResult, ReportsAnswer,
        ReportsRequest,
    },
    area::AreaCode,
    checkpoint::CheckpointSigner,
    code::Coded as _,
    command::{CaseCommand, Command},
    id::CaseId,
    sealed::{CaseKey, Party, SealedParties, seal},
};
use tokio::{sync::oneshot, time::Instant};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Error, Options,
    decider::Shared,
    disk::DiskWatch,
    evidence::TreeReader,
    log::Keys,
    plan::{Answer, Job},
    queue::{Queue, STOPPING},
    validate,
};

const MOST_REPORTS: usize = 500;

/// What the routes stand on.
pub(crate) struct Intake<K> {
    pub(crate) district: Arc<District>,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) clock: Clock,
    pub(crate) options: Options,
    pub(crate) queue: Arc<Queue>,
    /// Whether the decider takes commands.
    pub(crate) open: Arc<AtomicBool>,
    pub(crate) state: Shared,
    pub(crate) keys: Arc<K>,
    pub(crate) tree: TreeReader,
    pub(crate) signer: Arc<CheckpointSigner>,
    pub(crate) disk: DiskWatch,
}

/// The routes' handle on [`Intake`].
pub(crate) struct Handle<K>(pub(crate) Arc<Intake<K>>);

impl<K> Clone for Handle<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> FromRef<Handle<K>> for Arc<Verifier> {
    fn from_ref(handle: &Handle<K>) -> Self {
        Self::clone(&handle.0.verifier)
    }
}

impl<K> FromRef<Handle<K>> for Clock {
    fn from_ref(handle: &Handle<K>) -> Self {
        handle.0.clock.clone()
    }
}

/// The routes of intake.
pub(crate) fn routes<K: Keys>() -> OpenApiRouter<Handle<K>> {
    OpenApiRouter::new()
        .routes(routes!(file_reports))
        .routes(routes!(take_step))
        .merge(changes::routes())
        .merge(log::routes())
}

/// File reports of disputes and incidents.
///
/// Each report is decided by itself. A request with one report answers with its refusal; a request with
/// several answers 200 and tells the result of each. A report that is sent again gets the answer it got.
#[utoipa::path(
    post,
    path = "/v1/reports",
    tag = "intake",
    security(("bearer" = [])),
    request_body = ReportsRequest,
    responses(
        (status = 200, description = "What became of each report", body = ReportsAnswer),
        (status = 409, description = "Refused as things stand; nothing was changed", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many commands wait; `Retry-After` says when to come back", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn file_reports<K: Keys>(
    State(Handle(intake)): State<Handle<K>>,
    Bearer(claims): Bearer,
    Json(request): Json<ReportsRequest>,
) -> Result<Json<ReportsAnswer>, Problem> {
    let count = request.reports.len();
    if !(1..=MOST_REPORTS).contains(&count) {
        return Err(Error::BatchSize { count }.into());
    }
    let mut waiting = Vec::with_capacity(count);
    for report in request.reports {
        waiting.push((report.id, intake.enqueue_report(report, &claims).await));
    }
    let mut results = Vec::with_capacity(count);
    for (id, queued) in waiting {
        let answer = match queued {
            Ok(reply) => answered(reply).await,
            Err(error) => Err(error),
        };
        count_answer(answer.as_ref().err());
        match answer {
            Err(error) if count == 1 => return Err(error.into()),
            answer => results.push(result(id, answer)),
        }
    }
    Ok(Json(ReportsAnswer { results }))
}

/// Take a step in the life of a case.
///
/// A command that is sent again gets the answer it got.
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/commands",
    tag = "intake",
    security(("bearer" = [])),
    params(("id" = CaseId, Path, description = "The case")),
    request_body = CommandRequest,
    responses(
        (status = 200, description = "The step is recorded", body = Receipt),
        (status = 404, description = "No such case", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Refused as things stand; nothing was changed", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many commands wait; `Retry-After` says when to come back", body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
async fn take_step<K: Keys>(
    State(Handle(intake)): State<Handle<K>>,
    Bearer(claims): Bearer,
    Path(case_id): Path<CaseId>,
    Json(request): Json<CommandRequest>,
) -> Result<Json<Receipt>, Problem> {
    let answer = match intake.enqueue_step(case_id, request, claims) {
        Ok(reply) => answered(reply).await,
        Err(error) => Err(error),
    };
    count_answer(answer.as_ref().err());
    Ok(Json(receipt(case_id, answer?)))
}

type Reply = oneshot::Receiver<Result<Answer, Error>>;

impl<K: Keys> Intake<K> {
    async fn enqueue_report(
        &self,
        mut report: ReportRequest,
        claims: &Claims,
    ) -> Result<Reply, Error> {
        self.is_open()?;
        // A repetition gets its answer also on a full disk.
        if !self.knows(report.id) {
            self.disk.takes_new()?;
        }
        let (id, parties) = (report.id, std::mem::take(&mut report.parties));
        let mut checked = validate::report(report, &parties, &self.district, self.clock.now())?;
        // A case that exists has its parties; a repetition neither needs nor makes a key.
        if !parties.is_empty() && !self.knows(id) {
            // Whoever may not file here leaves no key behind either.
            claims
                .may_file(checked.grid)
                .map_err(|error| Error::Refused(error.into()))?;
            checked.report.parties = Some(self.seal(id, &parties).await?);
        }
        let (reply, answer) = oneshot::channel();
        self.enqueue(Job {
            command_id: id.into(),
            digest: checked.digest,
            aggregate: id.into(),
            area: checked.grid,
            command: Command::Case(CaseCommand::Report(checked.report)),
            claims: claims.clone(),
            occurred_at: checked.occurred_at,
            if_version: None,
            deadline: Instant::now() + self.options.append_deadline(),
            conflicts: 0,
            sent: false,
            reply,
        })?;
        Ok(answer)
    }

    fn enqueue_step(
        &self,
        case_id: CaseId,
        request: CommandRequest,
        claims: Claims,
    ) -> Result<Reply, Error> {
        self.is_open()?;
        let (digest, occurred_at) = validate::step(&request, &self.district, self.clock.now())?;
        // A case that does not exist lies nowhere: whoever asks learns just that.
        let area = self
            .grid(case_id)
            .or_else(|| claims.areas.first().copied())
            .unwrap_or(self.district.code());
        let (reply, answer) = oneshot::channel();
        self.enqueue(Job {
            command_id: request.id,
            digest,
            aggregate: case_id.into(),
            area,
            command: Command::Case(CaseCommand::Step(request.command)),
            claims,
            occurred_at,
            if_version: request.if_version,
            deadline: Instant::now() + self.options.append_deadline(),
            conflicts: 0,
            sent: false,
            reply,
        })?;
        Ok(answer)
    }

    fn enqueue(&self, job: Job) -> Result<(), Error> {
        self.queue.push(job)
    }

    fn is_open(&self) -> Result<(), Error> {
        match self.open.load(Ordering::Acquire) {
            true => Ok(()),
            false => Err(Error::NotReady { why: CLOSED }),
        }
    }

    fn knows(&self, case: CaseId) -> bool {
        self.grid(case).is_some()
    }

    fn grid(&self, case: CaseId) -> Option<AreaCode> {
        let state = self.state.read().expect("no holder of the lock panics");
        state.case(case).map(|case| case.grid)
    }

    async fn seal(&self, case: CaseId, parties: &[Party]) -> Result<SealedParties, Error> {
        let key = self
            .keys
            .put_if_absent(case, CaseKey(rand::random()))
            .await?;
        seal(key, rand::random(), case, parties).map_err(|error| Error::Keys {
            detail: error.to_string(),
        })
    }
}

const CLOSED: &str = "it has not read the log to its end, or found it broken";

async fn answered(reply: Reply) -> Result<Answer, Error> {
    // The decider answers each job, except when it stops on a broken log.
    reply
        .await
        .unwrap_or(Err(Error::NotReady { why: STOPPING }))
}

fn count_answer(error: Option<&Error>) {
    let code = error.map_or_else(|| "none".to_owned(), |error| error.code().to_string());
    metrics::counter!("gridkeeper_intake_commands_total", "refused" => code).increment(1);
}

fn receipt(case_id: CaseId, answer: Answer) -> Receipt {
    Receipt {
        case_id,
        grid: answer.area,
        position: answer.position,
        leaf_hash: answer.leaf,
        version: answer.version,
        repeated: answer.repeated,
    }
}

fn result(id: CaseId, answer: Result<Answer, Error>) -> ReportResult {
    let (receipt, refused) = match answer {
        Ok(answer) => (Some(receipt(id, answer)), None),
        Err(error) => {
            let refused = RefusedItem {
                code: error.code().to_string(),
                detail: error.to_string(),
                retry: error.retry(),
            };
            (None, Some(refused))
        }
    };
    ReportResult {
        id,
        receipt,
        refused,
    }
}
