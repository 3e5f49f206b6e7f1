//! Which version of which entity comes next.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::event::Event;

/// One event of so many is a copy of an earlier one.
const COPIES: f64 = 0.1;

/// A seeded sequence of events: the next version of some entity, or a copy of a version that was
/// sent before. Takes four bytes of memory for each entity.
#[derive(Debug)]
pub(super) struct Stream {
    rng: ChaCha8Rng,
    left: u64,
    newest: Vec<u32>,
    /// The first version of each entity from this one on comes before chance decides.
    first: Option<usize>,
}

impl Stream {
    /// `events` events about up to `entities` entities.
    pub(super) fn new(seed: u64, events: u64, entities: u32) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            left: events,
            newest: vec![0; usize::try_from(entities).unwrap_or_default()],
            first: None,
        }
    }

    /// The same, but all entities come once before any comes again.
    pub(super) fn each_once(mut self) -> Self {
        self.first = Some(0);
        self
    }

    /// The first version of the next entity, as long as there is one that did not come.
    fn next_first(&mut self) -> Option<Event> {
        let at = self.first?;
        let newest = self.newest.get_mut(at);
        self.first = newest.is_some().then_some(at + 1);
        *newest? = 1;
        Some(Event {
            entity: u32::try_from(at).ok()?,
            version: 1,
        })
    }
}

impl Iterator for Stream {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.left = self.left.checked_sub(1)?;
        if let Some(event) = self.next_first() {
            return Some(event);
        }
        let entity = self.rng.random_range(0..self.newest.len());
        let is_copy = self.rng.random_bool(COPIES);
        let newest = self.newest.get_mut(entity)?;
        let version = if is_copy && *newest > 0 {
            self.rng.random_range(1..=*newest)
        } else {
            *newest += 1;
            *newest
        };
        let entity = u32::try_from(entity).ok()?;
        Some(Event { entity, version })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_tenth_of_the_events_are_copies_and_the_rest_grow_by_one() {
        let (mut seen, mut copies) = (HashSet::new(), 0);
        for event in Stream::new(7, 50_000, 1_000) {
            let is_new = seen.insert((event.entity, event.version));
            let before = event.version == 1 || seen.contains(&(event.entity, event.version - 1));
            assert!(before, "{event:?} comes before the version below it");
            copies += u32::from(!is_new);
        }
        assert!((4_000..6_000).contains(&copies), "{copies} copies");
    }

    #[test]
    fn all_entities_come_once_before_any_comes_again_where_that_is_asked_for() {
        let events: Vec<_> = Stream::new(7, 300, 100).each_once().collect();
        let (first, then) = events.split_at(100);
        let entities: Vec<_> = first.iter().map(|event| event.entity).collect();
        assert_eq!(entities, (0..100).collect::<Vec<_>>());
        assert!(first.iter().all(|event| event.version == 1));
        assert_eq!(then.len(), 200);
        assert!(then.iter().any(|event| event.version == 2));
    }

    #[test]
    fn a_seed_names_one_sequence() {
        let events = |seed| Stream::new(seed, 1_000, 100).collect::<Vec<_>>();
        assert_eq!(events(1), events(1));
        assert_ne!(events(1), events(2));
    }
}
