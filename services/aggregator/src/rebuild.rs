//! Takes requests to rebuild.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, Message, Request, client::RequestErrorKind};
use futures::StreamExt as _;
use gridkeeper_liveviews::{Report, log::Log};
use gridkeeper_proto::{
    area::AreaCode,
    code::{Code, Coded as _},
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::{Error, admin, aggregator::Aggregator};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Only compare; the running views stay.
    #[serde(default)]
    diff_only: bool,
}

/// The answer to a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done(Report),
    Refused { code: u16, detail: String },
}

/// The subject on which the aggregators of a district listen for requests to rebuild.
#[must_use]
pub fn subject(district: AreaCode) -> String {
    admin::subject(district, "rebuild")
}

/// Asks the running aggregator of a district to rebuild its views, or with `diff_only` to compare them
/// with rebuilt ones, and waits for the outcome up to `limit`. Each aggregator of the district does it;
/// the first outcome is the one given.
///
/// # Errors
/// [`Error::NoAggregator`], [`Error::Control`], [`Error::Broker`], and [`Error::Refused`] with the code
/// by which the aggregator refuses: `GK0406` while another rebuild runs.
pub async fn request(
    client: &Client,
    district: AreaCode,
    diff_only: bool,
    limit: Duration,
) -> Result<Report, Error> {
    let wanted =
        serde_json::to_vec(&Wanted { diff_only }).map_err(|error| Error::misunderstood(&error))?;
    let request = Request::new().payload(wanted.into()).timeout(Some(limit));
    let message = client
        .send_request(subject(district), request)
        .await
        .map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders | RequestErrorKind::TimedOut => Error::NoAggregator {
                district,
                detail: error.to_string(),
            },
            _ => Error::Broker {
                detail: error.to_string(),
            },
        })?;
    match serde_json::from_slice(&message.payload).map_err(|error| Error::misunderstood(&error))? {
        Answer::Done(report) => Ok(report),
        Answer::Refused { code, detail } => Err(Error::Refused {
            code: Code(code),
            detail,
        }),
    }
}

/// Takes requests to rebuild for as long as it is polled.
pub(crate) async fn rebuild_on_request<L: Log>(
    log: &Arc<L>,
    aggregator: &Arc<Aggregator>,
    client: &Client,
) -> Result<(), Error> {
    let mut requests = admin::requests(client, subject(aggregator.district)).await?;
    let mut under_way = JoinSet::new();
    while let Some(message) = requests.next().await {
        let (log, aggregator, client) = (Arc::clone(log), Arc::clone(aggregator), client.clone());
        under_way.spawn(async move { serve(&*log, &aggregator, &client, message).await });
        while let Some(ended) = under_way.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "a rebuild panicked");
            }
        }
    }
    Err(admin::ended())
}

async fn serve<L: Log>(log: &L, aggregator: &Aggregator, client: &Client, message: Message) {
    let rebuilt = match serde_json::from_slice(&message.payload) {
        Ok(Wanted { diff_only }) => aggregator
            .views
            .rebuild(log, diff_only)
            .await
            .map_err(Error::from),
        Err(error) => Err(Error::misunderstood(&error)),
    };
    let answer = match rebuilt {
        Ok(report) => {
            tracing::info!(?report, "rebuilt");
            Answer::Done(report)
        }
        Err(error) => {
            tracing::error!(code = %error.code(), %error, "not rebuilt");
            Answer::Refused {
                code: error.code().0,
                detail: error.to_string(),
            }
        }
    };
    let bytes = match serde_json::to_vec(&answer) {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::error!(%error, "the outcome of a rebuild cannot be told");
            return;
        }
    };
    if let Some(reply_to) = message.reply
        && let Err(error) = client.publish(reply_to, bytes.into()).await
    {
        tracing::warn!(%error, "the outcome of a rebuild could not be sent");
    }
}
