//! How many requests an endpoint takes, and how much memory all of them may hold (G8).
//!
//! The configured rate is drawn from by authenticated requests alone, so a flood of others cannot
//! use up the lawful sender's share. Others are held off by where they come from: an address whose
//! requests fail authentication more often than the same rate allows is answered 429 before its
//! bodies are read. Of a request from `trusted_proxy` the address is the last of `X-Forwarded-For`,
//! the one that the proxy itself added; without it nothing tells senders apart, and no one is held
//! off. From anybody else the header is not believed.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::Quota;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::config::RateLimit;
use crate::pace::Pace;

/// Addresses remembered for failing; beyond them, new ones go unheeded.
const ADDRESSES: usize = 10_000;

/// Bytes that a request holds at least: its task, its head and its place in the log's queue.
const LEAST: usize = 4096;

/// The rate of authenticated requests at one endpoint.
#[derive(Debug)]
pub(super) struct Rate(Pace);

impl Rate {
    pub(super) fn new(limit: RateLimit) -> Self {
        let quota = Quota::per_second(at_least_one(limit.per_second));
        Self(Pace::new(quota.allow_burst(at_least_one(limit.burst))))
    }

    /// Takes a request in, or says how long to wait.
    pub(super) fn draw(&self) -> Result<(), Duration> {
        self.0.draw()
    }
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

/// Addresses whose requests failed authentication, each with the time at which its failures are
/// forgotten: one failure is forgotten every `interval`.
#[derive(Debug)]
pub(super) struct Failures {
    interval: Duration,
    tolerance: Duration,
    forgotten: Mutex<HashMap<IpAddr, Instant>>,
}

impl Failures {
    pub(super) fn new(limit: RateLimit) -> Self {
        let interval = Duration::from_secs(1) / limit.per_second.max(1);
        let tolerance = interval.saturating_mul(limit.burst);
        Self {
            interval,
            tolerance,
            forgotten: Mutex::default(),
        }
    }

    /// How long `address` is held off, if it is.
    pub(super) fn held_off(&self, address: IpAddr) -> Option<Duration> {
        let forgotten = *self.lock().get(&network(address))?;
        let ahead = forgotten.saturating_duration_since(Instant::now());
        ahead
            .checked_sub(self.tolerance)
            .filter(|wait| !wait.is_zero())
    }

    /// Notes a failure.
    pub(super) fn note(&self, address: IpAddr) {
        let now = Instant::now();
        let mut held = self.lock();
        if held.len() >= ADDRESSES {
            held.retain(|_, forgotten| *forgotten > now);
        }
        if held.len() < ADDRESSES {
            let forgotten = held.entry(network(address)).or_insert(now);
            // Held off is held off: more failures make it no longer.
            let furthest = now + self.tolerance + self.interval;
            *forgotten = (now.max(*forgotten) + self.interval).min(furthest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.forgotten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// One customer's network: the /64 of IPv6, within which addresses cost nothing.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let bits = u128::from(six) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(bits))
        }
        four @ IpAddr::V4(_) => four,
    }
}

/// The bytes of bodies that all requests may hold together.
#[derive(Debug, Clone)]
pub(super) struct Budget(Arc<Semaphore>);

/// There is no memory left for it: 503.
#[derive(Debug)]
pub(super) struct Exhausted;

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    /// A request's share, to grow with what it holds. Given back when dropped.
    pub(super) fn claim(&self) -> Result<Claim, Exhausted> {
        let held = take(&self.0, LEAST)?;
        Ok(Claim {
            budget: Arc::clone(&self.0),
            held,
        })
    }
}

fn take(budget: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Exhausted> {
    let bytes = u32::try_from(bytes).map_err(|_| Exhausted)?;
    Arc::clone(budget)
        .try_acquire_many_owned(bytes)
        .map_err(|_| Exhausted)
}

/// What one request holds of the budget.
#[derive(Debug)]
pub(super) struct Claim {
    budget: Arc<Semaphore>,
    held: OwnedSemaphorePermit,
}

impl Claim {
    /// Claims `bytes` more.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.held.merge(take(&self.budget, bytes)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit {
        per_second: 2,
        burst: 3,
    };

    #[tokio::test(start_paused = true)]
    async fn a_rate_lets_its_burst_in_and_says_when_the_next_may_come() {
        let rate = Rate::new(LIMIT);
        assert!((0..3).all(|_| rate.draw().is_ok()));
        let wait = rate.draw().unwrap_err();
        assert!(
            wait <= Duration::from_millis(500) && wait > Duration::ZERO,
            "{wait:?}"
        );
        tokio::time::advance(wait).await;
        assert!(rate.draw().is_ok() && rate.draw().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_keeps_failing_is_held_off_and_others_are_not() {
        let failures = Failures::new(LIMIT);
        let (bad, good) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        for _ in 0..100 {
            failures.note(bad);
        }
        assert!(
            failures
                .held_off(bad)
                .is_some_and(|wait| wait <= Duration::from_millis(500))
        );
        assert!(failures.held_off(good).is_none());
        tokio::time::advance(Duration::from_millis(501)).await;
        assert!(failures.held_off(bad).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_addresses_are_remembered_than_there_is_room_for_g8() {
        let failures = Failures::new(LIMIT);
        let four = |number: u32| IpAddr::V4(number.into());
        (0..20_000).for_each(|number| failures.note(four(number)));
        assert_eq!(failures.lock().len(), ADDRESSES);
        tokio::time::advance(Duration::from_secs(1)).await;
        failures.note(four(30_000));
        assert_eq!(failures.lock().len(), 1);
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let six = |text: &str| network(text.parse().unwrap());
        assert_eq!(six("2001:db8:1:2::1"), six("2001:db8:1:2:ffff::9"));
        assert_ne!(six("2001:db8:1:2::1"), six("2001:db8:1:3::1"));
        assert_eq!(six("::ffff:192.0.2.1"), six("192.0.2.1"));
    }

    #[test]
    fn a_claim_holds_its_share_until_it_is_dropped_g8() {
        let budget = Budget::new(LEAST * 2);
        let mut claim = budget.claim().unwrap();
        assert!(claim.grow(LEAST + 1).is_err());
        assert!(claim.grow(LEAST).is_ok() && budget.claim().is_err());
        drop(claim);
        assert!(budget.claim().is_ok());
    }
}
