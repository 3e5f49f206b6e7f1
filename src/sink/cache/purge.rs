//! Erased content leaves the files, too.
//!
//! Guarantee: `purge_after` an erasure, or as soon as the process runs after that, the table's files
//! are rewritten. It is tried again until it is done, through restarts too.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::place::Place;
use crate::store::StoreError;
use crate::time::{SharedClock, as_millis};

/// How often it is asked whether something is due.
const RHYTHM: Duration = Duration::from_secs(30);

/// Opens the table, and rewrites its files when that is due, without end.
pub(super) async fn run(name: String, place: Arc<Place>, clock: SharedClock, after: Duration) {
    let mut rhythm = tokio::time::interval(RHYTHM);
    rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rhythm.tick().await;
        let (at, clock) = (Arc::clone(&place), Arc::clone(&clock));
        let asked = tokio::task::spawn_blocking(move || purge_if_due(&at, &clock, after));
        match asked.await {
            Ok(Ok(true)) => tracing::info!(
                sink = name,
                "the cache's files were rewritten; nothing of what was erased before is in them"
            ),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::warn!(sink = name, "the cache: {error}"),
            Err(_) => tracing::error!(sink = name, "the cache's files were not looked after"),
        }
    }
}

/// Whether the files had to be rewritten.
pub(super) fn purge_if_due(
    place: &Place,
    clock: &SharedClock,
    after: Duration,
) -> Result<bool, StoreError> {
    let opened = place.open()?;
    let now = clock.now();
    let since = opened.table.erased_since()?;
    let due = since.is_some_and(|since| now.saturating_sub(since) >= as_millis(after));
    if due {
        opened.purge(now)?;
    }
    Ok(due)
}
