//! What every log does.

use bytes::Bytes;
use futures::future::join_all;
use futures::poll;
use goldwire::log::{Log, LogError, MemoryLog, OffsetRange, ReadLimit};

use super::{ALL, open, read_on, record};

/// A log in memory, one on disk, and the latter's directory.
fn logs(partitions: u16) -> (tempfile::TempDir, [Box<dyn Log>; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), partitions);
    (
        dir,
        [Box::new(MemoryLog::new(partitions)), Box::new(journal)],
    )
}

fn five() -> Vec<Bytes> {
    ["a", "", "ccc", "dddd", "eeeee"].map(record).to_vec()
}

#[tokio::test]
async fn what_is_appended_is_read_in_order_from_any_offset() {
    let (_dir, logs) = logs(2);
    for log in logs {
        assert_eq!(log.append(0, five()).await.unwrap(), 0);
        assert_eq!(log.append(0, five()).await.unwrap(), 5);
        assert_eq!(log.append(1, vec![record("x")]).await.unwrap(), 0);
        assert_eq!(log.append(0, Vec::new()).await.unwrap(), 10);
        for from in 0..=10_u64 {
            let read = read_on(log.as_ref(), 0, from).await.unwrap();
            let offsets: Vec<u64> = read.iter().map(|record| record.offset).collect();
            assert_eq!(offsets, (from..10).collect::<Vec<_>>());
            for read in read {
                assert_eq!(
                    read.bytes,
                    five()[usize::try_from(read.offset % 5).unwrap()]
                );
            }
        }
        assert_eq!(log.range(0), OffsetRange { start: 0, end: 10 });
        assert_eq!(log.range(1), OffsetRange { start: 0, end: 1 });
    }
}

#[tokio::test]
async fn a_read_keeps_its_limits_and_returns_at_least_one_record() {
    let (_dir, logs) = logs(1);
    for log in logs {
        log.append(0, ["a", "bb", "ccc", "dddd", "eeeee"].map(record).to_vec())
            .await
            .unwrap();
        for (records, bytes, expected) in [
            (2, 100, 2),
            (100, 6, 3),
            (100, 5, 2),
            (100, 0, 1),
            (100, 10, 4),
            (1, 0, 1),
        ] {
            let read = log.read(0, 0, ReadLimit { records, bytes }).await.unwrap();
            assert_eq!(
                read.len(),
                expected,
                "{records} records, {bytes} bytes of {log:?}"
            );
        }
        let read = log
            .read(
                0,
                4,
                ReadLimit {
                    records: 9,
                    bytes: 1,
                },
            )
            .await
            .unwrap();
        assert_eq!(read.len(), 1, "a record above the limit is still read");
    }
}

#[tokio::test]
async fn positions_outside_the_log_are_refused_and_never_reset() {
    let (_dir, logs) = logs(1);
    for log in logs {
        log.append(0, five()).await.unwrap();
        assert!(log.read(0, 5, ALL).await.unwrap().is_empty());
        let refused = log.read(0, 6, ALL).await.unwrap_err();
        assert!(
            matches!(
                refused,
                LogError::OutOfRange {
                    partition: 0,
                    asked: 6,
                    start: 0,
                    end: 5
                }
            ),
            "{refused}"
        );
        assert!(matches!(
            log.read(1, 0, ALL).await,
            Err(LogError::Refused(_))
        ));
        assert!(matches!(
            log.append(1, five()).await,
            Err(LogError::Refused(_))
        ));
    }
}

#[tokio::test]
async fn waiting_ends_with_the_next_record_and_may_be_given_up() {
    let (_dir, logs) = logs(2);
    for log in logs {
        log.append(0, five()).await.unwrap();
        log.wait(0, 4).await;
        drop(log.wait(0, 5));
        let mut waiting = log.wait(0, 5);
        assert!(poll!(&mut waiting).is_pending());
        log.append(1, five()).await.unwrap();
        assert!(poll!(&mut waiting).is_pending());
        log.append(0, five()).await.unwrap();
        waiting.await;
    }
}

#[tokio::test]
async fn appends_at_the_same_time_do_not_mix() {
    const CALLERS: usize = 50;
    let (_dir, logs) = logs(1);
    for log in logs {
        let batch = |caller: usize| (0..3).map(move |at| record(&format!("{caller}/{at}")));
        let appends = (0..CALLERS).map(|caller| log.append(0, batch(caller).collect()));
        let firsts = join_all(appends).await;
        assert_eq!(log.range(0).end, 150);
        for (caller, first) in firsts.into_iter().enumerate() {
            let read = log
                .read(0, first.unwrap(), ReadLimit { records: 3, ..ALL })
                .await
                .unwrap();
            let texts: Vec<Bytes> = read.into_iter().map(|record| record.bytes).collect();
            assert_eq!(texts, batch(caller).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn a_trim_takes_nothing_at_or_above_the_floor() {
    let (_dir, logs) = logs(2);
    for log in logs {
        for _ in 0..4 {
            log.append(0, five()).await.unwrap();
            log.append(1, five()).await.unwrap();
        }
        log.trim(&[7, 0]).await.unwrap();
        assert!(log.range(0).start <= 7);
        assert_eq!(read_on(log.as_ref(), 0, 7).await.unwrap().len(), 13);
        assert_eq!(log.range(1), OffsetRange { start: 0, end: 20 });
        log.trim(&[u64::MAX, 0]).await.unwrap();
        assert_eq!(log.range(0), OffsetRange { start: 20, end: 20 });
        let below = log.read(0, 19, ALL).await.unwrap_err();
        assert!(
            matches!(below, LogError::OutOfRange { start: 20, .. }),
            "{below}"
        );
        assert_eq!(log.append(0, five()).await.unwrap(), 20);
    }
}
