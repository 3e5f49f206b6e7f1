//! How long to wait before the next attempt: the one rule for everything that is tried until it
//! works.
//!
//! Doubles up to a longest wait. Up to half of each wait is left out, by what is tried: what failed
//! together does not come back together, and the same run waits the same times again.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

/// Waits between attempts at one thing.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
    spread: DefaultHasher,
}

impl Backoff {
    /// From `first` to `longest`, for attempts at `what`: a subject, a partition.
    pub(crate) fn new(first: Duration, longest: Duration, what: &str) -> Self {
        let mut spread = DefaultHasher::new();
        what.hash(&mut spread);
        Self {
            first,
            longest,
            next: first,
            spread,
        }
    }

    /// The next wait; each is longer than the one before, up to the longest.
    pub(crate) fn next(&mut self) -> Duration {
        let bound = self.next;
        self.next = bound.saturating_mul(2).min(self.longest);
        bound.hash(&mut self.spread);
        // From 0 to 127 of 256 parts.
        let left_out = u32::try_from(self.spread.finish() % 128).unwrap_or(0);
        bound.saturating_sub(bound.saturating_mul(left_out) / 256)
    }

    /// Waits.
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.next()).await;
    }

    /// It worked: the next failure is a first one again.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    proptest! {
        #[test]
        fn waits_grow_to_the_longest_and_are_never_shorter_than_half(what in ".*") {
            let mut backoff = Backoff::new(FIRST, LONGEST, &what);
            let mut bound = FIRST;
            for _ in 0..20 {
                let wait = backoff.next();
                prop_assert!(wait <= bound && wait >= bound / 2);
                bound = (bound * 2).min(LONGEST);
            }
            backoff.reset();
            prop_assert!(backoff.next() <= FIRST);
        }
    }

    #[test]
    fn what_failed_together_does_not_come_back_together_and_the_same_does() {
        let wait = |what: &str| Backoff::new(FIRST, LONGEST, what).next();
        let waits: std::collections::BTreeSet<Duration> = (0..100)
            .map(|number| wait(&format!("entities/{number}")))
            .collect();
        assert!(waits.len() > 40, "{waits:?}");
        assert_eq!(wait("entities/1"), wait("entities/1"));
    }
}
