//! When to try again: exponential, with full jitter, within a budget. Pure.

use std::time::Duration;

use super::config::Retry;

/// The retry rule of a sink.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Attempts at most, the first included.
    pub attempts: u32,
    first: Duration,
    longest: Duration,
}

impl RetryPolicy {
    /// The rule that the configuration describes.
    pub fn new(config: &Retry) -> Self {
        Self {
            attempts: config.attempts,
            first: config.first.get(),
            longest: config.longest.get(),
        }
    }

    /// The wait after the attempt with this number (from 1). `jitter` is from 0 to 1: full jitter
    /// spreads the lanes that failed together.
    pub fn wait(&self, attempt: u32, jitter: f64) -> Duration {
        let factor = 1_u32
            .checked_shl(attempt.saturating_sub(1).min(20))
            .unwrap_or(u32::MAX);
        let bound = self.first.saturating_mul(factor).min(self.longest);
        bound.mul_f64(jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_wait_is_longer_than_the_longest(attempt in 0_u32..200, jitter in -1.0_f64..2.0) {
            let policy = RetryPolicy::new(&Retry::default());
            prop_assert!(policy.wait(attempt, jitter) <= policy.longest);
        }
    }

    #[test]
    fn the_bound_doubles() {
        let policy = RetryPolicy::new(&Retry::default());
        assert_eq!(policy.wait(1, 1.0), policy.first);
        assert_eq!(policy.wait(3, 1.0), policy.first * 4);
    }
}
