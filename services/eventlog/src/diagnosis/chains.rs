//! Which event was changed, as far as the chains of hashes tell.
//!
//! An event carries the hash of the one before it in its area. Where the two do not agree, either
//! may be the one that was changed; the next event of the area tells which, since it carries the
//! hash of the one that was there when it was recorded.

use std::collections::{HashMap, HashSet};

use gridkeeper_proto::{
    area::AreaCode,
    envelope::{EventHash, Position},
};

/// A message of an area.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Message {
    pub(super) position: Position,
    pub(super) hash: EventHash,
    /// The hash of the event before it that it carries; `None` where it does not decode.
    pub(super) previous: Option<EventHash>,
}

/// How an event stands to those before it in its area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// It follows the area's last event.
    Follows,
    /// It follows a message that was in doubt, whose bytes are genuine therefore.
    Proves {
        /// What was in doubt.
        genuine: Position,
        /// What was changed: the one before that, or its subject.
        changed: Position,
    },
    /// It follows none of them.
    Doubtful,
}

/// The chains of all areas.
#[derive(Default)]
pub(super) struct Chains {
    areas: HashMap<AreaCode, Chain>,
    /// The hashes of all events. What is there once more is no event, and speaks for none: nothing
    /// but the copy of a copy follows it.
    seen: HashSet<EventHash>,
}

/// The events of one area.
#[derive(Default)]
struct Chain {
    /// The last event that follows the one before it.
    head: Message,
    /// What came after it and does not.
    doubtful: Vec<Message>,
}

impl Chains {
    pub(super) fn head(&self, area: AreaCode) -> Message {
        let chain = self.areas.get(&area);
        chain.map_or_else(Message::default, |chain| chain.head)
    }

    /// Goes on with an event that follows the area's last one, or one that is missing.
    pub(super) fn follow(&mut self, area: AreaCode, event: Message) {
        self.seen.insert(event.hash);
        let chain = self.areas.entry(area).or_default();
        chain.head = event;
        chain.doubtful.clear();
    }

    /// Adds a message that cannot be told to be an event of the area.
    pub(super) fn doubt(&mut self, area: AreaCode, message: Message) {
        self.areas.entry(area).or_default().doubtful.push(message);
    }

    /// Whether an event with the same bytes was there before.
    pub(super) fn repeats(&self, event: &Message) -> bool {
        self.seen.contains(&event.hash)
    }

    /// Adds an event of the area.
    pub(super) fn link(&mut self, area: AreaCode, event: Message) -> Link {
        if !self.seen.insert(event.hash) {
            return Link::Doubtful;
        }
        let chain = self.areas.entry(area).or_default();
        let follows = |before: &Message| event.previous == Some(before.hash);
        if follows(&chain.head) {
            self.follow(area, event);
            return Link::Follows;
        }
        let Some(followed) = chain.doubtful.iter().rposition(follows) else {
            chain.doubtful.push(event);
            return Link::Doubtful;
        };
        let genuine = chain.doubtful[followed];
        let before = followed.checked_sub(1).map(|before| chain.doubtful[before]);
        let before = before.unwrap_or(chain.head);
        let changed = match genuine.previous == Some(before.hash) {
            true => genuine,
            false => before,
        };
        self.follow(area, event);
        Link::Proves {
            genuine: genuine.position,
            changed: changed.position,
        }
    }

    /// The last event of each area that nothing after it speaks for.
    pub(super) fn heads(&self) -> impl Iterator<Item = Position> {
        self.areas.values().map(|chain| chain.head.position)
    }

    /// What nothing follows and what follows nothing, each with what is before it in its area.
    pub(super) fn doubtful(&self) -> impl Iterator<Item = (Position, Position)> {
        self.areas.values().flat_map(|chain| {
            let befores = [chain.head]
                .into_iter()
                .chain(chain.doubtful.iter().copied());
            let pairs = chain.doubtful.iter().zip(befores);
            pairs.map(|(doubtful, before)| (before.position, doubtful.position))
        })
    }
}
