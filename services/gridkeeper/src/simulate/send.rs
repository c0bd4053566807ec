//! Sends a plan through intake's door and counts what became of it.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gridkeeper_http::Clock;
use gridkeeper_identity::SigningKey;
use gridkeeper_proto::{access::Claims, api::ReportsRequest};
use serde::Serialize;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::plan::{Action, Plan, What};
use crate::{
    door::{Answer, Door},
    error::Error,
};

/// Requests under way at once. A grid's requests go through the same lane, so that they keep their order.
const LANES: u64 = 32;
/// Requests that wait in a lane before the plan waits for it.
const LANE_LENGTH: usize = 64;
/// How long what is being sent may wait for its answer when the simulation is told to stop.
const LAST_ANSWER: Duration = Duration::from_secs(5);
/// How long a simulated person's token holds, in seconds.
const TOKEN_SECONDS: u64 = 86_400;

/// When to stop.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// After so long.
    pub(crate) time: Option<Duration>,
    /// After so many reports.
    pub(crate) reports: Option<u64>,
}

/// What became of the simulated reports and steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    /// Reports sent, repetitions and mistakes among them.
    pub(crate) reports_sent: u64,
    /// Reports recorded.
    pub(crate) reports_recorded: u64,
    /// Reports that had been recorded before.
    pub(crate) reports_repeated: u64,
    /// Reports refused, by code.
    pub(crate) reports_refused: BTreeMap<String, u64>,
    /// Steps sent.
    pub(crate) steps_sent: u64,
    /// Steps recorded.
    pub(crate) steps_recorded: u64,
    /// Steps that had been recorded before.
    pub(crate) steps_repeated: u64,
    /// Steps refused, by code.
    pub(crate) steps_refused: BTreeMap<String, u64>,
}

/// What all lanes share.
struct Post {
    door: Door,
    key: Arc<SigningKey>,
    clock: Clock,
    tally: Arc<Mutex<Tally>>,
}

/// Sends the plan at its times until a limit is reached or it is told to stop; what is being sent then is
/// still sent and counted.
///
/// # Errors
/// The door is gone for longer than its patience, or a token cannot be issued.
pub(crate) async fn send(
    plan: Plan,
    door: Door,
    key: Arc<SigningKey>,
    clock: Clock,
    limits: Limits,
    tally: Arc<Mutex<Tally>>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let post = Arc::new(Post {
        door,
        key,
        clock,
        tally,
    });
    let mut lanes = Vec::new();
    let mut running = JoinSet::new();
    for _ in 0..LANES {
        let (lane, actions) = mpsc::channel(LANE_LENGTH);
        lanes.push(lane);
        running.spawn(Arc::clone(&post).work(actions, stop.clone()));
    }
    running.spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = feed(plan, lanes, limits) => {}
        }
        Ok(())
    });
    while let Some(ended) = running.join_next().await {
        ended.unwrap_or_else(|error| {
            let reason = error.to_string();
            Err(Error::Ended {
                part: "simulation",
                reason,
            })
        })?;
    }
    Ok(())
}

/// Puts each action into its lane when its time has come.
async fn feed(plan: Plan, lanes: Vec<mpsc::Sender<Action>>, limits: Limits) {
    let start = Instant::now();
    let mut reports = 0;
    for action in plan {
        let late = limits.time.is_some_and(|time| action.after >= time);
        if late || limits.reports.is_some_and(|most| reports >= most) {
            return;
        }
        if let What::Reports(filed) = &action.what {
            reports += filed.len() as u64;
        }
        sleep_until(start + action.after).await;
        let lane = lane(&action);
        if lanes[lane].send(action).await.is_err() {
            return;
        }
    }
}

/// The lane of a case: its report and all of its steps go through the same, in their order.
fn lane(action: &Action) -> usize {
    let mut hasher = DefaultHasher::new();
    action.grid.hash(&mut hasher);
    usize::try_from(hasher.finish() % LANES).unwrap_or(0)
}

impl Post {
    async fn work(
        self: Arc<Self>,
        mut actions: mpsc::Receiver<Action>,
        stop: CancellationToken,
    ) -> Result<(), Error> {
        let mut tokens = HashMap::new();
        while let Some(Some(action)) = stop.run_until_cancelled(actions.recv()).await {
            let token = self.token(&mut tokens, &action)?;
            let given_up = async {
                stop.cancelled().await;
                sleep(LAST_ANSWER).await;
            };
            tokio::select! {
                acted = self.act(&token, action.what) => acted?,
                () = given_up => {}
            }
        }
        Ok(())
    }

    async fn act(&self, token: &str, what: What) -> Result<(), Error> {
        let (case, request) = match what {
            What::Reports(reports) => return self.file(token, ReportsRequest { reports }).await,
            What::Step(case, request) => (case, request),
        };
        self.count(|tally| tally.steps_sent += 1);
        match self.door.step(token, case, &request).await? {
            Answer::Done(receipt) => self.count(|tally| match receipt.repeated {
                true => tally.steps_repeated += 1,
                false => tally.steps_recorded += 1,
            }),
            Answer::Refused(refused) => self.count(|tally| {
                *tally.steps_refused.entry(refused.code).or_default() += 1;
            }),
        }
        Ok(())
    }

    async fn file(&self, token: &str, request: ReportsRequest) -> Result<(), Error> {
        let sent = request.reports.len() as u64;
        self.count(|tally| tally.reports_sent += sent);
        match self.door.reports(token, &request).await? {
            Answer::Done(answer) => self.count(|tally| {
                for result in answer.results {
                    match (result.receipt, result.refused) {
                        (Some(receipt), _) if receipt.repeated => tally.reports_repeated += 1,
                        (Some(_), _) => tally.reports_recorded += 1,
                        (None, refused) => {
                            let code =
                                refused.map_or_else(|| "none".to_owned(), |refused| refused.code);
                            *tally.reports_refused.entry(code).or_default() += 1;
                        }
                    }
                }
            }),
            Answer::Refused(refused) => self.count(|tally| {
                *tally.reports_refused.entry(refused.code).or_default() += sent;
            }),
        }
        Ok(())
    }

    fn count(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn token(
        &self,
        tokens: &mut HashMap<String, (String, Claims)>,
        action: &Action,
    ) -> Result<String, Error> {
        let now = self.clock.now();
        let by = &action.by;
        if let Some((token, claims)) = tokens.get(&by.id)
            && !claims.expired(now.plus_millis(60_000))
        {
            return Ok(token.clone());
        }
        let claims = Claims::lasting(by.id.clone(), by.role, vec![by.area], now, TOKEN_SECONDS);
        let token = self.key.issue(&claims)?;
        tokens.insert(by.id.clone(), (token.clone(), claims));
        Ok(token)
    }
}
