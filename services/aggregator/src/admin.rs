//! Requests of an operator's commands, over the broker: the folder of the views is locked by the
//! running aggregator.
//!
//! Requests and answers are JSON, so that an operator can send one with any client.

use async_nats::{Client, Subscriber};
use gridkeeper_proto::area::AreaCode;

use crate::Error;

/// The subject on which the aggregators of a district listen for one kind of request.
pub(crate) fn subject(district: AreaCode, what: &str) -> String {
    format!("admin.{district}.{what}")
}

/// Listens for requests on a subject.
pub(crate) async fn requests(client: &Client, subject: String) -> Result<Subscriber, Error> {
    let subscribed = client.subscribe(subject).await;
    subscribed.map_err(|error| Error::Broker {
        detail: error.to_string(),
    })
}

/// Why requests came to an end.
pub(crate) fn ended() -> Error {
    Error::Broker {
        detail: "the connection was closed".to_owned(),
    }
}
