//! Since when nothing reaches a sink's target, and why.
//!
//! Guarantee: trouble is told once, within ten seconds of the first send that meets it, however few
//! records wait; and its end once. Pure: time is passed in.

use std::time::Duration;

use crate::time::{Millis, until};

/// Failures of this long, with no answer between, are told. Shorter ones heal by a retry.
const FAILING: Duration = Duration::from_secs(3);

/// Why nothing reaches a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// A send is under way that nothing has answered.
    Silent,
    /// The newest send failed, with this code.
    Failed(String),
    /// The target asks for a pause, with this code.
    Throttled(String),
}

/// Whether a sink's target answers.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Since when something is to be sent and nothing was taken.
    since: Option<Millis>,
    /// Sends under way.
    sends: u32,
    /// What the newest send met, if anything did since the last answer.
    met: Option<Cause>,
    told: bool,
}

impl Reach {
    /// A send begins.
    pub(super) fn begin(&mut self, now: Millis) {
        if self.sends == 0 && self.met.is_none() {
            self.since = None;
        }
        self.sends = self.sends.saturating_add(1);
        self.since.get_or_insert(now);
    }

    /// A send ended; what it came to is told by the calls below.
    pub(super) fn end(&mut self) {
        self.sends = self.sends.saturating_sub(1);
    }

    /// The target answered. How long it did not, if that was told.
    pub(super) fn answered(&mut self, now: Millis) -> Option<Duration> {
        let since = self.since.replace(now).filter(|_| self.told);
        self.met = None;
        self.told = false;
        since.map(|since| until(since, now))
    }

    /// A send met trouble.
    pub(super) fn met(&mut self, cause: Cause, now: Millis) {
        self.since.get_or_insert(now);
        self.met = Some(cause);
    }

    /// What lasts now, and since when.
    fn lasts(&self) -> Option<(Cause, Millis)> {
        let since = self.since?;
        match &self.met {
            Some(cause) => Some((cause.clone(), since)),
            None => (self.sends > 0).then_some((Cause::Silent, since)),
        }
    }

    /// What is to be told now, if anything is. A target is silent after `silence`.
    pub(super) fn look(&mut self, silence: Duration, now: Millis) -> Option<Cause> {
        let (cause, since) = self.lasts()?;
        let patience = match cause {
            Cause::Silent => silence,
            Cause::Failed(_) | Cause::Throttled(_) => FAILING,
        };
        (until(since, now) >= patience).then(|| self.tell(cause))?
    }

    /// Trouble that is to be told at once, if it is not yet.
    pub(super) fn tell(&mut self, cause: Cause) -> Option<Cause> {
        let first = !self.told;
        self.told = true;
        first.then_some(cause)
    }

    /// What was told and lasts, and for how long.
    pub(super) fn told(&self, now: Millis) -> Option<(Cause, Duration)> {
        let (cause, since) = self.lasts().filter(|_| self.told)?;
        Some((cause, until(since, now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_secs(8);

    fn failed() -> Cause {
        Cause::Failed("refused".to_owned())
    }

    #[test]
    fn a_failure_is_told_once_when_it_has_lasted_and_its_end_once() {
        let mut reach = Reach::default();
        reach.begin(1000);
        reach.end();
        reach.met(failed(), 1010);
        assert_eq!(reach.look(SILENCE, 3999), None);
        assert_eq!(reach.look(SILENCE, 4000), Some(failed()));
        assert_eq!(reach.look(SILENCE, 5000), None);
        assert_eq!(reach.told(6000), Some((failed(), Duration::from_secs(5))));
        assert_eq!(reach.answered(11_000), Some(Duration::from_secs(10)));
        assert_eq!(reach.answered(12_000), None);
        assert_eq!(reach.told(13_000), None);
    }

    #[test]
    fn a_target_is_silent_only_while_something_is_sent() {
        let mut reach = Reach::default();
        reach.begin(0);
        assert_eq!(reach.look(SILENCE, 7999), None);
        assert_eq!(reach.look(SILENCE, 8000), Some(Cause::Silent));
        reach.end();
        assert_eq!(reach.told(9000), None, "given up by itself");
        let mut reach = Reach::default();
        reach.begin(0);
        reach.answered(10);
        reach.end();
        assert_eq!(reach.look(SILENCE, 3_600_000), None, "nothing to send");
        reach.begin(3_600_000);
        assert_eq!(reach.look(SILENCE, 3_601_000), None, "not since the last");
    }

    #[test]
    fn a_failure_that_an_answer_follows_soon_is_not_told() {
        let mut reach = Reach::default();
        for now in [0, 2000, 4000, 6000] {
            reach.begin(now);
            reach.end();
            reach.met(failed(), now);
            assert_eq!(reach.look(SILENCE, now + 1000), None);
            assert_eq!(reach.answered(now + 1500), None);
        }
    }
}
