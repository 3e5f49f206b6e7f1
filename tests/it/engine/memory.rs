//! G8: what records become is counted, not only what they came as.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use goldwire::sink::{Mode, SinkError};
use serde_json::json;

use super::delivery::unreachable;
use super::flaky::QUOTA;
use super::rig::{Rig, at, unversioned};
use super::scripted::Scripted;
use super::tenant::person;

/// Bytes of one answer, of which the rig's bound lets twenty in.
const LARGE: usize = 50_000;
/// Answers that may be held: twenty, and those that were on their way.
const HELD: u64 = 30;

fn uri(subject: usize) -> String {
    format!("entities/{subject}")
}

/// So many subjects, each of which Reltio shows as something large.
fn tenant(rig: &Rig, subjects: usize) {
    let name = "x".repeat(LARGE);
    for subject in 0..subjects {
        rig.tenant
            .lives(&uri(subject), &person(&uri(subject), &name));
    }
}

#[tokio::test(start_paused = true)]
async fn g8_what_is_read_for_records_that_wait_for_the_log_is_bounded() {
    let rig = Rig::new();
    tenant(&rig, 200);
    rig.flaky_log.used.store(QUOTA, Ordering::Relaxed);
    for subject in 0..200 {
        let hint = json!({ "type": "ENTITY_CHANGED" });
        rig.send("ENTITY_CHANGED", &uri(subject), at(1, 0), &hint);
    }
    rig.pass(60_000).await;
    assert!((1..=HELD).contains(&rig.tenant.reads()));
    rig.flaky_log.used.store(0, Ordering::Relaxed);
    let running = rig.latest("crm");
    rig.caught_up(&running).await;
    assert!((0..200).all(|subject| running.sink.holds(&uri(subject)).is_some()));
}

#[tokio::test(start_paused = true)]
async fn g8_answers_to_asks_that_wait_for_a_sink_are_bounded() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    running
        .sink
        .answers(move |_| is_down.load(Ordering::Relaxed).then(|| Err(unreachable())));
    tenant(&rig, 200);
    for subject in 0..200 {
        rig.changed(unversioned(0), &person(&uri(subject), "small"));
    }
    rig.pass(60_000).await;
    assert!((1..=HELD).contains(&rig.tenant.reads()));
    down.store(false, Ordering::Relaxed);
    rig.caught_up(&running).await;
    assert!((0..200).all(|subject| running.sink.holds(&uri(subject)).unwrap().len() == LARGE));
}

#[tokio::test(start_paused = true)]
async fn g8_what_is_kept_to_be_asserted_once_more_is_bounded_in_bytes() {
    let rig = Rig::new();
    let wait = Duration::from_mins(2);
    let running = rig.sink(Scripted::new("crm", Mode::Latest, Some(wait)));
    // The first try of each subject ends without an answer.
    let tried = Mutex::new(std::collections::BTreeSet::new());
    running.sink.answers(move |delivery| {
        let first = tried.lock().unwrap().insert(delivery.subject.clone());
        first.then(|| {
            Err(SinkError::Retryable {
                code: "timeout".to_owned(),
                ambiguous: true,
                outage: false,
            })
        })
    });
    let name = "x".repeat(LARGE);
    for subject in 0..500 {
        rig.tenant
            .lives(&uri(subject), &person(&uri(subject), &name));
        rig.changed(at(1, 0), &person(&uri(subject), &name));
    }
    let mut most = 0;
    for _ in 0..1000 {
        rig.pass(50).await;
        most = most.max(running.status.borrow().reassertions);
    }
    assert_eq!(most, 500, "no subject holds back another");
    assert_eq!(running.status.borrow().position, 500);
    rig.caught_up(&running).await;
    // Ten keep a MiB; what the others are is read when it is due.
    let reads = rig.tenant.reads();
    assert!((480..500).contains(&reads), "{reads}");
    assert!((0..500).all(|subject| running.sink.holds(&uri(subject)).is_some()));
}
