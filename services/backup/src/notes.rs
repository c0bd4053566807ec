//! Signed checkpoints as a backup has them: the notes, and what they say.

use std::collections::BTreeMap;

use gridkeeper_proto::{
    checkpoint::{Checkpoint, CheckpointVerifier},
    envelope::Position,
};

/// How many of the newest checkpoints a backup has: a day of one a minute.
const NEWEST: usize = 1_440;
/// Of the older ones the first of this many positions is in the backup.
const STRETCH: u64 = 10_000;

/// Signed checkpoints, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    signed: BTreeMap<Position, Vec<(Checkpoint, String)>>,
}

impl Notes {
    /// Those that the key has signed. Without a key there are none.
    pub(crate) fn signed(
        verifier: Option<&CheckpointVerifier>,
        notes: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut signed = BTreeMap::<_, Vec<_>>::new();
        for note in notes {
            if let Some(Ok(checkpoint)) = verifier.map(|verifier| verifier.open(&note)) {
                let there = signed.entry(checkpoint.position).or_default();
                // Two of one position differ where a history was given up.
                if there.iter().all(|(known, _)| *known != checkpoint) {
                    there.push((checkpoint, note));
                }
            }
        }
        Self { signed }
    }

    /// What those up to a position say.
    pub(crate) fn up_to(&self, position: Position) -> Vec<Checkpoint> {
        let range = self.signed.range(..=position);
        let checkpoints = range.flat_map(|(_, signed)| signed);
        checkpoints.map(|(checkpoint, _)| *checkpoint).collect()
    }

    /// What those after a position say.
    pub(crate) fn after(&self, position: Position) -> Vec<Checkpoint> {
        let range = self.signed.range(Position(position.0 + 1)..);
        let checkpoints = range.flat_map(|(_, signed)| signed);
        checkpoints.map(|(checkpoint, _)| *checkpoint).collect()
    }

    /// The newest of all, and one of each stretch of the older ones.
    pub(crate) fn thinned_out(&self) -> Vec<String> {
        let old = self.signed.len().saturating_sub(NEWEST);
        let mut kept = Vec::new();
        let mut stretch = None;
        for (number, (position, signed)) in self.signed.iter().enumerate() {
            let own = position.0 / STRETCH;
            if number >= old || stretch.replace(own) != Some(own) {
                kept.extend(signed.iter().map(|(_, note)| note.clone()));
            }
        }
        kept
    }
}
