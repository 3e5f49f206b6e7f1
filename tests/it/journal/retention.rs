//! Quota, floor and keep time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use goldwire::log::journal::{Journal, JournalDeps, JournalSettings};
use goldwire::log::{Log as _, LogAppender as _, LogError, OffsetRange, Retention as _};
use goldwire::time::{Clock, Millis};

use super::{fill, kilobyte, length, open, read_on, segments, settings};

#[derive(Debug, Default)]
struct ByHand(AtomicI64);

impl Clock for ByHand {
    fn now(&self) -> Millis {
        self.0.load(Ordering::SeqCst)
    }
}

const KEEP: Duration = Duration::from_secs(1);

fn keeping(dir: &std::path::Path, quota: u64) -> (Arc<ByHand>, Journal) {
    let clock = Arc::new(ByHand::default());
    let settings = JournalSettings {
        keep: KEEP,
        quota,
        ..settings(dir, 1)
    };
    let deps = JournalDeps {
        clock: Arc::<ByHand>::clone(&clock),
        ..JournalDeps::default()
    };
    (clock, Journal::open_with(settings, deps).unwrap())
}

#[tokio::test]
async fn g8_at_the_quota_appends_are_refused_and_a_trim_gives_the_disk_back() {
    let dir = tempfile::tempdir().unwrap();
    let log = Journal::open(JournalSettings {
        quota: 20 << 10,
        ..settings(dir.path(), 1)
    })
    .unwrap();
    let mut stored = 0;
    let full = loop {
        match log.append(0, vec![kilobyte(stored)]).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(full, LogError::Full { used, quota: 20_480 } if used <= 20_480),
        "{full}"
    );
    log.trim(&[0]).await.unwrap();
    assert!(matches!(
        log.append(0, vec![kilobyte(0)]).await,
        Err(LogError::Full { .. })
    ));
    assert_eq!(read_on(&log, 0, 0).await.unwrap().len() as u64, stored);
    log.trim(&[stored]).await.unwrap();
    let on_disk: u64 = segments(dir.path(), 0)
        .iter()
        .map(|file| length(file))
        .sum();
    assert_eq!((log.usage(), on_disk), ((52, 20_480), 52));
    fill(&log, 10).await;
}

#[tokio::test]
async fn a_trimmed_log_opens_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), 1);
    fill(&log, 12).await;
    log.trim(&[7]).await.unwrap();
    let range = log.range(0);
    assert!(range.start > 0 && range.start <= 7 && range.end == 12);
    drop(log);
    let log = open(dir.path(), 1);
    assert_eq!(log.range(0), range);
    log.trim(&[u64::MAX]).await.unwrap();
    drop(log);
    let log = open(dir.path(), 1);
    assert_eq!(log.range(0), OffsetRange { start: 12, end: 12 });
    fill(&log, 1).await;
}

#[tokio::test]
async fn what_every_reader_has_passed_is_kept_for_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, log) = keeping(dir.path(), 1 << 20);
    fill(&log, 4).await;
    clock.0.store(500, Ordering::SeqCst);
    fill(&log, 8).await;
    clock.0.store(999, Ordering::SeqCst);
    log.trim(&[12]).await.unwrap();
    assert_eq!(log.range(0).start, 0);
    clock.0.store(1000, Ordering::SeqCst);
    log.trim(&[12]).await.unwrap();
    // The segment that holds records of both times goes by its last.
    assert_eq!(log.range(0).start, 3);
    drop(log);
    let (clock, log) = keeping(dir.path(), 1 << 20);
    clock.0.store(1499, Ordering::SeqCst);
    log.trim(&[12]).await.unwrap();
    assert_eq!(
        log.range(0).start,
        3,
        "times of appends are known after a reopen"
    );
    clock.0.store(1500, Ordering::SeqCst);
    log.trim(&[12]).await.unwrap();
    assert_eq!(log.range(0).start, 12);
}

#[tokio::test]
async fn above_four_fifths_of_the_quota_the_keep_time_gives_way_and_the_floor_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let (_clock, log) = keeping(dir.path(), 20 << 10);
    fill(&log, 17).await;
    log.trim(&[8]).await.unwrap();
    let start = log.range(0).start;
    assert!(start > 0 && start <= 8, "{start}");
    assert!(log.usage().0 <= (20 << 10) / 5 * 4, "{:?}", log.usage());
    let usage = log.usage();
    log.trim(&[8]).await.unwrap();
    assert_eq!(log.usage(), usage, "with room again, the keep time holds");
}

#[tokio::test]
async fn a_read_below_a_trim_says_so_and_a_floor_that_is_missing_holds_everything() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), 2);
    fill(&log, 8).await;
    log.trim(&[]).await.unwrap();
    assert_eq!(log.range(0), OffsetRange { start: 0, end: 8 });
    log.trim(&[8, 0]).await.unwrap();
    let refused = log.read(0, 2, super::ALL).await.unwrap_err();
    assert!(
        matches!(
            refused,
            LogError::OutOfRange {
                asked: 2,
                start: 8,
                ..
            }
        ),
        "{refused}"
    );
}
