//! Why a request is refused, for the log: never for its sender, and without anything it sent (G10).
//!
//! Guarantee: a line for each reason of an endpoint when it is first met, and then one in ten minutes
//! at most, with how many there were. Who sends what is refused cannot fill the log.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::answer::Refusal;

/// A reason is told again after this.
const AGAIN: Duration = Duration::from_mins(10);

/// Why a request is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The header is not there, or more than once.
    Missing(&'static str),
    /// It does not hold what it should.
    Unreadable(&'static str),
    /// The header's time is too far from this host's clock.
    Stale {
        /// Which.
        header: &'static str,
        /// Seconds behind the clock; below zero: ahead of it.
        behind: i64,
    },
    /// It is no signature of any live secret, or not the token.
    Mismatch(&'static str),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(header) => write!(
                f,
                "the header {header} is missing, or there more than once; correct the scheme, or \
                 what the sender or a proxy before goldwire sends"
            ),
            Self::Unreadable(header) => write!(
                f,
                "the header {header} does not hold what its scheme writes there; correct the scheme \
                 or the sender"
            ),
            Self::Stale { header, behind } => {
                let (seconds, way) = (
                    behind.unsigned_abs(),
                    if *behind < 0 { "ahead of" } else { "behind" },
                );
                write!(
                    f,
                    "the time in {header} is {seconds} s {way} this host's clock; set both clocks \
                     right, or see what holds requests up for so long"
                )
            }
            Self::Mismatch("authorization") => {
                write!(
                    f,
                    "the token in authorization is not `bearer`; correct either"
                )
            }
            Self::Mismatch(header) => write!(
                f,
                "{header} is of none of the live secrets; give both ends the same secret, and see \
                 that no proxy changes the body"
            ),
        }
    }
}

impl Doubt {
    /// What makes it another reason.
    fn kind(self) -> (u8, &'static str) {
        match self {
            Self::Missing(header) => (0, header),
            Self::Unreadable(header) => (1, header),
            Self::Stale { header, .. } => (2, header),
            Self::Mismatch(header) => (3, header),
        }
    }
}

/// What one endpoint refused.
#[derive(Debug, Default)]
pub(super) struct Refused(Mutex<BTreeMap<(u8, &'static str), Told>>);

#[derive(Debug)]
struct Told {
    at: Instant,
    /// Refused since then, and not told.
    since: u64,
}

impl Refused {
    /// A request of `source` is refused.
    pub(super) fn note(&self, source: &str, refusal: Refusal) {
        let (kind, why) = if let Refusal::Unauthorized(doubt) = refusal {
            (doubt.kind(), doubt.to_string())
        } else if let Some(remedy) = refusal.remedy() {
            ((u8::MAX, remedy), remedy.to_owned())
        } else {
            return;
        };
        if let Some(requests) = self.due(kind) {
            let code = refusal.status().as_u16();
            tracing::warn!(source, code, requests, "a webhook was refused: {why}");
        }
    }

    /// How many requests a line is to stand for, if one is due.
    fn due(&self, kind: (u8, &'static str)) -> Option<u64> {
        let now = Instant::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(told) = all.get_mut(&kind) else {
            all.insert(kind, Told { at: now, since: 0 });
            return Some(1);
        };
        told.since = told.since.saturating_add(1);
        if now.duration_since(told.at) < AGAIN {
            return None;
        }
        told.at = now;
        Some(std::mem::take(&mut told.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_reason_is_told_at_once_and_then_every_ten_minutes_with_a_count() {
        let refused = Refused::default();
        let stale = |behind| {
            let header = "webhook-timestamp";
            refused.due(Doubt::Stale { header, behind }.kind())
        };
        assert_eq!(stale(301), Some(1));
        assert!((302..1000).all(|behind| stale(behind).is_none()));
        let other = Doubt::Missing("webhook-timestamp").kind();
        assert_eq!(refused.due(other), Some(1), "another reason");
        tokio::time::advance(AGAIN).await;
        assert_eq!(stale(-400), Some(699));
        assert_eq!(stale(301), None);
    }
}
