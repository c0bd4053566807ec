//! Appending: one event as a plain publish, more as one atomic batch.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{MutexGuard, PoisonError},
};

use async_nats::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use gridkeeper_proto::{anchor::Anchor, area::AreaCode, envelope::Position, id::EventId};
use serde::Deserialize;

use crate::{
    AppendError, EventLog, LogError, connection::ServerRun, error::outside, session::Session,
};

/// The most events that the broker takes in one atomic batch.
pub(crate) const MOST: usize = 1_000;

/// Between an event's id and the last statement of a loss before it, in the id that the broker
/// knows the message by.
pub(crate) const AFTER_LOSS: char = '/';

const APPENDS: &str = "gridkeeper_log_appends_total";
const READ_BACK: &str = "gridkeeper_log_appends_read_back_total";

/// An event to append.
#[derive(Clone, Debug)]
pub struct Append {
    /// The area whose own it is: an area, or one above.
    pub area: AreaCode,
    /// Its id.
    pub event_id: EventId,
    /// Its bytes.
    pub bytes: Bytes,
    /// For the first event of each area in an append: the position of that area's last event, zero for
    /// none. Passed over for the others.
    pub expected: Position,
}

/// Events stand in the log for good, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The position of the first.
    pub first: Position,
    /// The position of the last.
    pub last: Position,
}

/// The broker's answer to a publish.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    seq: u64,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// JetStream's codes that say more than that an append was refused.
mod codes {
    pub(super) const WRONG_LAST_SEQUENCE: u64 = 10_071;
    pub(super) const WRONG_LAST_SEQUENCE_UNKNOWN: u64 = 10_164;
    pub(super) const DUPLICATE_IN_PROCESS: u64 = 10_158;
    pub(super) const DUPLICATE_IN_BATCH: u64 = 10_201;
    /// Refused as things are: members that are away, a full disk, a batch of which a part was lost with
    /// its connection, too many batches at once.
    pub(super) const PASSING: [u64; 10] = [
        10_004, 10_008, 10_023, 10_028, 10_047, 10_077, 10_118, 10_176, 10_194, 10_210,
    ];
}

impl EventLog {
    /// Appends events, all or none, each area's in the order given. Appending the same events again
    /// answers as the first time. After the start and after each loss of the connection the log is first compared with
    /// the anchor, over the connection that then appends.
    ///
    /// # Errors
    /// [`AppendError`]; after [`AppendError::Unknown`] the same append may be tried again.
    pub async fn append(
        &self,
        anchor: &Anchor,
        appends: &[Append],
    ) -> Result<Appended, AppendError> {
        let messages = self.messages(appends)?;
        let count = messages.len() as u64;
        let session = match self.session(anchor).await {
            Err(LogError::Unavailable { what }) => return Err(AppendError::Unknown { what }),
            session => session?,
        };
        let outcome = publish(&session.connection.client, messages).await;
        if matches!(outcome, Err(AppendError::Unknown { .. })) {
            // Whatever became of it, the log is confirmed before anything else is appended.
            session.give_up();
        }
        self.observe_run(&session, &outcome);
        metrics::counter!(APPENDS).increment(1);
        let unsure = match outcome {
            Ok(last) => {
                let first = Position(last + 1 - count);
                return Ok(Appended {
                    first,
                    last: Position(last),
                });
            }
            Err(error @ (AppendError::Conflict { .. } | AppendError::Unknown { .. })) => error,
            Err(error) => return Err(error),
        };
        Box::pin(self.read_back(anchor, appends, unsure)).await
    }

    /// Keeps which run of a server left an append without an answer.
    fn observe_run(&self, session: &Session, outcome: &Result<u64, AppendError>) {
        let silent = match outcome {
            Ok(_) => None,
            Err(AppendError::Unknown { .. }) => Some(session.connection.run()),
            Err(_) => return,
        };
        *self.silent_run() = silent;
    }

    /// Adds a signed checkpoint to find out whether the broker keeps what it is given; says whether appends are to be
    /// expected to land again.
    ///
    /// A server whose stream once failed to write takes nothing into it until it is started again, and does not answer
    /// (seen with 2.15.1). Other streams of it may work: a checkpoint proves something of the log only where the server
    /// was started again since it was silent.
    ///
    /// # Errors
    /// [`LogError::Unavailable`].
    pub async fn probe(&self, note: &str) -> Result<bool, LogError> {
        self.checkpoints().await?.add(note).await?;
        let now = self.reading.run();
        let silent = self.silent_run().clone();
        // Another server of a cluster says nothing of the one that was silent.
        Ok(silent.is_none_or(|silent| silent.name == now.name && silent.id != now.id))
    }

