//! Readers that are behind what is kept in memory.

use bytes::Bytes;
use goldwire::log::{Log as _, LogAppender as _, LogError, LogRecord, ReadLimit};

use super::{flip, kilobyte, open, segments};

/// A log that was opened again, so that nothing is in memory: frames of `frame` kilobytes each.
async fn reopened(
    dir: &std::path::Path,
    frames: u64,
    frame: u64,
) -> goldwire::log::journal::Journal {
    let log = open(dir, 1);
    for number in 0..frames {
        let records = (number * frame..(number + 1) * frame).map(kilobyte);
        log.append(0, records.collect()).await.unwrap();
    }
    drop(log);
    open(dir, 1)
}

fn limit(records: usize) -> ReadLimit {
    ReadLimit {
        records,
        bytes: usize::MAX,
    }
}

fn offsets(read: &[LogRecord]) -> Vec<u64> {
    read.iter().map(|record| record.offset).collect()
}

#[tokio::test]
async fn readers_at_different_places_with_small_reads_get_every_record_once_and_in_order() {
    const RECORDS: u64 = 60;
    let dir = tempfile::tempdir().unwrap();
    let log = reopened(dir.path(), RECORDS / 3, 3).await;
    assert!(segments(dir.path(), 0).len() > 5);
    // More of them than the log keeps places for, and two at the same place.
    let mut next = [0, 0, 1, 7, 20, 31, 59];
    while next.iter().any(|next| *next < RECORDS) {
        for (reader, next) in next.iter_mut().enumerate() {
            let read = log.read(0, *next, limit(1 + reader % 4)).await.unwrap();
            for record in read {
                assert_eq!((record.offset, &record.bytes), (*next, &kilobyte(*next)));
                *next += 1;
            }
        }
    }
}

#[tokio::test]
async fn a_frame_is_read_once_however_many_reads_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    let log = reopened(dir.path(), 2, 9).await;
    assert_eq!(
        offsets(&log.read(0, 0, limit(4)).await.unwrap()),
        [0, 1, 2, 3]
    );
    // Not a file that anybody should read again.
    flip(&segments(dir.path(), 0)[0], 100);
    assert_eq!(
        offsets(&log.read(0, 4, limit(4)).await.unwrap()),
        [4, 5, 6, 7]
    );
    assert_eq!(offsets(&log.read(0, 8, limit(4)).await.unwrap()), [8]);
    let elsewhere = log.read(0, 2, limit(4)).await;
    assert!(
        matches!(elsewhere, Err(LogError::Damaged { .. })),
        "{elsewhere:?}"
    );
}

#[tokio::test]
async fn records_of_a_frame_are_parts_of_one_read() {
    let dir = tempfile::tempdir().unwrap();
    let log = reopened(dir.path(), 1, 3).await;
    let read = log.read(0, 0, limit(3)).await.unwrap();
    let place = |bytes: &Bytes| bytes.as_ptr().addr();
    let places: Vec<usize> = read.iter().map(|record| place(&record.bytes)).collect();
    // Each has its length before it, in four bytes.
    assert_eq!([places[1] - places[0], places[2] - places[1]], [1028, 1028]);
}

#[tokio::test]
async fn a_reader_that_waits_at_the_end_of_what_it_read_from_disk_sees_what_is_appended() {
    let dir = tempfile::tempdir().unwrap();
    let log = reopened(dir.path(), 1, 2).await;
    assert_eq!(offsets(&log.read(0, 0, limit(9)).await.unwrap()), [0, 1]);
    let large = Bytes::from(vec![7; 9 << 20]);
    for offset in 2..4 {
        // Too large for what is kept in memory.
        log.append(0, vec![large.clone()]).await.unwrap();
        let read = log.read(0, offset, limit(9)).await.unwrap();
        assert_eq!((offsets(&read), &read[0].bytes), (vec![offset], &large));
    }
}
