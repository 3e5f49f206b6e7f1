//! Asks about what a lost task left behind.
//!
//! Guarantee (G4): each subject is asked about after the loss was heard of, by a record of the event
//! log that is addressed to the sink. Whoever has the partition then asserts the newest state, and once
//! more after everything late has landed at the target: that is in its durable set, so that this
//! process may end.

use std::time::Duration;

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use super::tell::LogTell;
use crate::backoff::Backoff;
use crate::event::Subject;

/// Appended at the same time.
const TOGETHER: usize = 100;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Asks about each of `left`.
pub(super) async fn ask(
    tell: &LogTell,
    partition: u16,
    left: &[Subject],
    stop: &CancellationToken,
) {
    if left.is_empty() {
        return;
    }
    let subjects = left.len();
    tracing::warn!(
        sink = tell.sink,
        partition,
        subjects,
        "what was sent and not committed is asked about once more"
    );
    append(tell, left, stop).await;
}

/// Until all are durable. At a stop each is tried once.
async fn append(tell: &LogTell, subjects: &[Subject], stop: &CancellationToken) {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, &tell.sink);
    let mut left = subjects;
    while let Some((first, _)) = left.split_first() {
        // One at first: a log that is away is told once a try.
        if tell.tell_late(first).await.is_err() {
            if stop.is_cancelled() {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(backoff.next()) => {}
            }
            continue;
        }
        let (some, rest) = left.split_at(left.len().min(TOGETHER));
        let told = some.iter().skip(1).map(|subject| tell.tell_late(subject));
        if join_all(told).await.iter().all(Result::is_ok) {
            left = rest;
        }
    }
}
