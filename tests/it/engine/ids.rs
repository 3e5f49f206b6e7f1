//! A sink without unique keys: it gets every distinct change once, and ids are kept for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use goldwire::event::{ChangeId, EventRecord, Subject};
use goldwire::sink::SinkError;
use goldwire::store::{ids, keys};
use prost::Message as _;
use serde_json::json;

use super::delivery::{busy, person_at, unreachable};
use super::rig::{Rig, Running, START, at, unversioned};
use super::scripted::Scripted;
use super::tenant::person;

const A: &str = "entities/a";
const WEEK: Duration = Duration::from_hours(168);

fn appending(rig: &Rig) -> Running {
    rig.sink(Scripted::appending("events", WEEK))
}

fn versions(running: &Running, uri: &str) -> Vec<i64> {
    let lines = running.sink.lines().into_iter();
    let of_subject = lines.filter(|(subject, ..)| subject == uri);
    of_subject.map(|(_, version, _)| version).collect()
}

fn stored(rig: &Rig) -> [usize; 2] {
    let prefixes = [keys::ids("events", 0), keys::ids_by_time("events", 0)];
    prefixes.map(|prefix| rig.store.scan(&prefix, None, 100_000).unwrap().len())
}

#[tokio::test(start_paused = true)]
async fn g5_copies_of_a_change_are_one_line_late_ones_and_after_a_restart() {
    let rig = Rig::new();
    let mut running = appending(&rig);
    for round in 0..3 {
        for version in [2, 1, 3, 1, 2] {
            person_at(&rig, A, version);
        }
        rig.caught_up(&running).await;
        running = rig.restart(running, round < 1).await;
    }
    rig.caught_up(&running).await;
    assert_eq!(versions(&running, A), [2, 1, 3]);
    assert_eq!(rig.tenant.reads(), 0, "there is nothing to ask for");
    assert_eq!(stored(&rig), [3, 3]);
}

