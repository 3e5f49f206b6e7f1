//! A rate of requests.
//!
//! Guarantee: no more than the quota passes, by tokio's time, which a host's clock does not move and
//! which a test can pause. Where instances share a quota, each passes its portion of it, and a
//! portion that changed begins with nothing saved up.

mod portion;

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

pub use portion::Portion;

/// One that has no portion asks again after this.
const AGAIN: Duration = Duration::from_millis(100);

/// Tokio's time since this was made.
#[derive(Debug, Clone, Copy)]
struct TokioTime(Instant);

impl Clock for TokioTime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioTime, NoOpMiddleware<Duration>>;

/// Lets requests through at a rate.
#[derive(Debug)]
pub struct Pace {
    quota: Quota,
    portion: Portion,
    clock: TokioTime,
    now: Mutex<Now>,
}

/// The rate as it is.
#[derive(Debug)]
struct Now {
    /// How often the portion had changed when this was made.
    changes: u32,
    /// Nothing without a portion.
    limiter: Option<Limiter>,
}

impl Pace {
    /// The rate of `quota`, of which nothing is used.
    pub fn new(quota: Quota) -> Self {
        Self::shared(quota, Portion::whole())
    }

    /// The `portion` of the rate of `quota`, whatever it is at the time.
    pub fn shared(quota: Quota, portion: Portion) -> Self {
        let clock = TokioTime(Instant::now());
        let whole = Now {
            changes: 0,
            limiter: Some(RateLimiter::direct_with_clock(quota, clock)),
        };
        Self {
            quota,
            portion,
            clock,
            now: Mutex::new(whole),
        }
    }

    /// Lets one through, or says how long to wait.
    pub fn draw(&self) -> Result<(), Duration> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let (changes, part) = self.portion.now();
        if changes != now.changes {
            let limiter = self.limiter(part);
            *now = Now { changes, limiter };
        }
        let Some(limiter) = &now.limiter else {
            return Err(AGAIN);
        };
        let early = limiter.check();
        early.map_err(|early| early.wait_time_from(self.clock.now()))
    }

    /// A part of the quota, with nothing saved up: another instance may just have used it.
    fn limiter(&self, part: f64) -> Option<Limiter> {
        let interval = self
            .quota
            .replenish_interval()
            .div_f64(part.max(f64::EPSILON));
        let quota = Quota::with_period(interval).filter(|_| part > 0.0)?;
        let burst = scaled(self.quota.burst_size(), part);
        let limiter = RateLimiter::direct_with_clock(quota.allow_burst(burst), self.clock);
        // The whole burst fits, and nothing of it is used: neither error can be.
        limiter.check_n(burst).ok()?.ok()?;
        Some(limiter)
    }

    /// Waits until one may pass.
    pub async fn ready(&self) {
        while let Err(wait) = self.draw() {
            tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
        }
    }
}

