//! What the roots that the log has to have tell of it.
//!
//! A root covers all that is before it. Where one is the log's, nothing before it was changed; an
//! earlier one that is not the log's is of another log then, which began like this one. That holds
//! for the roots of the log's writer: readers may have read what was changed.

use std::collections::{BTreeMap, BTreeSet};

use gridkeeper_proto::{
    checkpoint::Checkpoint, envelope::Position, integrity::Integrity, tree::Frontier,
};

use super::{KnownRoots, Stretch};

/// Known roots, and what came of comparing them with the log's.
#[derive(Default)]
pub(super) struct Roots {
    kept: Source,
    published: Source,
    read: Source,
}

/// The roots that one place knows.
#[derive(Default)]
struct Source {
    known: BTreeMap<Position, BTreeSet<[u8; 32]>>,
    /// Positions up to which the log has a root that is known here.
    same: BTreeSet<Position>,
    /// Positions up to which it has another one than that.
    other: BTreeSet<Position>,
}

impl Source {
    fn of(known: &[Checkpoint], statements: &Integrity) -> Self {
        let mut source = Self::default();
        for known in known.iter().filter(|known| !statements.supersedes(known)) {
            let roots = source.known.entry(known.position).or_default();
            roots.insert(known.root.0);
        }
        source
    }

    fn compare(&mut self, position: Position, root: [u8; 32]) {
        let Some(known) = self.known.get(&position) else {
            return;
        };
        if known.contains(&root) {
            self.same.insert(position);
        }
        if known.iter().any(|known| *known != root) {
            self.other.insert(position);
        }
    }
}

impl Roots {
    /// Those that no statement has given up since they were known.
    pub(super) fn of(known: KnownRoots<'_>, statements: &Integrity) -> Self {
        Self {
            kept: Source::of(known.kept, statements),
            published: Source::of(known.published, statements),
            read: Source::of(known.read, statements),
        }
    }

    fn sources(&self) -> [&Source; 3] {
        [&self.kept, &self.published, &self.read]
    }

    /// The positions of all known roots.
    pub(super) fn positions(&self) -> impl Iterator<Item = Position> {
        let sources = self.sources().into_iter();
        sources.flat_map(|source| source.known.keys().copied())
    }

    /// Compares those at the frontier's position.
    pub(super) fn compare(&mut self, frontier: &Frontier) {
        let (position, root) = (frontier.position(), frontier.root().0);
        for source in [&mut self.kept, &mut self.published, &mut self.read] {
            source.compare(position, root);
        }
    }

    /// The last position up to which the log has a root that its writer knows; zero for none.
    pub(super) fn last_same(&self) -> Position {
        let last = self.kept.same.last().max(self.published.same.last());
        last.copied().unwrap_or_default()
    }

    /// Positions up to which the log has another root, and behind which it has none that is known.
    pub(super) fn last_others(&self) -> Vec<Position> {
        let last = self.last_same();
        let sources = self.sources().into_iter();
        let others: BTreeSet<_> = sources.flat_map(|source| &source.other).collect();
        let others = others.into_iter().copied();
        others.filter(|position| *position > last).collect()
    }

    /// The positions of readers that have read another log than this one, which ends at `last`, or
    /// have read further.
    pub(super) fn read_elsewhere(&self, last: Position) -> BTreeSet<Position> {
        let beyond = self.read.known.range(Position(last.0 + 1)..);
        let beyond = beyond.map(|(position, _)| *position);
        self.read.other.iter().copied().chain(beyond).collect()
    }

    /// The positions for which another history is known. It begins after the last root that one
    /// source shares with the log: the roots of other sources may be of this log alone.
    pub(super) fn other_history(&self) -> Option<Stretch> {
        let last = self.last_same();
        let stretches = self.sources().into_iter().filter_map(|source| {
            let first = *source.other.first().filter(|first| **first <= last)?;
            let to = *source.other.range(..=last).next_back()?;
            // Readers know one root each.
            let before = |source: &Source| source.same.range(..first).next_back().copied();
            let shared = match source.same.is_empty() {
                true => before(&self.kept).max(before(&self.published)),
                false => before(source),
            };
            let from = Position(shared.unwrap_or_default().0 + 1);
            Some(Stretch { from, to })
        });
        stretches.reduce(|all, found| Stretch {
            from: all.from.min(found.from),
            to: all.to.max(found.to),
        })
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
        let mut roots = Roots::of(known, &Integrity::default());
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
        let (read, kept) = ([ours[18]], [ours[6], theirs[14]]);
        let roots = compared_with(KnownRoots {
            kept: &kept,
            read: &read,
            ..KnownRoots::default()
        });
        assert_eq!(roots.other_history(), None);
        assert_eq!(roots.last_others(), [Position(15)]);
        let roots = compared_with(KnownRoots {
            kept: &[ours[6], ours[18]],
            read: &[theirs[14]],
            ..KnownRoots::default()
        });
        assert!(roots.other_history().is_some());
    }

    #[test]
    fn given_a_root_of_the_log_that_the_other_history_does_not_know_it_begins_before_that() {
        let ours = checkpoints(10, b"ours", 20);
        let theirs = checkpoints(10, b"theirs", 30);
        let roots = compared_with(KnownRoots {
            kept: &[ours[6], theirs[17]],
            published: &[ours[6], ours[14], ours[19]],
            ..KnownRoots::default()
        });
        let found = roots.other_history().unwrap();
        assert_eq!((found.from, found.to), (Position(8), Position(18)));
    }
}
