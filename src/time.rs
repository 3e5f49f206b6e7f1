//! Time is passed in, never looked up: what takes a [`Clock`] runs under a simulated one.

use std::fmt::Debug;
use std::sync::Arc;

/// Wall-clock time in milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// Where the wall-clock time comes from. Waiting is done with `tokio::time`, which obeys paused
/// time; a clock for tests therefore follows tokio's.
pub trait Clock: Debug + Send + Sync {
    /// The time now.
    fn now(&self) -> Millis;
}

/// A clock that many parts share.
pub type SharedClock = Arc<dyn Clock>;

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the system's time is read"
    )]
    fn now(&self) -> Millis {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| {
                Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
            })
    }
}

/// A clock that starts at a given time and moves with tokio's, paused or not.
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    base: Millis,
    started: tokio::time::Instant,
}

impl TokioClock {
    /// A clock that reads `base` now. Needs a tokio runtime when time is paused.
    pub fn starting_at(base: Millis) -> Self {
        Self {
            base,
            started: tokio::time::Instant::now(),
        }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Millis {
        let elapsed = Millis::try_from(self.started.elapsed().as_millis()).unwrap_or(Millis::MAX);
        self.base.saturating_add(elapsed)
    }
}

/// A [`std::time::Duration`] in whole milliseconds, saturating.
pub fn as_millis(duration: std::time::Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

/// The wait from `now` until `then`; nothing if `then` has passed.
pub fn until(now: Millis, then: Millis) -> std::time::Duration {
    u64::try_from(then.saturating_sub(now))
        .map_or(std::time::Duration::ZERO, std::time::Duration::from_millis)
}
