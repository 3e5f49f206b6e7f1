//! What part of a target's quota is this process's.
//!
//! Guarantee: the parts of all instances come to no more than the whole. A partition counts from
//! when it is this process's until right before it is given back. Only an instance that has lost one
//! without having heard of it yet counts it as well as its new owner.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::mutation::{self, Mutation};

/// A part of a quota: of the partitions of a sink's group, those that this process owns. It may
/// change at any time, and is seen at once by all that hold it.
#[derive(Debug, Clone)]
pub struct Portion(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// Packed: how often it changed, owned, of how many.
    One(Arc<AtomicU64>),
    /// The mean of several, and no less than this.
    Mean { parts: Arc<[Portion]>, least: f64 },
}

impl Portion {
    /// All of it, until it is [`set`](Self::set).
    pub fn whole() -> Self {
        Self(Kind::One(Arc::new(AtomicU64::new(pack(0, 1, 1)))))
    }

    /// The mean of `parts`, and no less than `least`; all of it, if there are none.
    pub fn mean(parts: Vec<Self>, least: f64) -> Self {
        if parts.is_empty() {
            return Self::whole();
        }
        let parts = parts.into();
        Self(Kind::Mean { parts, least })
    }

    /// From now on it is `owned` of `of`. That of several is theirs.
    pub fn set(&self, owned: u16, of: u16) {
        if let Kind::One(held) = &self.0 {
            let change = |now: u64| {
                let (changes, was, of_was) = unpack(now);
                let same = (was, of_was) == (owned, of);
                (!same).then(|| pack(changes.wrapping_add(1), owned, of))
            };
            // An error says that it is this already.
            held.fetch_update(Ordering::AcqRel, Ordering::Acquire, change)
                .ok();
        }
    }

    /// How often it changed, and what it is: between 0 and 1.
    pub(super) fn now(&self) -> (u32, f64) {
        if mutation::is(Mutation::QuotaNotDivided) {
            return (0, 1.0);
        }
        match &self.0 {
            Kind::One(held) => {
                let (changes, owned, of) = unpack(held.load(Ordering::Acquire));
                let part = f64::from(owned) / f64::from(of.max(1));
                (changes, part.clamp(0.0, 1.0))
            }
            Kind::Mean { parts, least } => {
                let (mut changes, mut sum, mut count) = (0_u32, 0.0, 0.0);
                for part in parts.iter() {
                    let (times, part) = part.now();
                    changes = changes.wrapping_add(times);
                    sum += part;
                    count += 1.0;
                }
                (changes, (sum / count).clamp(*least, 1.0))
            }
        }
    }

    /// What it is: between 0 and 1.
    pub fn part(&self) -> f64 {
        self.now().1
    }
}

fn pack(changes: u32, owned: u16, of: u16) -> u64 {
    u64::from(changes) << 32 | u64::from(owned) << 16 | u64::from(of)
}

fn unpack(held: u64) -> (u32, u16, u16) {
    let [a, b, c, d, owned_high, owned_low, of_high, of_low] = held.to_be_bytes();
    (
        u32::from_be_bytes([a, b, c, d]),
        u16::from_be_bytes([owned_high, owned_low]),
        u16::from_be_bytes([of_high, of_low]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_was_set_last_wherever_it_is_held() {
        let portion = Portion::whole();
        let held = portion.clone();
        assert_eq!(held.now(), (0, 1.0));
        portion.set(1, 1);
        assert_eq!(held.now(), (0, 1.0), "no change");
        portion.set(1, 4);
        portion.set(3, 4);
        assert_eq!(held.now(), (2, 0.75));
        portion.set(0, 4);
        assert_eq!(held.now(), (3, 0.0));
        portion.set(u16::MAX, u16::MAX);
        assert_eq!(held.now(), (4, 1.0));
    }

    #[test]
    fn a_mean_follows_its_parts_and_has_a_least() {
        let [crm, lake] = [Portion::whole(), Portion::whole()];
        let mean = Portion::mean(vec![crm.clone(), lake.clone()], 0.1);
        assert_eq!(mean.now(), (0, 1.0));
        crm.set(1, 4);
        lake.set(3, 4);
        assert_eq!(mean.now(), (2, 0.5));
        crm.set(0, 4);
        lake.set(0, 4);
        assert_eq!(mean.now(), (4, 0.1));
        assert_eq!(Portion::mean(Vec::new(), 0.0).now(), (0, 1.0));
    }
}
