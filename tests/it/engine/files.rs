//! What happens when logs, stores and sources fail or are slow.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use goldwire::event::{SourceRecord, Subject};
use goldwire::log::{Log, LogAppender as _, MemoryLog};
use goldwire::runtime::tell::LogTell;
use goldwire::sink::{Mode, Tell as _};
use goldwire::source::{InboxSource, Room, Source as _, SourceEvent};
use goldwire::store::{MemoryStore, Store};
use prost::Message as _;
use serde_json::json;

use super::delivery::{busy, person_at, rejected};
use super::flaky::{FlakyLog, QUOTA};
use super::rig::{Rig, at};
use super::scripted::Scripted;
use super::tenant::person;

const ROOM: Room = Room {
    records: 100,
    bytes: 1 << 20,
};

const A: &str = "entities/a";

#[tokio::test(start_paused = true)]
async fn a_read_of_the_log_that_fails_is_repeated() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    rig.pass(1000).await;
    rig.flaky_log.failing_reads.store(5, Ordering::Relaxed);
    person_at(&rig, A, 1);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v1");
}

#[tokio::test(start_paused = true)]
async fn g3_a_commit_that_fails_is_repeated_at_the_next_tick_and_not_before() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    rig.pass(1000).await;
    rig.flaky_store.broken.store(true, Ordering::Relaxed);
    for subject in 0..1500 {
        person_at(&rig, &format!("entities/{subject}"), 1);
    }
    rig.pass(2000).await;
    let failed = rig.flaky_store.failed.load(Ordering::Relaxed);
    assert!((5..=25).contains(&failed), "{failed} commits in 2 s");
    assert_eq!(running.status.borrow().position, 0);
    rig.flaky_store.broken.store(false, Ordering::Relaxed);
    rig.caught_up(&running).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_a_while_ends_no_task() {
    let rig = Rig::new();
    // At the first commit, where registers are read, and where a record tried alone is noted.
    rig.flaky_store.broken.store(true, Ordering::Relaxed);
    let running = rig.latest("crm");
    rig.pass(5000).await;
    rig.flaky_store.broken.store(false, Ordering::Relaxed);
    rig.pass(10_000).await;
    rig.flaky_store.failing_gets.store(5, Ordering::Relaxed);
    person_at(&rig, A, 1);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v1");

    let mut running = running;
    running.sink.answers(|_| Some(Err(busy())));
    person_at(&rig, A, 2);
    for _ in 0..5 {
        rig.pass(20).await;
        running = rig.restart(running, false).await;
    }
    rig.flaky_store.failing_gets.store(7, Ordering::Relaxed);
    running.sink.answers(|_| None);
    rig.pass(500).await;
    rig.flaky_store.broken.store(true, Ordering::Relaxed);
    rig.pass(60_000).await;
    rig.flaky_store.broken.store(false, Ordering::Relaxed);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v2");
    assert!(
        rig.letters("crm").is_empty(),
        "a failing disk is no record's fault"
    );
}

#[tokio::test(start_paused = true)]
async fn g6_a_full_log_stops_intake_and_no_sink_that_has_to_tell_another_lane() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    rig.flaky_log.used.store(QUOTA, Ordering::Relaxed);
    person_at(&rig, A, 1);
    rig.pass(60_000).await;
    assert_eq!(rig.log.range(0).end, 0, "intake stalls");
    let tell = LogTell {
        log: Arc::clone(&rig.flaky_log) as Arc<dyn Log>,
        sink: "crm".to_owned(),
        clock: Arc::clone(&rig.clock),
    };
    let lane = Subject::new("t", A);
    tell.tell(&lane, 1, &[]).await.unwrap();
    assert_eq!(rig.log.range(0).end, 1);
    rig.flaky_log.used.store(QUOTA / 2, Ordering::Relaxed);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v1");
}

