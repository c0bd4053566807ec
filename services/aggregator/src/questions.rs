//! Takes questions from the broker. Aggregators of a district share them through a queue group.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, Message};
use futures::StreamExt as _;
use gridkeeper_proto::{
    code::Coded as _,
    view::{ViewError, ViewReply, ViewRequest},
};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    Error,
    answer::{answer, encode, refusal},
    running::{Running, State, blocking},
};

const QUEUE_GROUP: &str = "aggregator";
const TOOK: &str = "gridkeeper_aggregator_answer_duration_seconds";

/// Answers questions for as long as it is polled. It listens from when the views have caught up, so
/// that questions go to aggregators that have, or from when an error stopped them.
pub(crate) async fn answer_all(running: Arc<Running>, client: Client) -> Result<(), Error> {
    let mut states = running.state.subscribe();
    let listening = states.wait_for(|state| *state != State::CatchingUp).await;
    drop(listening.expect("the sender lives as long as the aggregator"));
    let subject = ViewRequest::subject(running.district);
    let mut questions = client
        .queue_subscribe(subject, QUEUE_GROUP.to_owned())
        .await
        .map_err(|error| Error::Broker {
            detail: error.to_string(),
        })?;
    let turns = Arc::new(Semaphore::new(running.options.questions));
    let mut under_way = JoinSet::new();
    while let Some(message) = questions.next().await {
        let turn = Arc::clone(&turns).acquire_owned().await;
        let turn = turn.expect("the semaphore is never closed");
        let (running, client) = (Arc::clone(&running), client.clone());
        under_way.spawn(async move {
            respond(&running, &client, message).await;
            drop(turn);
        });
        while let Some(ended) = under_way.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "answering a question panicked");
            }
        }
    }
    Err(Error::Broker {
        detail: "the connection was closed".to_owned(),
    })
}

async fn respond(running: &Running, client: &Client, message: Message) {
    let Some(reply_to) = message.reply else {
        tracing::warn!(subject = %message.subject, "a question says not where to answer");
        return;
    };
    let began = tokio::time::Instant::now();
    let max_bytes = client.max_payload();
    let reply = match ViewRequest::decode(&message.payload) {
        Ok(request) => reply_to_request(running, request, max_bytes).await,
        Err(error) => refusal(running.store.position(), error),
    };
    let bytes = encode(&reply, max_bytes);
    metrics::histogram!(TOOK).record(began.elapsed().as_secs_f64());
    if let Err(error) = client.publish(reply_to, bytes.into()).await {
        tracing::warn!(%error, "an answer could not be sent");
    }
}

async fn reply_to_request(running: &Running, request: ViewRequest, max_bytes: usize) -> ViewReply {
    if let Err(error) = wait(running, &request).await {
        return refusal(running.store.position(), error);
    }
    let store = running.store.clone();
    blocking(move || answer(&store, &request.question, max_bytes)).await
}

/// Waits until the views hold what the question asks for; ends as soon as an error stops them.
async fn wait(running: &Running, request: &ViewRequest) -> Result<(), ViewError> {
    let limit = request.wait_ms.min(running.options.wait_limit_ms);
    let limit = Duration::from_millis(limit.into());
    let mut states = running.state.subscribe();
    let stopped = states.wait_for(|state| matches!(state, State::Stopped { .. }));
    let reached = tokio::select! {
        biased;
        _ = stopped => None,
        reached = running.store.wait_for(request.at_least, limit) => Some(reached),
    };
    if let Some(error) = running.stopped() {
        return Err(ViewError::Stopped {
            code: error.code().0,
            detail: error.to_string(),
        });
    }
    match reached {
        Some(Err(_not_reached)) => Err(ViewError::Behind {
            position: running.store.position(),
        }),
        _ => Ok(()),
    }
}
