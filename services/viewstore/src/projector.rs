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
    /// Folds a batch, in the order of the log. What it changes may be kept in memory until [`Projection::write`],
    /// so that a view that several batches change is encoded once.
    ///
    /// # Errors
    /// When an event cannot be folded; nothing since the last commit is committed then and the projector stops.
    fn fold(&mut self, events: &[E], changes: &mut Changes) -> Result<(), ProjectionError>;

    /// Puts what is kept in memory into the changes, which are then committed.
    ///
    /// # Errors
    /// As [`Projection::fold`].
    fn write(&mut self, changes: &mut Changes) -> Result<(), ProjectionError> {
        let _all_put = changes;
        Ok(())
    }

    /// How many views are kept in memory, besides those in the changes.
    fn kept(&self) -> usize {
        0
    }
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

/// Drives a projection over a generation: batches are folded, and committed together.
///
/// It blocks while it reads and commits, so give it a thread of its own (`spawn_blocking`) and send it
/// batches.
///
/// After any error it takes no more events: what the projection keeps in memory may be ahead of the
/// views. Make a new one from the store.
#[derive(Debug)]
pub struct Projector<P> {
    generation: Arc<Generation>,
    projection: P,
    folded: Option<Folded>,
    stopped: bool,
}

/// What is folded and not yet committed.
#[derive(Debug)]
struct Folded {
    changes: Changes,
    position: Position,
}

impl<P> Projector<P> {
    /// A projector over a generation: the serving one or one being rebuilt.
    pub fn new(generation: Arc<Generation>, projection: P) -> Self {
        Self {
            generation,
            projection,
            folded: None,
            stopped: false,
        }
    }

    /// The position of the last event folded: the one to read the log after.
    #[must_use]
    pub fn position(&self) -> Position {
        match &self.folded {
            Some(folded) => folded.position,
            None => self.generation.position(),
        }
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

    /// The projection, to be told what it needs besides events.
    pub fn projection_mut(&mut self) -> &mut P {
        &mut self.projection
    }

    /// Folds a batch and commits it with the position of its last event. Events at or below the stored
    /// position are left out and counted. Positions may have gaps: other subjects lie between.
    ///
    /// # Errors
    /// Those of [`Projector::fold`] and [`Projector::commit`].
    pub fn apply<E>(&mut self, events: &[E]) -> Result<Applied, Error>
    where
        E: Positioned,
        P: Projection<E>,
    {
        let applied = self.fold(events)?;
        self.commit::<E>()?;
        Ok(applied)
    }

    /// Folds a batch, to be committed later. Events at or below the position are left out and counted.
    ///
    /// # Errors
    /// [`Error::Projection`] with the position of the event that could not be folded, [`Error::Disorder`],
    /// [`Error::Stopped`] after an earlier error. The views are unchanged.
    pub fn fold<E>(&mut self, events: &[E]) -> Result<Applied, Error>
    where
        E: Positioned,
        P: Projection<E>,
    {
        self.guarded(|projector| {
            check_order(events)?;
            let position = projector.position();
            let repeated = events.partition_point(|event| event.position() <= position);
            let (_, new) = events.split_at(repeated);
            if let Some(last) = new.last() {
                let folded = projector.folded.get_or_insert_with(|| Folded {
                    changes: projector.generation.changes(),
                    position,
                });
                projector.projection.fold(new, &mut folded.changes)?;
                folded.position = last.position();
            }
            Ok(Applied {
                folded: new.len(),
                repeated,
                position: projector.position(),
            })
        })
    }

    /// How many views wait to be committed: so much memory is taken.
    #[must_use]
    pub fn waiting<E>(&self) -> usize
    where
        P: Projection<E>,
    {
        let touched = self.folded.as_ref().map(|folded| folded.changes.touched());
        self.projection.kept() + touched.unwrap_or(0)
    }

    /// Commits what was folded, with the position of its last event.
    ///
    /// # Errors
    /// [`Error::Stopped`] after an earlier error; and as [`Changes::commit`]. The views are unchanged.
    pub fn commit<E>(&mut self) -> Result<(), Error>
    where
        P: Projection<E>,
    {
        self.guarded(|projector| {
            let Some(Folded {
                mut changes,
                position,
            }) = projector.folded.take()
            else {
                return Ok(());
            };
            projector.projection.write(&mut changes)?;
            changes.commit(position)
        })
    }

    /// Works unless an earlier error stopped it.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.stopped {
            return Err(Error::Stopped {
                position: self.generation.position(),
            });
        }
        let worked = work(self);
        self.stopped = worked.is_err();
        worked
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