    fn silent_run(&self) -> MutexGuard<'_, Option<ServerRun>> {
        self.silent_run
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks where the areas of an append stand now, by one request.
    ///
    /// A lost acknowledgement makes the next try fail its expectation: if the last event of the
    /// append is its area's last, it was ours and had landed, and all before it with it. One that
    /// stands before the anchor was read and given up: it is appended once more.
    async fn read_back(
        &self,
        anchor: &Anchor,
        appends: &[Append],
        unsure: AppendError,
    ) -> Result<Appended, AppendError> {
        let mut expected = BTreeMap::new();
        for append in appends {
            expected.entry(append.area).or_insert(append.expected);
        }
        let heads = self.heads(expected.keys().copied()).await;
        let heads = heads.map_err(|error| AppendError::Unknown {
            what: error.to_string(),
        })?;
        let last = appends.last().and_then(|last| {
            let head = heads.get(&last.area)?;
            let landed = head.event_id == last.event_id && head.position > anchor.position;
            landed.then_some(head.position)
        });
        if let Some(last) = last {
            metrics::counter!(READ_BACK).increment(1);
            let first = Position(last.0 + 1 - appends.len() as u64);
            return Ok(Appended { first, last });
        }
        let AppendError::Conflict { counted, .. } = unsure else {
            return Err(unsure);
        };
        expected.retain(|area, expected| {
            let stands = heads.get(area).map(|head| head.position);
            stands.unwrap_or_default() != *expected
        });
        Err(AppendError::Conflict {
            moved: expected.into_keys().collect(),
            counted,
        })
    }

    fn messages(&self, appends: &[Append]) -> Result<Vec<Message>, AppendError> {
        if appends.is_empty() || appends.len() > MOST {
            let what = format!("{} events", appends.len());
            return Err(AppendError::Shape { most: MOST, what });
        }
        let mut areas = HashSet::with_capacity(appends.len());
        let given_up = self.statements().losses().last().map(|loss| loss.statement);
        let message = |append: &Append| {
            if !self.district.contains(&append.area) {
                return Err(outside(append.area, MOST));
            }
            let mut headers = HeaderMap::new();
            let id = append.event_id;
            let id = match given_up {
                // The broker may remember the id of an event that was given up, and what is filed
                // again has it.
                Some(statement) => format!("{id}{AFTER_LOSS}{statement}"),
                None => id.to_string(),
            };
            headers.insert(header::NATS_MESSAGE_ID, id);
            // A second expectation on a subject that the batch writes already is refused.
            if areas.insert(append.area) {
                headers.insert(
                    header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
                    HeaderValue::from(append.expected.0),
                );
            }
            Ok(Message {
                subject: append.area.subject(),
                headers,
                bytes: append.bytes.clone(),
            })
        };
        appends.iter().map(message).collect()
    }
}

/// Publishes, as one atomic batch where there are several, and gives the position of the last message.
pub(crate) async fn publish(
    client: &async_nats::Client,
    mut messages: Vec<Message>,
) -> Result<u64, AppendError> {
    let unknown = |what: String| AppendError::Unknown { what };
    if messages.len() > 1 {
        let batch = uuid::Uuid::now_v7().to_string();
        let last = messages.len();
        for (number, message) in (1..).zip(&mut messages) {
            let number: usize = number;
            let headers = &mut message.headers;
            headers.insert(header::NATS_BATCH_ID, batch.as_str());
            headers.insert(header::NATS_BATCH_SEQUENCE, HeaderValue::from(number));
            if number == last {
                headers.insert(header::NATS_BATCH_COMMIT, header::NATS_BATCH_COMMIT_FINAL);
            }
        }
    }
    let Some(commit) = messages.pop() else {
        return Err(AppendError::Shape {
            most: MOST,
            what: "0 events".to_owned(),
        });
    };
    for Message {
        subject,
        headers,
        bytes,
    } in messages
    {
        client
            .publish_with_headers(subject, headers, bytes)
            .await
            .map_err(|error| unknown(error.to_string()))?;
    }
    let Message {
        subject,
        headers,
        bytes,
    } = commit;
    send(client, subject, headers, bytes).await
}

/// The position in what the broker says of a wrong expectation; `None` where it names none.
fn counted(description: &str) -> Option<Position> {
    let (_, last) = description.rsplit_once(' ')?;
    last.parse().ok().map(Position)
}

/// Publishes one message and gives its position.
pub(crate) async fn send(
    client: &async_nats::Client,
    subject: String,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<u64, AppendError> {
    let unknown = |what: String| AppendError::Unknown { what };
    let reply = client
        .request_with_headers(subject, headers, bytes)
        .await
        .map_err(|error| unknown(error.to_string()))?;
    let answer: Answer = serde_json::from_slice(&reply.payload)
        .map_err(|error| unknown(format!("an answer that is none: {error}")))?;
    match answer.error {
        None => Ok(answer.seq),
        Some(Refusal {
            err_code,
            description,
        }) => Err(match err_code {
            codes::WRONG_LAST_SEQUENCE
            | codes::WRONG_LAST_SEQUENCE_UNKNOWN
            | codes::DUPLICATE_IN_BATCH => AppendError::Conflict {
                moved: Vec::new(),
                counted: counted(&description),
            },
            codes::DUPLICATE_IN_PROCESS => unknown(description),
            code if codes::PASSING.contains(&code) => unknown(description),
            _ => AppendError::Refused {
                err_code,
                description,
            },
        }),
    }
}

/// A message on its way.
pub(crate) struct Message {
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}
