//! Takes questions from the broker. Aggregators of a district share them through a queue group.

use std::sync::Arc;

use async_nats::{Client, Subject};
use futures::StreamExt as _;
use gridkeeper_districtviews::{
    KeptHere,
    answer::{LONGEST_REPLY, encode, refusal},
};
use gridkeeper_liveviews::State;
use gridkeeper_proto::view::{ViewError, ViewReply, ViewRequest};
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

use crate::{Error, aggregator::Aggregator};

const QUEUE_GROUP: &str = "aggregator";
const TOOK: &str = "gridkeeper_aggregator_answer_duration_seconds";

/// Answers questions for as long as it is polled: those of the broker, and those of services in this
/// process. It does from when the views have caught up, so that questions go to aggregators that have, or
/// from when an error stopped them.
pub(crate) async fn answer_all(
    aggregator: Arc<Aggregator>,
    client: Client,
    kept_here: &KeptHere,
) -> Result<(), Error> {
    let mut states = aggregator.views.states();
    let listening = states.wait_for(|state| *state != State::CatchingUp).await;
    drop(listening.expect("the sender lives as long as the aggregator"));
    let _offered = kept_here.offer(Arc::clone(&aggregator.views));
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
            && let Some(reply) = aggregator.views.reply_at_once(request, longest(&client))
        {
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

/// How long a reply may be on this broker.
fn longest(client: &Client) -> usize {
    client.max_payload().min(LONGEST_REPLY)
}

async fn respond(
    aggregator: &Aggregator,
    client: &Client,
    reply_to: Subject,
    request: Result<ViewRequest, ViewError>,
) {
    let began = Instant::now();
    let reply = match request {
        Ok(request) => aggregator.views.reply(request, longest(client)).await,
        Err(error) => refusal(aggregator.views.store().position(), error),
    };
    send(client, reply_to, &reply, began).await;
}

async fn send(client: &Client, reply_to: Subject, reply: &ViewReply, began: Instant) {
    let bytes = encode(reply, longest(client));
    metrics::histogram!(TOOK).record(began.elapsed().as_secs_f64());
    if let Err(error) = client.publish(reply_to, bytes.into()).await {
        tracing::warn!(%error, "an answer could not be sent");
    }
}
