//! The watchdog's rule, pure: a task that should move and does not is not live.

use std::collections::HashMap;
use std::time::Duration;

use crate::time::{Millis, as_millis};

/// What a task tells about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// Grows with everything it does.
    pub progress: u64,
    /// It has nothing to do, or waits for good reason: paused, halted, breaker open, quota.
    pub excused: bool,
}

/// Since when each task has not moved.
#[derive(Debug)]
pub struct Watch {
    patience: Duration,
    seen: HashMap<String, (u64, Millis)>,
}

impl Watch {
    /// A watch that calls a task stuck after `patience` without progress.
    pub fn new(patience: Duration) -> Self {
        Self {
            patience,
            seen: HashMap::new(),
        }
    }

    /// How long `task` has been stuck, if it is. The time begins when it was first seen without an
    /// excuse, so look more often than `patience`.
    pub fn stuck(&mut self, task: &str, pulse: Pulse, now: Millis) -> Option<Duration> {
        let (progress, since) = self
            .seen
            .entry(task.to_owned())
            .or_insert((pulse.progress, now));
        if pulse.excused || *progress != pulse.progress {
            (*progress, *since) = (pulse.progress, now);
            return None;
        }
        let still = crate::time::until(*since, now);
        (as_millis(still) >= as_millis(self.patience)).then_some(still)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_should_move_and_does_not_is_stuck_and_one_with_an_excuse_is_not() {
        let mut watch = Watch::new(Duration::from_mins(1));
        let moving = |progress| Pulse {
            progress,
            excused: false,
        };
        assert_eq!(watch.stuck("a", moving(1), 0), None);
        assert_eq!(watch.stuck("a", moving(1), 59_999), None);
        assert_eq!(
            watch.stuck("a", moving(1), 60_000),
            Some(Duration::from_mins(1))
        );
        assert_eq!(watch.stuck("a", moving(2), 70_000), None);
        // An outage of an hour, then the time begins again.
        let excused = Pulse {
            progress: 2,
            excused: true,
        };
        assert_eq!(watch.stuck("a", excused, 3_670_000), None);
        assert_eq!(watch.stuck("a", moving(2), 3_700_000), None);
        assert_eq!(watch.stuck("b", moving(0), 3_700_000), None);
    }
}
