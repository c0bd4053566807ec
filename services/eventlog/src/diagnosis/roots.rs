//! What the roots that the log has to have tell of it.
//!
//! A root speaks for all that is before it. Where one is the log's, nothing before it was changed;
//! an earlier one that is not the log's is of another log then, which began like this one. That holds
//! for the roots of whoever writes the log: readers may have read what was changed.

use std::collections::{BTreeMap, BTreeSet};

use gridkeeper_proto::{checkpoint::Checkpoint, envelope::Position, tree::Frontier};

use super::{KnownRoots, Stretch};

/// Known roots, and those among them that were compared with the log's.
#[derive(Default)]
pub(super) struct Roots {
    known: BTreeMap<Position, AtPosition>,
    /// Positions up to which the log has a root that its writer knows.
    same: BTreeSet<Position>,
    /// Positions up to which it has another one than that.
    other: BTreeSet<Position>,
}

/// The known roots at a position.
#[derive(Default)]
struct AtPosition {
    written: BTreeSet<[u8; 32]>,
    read: BTreeSet<[u8; 32]>,
}

impl Roots {
    pub(super) fn of(known: KnownRoots<'_>) -> Self {
        let mut roots = Self::default();
        for Checkpoint { position, root } in known.written {
            let at = roots.known.entry(*position).or_default();
            at.written.insert(root.0);
        }
        for Checkpoint { position, root } in known.read {
            let at = roots.known.entry(*position).or_default();
            at.read.insert(root.0);
        }
        roots
    }

    /// The positions of all known roots.
    pub(super) fn positions(&self) -> impl Iterator<Item = Position> {
        self.known.keys().copied()
    }

    /// Compares those at the frontier's position.
    pub(super) fn compare(&mut self, frontier: &Frontier) {
        let position = frontier.position();
        let Some(known) = self.known.get(&position) else {
            return;
        };
        let root = frontier.root().0;
        if known.written.contains(&root) {
            self.same.insert(position);
        }
        let mut all = known.written.iter().chain(&known.read);
        if all.any(|known| *known != root) {
            self.other.insert(position);
        }
    }

    /// The last position up to which the log has a root that its writer knows; zero for none.
    pub(super) fn last_same(&self) -> Position {
        self.same.last().copied().unwrap_or_default()
    }

    /// Positions up to which the log has another root, and behind which it has none that is known.
    pub(super) fn last_others(&self) -> Vec<Position> {
        let last = self.last_same();
        let others = self.other.iter().copied();
        others.filter(|position| *position > last).collect()
    }

    /// Of which positions another history is known.
    pub(super) fn other_history(&self) -> Option<Stretch> {
        let first = *self.other.first()?;
        let to = *self.other.range(..=self.last_same()).next_back()?;
        let shared = self.same.range(..first).next_back().copied();
        let from = Position(shared.unwrap_or_default().0 + 1);
        Some(Stretch { from, to })
    }
}

#[cfg(test)]
mod tests {
    use gridkeeper_proto::tree::TreeHash;

    use super::*;

    /// A history that begins with events of which all have `shared` in common.
    fn checkpoints(shared: u64, own: &[u8], positions: u64) -> Vec<Checkpoint> {
        let mut frontier = Frontier::default();
        let leaf = |at: u64| match at <= shared {
            true => TreeHash::of_leaf(&at.to_be_bytes()),
            false => TreeHash::of_leaf(own),
        };
        let checkpoints = (1..=positions).map(|at| {
            frontier.append(leaf(at));
            Checkpoint::from(&frontier)
        });
        checkpoints.collect()
    }

    fn compared(known: &[Checkpoint]) -> Roots {
        compared_with(KnownRoots::from(known))
    }

    fn compared_with(known: KnownRoots<'_>) -> Roots {
        let mut roots = Roots::of(known);
        let mut frontier = Frontier::default();
        for at in 1..=20_u64 {
            let leaf: &[u8] = if at <= 10 { &at.to_be_bytes() } else { b"ours" };
            frontier.append(TreeHash::of_leaf(leaf));
            roots.compare(&frontier);
        }
        roots
    }

    #[test]
    fn given_roots_of_two_histories_the_other_one_is_told_from_a_changed_event() {
        let ours = checkpoints(10, b"ours", 20);
        let theirs = checkpoints(10, b"theirs", 30);
        let at = |history: &[Checkpoint], position: usize| history[position - 1];
        let positions = |from: u64, to: u64| Stretch {
            from: Position(from),
            to: Position(to),
        };

        let roots = compared(&[at(&ours, 5), at(&ours, 18)]);
        assert_eq!((roots.other_history(), roots.last_others()), (None, vec![]));
        assert_eq!(roots.last_same(), Position(18));

        let roots = compared(&[
            at(&ours, 7),
            at(&theirs, 12),
            at(&theirs, 15),
            at(&ours, 19),
        ]);
        assert_eq!(roots.other_history(), Some(positions(8, 15)));
        assert_eq!(roots.last_others(), []);

        // At one position.
        let roots = compared(&[at(&theirs, 20), at(&ours, 20)]);
        assert_eq!(roots.other_history(), Some(positions(1, 20)));

        // Nothing behind it tells which of the two it is.
        let roots = compared(&[at(&ours, 7), at(&theirs, 12), at(&theirs, 30)]);
        assert_eq!(roots.other_history(), None);
        assert_eq!(roots.last_others(), [Position(12)]);
    }

    #[test]
    fn given_readers_that_have_read_a_changed_event_it_is_no_other_history() {
        let ours = checkpoints(10, b"ours", 20);
        let theirs = checkpoints(10, b"theirs", 30);
        let (read, written) = ([ours[18]], [ours[6], theirs[14]]);
        let roots = compared_with(KnownRoots {
            written: &written,
            read: &read,
        });
        assert_eq!(roots.other_history(), None);
        assert_eq!(roots.last_others(), [Position(15)]);
        let roots = compared_with(KnownRoots {
            written: &[ours[6], ours[18]],
            read: &[theirs[14]],
        });
        assert!(roots.other_history().is_some());
    }
}
