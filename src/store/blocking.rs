//! Calls of the store that wait for the disk, off the runtime's threads.

use std::sync::Arc;
use std::time::Duration;

use super::{Store, StoreError};
use crate::backoff::Backoff;

/// A store that failed is asked again after this; doubled up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Runs a store call that waits for the disk off the runtime's threads.
pub(crate) async fn store_blocking<T: Send + 'static>(
    store: &Arc<dyn Store>,
    call: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    if !store.blocks() {
        return call(store.as_ref());
    }
    let store = Arc::clone(store);
    match tokio::task::spawn_blocking(move || call(store.as_ref())).await {
        Ok(result) => result,
        Err(failed) => Err(StoreError::Io(format!(
            "the store's call did not end: {failed}"
        ))),
    }
}

/// Asks until there is an answer. A disk that fails for a while ends nothing; what a restart would
/// not mend does.
pub(crate) async fn patiently<T, F: Future<Output = Result<T, StoreError>>>(
    mut ask: impl FnMut() -> F,
) -> Result<T, StoreError> {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, "store");
    let mut told = false;
    loop {
        match ask().await {
            Err(error @ (StoreError::Io(_) | StoreError::Away(_))) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::error!("{error}; will be tried again");
                }
            }
            answer => return answer,
        }
        backoff.wait().await;
    }
}

/// As [`store_blocking`], and as [`patiently`].
pub(crate) async fn store_patiently<T: Send + 'static>(
    store: &Arc<dyn Store>,
    call: impl Fn(&dyn Store) -> Result<T, StoreError> + Send + Sync + 'static,
) -> Result<T, StoreError> {
    let call = Arc::new(call);
    patiently(|| {
        let call = Arc::clone(&call);
        store_blocking(store, move |store| call(store))
    })
    .await
}
