//! Reads the log ahead of those who fold it, and decodes it on the way.

use gridkeeper_proto::envelope::Position;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Options,
    live::blocking,
    log::{self, Batch, Feed, LogError, LogEvent, Source},
};

/// How many portions are read ahead: one to fold next, and some for when the broker pauses.
const AHEAD: usize = 8;

/// Decoded events that came together.
pub(crate) struct Portion {
    /// In the order of the log; none when nothing came for a while.
    pub(crate) events: Vec<LogEvent>,
    /// The end of the log, as far as is known.
    pub(crate) last_known: Position,
    /// Which log they came from.
    pub(crate) source: Source,
}

/// A feed that is read by a task of its own.
pub(crate) struct ReadAhead {
    portions: mpsc::Receiver<Result<Portion, LogError>>,
    /// The end of a portion, when only a part of it was wanted.
    rest: Option<Portion>,
    _reading: AbortOnDropHandle<()>,
}

impl ReadAhead {
    pub(crate) fn new<F: Feed>(feed: F, options: &Options) -> Self {
        let (sender, portions) = mpsc::channel(AHEAD);
        let most = (options.batch_events, options.batch_bytes);
        let reading = tokio::spawn(read(feed, most, sender));
        Self {
            portions,
            rest: None,
            _reading: AbortOnDropHandle::new(reading),
        }
    }

    /// The next events, as soon as there are any.
    pub(crate) async fn next(&mut self) -> Result<Portion, LogError> {
        if let Some(rest) = self.rest.take() {
            return Ok(rest);
        }
        match self.portions.recv().await {
            Some(portion) => portion,
            None => Err(LogError::Unavailable("reading it ended".to_owned())),
        }
    }

    /// The next events up to a position; those behind it come with the next ones.
    pub(crate) async fn next_to(&mut self, position: Position) -> Result<Portion, LogError> {
        let mut portion = self.next().await?;
        let wanted = portion
            .events
            .partition_point(|event| event.position <= position);
        let events = portion.events.split_off(wanted);
        if !events.is_empty() {
            let last_known = portion.last_known;
            let source = portion.source.clone();
            self.rest = Some(Portion {
                events,
                last_known,
                source,
            });
        }
        Ok(portion)
    }
}

/// Ends after an error, and when nobody wants any more.
async fn read<F: Feed>(
    mut feed: F,
    (max_events, max_bytes): (usize, usize),
    portions: mpsc::Sender<Result<Portion, LogError>>,
) {
    loop {
        let portion = match feed.next_batch(max_events, max_bytes).await {
            Ok(batch) => Ok(decoded(batch).await),
            Err(error) => Err(error),
        };
        let ended = portion.is_err();
        if portions.send(portion).await.is_err() || ended {
            return;
        }
    }
}

async fn decoded(batch: Batch) -> Portion {
    let Batch {
        events,
        last_known,
        source,
    } = batch;
    let events = match events.len() {
        // Handing it over would take longer.
        0..=4 => log::decoded(&events),
        _ => blocking(move || log::decoded(&events)).await,
    };
    Portion {
        events,
        last_known,
        source,
    }
}