#[tokio::test(start_paused = true)]
async fn g5_a_copy_that_waits_while_its_change_is_committed_is_known() {
    let rig = Rig::new();
    let running = appending(&rig);
    // Every copy is on the lane, and what was loaded with it is long out of date.
    let mut left = 2;
    running.sink.answers(move |_| {
        let waits = left > 0;
        left -= i32::from(waits);
        waits.then(|| {
            Err(SinkError::Throttled {
                code: "429".to_owned(),
                pause: Duration::from_secs(3),
            })
        })
    });
    for version in [1, 2, 1, 2, 1] {
        person_at(&rig, A, version);
    }
    rig.caught_up(&running).await;
    assert_eq!(versions(&running, A), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn g5_a_copy_that_comes_before_its_change_is_committed_is_known() {
    let rig = Rig::new();
    let running = appending(&rig);
    rig.pass(1000).await;
    rig.slow_commits.store(5000, Ordering::Relaxed);
    for _ in 0..3 {
        person_at(&rig, A, 1);
        rig.pass(1000).await;
        assert_eq!(stored(&rig), [0, 0]);
    }
    rig.caught_up(&running).await;
    assert_eq!(versions(&running, A), [1]);
}

#[tokio::test(start_paused = true)]
async fn g3_no_id_is_in_the_store_before_the_sink_said_so() {
    let rig = Rig::new();
    let running = appending(&rig);
    let id = ChangeId::of(&Subject::new("acme", A), 1, START + 10_000);
    let (store, tries) = (Arc::clone(&rig.store), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&tries);
    running.sink.answers(move |_| {
        let noted = ids::get(store.as_ref(), "events", 0, &id).unwrap();
        assert_eq!(noted, None, "claimed is not applied");
        (counted.fetch_add(1, Ordering::Relaxed) < 3).then(|| Err(busy()))
    });
    person_at(&rig, A, 1);
    rig.caught_up(&running).await;
    assert_eq!(tries.load(Ordering::Relaxed), 4);
    let noted = ids::get(rig.store.as_ref(), "events", 0, &id).unwrap();
    assert!(!noted.unwrap().observed);
}

#[tokio::test(start_paused = true)]
async fn g3_g5_a_crash_repeats_at_most_what_was_acknowledged_and_not_committed() {
    let uri = |subject| format!("entities/{subject}");
    let mut repeated = 0;
    for after in [0, 1, 7, 19, 60, 111, 250, 700] {
        let rig = Rig::new();
        let mut running = appending(&rig);
        rig.pass(90).await;
        for subject in 0..40 {
            person_at(&rig, &uri(subject), 1);
            person_at(&rig, &uri(subject), 2);
        }
        rig.pass(after).await;
        let (lines, [committed, _]) = (running.sink.lines().len(), stored(&rig));
        running = rig.restart(running, false).await;
        rig.caught_up(&running).await;
        let again = running.sink.lines().len() - 80;
        assert!(again <= lines - committed, "{again}, {lines}, {committed}");
        repeated += again;
        for subject in 0..40 {
            let lines = versions(&running, &uri(subject));
            assert!([1, 2].iter().all(|version| lines.contains(version)));
        }
    }
    assert!(repeated > 0, "no crash came between the two");
}

#[tokio::test(start_paused = true)]
async fn g5_a_payload_comes_after_what_was_only_read_and_nothing_after_the_payload() {
    let rig = Rig::new();
    let running = appending(&rig);
    rig.tenant.lives(A, &person(A, "Ann"));
    let hint = json!({ "type": "ENTITY_CHANGED" });
    for _ in 0..2 {
        rig.send("ENTITY_CHANGED", A, at(4, 0), &hint);
        rig.caught_up(&running).await;
    }
    let read = (A.to_owned(), 4, true);
    assert_eq!(running.sink.lines(), std::slice::from_ref(&read));
    for _ in 0..2 {
        rig.changed(at(4, 0), &person(A, "Ann"));
        rig.send("ENTITY_CHANGED", A, at(4, 0), &hint);
        rig.caught_up(&running).await;
    }
    assert_eq!(running.sink.lines(), [read, (A.to_owned(), 4, false)]);
    assert_eq!(stored(&rig), [1, 1], "the id keeps its time");
}

#[tokio::test(start_paused = true)]
async fn what_has_no_clocks_is_no_line_and_an_erasure_without_them_a_dead_letter() {
    let rig = Rig::new();
    let running = appending(&rig);
    rig.changed(unversioned(0), &person(A, "Ann"));
    let ask = EventRecord {
        id: "reconcile".to_owned(),
        tenant: "acme".to_owned(),
        subject: A.to_owned(),
        sink: "events".to_owned(),
        ask: true,
        ..EventRecord::default()
    };
    let ask = ask.encode_to_vec().into();
    rig.log.append(0, vec![ask]).await.unwrap();
    rig.caught_up(&running).await;
    assert!(rig.letters("events").is_empty());
    rig.tenant.removed(A);
    let body = json!({ "type": "ENTITY_REMOVED_GDPR", "object": { "uri": A } });
    rig.send("ENTITY_REMOVED_GDPR", A, unversioned(5000), &body);
    rig.caught_up(&running).await;
    let letters = rig.letters("events");
    assert_eq!((letters.len(), letters[0].code.as_str()), (1, "no_clocks"));
    assert!(
        letters[0]
            .detail
            .contains("neither `objectVersion` nor `commitTime`")
    );
    rig.send("ENTITY_REMOVED_GDPR", A, at(3, 6000), &body);
    rig.caught_up(&running).await;
    assert_eq!(versions(&running, A), [3]);
}

#[tokio::test(start_paused = true)]
async fn g2_an_outage_of_the_target_loses_no_line() {
    let rig = Rig::new();
    let running = appending(&rig);
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    running
        .sink
        .answers(move |_| is_down.load(Ordering::Relaxed).then(|| Err(unreachable())));
    for subject in 0..50 {
        person_at(&rig, &format!("entities/{subject}"), 1);
    }
    rig.pass(3_600_000).await;
    assert_eq!(stored(&rig), [0, 0]);
    down.store(false, Ordering::Relaxed);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.lines().len(), 50);
    assert!(rig.letters("events").is_empty());
}
