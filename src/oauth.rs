//! A token for all requests in flight.
//!
//! Guarantee: however many requests wait for a token, one request for it is under way, and those
//! that waited share what it came to. A token is renewed before it ends, and once when it is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::time::{Millis, SharedClock, as_millis};

/// How long before its end a token is renewed, at most; a tenth of its time if that is shorter.
const MARGIN: Duration = Duration::from_mins(1);

/// What a token endpoint gave.
#[derive(Debug)]
pub(crate) struct Granted<T> {
    pub(crate) token: T,
    /// How long it is good for; nothing if that is not told: until it is refused.
    pub(crate) lifetime: Option<Duration>,
}

/// The token of now.
#[derive(Debug)]
pub(crate) struct TokenCache<T, E> {
    clock: SharedClock,
    held: Mutex<Held<T, E>>,
    /// Requests for a token that failed.
    failures: AtomicU64,
}

#[derive(Debug)]
struct Held<T, E> {
    /// A token, and when it is renewed.
    token: Option<(Arc<T>, Millis)>,
    failure: Option<E>,
}

impl<T, E: Clone> TokenCache<T, E> {
    /// Without a token.
    pub(crate) fn new(clock: SharedClock) -> Self {
        Self {
            clock,
            held: Mutex::new(Held {
                token: None,
                failure: None,
            }),
            failures: AtomicU64::new(0),
        }
    }

    /// The token of now, by `grant` if there is none. Who waits here is served by the one request
    /// that is under way.
    ///
    /// # Errors
    /// Those of `grant`.
    pub(crate) async fn get<G>(&self, grant: impl FnOnce() -> G) -> Result<Arc<T>, E>
    where
        G: Future<Output = Result<Granted<T>, E>>,
    {
        let seen = self.failures.load(Ordering::Acquire);
        let mut held = self.held.lock().await;
        if let Some((token, renew_at)) = &held.token
            && self.clock.now() < *renew_at
        {
            return Ok(Arc::clone(token));
        }
        if let Some(error) = &held.failure
            && self.failures.load(Ordering::Acquire) != seen
        {
            return Err(error.clone());
        }
        match grant().await {
            Ok(Granted { token, lifetime }) => {
                let lasts = lifetime.map(|time| time.saturating_sub(MARGIN.min(time / 10)));
                let renew_at = lasts.map_or(Millis::MAX, |lasts| {
                    self.clock.now().saturating_add(as_millis(lasts))
                });
                let token = Arc::new(token);
                held.token = Some((Arc::clone(&token), renew_at));
                held.failure = None;
                Ok(token)
            }
            Err(error) => {
                held.failure = Some(error.clone());
                self.failures.fetch_add(1, Ordering::Release);
                Err(error)
            }
        }
    }

    /// A token other than `refused`, which the target did not take.
    ///
    /// # Errors
    /// Those of `grant`.
    pub(crate) async fn renew<G>(
        &self,
        refused: &Arc<T>,
        grant: impl FnOnce() -> G,
    ) -> Result<Arc<T>, E>
    where
        G: Future<Output = Result<Granted<T>, E>>,
    {
        {
            let mut held = self.held.lock().await;
            held.token.take_if(|(token, _)| Arc::ptr_eq(token, refused));
        }
        self.get(grant).await
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::future::join_all;

    use super::*;
    use crate::time::TokioClock;

    type Cache = TokenCache<u32, &'static str>;

    fn cache() -> Cache {
        TokenCache::new(Arc::new(TokioClock::starting_at(0)))
    }

    /// Grants numbers, each after a second.
    async fn next(asked: &Cell<u32>, lifetime: Option<u64>) -> Result<Granted<u32>, &'static str> {
        asked.set(asked.get() + 1);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (token, lifetime) = (asked.get(), lifetime.map(Duration::from_secs));
        Ok(Granted { token, lifetime })
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_and_all_who_were_refused_are_served_by_one_request() {
        let (cache, asked) = (cache(), Cell::new(0));
        let all = join_all((0..9).map(|_| cache.get(|| next(&asked, None)))).await;
        let first = all[0].clone().unwrap();
        assert!(all.iter().all(|token| **token.as_ref().unwrap() == 1));
        let again = join_all((0..9).map(|_| cache.renew(&first, || next(&asked, None)))).await;
        assert!(again.iter().all(|token| **token.as_ref().unwrap() == 2));
        assert_eq!(asked.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_a_minute_or_a_tenth_of_its_time_before_its_end() {
        for (lifetime, still, renewed) in [(3600, 3530, 20), (100, 80, 15)] {
            let (cache, asked) = (cache(), Cell::new(0));
            let mut told = Vec::new();
            for wait in [0, still, renewed] {
                tokio::time::sleep(Duration::from_secs(wait)).await;
                told.push(*cache.get(|| next(&asked, Some(lifetime))).await.unwrap());
            }
            assert_eq!(told, [1, 1, 2], "{lifetime}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_waited_share_a_failure_and_who_comes_later_asks_again() {
        let (cache, asked) = (cache(), Cell::new(0));
        let fails = || async {
            asked.set(asked.get() + 1);
            tokio::time::sleep(Duration::from_secs(1)).await;
            Err("away")
        };
        let all = join_all((0..9).map(|_| cache.get(fails))).await;
        assert!(all.iter().all(|told| *told == Err("away")));
        assert_eq!(asked.get(), 1);
        let later = cache.get(|| next(&asked, None)).await;
        assert_eq!(later.map(|token| *token), Ok(2));
    }
}
