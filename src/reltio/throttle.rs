//! The tenant's request quota, of which each instance has a portion, and the pause that Reltio asks
//! for: one for all requests.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::Quota;
use tokio::time::Instant;

use crate::pace::{Pace, Portion};

/// The longest pause taken at Reltio's word; a longer one is asked for again.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Lets requests through at the tenant's quota.
#[derive(Debug)]
pub(super) struct Throttle {
    pace: Pace,
    not_before: Mutex<Instant>,
}

impl Throttle {
    /// The `portion` of so many requests a second.
    pub(super) fn new(per_second: NonZeroU32, portion: Portion) -> Self {
        Self {
            pace: Pace::shared(Quota::per_second(per_second), portion),
            not_before: Mutex::new(Instant::now()),
        }
    }

    /// Waits until a request may be sent.
    pub(super) async fn ready(&self) {
        loop {
            let until = *self.not_before();
            if Instant::now() < until {
                tokio::time::sleep_until(until).await;
                continue;
            }
            match self.pace.draw() {
                Ok(()) => return,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// A pause that Reltio asks for, as long as it is taken.
    pub(super) fn bounded(pause: Duration) -> Duration {
        pause.min(LONGEST_PAUSE)
    }

    /// Holds every request back for `pause`: what Reltio says to one, it says to the tenant.
    pub(super) fn hold(&self, pause: Duration) {
        let until = Instant::now() + Self::bounded(pause);
        let mut not_before = self.not_before();
        *not_before = until.max(*not_before);
    }

    fn not_before(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_quota_passes_in_a_second() {
        let throttle = Throttle::new(NonZeroU32::new(10).unwrap(), Portion::whole());
        let start = Instant::now();
        for _ in 0..30 {
            throttle.ready().await;
        }
        // Ten at once, then ten a second.
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(1990), "took {took:?}");
        assert!(took < Duration::from_millis(2200), "took {took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_every_request_back() {
        let throttle = Throttle::new(NonZeroU32::new(10).unwrap(), Portion::whole());
        let start = Instant::now();
        throttle.hold(Duration::from_secs(7));
        throttle.hold(Duration::from_secs(2));
        throttle.ready().await;
        assert!(start.elapsed() >= Duration::from_secs(7));
    }
}
