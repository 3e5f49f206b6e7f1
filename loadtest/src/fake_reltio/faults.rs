//! Failures on purpose.

use std::collections::VecDeque;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// One failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This status with Reltio's error object.
    Status {
        /// The status.
        code: u16,
        /// `Retry-After`, in seconds.
        retry_after: Option<u64>,
    },
    /// 404 in somebody else's words: a proxy, a wrong address.
    ForeignNotFound,
    /// The right answer with a `Date` that is none.
    UnreadableDate,
    /// No answer for as long as the client waits.
    Silence,
}

/// Shares of API requests that fail, each from 0 to 1.
#[derive(Debug, Clone, Copy, Default)]
pub struct FaultShares {
    /// 429 with `Retry-After: 1`.
    pub throttled: f64,
    /// 503, as when the API is under pressure.
    pub unavailable: f64,
}

/// Failures to come.
#[derive(Debug)]
pub(super) struct Faults {
    pub(super) shares: FaultShares,
    pub(super) queue: VecDeque<Fault>,
    pub(super) token_queue: VecDeque<Fault>,
}

impl Faults {
    pub(super) fn new(shares: FaultShares) -> Self {
        Self {
            shares,
            queue: VecDeque::new(),
            token_queue: VecDeque::new(),
        }
    }

    /// The failure of the next API request, if it is to fail.
    pub(super) fn draw(&mut self, rng: &mut ChaCha8Rng) -> Option<Fault> {
        let status = |code, retry_after| Some(Fault::Status { code, retry_after });
        if let Some(fault) = self.queue.pop_front() {
            Some(fault)
        } else if rng.random_bool(self.shares.throttled.clamp(0.0, 1.0)) {
            status(429, Some(1))
        } else if rng.random_bool(self.shares.unavailable.clamp(0.0, 1.0)) {
            status(503, None)
        } else {
            None
        }
    }
}