/// The part of a number, 1 at least.
fn scaled(number: NonZeroU32, part: f64) -> NonZeroU32 {
    let whole = Duration::from_secs(number.get().into());
    let scaled = u32::try_from(whole.mul_f64(part.clamp(0.0, 1.0)).as_secs());
    let scaled = scaled.ok().and_then(NonZeroU32::new);
    scaled.unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITIONS: u16 = 12;

    /// Instances that draw whenever they may.
    struct Fleet {
        portions: Vec<Portion>,
        paces: Vec<Pace>,
        passed: Vec<Vec<Duration>>,
        begun: Instant,
    }

    impl Fleet {
        fn of(per_second: u32, owned: &[u16]) -> Self {
            let portions: Vec<Portion> = owned.iter().map(|_| Portion::whole()).collect();
            for (portion, owned) in portions.iter().zip(owned) {
                portion.set(*owned, PARTITIONS);
            }
            let quota = Quota::per_second(NonZeroU32::new(per_second).unwrap());
            let shared = portions.iter().map(|of| Pace::shared(quota, of.clone()));
            Self {
                paces: shared.collect(),
                passed: owned.iter().map(|_| Vec::new()).collect(),
                portions,
                begun: Instant::now(),
            }
        }

        /// Lets `seconds` pass, in steps of ten milliseconds.
        async fn go(&mut self, seconds: u64) {
            for _ in 0..seconds * 100 {
                tokio::time::advance(Duration::from_millis(10)).await;
                for (pace, passed) in self.paces.iter().zip(&mut self.passed) {
                    while pace.draw().is_ok() {
                        passed.push(self.begun.elapsed());
                    }
                }
            }
        }

        fn counts(&mut self) -> Vec<usize> {
            self.passed
                .iter_mut()
                .map(|passed| std::mem::take(passed).len())
                .collect()
        }

        /// The most that all of them passed in any second.
        fn most(&self) -> usize {
            let mut all: Vec<Duration> = self.passed.concat();
            all.sort_unstable();
            let second = Duration::from_secs(1);
            let within = |from: &Duration| {
                let until = |at: &&Duration| (*from..*from + second).contains(*at);
                all.iter().filter(until).count()
            };
            all.iter().map(within).max().unwrap_or_default()
        }
    }

    fn is_about(counts: &[usize], expected: &[usize]) {
        for (count, expected) in counts.iter().zip(expected) {
            let close = count.abs_diff(*expected) <= 2 + expected / 50;
            assert!(close, "{counts:?}, not {expected:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_instance_has_all_of_it_and_a_second_s_worth_at_once() {
        let pace = Pace::new(Quota::per_second(NonZeroU32::new(10).unwrap()));
        let begun = Instant::now();
        for _ in 0..30 {
            pace.ready().await;
        }
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(1990), "{took:?}");
        assert!(took < Duration::from_millis(2200), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn three_instances_pass_what_they_own_of_the_quota_through_changes_of_members() {
        let mut fleet = Fleet::of(120, &[12, 0, 0]);
        fleet.go(10).await;
        is_about(&fleet.counts(), &[1200, 0, 0]);
        // Two more join: what goes is no longer counted before it is counted elsewhere.
        fleet.portions[0].set(4, PARTITIONS);
        fleet.go(1).await;
        fleet.portions[1].set(4, PARTITIONS);
        fleet.portions[2].set(4, PARTITIONS);
        fleet.go(10).await;
        let most = fleet.most();
        assert!(most <= 124, "{most} in a second");
        is_about(&fleet.counts(), &[440, 400, 400]);
        // One is gone, and another has its part.
        fleet.portions[2].set(0, PARTITIONS);
        fleet.portions[1].set(8, PARTITIONS);
        fleet.go(10).await;
        is_about(&fleet.counts(), &[400, 800, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_members_gives_nobody_a_second_s_worth_at_once() {
        let mut fleet = Fleet::of(120, &[12, 0, 0]);
        fleet.go(5).await;
        for round in 0..40 {
            // Everything goes from one to the next, and each draws all that it may.
            for (number, portion) in (0_u16..).zip(&fleet.portions) {
                let owns = number == round % 3;
                portion.set(if owns { PARTITIONS } else { 0 }, PARTITIONS);
            }
            fleet.go(1).await;
        }
        let most = fleet.most();
        assert!(most <= 124, "{most} in a second");
    }

    #[tokio::test(start_paused = true)]
    async fn the_smallest_part_passes_one_at_a_time_and_not_less_often() {
        let mut fleet = Fleet::of(1, &[1, 1, 10]);
        fleet.go(120).await;
        is_about(&fleet.counts(), &[10, 10, 100]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_without_a_portion_waits_until_it_has_one() {
        let portion = Portion::whole();
        portion.set(0, 2);
        let quota = Quota::per_second(NonZeroU32::new(10).unwrap());
        let pace = Pace::shared(quota, portion.clone());
        let waits = tokio::time::timeout(Duration::from_mins(5), pace.ready()).await;
        assert!(waits.is_err());
        portion.set(1, 2);
        let passes = tokio::time::timeout(Duration::from_secs(1), pace.ready()).await;
        assert!(passes.is_ok());
    }
}
