//! The time of the outside world, in milliseconds, and where it comes from.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Wall-clock time in milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// Where the wall-clock time comes from, so that a test can stop it.
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
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, as_millis)
    }
}

/// A [`Duration`] in whole milliseconds, saturating.
pub fn as_millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

/// The wait from `now` until `then`; nothing if `then` has passed.
pub fn until(now: Millis, then: Millis) -> Duration {
    u64::try_from(then.saturating_sub(now)).map_or(Duration::ZERO, Duration::from_millis)
}