/// The store has no quota: who sends only what becomes dead letters must not fill the disk.
#[tokio::test(start_paused = true)]
async fn g8_dead_letters_leave_the_disk_its_reserve_and_are_written_when_there_is_room() {
    let rig = Rig::new();
    rig.flaky_log.disk_full.store(true, Ordering::Relaxed);
    for number in 0..50 {
        rig.send_record(HashMap::new(), format!("garbage {number}").into_bytes());
    }
    rig.pass(60_000).await;
    assert_eq!(rig.letters("").len(), 0);
    rig.flaky_log.disk_full.store(false, Ordering::Relaxed);
    rig.pass(10_000).await;
    assert_eq!(rig.letters("").len(), 50);
}

#[tokio::test(start_paused = true)]
async fn g2_g8_a_sinks_letters_wait_for_the_disk_and_not_for_the_logs_quota() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    let log = Arc::clone(&rig.flaky_log);
    running.sink.answers(move |_| {
        log.disk_full.store(true, Ordering::Relaxed);
        Some(Err(rejected()))
    });
    person_at(&rig, A, 1);
    rig.pass(60_000).await;
    assert_eq!(rig.letters("crm").len(), 0);
    rig.flaky_log.used.store(QUOTA, Ordering::Relaxed);
    rig.flaky_log.disk_full.store(false, Ordering::Relaxed);
    rig.pass(10_000).await;
    assert_eq!(rig.letters("crm").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn g8_a_read_of_the_inbox_that_hangs_is_not_begun_again_in_every_round() {
    let inbox = Arc::new(FlakyLog::new());
    let record = SourceRecord::default().encode_to_vec();
    inbox.append(0, vec![record.into()]).await.unwrap();
    inbox.hanging.store(true, Ordering::Relaxed);
    let log: Arc<dyn Log> = Arc::<FlakyLog>::clone(&inbox);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let mut source = InboxSource::new(log, store, "app.inbox").unwrap();
    source.next(ROOM).await;
    for room in [ROOM, Room::NONE, ROOM, ROOM] {
        let next = tokio::time::timeout(Duration::from_secs(1), source.next(room)).await;
        assert!(next.is_err(), "{next:?}");
    }
    assert_eq!(inbox.reads.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn g2_the_inbox_does_not_go_on_after_what_it_cannot_read() {
    let inbox = Arc::new(MemoryLog::new(1));
    let good = SourceRecord::default().encode_to_vec();
    let records: Vec<Bytes> = vec![vec![0xff, 0xff].into(), good.into()];
    inbox.append(0, records).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let mut source = InboxSource::new(inbox, store, "app.inbox").unwrap();
    let assigned = source.next(ROOM).await;
    assert!(matches!(assigned, SourceEvent::Assigned { .. }));
    assert!(matches!(source.next(ROOM).await, SourceEvent::Halted(_)));
    let next = tokio::time::timeout(Duration::from_mins(1), source.next(ROOM)).await;
    assert!(next.is_err(), "{next:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_goes_on_while_a_source_takes_a_position() {
    let rig = Rig::committing(Duration::from_secs(10));
    let running = rig.latest("crm");
    rig.tenant.lives(A, &person(A, "Read"));
    let hint = json!({ "type": "ENTITY_CHANGED" });
    person_at(&rig, "entities/b", 1);
    rig.send("ENTITY_CHANGED", A, at(1, 0), &hint);
    rig.pass(6000).await;
    assert_eq!(running.sink.holds(A).unwrap(), "Read");
}

#[tokio::test(start_paused = true)]
async fn g4_a_stop_before_what_is_suspect_was_read_leaves_it_suspect() {
    let rig = Rig::new();
    let longest = Duration::from_mins(10);
    let running = rig.sink(Scripted::new("crm", Mode::Latest, Some(longest)));
    running.sink.answers(|_| Some(Err(busy())));
    person_at(&rig, A, 1);
    rig.pass(200).await;
    let running = rig.restart(running, false).await;
    running.sink.answers(|_| None);
    let running = rig.restart(running, true).await;
    rig.pass(5000).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v1");
    running.sink.lands(A, "what the dead process had sent");
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v1");
}
