//! Randomness of the waits between attempts: requests that failed together come back apart.

use std::sync::{Arc, Mutex, PoisonError};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Numbers from 0 to 1, the same for the same seed.
#[derive(Debug, Clone)]
pub(super) struct Jitter(Arc<Mutex<ChaCha8Rng>>);

impl Jitter {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(seed))))
    }

    pub(super) fn next(&self) -> f64 {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rng.random()
    }
}
