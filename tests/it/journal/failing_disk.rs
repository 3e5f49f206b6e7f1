//! A disk that is full, fails to write or fails to fsync.

use std::io::{Error, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use goldwire::log::journal::{Hook, Journal, JournalDeps, JournalSettings};
use goldwire::log::{Log as _, LogAppender as _, LogError, Retention as _};

use super::{HEADER, fill, kilobyte, length, open, read_on, record, segments, settings};

/// Failures to come, in order; after them the disk works.
#[derive(Clone, Default)]
struct Failures(Arc<Mutex<Vec<ErrorKind>>>);

impl Failures {
    fn set(&self, kinds: &[ErrorKind]) {
        *self.0.lock().unwrap() = kinds.iter().rev().copied().collect();
    }

    fn hook(&self) -> Hook {
        let failures = self.clone();
        Arc::new(move || {
            failures
                .0
                .lock()
                .unwrap()
                .pop()
                .map_or(Ok(()), |kind| Err(kind.into()))
        })
    }
}

fn failing_sync(dir: &Path) -> (Failures, Journal) {
    let failures = Failures::default();
    let deps = JournalDeps {
        before_sync: failures.hook(),
        ..JournalDeps::default()
    };
    (
        failures,
        Journal::open_with(settings(dir, 1), deps).unwrap(),
    )
}

#[tokio::test]
async fn a_full_disk_refuses_as_full_and_is_gone_on_with_when_there_is_space() {
    let dir = tempfile::tempdir().unwrap();
    let failures = Failures::default();
    let (file, fails) = (
        dir.path().join("0/00000000000000000000.log"),
        failures.hook(),
    );
    // Half a frame reaches the file before the disk says that it is full.
    let before_write: Hook = Arc::new(move || {
        fails().inspect_err(|_| {
            let mut bytes = std::fs::read(&file).unwrap();
            bytes.extend_from_slice(&[7; 500]);
            std::fs::write(&file, bytes).unwrap();
        })
    });
    let deps = JournalDeps {
        before_write,
        ..JournalDeps::default()
    };
    let log = Journal::open_with(settings(dir.path(), 1), deps).unwrap();
    fill(&log, 1).await;
    let (used, whole) = (log.usage().0, length(&segments(dir.path(), 0)[0]));
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
        failures.set(&[kind]);
        let refused = log.append(0, vec![record("x")]).await.unwrap_err();
        assert!(matches!(refused, LogError::DiskFull { .. }), "{refused}");
        assert_eq!(
            length(&segments(dir.path(), 0)[0]),
            whole,
            "what was half written is cut"
        );
    }
    failures.set(&[ErrorKind::Other]);
    assert!(matches!(
        log.append(0, vec![record("x")]).await,
        Err(LogError::Io(_))
    ));
    assert_eq!(log.usage().0, used);
    fill(&log, 2).await;
    drop(log);
    assert_eq!(read_on(&open(dir.path(), 1), 0, 0).await.unwrap().len(), 3);
}

#[tokio::test]
async fn after_a_failed_fsync_the_frame_is_cut_and_another_file_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let (failures, log) = failing_sync(dir.path());
    fill(&log, 1).await;
    let whole = length(&segments(dir.path(), 0)[0]);
    failures.set(&[ErrorKind::Other]);
    assert!(matches!(
        log.append(0, vec![record("x")]).await,
        Err(LogError::Io(_))
    ));
    assert_eq!(log.range(0).end, 1);
    fill(&log, 1).await;
    let files = segments(dir.path(), 0);
    assert_eq!(
        files.len(),
        2,
        "nothing is written to a file whose fsync failed"
    );
    assert_eq!(length(&files[0]), whole);
    drop(log);
    let log = open(dir.path(), 1);
    let read = read_on(&log, 0, 0).await.unwrap();
    assert!(
        read.iter()
            .all(|record| record.bytes == kilobyte(record.offset))
    );
    assert_eq!(read.len(), 2);
}

