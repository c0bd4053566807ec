//! Commands as the decider gets them.

use gridkeeper_proto::{
    access::{Claims, Role},
    case::{CaseKind, Channel, Place, Severity},
    command::{CaseCommand, Command, Report},
    id::CaseId,
    time::Timestamp,
};
use tokio::{
    sync::oneshot,
    time::{Duration, Instant},
};

use super::site::{NOW, id};
use crate::{
    Error,
    plan::{Answer, Job},
};

pub(super) type Reply = oneshot::Receiver<Result<Answer, Error>>;

/// A report in a grid, and where its answer comes.
pub(super) fn report_job(grid: &str) -> (Job, Reply) {
    let now = Timestamp::from_millis(NOW).unwrap();
    let case: CaseId = id().parse().unwrap();
    let report = Report {
        kind: CaseKind::Dispute,
        category: "dispute.neighbour".into(),
        severity: Severity::General,
        channel: Channel::GridWorker,
        description: "water from above".into(),
        place: Place::default(),
        people: None,
        parties: None,
        filed_at: None,
        imported: None,
    };
    let (reply, answer) = oneshot::channel();
    let areas = vec!["510402".parse().unwrap()];
    let job = Job {
        command_id: case.into(),
        digest: [1; 8],
        aggregate: case.into(),
        area: grid.parse().unwrap(),
        command: Command::Case(CaseCommand::Report(report)),
        claims: Claims::lasting("somebody".into(), Role::Centre, areas, now, 3_600),
        occurred_at: now,
        if_version: None,
        deadline: Instant::now() + Duration::from_secs(10),
        conflicts: 0,
        sent: false,
        reply,
    };
    (job, answer)
}
