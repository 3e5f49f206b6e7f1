//! How large events are.

use std::f64::consts::TAU;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::whole;
use crate::run::scenario::Load;
use crate::throughput::event::Event;

/// Bytes of a body beside its notes: the most that there are.
const BESIDE_NOTES: f64 = 1_725.0;

/// Sizes of bodies: the logarithm is distributed normally around that of the median. An event's
/// size follows from itself, the load's settings and the seed, so that a copy is equal to the byte
/// and a judge can recompute it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    median: f64,
    spread: f64,
    largest: f64,
    salt: u64,
}

impl Sizes {
    /// Sizes of a load.
    pub(crate) fn new(load: &Load, seed: u64) -> Self {
        Self {
            median: f64::from(load.median_bytes),
            spread: load.spread,
            largest: f64::from(load.largest_bytes),
            salt: ChaCha8Rng::seed_from_u64(seed).random(),
        }
    }

    /// Bytes of notes in the body of an event. The smallest bodies are those with none.
    pub(crate) fn notes(&self, event: Event) -> u32 {
        if event.is_removal() {
            return 0;
        }
        let bytes = self.median * (self.spread * normal(event.mixed(self.salt))).exp();
        let notes = whole(bytes.min(self.largest) - BESIDE_NOTES);
        u32::try_from(notes).unwrap_or(u32::MAX)
    }
}

/// A number of the standard normal distribution, by Box and Muller's method.
fn normal(chance: u64) -> f64 {
    let part = |bits: u64| f64::from(u32::try_from(bits).unwrap_or_default()) / 2_f64.powi(32);
    let (high, low) = (part(chance >> 32), part(chance & 0xffff_ffff));
    (-2.0 * (1.0 - high).ln()).sqrt() * (TAU * low).cos()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;

    /// What the attribute takes beside the notes in it.
    const ATTRIBUTE: usize = 140;

    fn load(median_bytes: u32, spread: f64, largest_bytes: u32) -> Load {
        Load {
            median_bytes,
            spread,
            largest_bytes,
            ..Load::default()
        }
    }

    fn events() -> impl Iterator<Item = Event> {
        let events =
            (0..1_000).flat_map(|entity| (1..4).map(move |version| Event { entity, version }));
        events.filter(|event| !event.is_removal())
    }

    fn body(event: Event, notes: u32) -> String {
        let mut body = String::new();
        event.write_body(&mut body, notes);
        body
    }

    /// Bytes of bodies, ascending.
    fn bytes(load: &Load, seed: u64) -> Vec<usize> {
        let sizes = Sizes::new(load, seed);
        let bytes = |event| match usize::try_from(sizes.notes(event)).unwrap() {
            0 => body(event, 0).len(),
            notes => body(event, 0).len() + ATTRIBUTE + notes,
        };
        let mut bytes: Vec<_> = events().map(bytes).collect();
        bytes.sort_unstable();
        bytes
    }

    #[test]
    fn notes_add_their_bytes_and_no_two_events_have_the_same() {
        let mut texts = HashSet::new();
        for event in events() {
            let text = body(event, 100);
            assert_eq!(text, body(event, 100));
            assert_eq!(text.len(), body(event, 0).len() + ATTRIBUTE + 100);
            let tree: Value = serde_json::from_str(&text).unwrap();
            let notes = &tree["object"]["attributes"]["Notes"][0]["value"];
            assert_eq!(notes.as_str().unwrap().len(), 100);
            assert!(texts.insert(notes.to_string()), "{notes} is there twice");
        }
        let (one, large) = (body(events().next().unwrap(), 1), 1_000_000);
        assert_eq!(
            body(events().next().unwrap(), large).len(),
            one.len() + 999_999
        );
    }

    #[test]
    fn half_of_the_bodies_are_below_the_median_and_none_is_above_the_largest() {
        for seed in 0..10 {
            let bytes = bytes(&load(30_000, 1.2, 200_000), seed);
            let middle = bytes[bytes.len() / 2];
            assert!((27_000..33_000).contains(&middle), "{middle}");
            let largest = *bytes.last().unwrap();
            assert!((199_800..=200_000).contains(&largest), "{largest}");
        }
    }

    #[test]
    fn most_bodies_of_a_usual_load_have_no_notes_and_some_are_several_times_as_large() {
        let bytes = bytes(&Load::default(), 7);
        let plain = bytes.iter().filter(|bytes| **bytes < 1_600).count();
        assert!(plain * 2 > bytes.len(), "{plain} of {}", bytes.len());
        let largest = *bytes.last().unwrap();
        assert!((4_500..20_000).contains(&largest), "{largest}");
    }

    #[test]
    fn sizes_without_spread_are_one_size() {
        let bytes = bytes(&load(10_000, 0.0, 20_000), 7);
        let (least, most) = (bytes[0], bytes[bytes.len() - 1]);
        assert!(least > 9_800 && most <= 10_000, "{least} to {most}");
    }

    #[test]
    fn an_event_has_one_size_for_a_seed_and_another_for_another() {
        let load = load(60_000, 1.0, 900_000);
        let notes = |seed, version| Sizes::new(&load, seed).notes(Event { entity: 5, version });
        assert_eq!(notes(1, 3), notes(1, 3));
        assert_ne!(notes(1, 3), notes(2, 3));
        assert_ne!(notes(1, 3), notes(1, 5));
    }
}
