//! Aggregates by id, in memory.

use std::collections::HashMap;

use gridkeeper_proto::{aggregate::Aggregate, id::AggregateId};

/// One map for each value of an id's last byte, which is random in ids that phones make.
const MAPS: usize = 256;

/// Aggregates by id, in many maps. A map moves all that it holds when it has to grow: one map of a million cases
/// would keep every command waiting for over two seconds then.
#[derive(Clone, Debug)]
pub(crate) struct Aggregates(Vec<HashMap<AggregateId, Box<Aggregate>>>);

impl Default for Aggregates {
    fn default() -> Self {
        Self(vec![HashMap::new(); MAPS])
    }
}

impl Aggregates {
    pub(crate) fn get(&self, id: AggregateId) -> Option<&Aggregate> {
        self.0[map_of(id)].get(&id).map(Box::as_ref)
    }

    pub(crate) fn remove(&mut self, id: AggregateId) -> Option<Box<Aggregate>> {
        self.0[map_of(id)].remove(&id)
    }

    pub(crate) fn insert(&mut self, id: AggregateId, aggregate: Box<Aggregate>) {
        self.0[map_of(id)].insert(id, aggregate);
    }
}

fn map_of(id: AggregateId) -> usize {
    let [.., last] = id.as_bytes();
    usize::from(*last)
}

#[cfg(test)]
mod tests {
    use gridkeeper_proto::rules::Rules;

    use super::*;

    #[test]
    fn each_id_has_its_own_aggregate_wherever_it_lies() {
        let ids = (0..=u8::MAX).flat_map(|last| {
            let id = |first| {
                AggregateId::from_bytes([first, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last])
            };
            [id(0), id(1)]
        });
        let mut aggregates = Aggregates::default();
        for (number, id) in ids.clone().enumerate() {
            assert!(aggregates.get(id).is_none());
            let mut rules = Rules::default();
            rules.version = u32::try_from(number).unwrap();
            aggregates.insert(id, Box::new(Aggregate::Rules(rules)));
        }
        for (number, id) in ids.enumerate() {
            let found = aggregates.get(id).map(Aggregate::version);
            assert_eq!(found, u32::try_from(number).ok());
            assert!(aggregates.remove(id).is_some());
            assert!(aggregates.get(id).is_none());
        }
    }
}
