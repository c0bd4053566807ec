//! Takes questions from the broker. Aggregators of a district share them through a queue group.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, Subject};
use futures::StreamExt as _;
use gridkeeper_liveviews::{State, blocking};
use gridkeeper_proto::{
    code::Coded as _,
    view::{ViewError, ViewReply, ViewRequest},
};
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

use crate::{
    Error,
    aggregator::Aggregator,
    answer::{answer, encode, refusal},
};

const QUEUE_GROUP: &str = "aggregator";
const TOOK: &str = "gridkeeper_aggregator_answer_duration_seconds";

/// Answers questions for as long as it is polled. It listens from when the views have caught up, so
/// that questions go to aggregators that have, or from when an error stopped them.
pub(crate) async fn answer_all(aggregator: Arc<Aggregator>, client: Client) -> Result<(), Error> {
    let mut states = aggregator.views.states();
    let listening = states.wait_for(|state| *state != State::CatchingUp).await;
    drop(listening.expect("the sender lives as long as the aggregator"));
    let subject = ViewRequest::subject(aggregator.district);
    let mut questions = client
        .queue_subscribe(subject, QUEUE_GROUP.to_owned())
        .await
        .map_err(|error| Error::Broker {
            detail: error.to_string(),
        })?;
    let turns = Arc::new(Semaphore::new(aggregator.options.questions));
    let mut under_way = JoinSet::new();
    while let Some(message) = questions.next().await {
        let Some(reply_to) = message.reply else {
            tracing::warn!(subject = %message.subject, "a question says not where to answer");
            continue;
        };
        let request = ViewRequest::decode(&message.payload);
        let began = Instant::now();
        if let Ok(request) = &request
            && is_at_once(&aggregator, request)
        {
            let store = aggregator.views.store();
            let reply = answer(store, &request.question, client.max_payload());
            send(&client, reply_to, &reply, began).await;
            continue;
        }
        let turn = Arc::clone(&turns).acquire_owned().await;
        let turn = turn.expect("the semaphore is never closed");
        let (aggregator, client) = (Arc::clone(&aggregator), client.clone());
        under_way.spawn(async move {
            respond(&aggregator, &client, reply_to, request).await;
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

/// Whether a question takes no more than a few reads of views that are there: handing it over to another thread would
/// take longer than answering it.
fn is_at_once(aggregator: &Aggregator, request: &ViewRequest) -> bool {
    let views = &aggregator.views;
    let ready = request.at_least <= views.store().position() && views.stopped().is_none();
    ready && request.question.is_short()
}

async fn respond(
    aggregator: &Aggregator,
    client: &Client,
    reply_to: Subject,
    request: Result<ViewRequest, ViewError>,
) {
    let began = Instant::now();
    let reply = match request {
        Ok(request) => reply_to_request(aggregator, request, client.max_payload()).await,
        Err(error) => refusal(aggregator.views.store().position(), error),
    };
    send(client, reply_to, &reply, began).await;
}

async fn send(client: &Client, reply_to: Subject, reply: &ViewReply, began: Instant) {
    let bytes = encode(reply, client.max_payload());
    metrics::histogram!(TOOK).record(began.elapsed().as_secs_f64());
    if let Err(error) = client.publish(reply_to, bytes.into()).await {
        tracing::warn!(%error, "an answer could not be sent");
    }
}

async fn reply_to_request(
    aggregator: &Aggregator,
    request: ViewRequest,
    max_bytes: usize,
) -> ViewReply {
    if let Err(error) = wait(aggregator, &request).await {
        return refusal(aggregator.views.store().position(), error);
    }
    let store = aggregator.views.store().clone();
    blocking(move || answer(&store, &request.question, max_bytes)).await
}

/// Waits until the views hold what the question asks for; ends as soon as an error stops them.
async fn wait(aggregator: &Aggregator, request: &ViewRequest) -> Result<(), ViewError> {
    let limit = request.wait_ms.min(aggregator.options.wait_limit_ms);
    let limit = Duration::from_millis(limit.into());
    let mut states = aggregator.views.states();
    let stopped = states.wait_for(|state| matches!(state, State::Stopped { .. }));
    let reached = tokio::select! {
        biased;
        _ = stopped => None,
        reached = aggregator.views.store().wait_for(request.at_least, limit) => Some(reached),
    };
    if let Some(error) = aggregator.views.stopped() {
        return Err(ViewError::Stopped {
            code: error.code().0,
            detail: error.to_string(),
        });
    }
    match reached {
        Some(Err(_not_reached)) => Err(ViewError::Behind {
            position: aggregator.views.store().position(),
        }),
        _ => Ok(()),
    }
}
