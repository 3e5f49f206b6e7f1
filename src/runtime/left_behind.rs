//! Asks about what a lost task left behind.
//!
//! Guarantee (G4): each subject is asked about after the loss was heard of, and once more after
//! everything late has landed at the target. The asks are records of the event log, addressed to the
//! sink, so that whoever has the partition then asserts the newest state again.

use std::time::Duration;

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use super::tell::LogTell;
use crate::backoff::Backoff;
use crate::engine::LeftBehind;
use crate::event::Subject;
use crate::sink::Tell as _;

/// Appended at the same time.
const TOGETHER: usize = 100;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Asks about each of them, twice. At a stop the second time comes early, which is better than never.
pub(super) async fn ask(
    tell: &LogTell,
    partition: u16,
    left: &LeftBehind,
    stop: &CancellationToken,
) {
    let subjects = left.subjects.len();
    tracing::warn!(
        sink = tell.sink,
        partition,
        subjects,
        "what was sent and not committed is asked about once more"
    );
    append(tell, &left.subjects, stop).await;
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(left.wait) => {}
    }
    append(tell, &left.subjects, stop).await;
}

/// Until all are durable. At a stop each is tried once.
async fn append(tell: &LogTell, subjects: &[Subject], stop: &CancellationToken) {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, &tell.sink);
    let mut left = subjects;
    while let Some((first, _)) = left.split_first() {
        // One at first: a log that is away is told once a try.
        if tell.tell(first, 0, &[]).await.is_err() {
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
        let told = some
            .iter()
            .skip(1)
            .map(|subject| tell.tell(subject, 0, &[]));
        if join_all(told).await.iter().all(Result::is_ok) {
            left = rest;
        }
    }
}
