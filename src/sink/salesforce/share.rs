//! The sink's share of the org's daily API calls, which all clients of the org have in common.
//!
//! Guarantee: in any 24 hours the turns that begin make no more than `daily_share` of the org's calls
//! in total, and none begins while fewer than the reserve are left for everybody: a tenth of them, or
//! what is not the share if that is less. The first half of the share may be used at any speed, the
//! second half is spread over 24 hours, so that a large load slows down before it stops.
//!
//! A turn that has begun is not cut off: what it calls beyond the share delays the next ones. Calls
//! are counted in this process alone, against its portion of the share; after a restart, or with
//! partitions that come from another instance, the count starts at zero, and the reserve holds.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::pace::Portion;
use crate::sink::SinkError;
use crate::telemetry::Metrics;

/// The window of Salesforce's daily quota: it rolls.
const DAY: Duration = Duration::from_hours(24);
/// Calls are counted, and forgotten, together for so long.
const BUCKET: Duration = Duration::from_mins(10);
/// A sink that waits for the org's reserve asks so often whether it is back.
const LOOK: Duration = Duration::from_mins(5);

/// What the org said that all its clients used of its calls in the last 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) used: u32,
    pub(super) total: u32,
}

impl Usage {
    /// Reads `Sforce-Limit-Info`: `api-usage=10018/100000; per-app-api-usage=17/250(appName=x)`.
    /// <https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers_api_usage.htm>
    pub(super) fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split([';', ',']);
        let usage = parts.find_map(|part| part.trim().strip_prefix("api-usage="))?;
        let (used, total) = usage.split_once('/')?;
        let total = total.trim().parse().ok().filter(|total| *total > 0)?;
        Some(Self {
            used: used.trim().parse().ok()?,
            total,
        })
    }

    fn remaining(self) -> u32 {
        self.total.saturating_sub(self.used)
    }
}

/// The share of one sink.
#[derive(Debug)]
pub(super) struct Share {
    sink: String,
    of_total: f64,
    /// What of the sink's share is this process's.
    portion: Portion,
    metrics: Arc<Metrics>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Own calls, by the begin of their bucket.
    calls: VecDeque<(Instant, u32)>,
    own: u32,
    usage: Option<Usage>,
    /// No turn of the second half of the share begins before.
    next: Option<Instant>,
    /// While the sink pauses: when it looks again.
    paused: Option<Instant>,
}

/// Why no turn begins.
#[derive(Clone, Copy)]
enum Short {
    /// The sink used its share.
    Own,
    /// Little is left for everybody.
    Everybody,
}

impl Share {
    /// The share `share` (above 0, up to 1) of the sink `sink`, as far as it is this process's
    /// `portion`.
    pub(super) fn new(sink: &str, share: f64, portion: Portion, metrics: Arc<Metrics>) -> Self {
        Self {
            sink: sink.to_owned(),
            of_total: share.clamp(0.0, 1.0),
            portion,
            metrics,
            held: Mutex::default(),
        }
    }

    /// Lets a turn begin.
    ///
    /// # Errors
    /// [`SinkError::Throttled`], if it has to wait.
    pub(super) fn admit(&self) -> Result<(), SinkError> {
        let now = Instant::now();
        let mut held = self.held();
        held.forget(now);
        let Some(usage) = held.usage else {
            return Ok(());
        };
        let allowance = self.allowance(usage);
        if let Some(short) = self.short(&held, usage, allowance) {
            if held.paused.is_none() {
                self.tell(short, &held, usage, allowance);
            }
            // What everybody else does in the meantime only a call tells.
            let looks = held.paused.is_some_and(|at| at <= now);
            let look = now + LOOK;
            if matches!(short, Short::Everybody) && looks {
                held.paused = Some(look);
                return Ok(());
            }
            let until = held.paused.filter(|at| *at > now).unwrap_or(look);
            held.paused = Some(until);
            return Err(throttled(short, until.saturating_duration_since(now)));
        }
        if held.paused.take().is_some() {
            tracing::info!(sink = self.sink, "the sink uses the org's API again");
        }
        match held.next {
            Some(next) if next > now => Err(throttled(Short::Own, next - now)),
            _ => Ok(()),
        }
    }

    /// A call is made.
    pub(super) fn called(&self) {
        let now = Instant::now();
        let mut held = self.held();
        held.forget(now);
        match held.calls.back_mut() {
            Some((begun, calls)) if now - *begun < BUCKET => *calls = calls.saturating_add(1),
            _ => held.calls.push_back((now, 1)),
        }
        held.own = held.own.saturating_add(1);
        let Some(usage) = held.usage else { return };
        let allowance = self.allowance(usage);
        let free = allowance / 2;
        if held.own > free {
            let each = DAY / (allowance - free).max(1);
            held.next = Some(held.next.map_or(now, |next| next.max(now)) + each);
        }
    }

    /// The org said what is used of its calls.
    pub(super) fn note(&self, usage: Usage) {
        self.metrics
            .calls_remaining(&self.sink, usage.remaining().into());
        self.held().usage = Some(usage);
    }

    /// The calls of 24 hours.
    fn allowance(&self, usage: Usage) -> u32 {
        part(usage.total, self.of_total * self.portion.part())
    }

    /// What is short. A sink that pauses goes on when a twentieth of its share is free again.
    fn short(&self, held: &Held, usage: Usage, allowance: u32) -> Option<Short> {
        let reserve = part(usage.total, 0.1_f64.min(1.0 - self.of_total));
        let limit = if held.paused.is_some() {
            allowance - allowance / 20
        } else {
            allowance
        };
        if held.own >= limit.max(1) {
            Some(Short::Own)
        } else if usage.remaining() <= reserve {
            Some(Short::Everybody)
        } else {
            None
        }
    }

    fn tell(&self, short: Short, held: &Held, usage: Usage, allowance: u32) {
        let Usage { used, total } = usage;
        let (sink, own) = (&self.sink, held.own);
        match short {
            Short::Own => tracing::warn!(
                sink,
                own,
                allowance,
                used,
                total,
                "the sink used its share of the org's API calls of 24 hours and pauses; raise \
                 daily_share, or let the org have more calls"
            ),
            Short::Everybody => tracing::warn!(
                sink,
                own,
                allowance,
                used,
                total,
                "the org has few API calls left for all its clients, and the sink pauses; find who \
                 uses them (Setup, API Usage), let the org have more calls, or raise daily_share"
            ),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing under this lock can leave it half changed.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn forget(&mut self, now: Instant) {
        let old = |bucket: &mut (Instant, u32)| now - bucket.0 >= DAY + BUCKET;
        while let Some((_, calls)) = self.calls.pop_front_if(old) {
            self.own = self.own.saturating_sub(calls);
        }
    }
}

fn throttled(short: Short, pause: Duration) -> SinkError {
    let code = match short {
        Short::Own => "daily_share",
        Short::Everybody => "daily_reserve",
    };
    SinkError::Throttled {
        code: code.to_owned(),
        pause: pause.max(Duration::from_millis(1)),
    }
}

/// So much of `total`, rounded down.
fn part(total: u32, share: f64) -> u32 {
    let seconds = Duration::from_secs(total.into()).mul_f64(share).as_secs();
    u32::try_from(seconds).unwrap_or(total)
}

#[cfg(test)]
#[path = "share_tests.rs"]
mod tests;
