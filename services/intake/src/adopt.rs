//! At the start: the rules of the district's folder become those of the log, as far as they are newer.

use std::time::Duration;

use gridkeeper_http::Clock;
use gridkeeper_proto::{
    access::{Actor, Claims},
    area::AreaCode,
    command::{Command, digest},
    id::CommandId,
    rules::{Rules, RulesCommand, RulesError},
};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    Error,
    decider::Decider,
    log::{Keys, Log, ReadError},
    plan::Job,
};

/// How long the right to adopt rules lasts, in seconds: a decision takes far less.
const LASTING: u64 = 60;

/// What an intake adopts.
pub(crate) struct Own {
    pub(crate) district: AreaCode,
    pub(crate) rules: Vec<RulesCommand>,
    pub(crate) clock: Clock,
    pub(crate) deadline: Duration,
}

/// Adopts what the log does not have: years of the calendar that it does not know, and a newer policy.
///
/// What an older folder says otherwise than the log is left to `gridkeeper policy adopt`: two intakes with
/// different folders would else change the rules to and fro.
///
/// # Errors
/// A policy that says something else than the one of its version in the log, and rules that contradict themselves.
pub(crate) async fn adopt<L: Log, K: Keys>(
    decider: &Decider<L, K>,
    own: &Own,
) -> Result<(), ReadError> {
    for command in &own.rules {
        let known = decider.rules(own.district);
        match command {
            RulesCommand::AdoptCalendar { year } => {
                if let Some(adopted) = known.calendar().find(|known| known.year == year.year) {
                    if adopted != year {
                        tracing::warn!(
                            year = year.year,
                            "the folder's calendar is not the log's, which is used: see gridkeeper policy adopt"
                        );
                    }
                    continue;
                }
            }
            RulesCommand::AdoptPolicy { policy, .. } => {
                let (own, newest) = (policy.version, known.newest());
                if let Some(newest) = newest.filter(|newest| own < *newest) {
                    tracing::warn!(
                        own,
                        newest,
                        "the folder's policy is older than the log's, which is used"
                    );
                    continue;
                }
            }
        }
        send(decider, own, command.clone(), &known).await?;
    }
    match decider.rules(own.district).newest() {
        Some(_) => Ok(()),
        None => Err(ReadError::Broken(Error::Adopt(RulesError::NoPolicy.into()))),
    }
}

async fn send<L: Log, K: Keys>(
    decider: &Decider<L, K>,
    own: &Own,
    command: RulesCommand,
    known: &Rules,
) -> Result<(), ReadError> {
    let content = serde_json::to_vec(&command).expect("a command is JSON");
    let aggregate = Rules::id(own.district);
    let Actor { id, role } = Actor::gridkeeper();
    let now = own.clock.now();
    let (reply, answer) = oneshot::channel();
    let job = Job {
        command_id: CommandId::of_content(aggregate, known.version, &content),
        digest: digest(&content),
        aggregate,
        area: own.district,
        command: Command::Rules(command),
        claims: Claims::lasting(id, role, vec![own.district], now, LASTING),
        occurred_at: now,
        if_version: None,
        deadline: Instant::now() + own.deadline,
        conflicts: 0,
        sent: false,
        reply,
    };
    let settled = decider.settle(job).await;
    settled.map_err(ReadError::Broken)?;
    match answer.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(Error::Refused(refusal))) => Err(ReadError::Broken(Error::Adopt(refusal))),
        Ok(Err(error)) => Err(ReadError::Unavailable(error.to_string())),
        Err(_) => Err(ReadError::Unavailable(
            "the command was not answered".to_owned(),
        )),
    }
}