/// The files of a round are synced at the same time, and each has an answer of its own.
#[tokio::test]
async fn g1_a_failed_fsync_fails_the_appends_of_its_partition_alone() {
    const PARTITIONS: u16 = 4;
    let dir = tempfile::tempdir().unwrap();
    let failures = Failures::default();
    let deps = JournalDeps {
        before_sync: failures.hook(),
        ..JournalDeps::default()
    };
    let log = Journal::open_with(settings(dir.path(), PARTITIONS), deps).unwrap();
    failures.set(&[ErrorKind::Other]);
    let append = |partition| log.append(partition, vec![kilobyte(0)]);
    let answers = join_all((0..PARTITIONS).map(append)).await;
    let failed = |answer: &Result<u64, LogError>| matches!(answer, Err(LogError::Io(_)));
    assert_eq!(answers.iter().filter(|answer| failed(answer)).count(), 1);
    for (partition, answer) in (0..).zip(&answers) {
        let end = log.range(partition).end;
        assert_eq!(end == 1, answer.is_ok(), "{partition}: {answer:?}");
        assert_eq!(append(partition).await.unwrap(), end);
    }
    drop(log);
    let log = open(dir.path(), PARTITIONS);
    for (partition, answer) in (0..).zip(&answers) {
        let read = read_on(&log, partition, 0).await.unwrap();
        assert_eq!(read.len(), 1 + usize::from(answer.is_ok()), "{partition}");
    }
}

#[tokio::test]
async fn while_the_cut_fails_too_every_append_fails_and_then_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (failures, log) = failing_sync(dir.path());
    failures.set(&[ErrorKind::Other; 4]);
    for _ in 0..3 {
        assert!(matches!(
            log.append(0, vec![record("x")]).await,
            Err(LogError::Io(_))
        ));
    }
    fill(&log, 3).await;
    failures.set(&[ErrorKind::StorageFull]);
    assert!(matches!(
        log.append(0, vec![record("x")]).await,
        Err(LogError::DiskFull { .. })
    ));
    fill(&log, 3).await;
    let used: u64 = segments(dir.path(), 0)
        .iter()
        .map(|file| length(file))
        .sum();
    assert_eq!(log.usage().0, used);
    drop(log);
    let log = open(dir.path(), 1);
    assert_eq!(read_on(&log, 0, 0).await.unwrap().len(), 6);
    assert_eq!(log.usage().0, used);
}

#[tokio::test]
async fn a_roll_that_fails_halfway_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), 1);
    fill(&log, 3).await;
    // A directory in the way of the next segment's file: it can be made, but not renamed.
    let in_the_way = dir.path().join("0/00000000000000000003.log");
    std::fs::create_dir_all(in_the_way.join("x")).unwrap();
    for _ in 0..2 {
        assert!(matches!(
            log.append(0, vec![kilobyte(3)]).await,
            Err(LogError::Io(_))
        ));
    }
    assert_eq!(read_on(&log, 0, 0).await.unwrap().len(), 3);
    std::fs::remove_dir_all(&in_the_way).unwrap();
    fill(&log, 3).await;
    drop(log);
    assert_eq!(read_on(&open(dir.path(), 1), 0, 0).await.unwrap().len(), 6);
}

#[tokio::test]
async fn a_segment_that_was_begun_and_not_made_durable_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let (failures, log) = failing_sync(dir.path());
    fill(&log, 3).await;
    failures.set(&[ErrorKind::Other]);
    assert!(matches!(
        log.append(0, vec![kilobyte(3)]).await,
        Err(LogError::Io(_))
    ));
    // It would fit into the old segment, whose length the new one's header tells already.
    assert_eq!(log.append(0, vec![record("small")]).await.unwrap(), 3);
    log.trim(&[0]).await.unwrap();
    fill(&log, 3).await;
    drop(log);
    assert_eq!(read_on(&open(dir.path(), 1), 0, 0).await.unwrap().len(), 7);
}

#[tokio::test]
async fn g8_below_the_disk_reserve_appends_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let settings = JournalSettings {
        disk_reserve: u64::MAX,
        ..settings(dir.path(), 1)
    };
    let log = Journal::open(settings).unwrap();
    assert!(matches!(
        log.append(0, vec![record("x")]).await,
        Err(LogError::DiskFull { .. })
    ));
    assert_eq!(length(&segments(dir.path(), 0)[0]), HEADER);
}

#[test]
fn the_seam_passes_the_kind_of_an_error_on() {
    let failures = Failures::default();
    failures.set(&[ErrorKind::StorageFull]);
    let said = failures.hook()().map_err(|error: Error| error.kind());
    assert_eq!(
        (said, failures.hook()().is_ok()),
        (Err(ErrorKind::StorageFull), true)
    );
}
