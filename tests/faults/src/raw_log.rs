//! A stream as the broker itself gives it, without any service between.

use std::collections::BTreeMap;

use async_nats::jetstream::{self, Context};
use futures::StreamExt as _;

use crate::blocks::Message;

/// How many messages are asked for at once.
const AT_ONCE: usize = 64;

/// What the broker says of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    messages: u64,
    first: u64,
    last: u64,
}

impl State {
    /// Whether a message is missing between the first and the last, or the first is not number one.
    pub(crate) fn shows_a_hole(self) -> bool {
        self.last > 0 && (self.first != 1 || self.messages != self.last)
    }

    /// The sequence of the last message.
    pub(crate) fn last(self) -> u64 {
        self.last
    }
}

/// The broker.
#[derive(Clone, Debug)]
pub(crate) struct RawLog {
    pub(crate) client: async_nats::Client,
    context: Context,
}

impl RawLog {
    pub(crate) async fn connect(url: &str) -> Self {
        let client = async_nats::connect(url).await.unwrap();
        let context = jetstream::new(client.clone());
        Self { client, context }
    }

    /// What the broker says of a stream; nothing for one that it does not have.
    pub(crate) async fn state(&self, stream: &str) -> State {
        let Ok(stream) = self.context.get_stream(stream).await else {
            return State::default();
        };
        let state = &stream.cached_info().state;
        State {
            messages: state.messages,
            first: state.first_sequence,
            last: state.last_sequence,
        }
    }

    /// Gives a stream the limit in bytes from which blocks of 32,000 bytes follow, or takes it away
    /// again. The server derives the size of blocks when it opens a stream and keeps it until it
    /// ends: so a stream that was opened with the limit goes on in small blocks without it.
    pub(crate) async fn limit_bytes(&self, stream: &str, limited: bool) {
        let mut found = self.context.get_stream(stream).await.unwrap();
        let mut config = found.info().await.unwrap().config.clone();
        config.max_bytes = if limited { 100_000 } else { -1 };
        self.context.update_stream(config).await.unwrap();
    }

    /// Every message of a stream up to a sequence that the broker gives.
    pub(crate) async fn messages(&self, stream: &str, last: u64) -> BTreeMap<u64, Message> {
        let Ok(stream) = self.context.get_stream_no_info(stream).await else {
            return BTreeMap::new();
        };
        let stream = &stream;
        futures::stream::iter(1..=last)
            .map(|sequence| async move { (sequence, stream.direct_get(sequence).await) })
            .buffered(AT_ONCE)
            .filter_map(|(sequence, found)| async move {
                let found = found.ok()?;
                let message = Message {
                    subject: found.subject.to_string(),
                    payload: found.payload.to_vec(),
                };
                Some((sequence, message))
            })
            .collect()
            .await
    }
}

/// What became of the messages of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Difference {
    /// Sequences that held a message and give none now.
    pub(crate) lost: Vec<u64>,
    /// Sequences that hold another message now.
    pub(crate) overwritten: Vec<u64>,
    /// Sequences that held none before.
    pub(crate) added: Vec<u64>,
}

impl Difference {
    pub(crate) fn between(before: &BTreeMap<u64, Message>, now: &BTreeMap<u64, Message>) -> Self {
        let mut difference = Self::default();
        for (sequence, message) in before {
            match now.get(sequence) {
                None => difference.lost.push(*sequence),
                Some(found) if found != message => difference.overwritten.push(*sequence),
                Some(_) => {}
            }
        }
        let added = now.keys().filter(|sequence| !before.contains_key(sequence));
        difference.added = added.copied().collect();
        difference
    }

    /// Whether every message of before is still there.
    pub(crate) fn keeps_all(&self) -> bool {
        self.lost.is_empty() && self.overwritten.is_empty()
    }
}
