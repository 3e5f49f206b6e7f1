//! Whether this process stood still: stopped, frozen with its machine, or starved of processors.
//!
//! Guarantee: who asks after it went on hears of it within a tick.

use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

const TICK: Duration = Duration::from_millis(100);
/// Shorter silences are a busy machine's.
const LEAST: Duration = Duration::from_secs(1);
/// So many are remembered.
const MOST: usize = 32;

/// The silences of this process.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Mutex<VecDeque<Silence>>);

#[derive(Debug)]
struct Silence {
    ended: Instant,
    lasted: Duration,
}

/// The pulse of this process, which begins with the first question.
pub(crate) fn pulse() -> &'static Pulse {
    static PULSE: OnceLock<Pulse> = OnceLock::new();
    static BEATS: OnceLock<()> = OnceLock::new();
    let pulse = PULSE.get_or_init(Pulse::default);
    BEATS.get_or_init(|| {
        let beats = thread::Builder::new().name("pulse".to_owned());
        if let Err(error) = beats.spawn(move || pulse.beat()) {
            tracing::error!("no thread to notice that the process stands still: {error}");
        }
    });
    pulse
}

impl Pulse {
    fn beat(&self) {
        let mut last = Instant::now();
        loop {
            thread::sleep(TICK);
            let now = Instant::now();
            self.note(last, now);
            last = now;
        }
    }

    fn note(&self, last: Instant, now: Instant) {
        let lasted = now.saturating_duration_since(last);
        if lasted < LEAST {
            return;
        }
        let mut silences = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if silences.len() == MOST {
            silences.pop_front();
        }
        silences.push_back(Silence { ended: now, lasted });
    }

    /// The longest silence that ended after `since`.
    pub(crate) fn longest_since(&self, since: Instant) -> Duration {
        let silences = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let after = silences.iter().filter(|silence| silence.ended > since);
        after
            .map(|silence| silence.lasted)
            .max()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_told_to_who_was_there_before_its_end() {
        let pulse = Pulse::default();
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        pulse.note(at(0), at(100));
        assert_eq!(pulse.longest_since(begun), Duration::ZERO);
        pulse.note(at(100), at(9100));
        pulse.note(at(9200), at(11_200));
        assert_eq!(pulse.longest_since(at(9000)), Duration::from_secs(9));
        assert_eq!(pulse.longest_since(at(9100)), Duration::from_secs(2));
        assert_eq!(pulse.longest_since(at(11_200)), Duration::ZERO);
    }
}
