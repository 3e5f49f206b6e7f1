//! From encoded records to the event log.
//!
//! Guarantee (G1): this returns when all of them are durable, however long that takes. A full log
//! stalls intake here (G6, G8), and is told once for all that wait.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::backoff::Backoff;
use crate::log::{LogAppender, LogError};
use crate::telemetry::{Episode, InTrouble, Past};

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Whether the log takes what one source brings.
#[derive(Debug)]
pub(super) struct Stall {
    source: Arc<str>,
    episode: Episode,
}

impl Stall {
    pub(super) fn new(source: &str) -> Self {
        Self {
            source: source.into(),
            episode: Episode::new(),
        }
    }

    fn begins(&self, why: &LogError, records: usize) -> InTrouble<'_> {
        let source = &*self.source;
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        self.episode.enter_together(records, || {
            tracing::warn!(source, "intake stalls: {why}");
        })
    }

    fn ends(&self, stalled: InTrouble<'_>) {
        let source = &*self.source;
        stalled.over(|Past { records, lasted }| {
            let seconds = lasted.as_secs_f64();
            tracing::info!(source, seconds, records, "intake goes on");
        });
    }
}

/// Appends `records` to one partition, in order: as many at once as fit, and the next when the log
/// has room again.
pub(super) async fn append(
    log: &dyn LogAppender,
    stall: &Stall,
    partition: u16,
    mut records: Vec<Bytes>,
) {
    let mut stalled: Option<(InTrouble<'_>, Backoff)> = None;
    let mut part = records.len();
    while !records.is_empty() {
        let next: Vec<Bytes> = records.iter().take(part).cloned().collect();
        let count = next.len();
        match log.append(partition, next).await {
            Ok(_) => {
                records.drain(..count);
                part = part.saturating_mul(2);
                if let Some((_, backoff)) = &mut stalled {
                    backoff.reset();
                }
            }
            Err(LogError::Closed) => std::future::pending().await,
            Err(LogError::Full { .. } | LogError::DiskFull { .. }) if count > 1 => {
                part = count / 2;
            }
            Err(error) => {
                let (_, backoff) = stalled.get_or_insert_with(|| {
                    let what = format!("{}/{partition}", stall.source);
                    let backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, &what);
                    (stall.begins(&error, records.len()), backoff)
                });
                backoff.wait().await;
            }
        }
    }
    if let Some((stalled, _)) = stalled {
        stall.ends(stalled);
    }
}
