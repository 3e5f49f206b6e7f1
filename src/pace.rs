//! A rate of requests.
//!
//! Guarantee: no more than the quota passes, by tokio's time, which a host's clock does not move and
//! which a test can pause.

use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

/// Tokio's time since this was made.
#[derive(Debug, Clone, Copy)]
struct TokioTime(Instant);

impl Clock for TokioTime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Lets requests through at a rate.
#[derive(Debug)]
pub(crate) struct Pace {
    limiter: RateLimiter<NotKeyed, InMemoryState, TokioTime, NoOpMiddleware<Duration>>,
    clock: TokioTime,
}

impl Pace {
    /// The rate of `quota`, of which nothing is used.
    pub(crate) fn new(quota: Quota) -> Self {
        let clock = TokioTime(Instant::now());
        Self {
            limiter: RateLimiter::direct_with_clock(quota, clock),
            clock,
        }
    }

    /// Lets one through, or says how long to wait.
    pub(crate) fn draw(&self) -> Result<(), Duration> {
        let early = self.limiter.check();
        early.map_err(|early| early.wait_time_from(self.clock.now()))
    }

    /// Waits until one may pass.
    pub(crate) async fn ready(&self) {
        while let Err(wait) = self.draw() {
            tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
        }
    }
}
