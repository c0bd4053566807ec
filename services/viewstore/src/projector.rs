//! From events to committed views.

use std::sync::Arc;

use gridkeeper_proto::{envelope::Position, event::Recorded};

use crate::{Changes, Error, Generation, ProjectionError};

/// Something with a place in the log.
pub trait Positioned {
    /// Its place.
    fn position(&self) -> Position;
}

impl Positioned for Recorded {
    fn position(&self) -> Position {
        self.position
    }
}

/// Folds events into views. The same events must give the same changes however they are cut into
/// batches: no clock, no randomness, no order of hash maps.
pub trait Projection<E = Recorded>: Send {
    /// Folds a batch, in the order of the log.
    ///
    /// # Errors
    /// When an event cannot be folded; nothing of the batch is committed then and the projector stops.
    fn apply(&mut self, events: &[E], changes: &mut Changes) -> Result<(), ProjectionError>;
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Events folded and committed.
    pub folded: usize,
    /// Events at the front that the views held already.
    pub repeated: usize,
    /// Where the views are now.
    pub position: Position,
}

/// Drives a projection over a generation: one commit per batch.
///
/// It blocks while it reads and commits, so give it a thread of its own (`spawn_blocking`) and send it
/// batches. 512 events keep readers waiting about 10 ms; larger batches pay while catching up.
///
/// After any error it takes no more events: what the projection keeps in memory may be ahead of the
/// views. Make a new one from the store.
#[derive(Debug)]
pub struct Projector<P> {
    generation: Arc<Generation>,
    projection: P,
    stopped: bool,
}

impl<P> Projector<P> {
    /// A projector over a generation: the serving one or one being rebuilt.
    pub fn new(generation: Arc<Generation>, projection: P) -> Self {
        Self {
            generation,
            projection,
            stopped: false,
        }
    }

    /// The position to read the log after.
    #[must_use]
    pub fn position(&self) -> Position {
        self.generation.position()
    }

    /// The generation it fills.
    #[must_use]
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// The projection.
    #[must_use]
    pub fn projection(&self) -> &P {
        &self.projection
    }

    /// Folds a batch and commits it with the position of its last event. Events at or below the stored
    /// position are left out and counted. Positions may have gaps: other subjects lie between.
    ///
    /// # Errors
    /// [`Error::Projection`] with the position of the event that could not be folded, [`Error::Disorder`],
    /// [`Error::Stopped`] after an earlier error; and as [`Changes::commit`]. The views are unchanged.
    pub fn apply<E>(&mut self, events: &[E]) -> Result<Applied, Error>
    where
        E: Positioned,
        P: Projection<E>,
    {
        if self.stopped {
            return Err(Error::Stopped {
                position: self.position(),
            });
        }
        let applied = self.fold_and_commit(events);
        self.stopped = applied.is_err();
        applied
    }

    fn fold_and_commit<E>(&mut self, events: &[E]) -> Result<Applied, Error>
    where
        E: Positioned,
        P: Projection<E>,
    {
        check_order(events)?;
        let mut changes = self.generation.changes();
        let stored = changes.based_on();
        let repeated = events.partition_point(|event| event.position() <= stored);
        let (_, new) = events.split_at(repeated);
        let Some(last) = new.last().map(Positioned::position) else {
            return Ok(Applied {
                folded: 0,
                repeated,
                position: stored,
            });
        };
        self.projection.apply(new, &mut changes)?;
        changes.commit(last)?;
        Ok(Applied {
            folded: new.len(),
            repeated,
            position: last,
        })
    }
}

fn check_order<E: Positioned>(events: &[E]) -> Result<(), Error> {
    for (previous, next) in events.iter().zip(events.iter().skip(1)) {
        if next.position() <= previous.position() {
            return Err(Error::Disorder {
                previous: previous.position(),
                next: next.position(),
            });
        }
    }
    Ok(())
}
