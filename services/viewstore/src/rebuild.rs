//! Filling a new generation beside the serving one.

use std::{
    ops::Deref,
    sync::{Arc, PoisonError, atomic::Ordering},
};

use crate::{Error, Generation, generation::Role, store::Inner};

/// A generation that is being filled. Dropped without [`Rebuild::promote`] it is removed.
///
/// A projector fills it like the serving one; then [`Generation::diff`] shows whether both agree.
#[derive(Debug)]
pub struct Rebuild {
    inner: Arc<Inner>,
    generation: Arc<Generation>,
    promoted: bool,
}

/// The points that a promotion passes; a crash after each leaves the old or the new views, whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The new generation is on the disk.
    Flushed,
    /// The new pointer is written beside the old one.
    PointerWritten,
    /// The new pointer counts.
    PointerMoved,
    /// What is older than the generation before is gone.
    OlderRemoved,
}

impl Rebuild {
    pub(crate) fn begin(inner: Arc<Inner>) -> Result<Self, Error> {
        let number = inner.folder.next_number()?;
        let generation = Generation::create(
            &inner.folder.generation(number),
            number,
            inner.schema,
            &inner.options,
            Role::Filling,
            Arc::clone(&inner.announce),
        )?;
        Ok(Self {
            inner,
            generation: Arc::new(generation),
            promoted: false,
        })
    }

    /// The generation being filled.
    #[must_use]
    pub fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.generation)
    }

    /// Puts this generation in the place of the serving one, on the disk and for all readers. The
    /// one it replaces takes no more changes and is kept until the promotion after this one, or
    /// until its room is needed ([`crate::ViewStore::disk_use`]). Commits to both, and readers,
    /// wait meanwhile.
    ///
    /// # Errors
    /// [`Error::RebuildBehind`] when the serving generation is at a later position, [`Error::Disk`] and
    /// [`Error::Corrupt`]; then the serving one goes on and this one is removed.
    pub fn promote(self) -> Result<(), Error> {
        self.promote_observed(|_step| {})
    }

    /// Puts this generation in the place of a serving one that holds what is no longer of the log, whatever its
    /// position.
    ///
    /// # Errors
    /// [`Error::Disk`] and [`Error::Corrupt`]; then the serving one goes on and this one is removed.
    pub fn supersede(self) -> Result<(), Error> {
        self.replace(true, |_step| {})
    }

    pub(crate) fn promote_observed(self, reached: impl FnMut(Step)) -> Result<(), Error> {
        self.replace(false, reached)
    }

    fn replace(mut self, superseded: bool, mut reached: impl FnMut(Step)) -> Result<(), Error> {
        let folder = &self.inner.folder;
        let replaced = self.inner.current();
        self.generation.flush()?;
        reached(Step::Flushed);
        {
            let mut old = replaced.alone();
            let mut new = self.generation.alone();
            if new.position < old.position && !superseded {
                return Err(Error::RebuildBehind {
                    rebuilt: new.position,
                    running: old.position,
                });
            }
            folder.write_next_pointer(self.generation.number())?;
            reached(Step::PointerWritten);
            // Before the move: should it fail half way, the pointer may count already, and what it
            // names must stay. If it does not count, the next open removes the folder.
            self.promoted = true;
            folder.move_pointer()?;
            reached(Step::PointerMoved);
            old.role = Role::Retired;
            new.role = Role::Serving;
            self.generation.set_filling(false);
            *self
                .inner
                .current
                .write()
                .unwrap_or_else(PoisonError::into_inner) = Arc::clone(&self.generation);
            self.inner.announce.send_replace(new.position);
        }
        for number in folder.generations()? {
            if number < replaced.number() {
                folder.remove(number)?;
            }
        }
        reached(Step::OlderRemoved);
        Ok(())
    }
}

impl Deref for Rebuild {
    type Target = Arc<Generation>;

    fn deref(&self) -> &Self::Target {
        &self.generation
    }
}

impl Drop for Rebuild {
    fn drop(&mut self) {
        if !self.promoted {
            // Whoever still holds the generation must not go on filling what is removed here.
            self.generation.alone().role = Role::Retired;
            let _flushes_ended = self.generation.between_flushes();
            if let Err(refused) = self.inner.folder.remove(self.generation.number()) {
                // The next open removes it.
                tracing::warn!(%refused, "an abandoned rebuild could not be removed");
            }
        }
        self.inner.rebuilding.store(false, Ordering::Release);
    }
}
