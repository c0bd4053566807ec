//! Tells over the broker what the views know of a stretch of the log, also when an error has stopped them: what was
//! lost is known there last.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, Message, Request};
use futures::StreamExt as _;
use gridkeeper_districtviews::known_events;
use gridkeeper_liveviews::{Progress, blocking};
use gridkeeper_proto::{
    area::AreaCode, envelope::Position, event::LostEvent, id::LogId, time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{Error, admin, aggregator::Aggregator};

/// What is asked for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The first position.
    from: Position,
    /// The last position; the end of the views when left out.
    #[serde(default)]
    to: Option<Position>,
}

/// What the views of an aggregator know of a stretch of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Known {
    /// The log that they were made from; `None` before anything of one was read.
    pub log: Option<LogId>,
    /// Where the views are.
    pub position: Position,
    /// When the last statement on the log was made that they follow; 1970 for none.
    pub stated: Timestamp,
    /// The events of cases and inquiries in the stretch, in order.
    pub events: Vec<LostEvent>,
}

fn subject(district: AreaCode) -> String {
    admin::subject(district, "known")
}

/// Asks a running aggregator of a district what its views know of a stretch of the log; `None` where none answers
/// within the limit.
///
/// # Errors
/// [`Error::Control`].
pub async fn request(
    client: &Client,
    district: AreaCode,
    (from, to): (Position, Option<Position>),
    limit: Duration,
) -> Result<Option<Known>, Error> {
    let wanted =
        serde_json::to_vec(&Wanted { from, to }).map_err(|error| Error::misunderstood(&error))?;
    let request = Request::new().payload(wanted.into()).timeout(Some(limit));
    match client.send_request(subject(district), request).await {
        Ok(message) => serde_json::from_slice(&message.payload)
            .map(Some)
            .map_err(|error| Error::misunderstood(&error)),
        Err(_) => Ok(None),
    }
}

/// Takes such requests for as long as it is polled.
pub(crate) async fn tell_on_request(
    aggregator: &Arc<Aggregator>,
    client: &Client,
) -> Result<(), Error> {
    let mut requests = admin::requests(client, subject(aggregator.district)).await?;
    while let Some(message) = requests.next().await {
        answer(aggregator, client, message).await;
    }
    Err(admin::ended())
}

async fn answer(aggregator: &Aggregator, client: &Client, message: Message) {
    let (Some(reply_to), Ok(Wanted { from, to })) =
        (message.reply, serde_json::from_slice(&message.payload))
    else {
        tracing::warn!("a request for what the views know is not understood");
        return;
    };
    let store = aggregator.views.store().clone();
    let reading = move || {
        let progress = store.read(Progress::read)?;
        let position = progress.frontier.position();
        Ok::<_, gridkeeper_liveviews::Error>(Known {
            log: progress.log,
            position,
            stated: progress.stated,
            events: known_events(&store, from, to.unwrap_or(position))?,
        })
    };
    let known = match blocking(reading).await {
        Ok(known) => known,
        Err(error) => {
            tracing::error!(%error, "what the views know cannot be read");
            return;
        }
    };
    let bytes = match serde_json::to_vec(&known) {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::error!(%error, "what the views know cannot be told");
            return;
        }
    };
    if let Err(error) = client.publish(reply_to, bytes.into()).await {
        tracing::warn!(%error, "what the views know could not be sent");
    }
}
