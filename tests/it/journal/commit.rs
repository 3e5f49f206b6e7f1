//! Group commit: one fsync for those who wait together, and nothing before it.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use futures::{FutureExt as _, poll};
use goldwire::log::journal::{Journal, JournalDeps, JournalSettings};
use goldwire::log::{Log as _, LogAppender as _, OffsetRange};
use tokio::sync::mpsc::UnboundedReceiver;

use super::{ALL, kilobyte, open, read_on, record, settings};

/// A disk whose every fsync says that it came, and waits for leave.
struct Stalled {
    arrived: UnboundedReceiver<()>,
    leave: mpsc::Sender<()>,
}

impl Stalled {
    fn new() -> (Self, JournalDeps) {
        let (arrive, arrived) = tokio::sync::mpsc::unbounded_channel();
        let (leave, may_leave) = mpsc::channel();
        let may_leave = Mutex::new(may_leave);
        let before_sync = Arc::new(move || {
            // A test that has ended holds no one.
            arrive.send(()).ok();
            may_leave.lock().unwrap().recv().ok();
            Ok(())
        });
        (
            Self { arrived, leave },
            JournalDeps {
                before_sync,
                ..JournalDeps::default()
            },
        )
    }
}

#[tokio::test]
async fn g1_nothing_is_acknowledged_or_read_before_its_fsync() {
    let dir = tempfile::tempdir().unwrap();
    let (mut disk, deps) = Stalled::new();
    let log = Journal::open_with(settings(dir.path(), 1), deps).unwrap();
    let mut append = log.append(0, vec![record("a")]);
    assert!(poll!(&mut append).is_pending());
    disk.arrived.recv().await.unwrap();
    assert!(poll!(&mut append).is_pending());
    assert_eq!(log.range(0), OffsetRange { start: 0, end: 0 });
    assert!(log.read(0, 0, ALL).await.unwrap().is_empty());
    assert!(log.wait(0, 0).now_or_never().is_none());
    disk.leave.send(()).unwrap();
    assert_eq!(append.await.unwrap(), 0);
    assert_eq!(log.read(0, 0, ALL).await.unwrap()[0].bytes, "a");
}

#[tokio::test]
async fn appends_that_wait_together_share_an_fsync() {
    let dir = tempfile::tempdir().unwrap();
    let (mut disk, deps) = Stalled::new();
    let log = Journal::open_with(settings(dir.path(), 2), deps).unwrap();
    let mut first = log.append(0, vec![record("first")]);
    assert!(poll!(&mut first).is_pending());
    disk.arrived.recv().await.unwrap();
    let mut others = join_all((0..100).map(|_| log.append(0, vec![record("other")])));
    assert!(poll!(&mut others).is_pending());
    let mut elsewhere = log.append(1, vec![record("elsewhere")]);
    assert!(poll!(&mut elsewhere).is_pending());
    for _ in 0..3 {
        disk.leave.send(()).unwrap();
    }
    first.await.unwrap();
    assert!(others.await.iter().all(Result::is_ok));
    elsewhere.await.unwrap();
    assert_eq!(
        log.syncs(),
        3,
        "the first, the hundred, and the other partition"
    );
    assert_eq!(read_on(&log, 0, 0).await.unwrap().len(), 101);
}

/// Partitions of a source come one by one: each had a round of fsyncs of its own.
#[tokio::test]
async fn appends_that_come_soon_after_a_round_share_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let gathering = JournalSettings {
        gather: Duration::from_hours(1),
        ..settings(dir.path(), 2)
    };
    let log = Journal::open(gathering).unwrap();
    let first = log.append(0, vec![record("an idle log does not wait")]);
    first.await.unwrap();
    assert_eq!(log.syncs(), 1);
    let mut small = join_all((0..6).map(|number| log.append(number % 2, vec![kilobyte(7)])));
    assert!(poll!(&mut small).is_pending());
    // A round that is full waits for no one.
    let full = vec![Bytes::from(vec![b'x'; 5 << 20])];
    log.append(0, full).await.unwrap();
    assert!(small.await.iter().all(Result::is_ok));
    assert_eq!(log.syncs(), 3, "one more for each partition");
    let mut last = log.append(1, vec![record("still waits as the log ends")]);
    assert!(poll!(&mut last).is_pending());
    drop(last);
    drop(log);
}

/// A disk whose fsyncs take long was once waited for as often as a round has partitions.
#[tokio::test]
async fn all_partitions_of_a_round_are_fsynced_at_the_same_time() {
    const PARTITIONS: u16 = 8;
    let dir = tempfile::tempdir().unwrap();
    let (mut disk, deps) = Stalled::new();
    let log = Journal::open_with(settings(dir.path(), PARTITIONS), deps).unwrap();
    let mut first = log.append(0, vec![record("first")]);
    assert!(poll!(&mut first).is_pending());
    disk.arrived.recv().await.unwrap();
    let append = |partition| log.append(partition, vec![record("one of a round")]);
    let mut round = join_all((0..PARTITIONS).map(append));
    assert!(poll!(&mut round).is_pending());
    disk.leave.send(()).unwrap();
    first.await.unwrap();
    for number in 0..PARTITIONS {
        // Only a test that fails waits so long.
        let arrived = tokio::time::timeout(Duration::from_secs(20), disk.arrived.recv()).await;
        assert_eq!(arrived, Ok(Some(())), "{number} came, and nobody has left");
    }
    assert!(poll!(&mut round).is_pending());
    drop(disk.leave);
    assert!(round.await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_caller_that_gives_up_breaks_nothing_and_leaves_nothing_queued() {
    let dir = tempfile::tempdir().unwrap();
    let (mut disk, deps) = Stalled::new();
    let log = Journal::open_with(settings(dir.path(), 1), deps).unwrap();
    let mut written = log.append(0, vec![record("written, and given up")]);
    assert!(poll!(&mut written).is_pending());
    disk.arrived.recv().await.unwrap();
    drop(written);
    let mut queued = log.append(0, vec![record("queued, and given up")]);
    assert!(poll!(&mut queued).is_pending());
    drop(queued);
    let mut last = log.append(0, vec![record("last")]);
    assert!(poll!(&mut last).is_pending());
    disk.leave.send(()).unwrap();
    disk.leave.send(()).unwrap();
    assert_eq!(
        last.await.unwrap(),
        1,
        "what was queued and given up was left out"
    );
    assert_eq!(log.read(0, 1, ALL).await.unwrap()[0].bytes, "last");
}

#[tokio::test]
async fn g8_what_waits_for_a_stalled_disk_is_bounded() {
    const CALLERS: usize = 100;
    let dir = tempfile::tempdir().unwrap();
    let (mut disk, deps) = Stalled::new();
    let log = Journal::open_with(settings(dir.path(), 1), deps).unwrap();
    let body = bytes::Bytes::from(vec![7; 1 << 20]);
    let mut appends: Vec<_> = (0..CALLERS)
        .map(|_| Box::pin(log.append(0, vec![body.clone()])))
        .collect();
    for append in &mut appends {
        assert!(poll!(append).is_pending());
    }
    disk.arrived.recv().await.unwrap();
    // Those behind the bound have handed over nothing, and find their turn as others end.
    let (mut last, rest) = (appends.pop().unwrap(), appends.split_off(1));
    drop(rest);
    assert!(poll!(&mut last).is_pending());
    drop(disk.leave);
    last.await.unwrap();
    appends.pop().unwrap().await.unwrap();
    assert!(
        log.range(0).end < 10,
        "given up appends were stored: {:?}",
        log.range(0)
    );
}

#[tokio::test]
async fn a_dropped_journal_can_be_opened_at_once_with_all_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), 1);
    let appends = join_all((0..20).map(|_| log.append(0, vec![record("accepted")]))).await;
    assert!(appends.iter().all(Result::is_ok));
    drop(log);
    let log = open(dir.path(), 1);
    assert_eq!(read_on(&log, 0, 0).await.unwrap().len(), 20);
}
