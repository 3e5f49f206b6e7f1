//! A log that goes on without a sink (`on_full: detach`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use goldwire::engine::TaskEnd;
use goldwire::sink::{Mode, SinkError};
use goldwire::store::keys;

use super::rig::{Rig, Running, at};
use super::scripted::Scripted;
use super::tenant::person;

/// A sink that is down until it is told otherwise, and whose log goes on without it: what it has not
/// read begins below 4,500, where the log begins now.
async fn left_behind(rig: &Rig, running: &Running) -> Arc<AtomicBool> {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    running.sink.answers(move |_| {
        is_down.load(Ordering::Relaxed).then(|| {
            let code = "connect".to_owned();
            Err(SinkError::Retryable {
                code,
                ambiguous: false,
                outage: true,
            })
        })
    });
    for subject in 0..5000 {
        rig.changed(at(1, 0), &person(&uri(subject), "Ann"));
    }
    rig.pass(10_000).await;
    assert!(rig.log.range(0).end == 5000 && running.status.borrow().position == 0);
    rig.log.trim(&[4500]).await.unwrap();
    down
}

fn uri(subject: u32) -> String {
    format!("entities/{subject}")
}

#[tokio::test(start_paused = true)]
async fn g6_a_detached_sink_is_marked_as_gapped_and_goes_on_after_the_gap() {
    let rig = Rig::new();
    let running = rig.detaching(Scripted::new("lake", Mode::Latest, None));
    let down = left_behind(&rig, &running).await;
    rig.flaky_store.broken.store(true, Ordering::Relaxed);
    down.store(false, Ordering::Relaxed);
    rig.pass(30_000).await;
    rig.flaky_store.broken.store(false, Ordering::Relaxed);
    rig.caught_up(&running).await;

    let gap = rig.store.get(&keys::gap("app.lake", 0)).unwrap();
    assert_eq!(gap, Some(b"4500".to_vec()), "the group is marked");
    assert_eq!(running.status.borrow().gap, Some(4500), "and shows it");
    let held = |subject| running.sink.holds(&uri(subject)).is_some();
    assert!(held(0), "what was read before the gap is delivered");
    assert!(!held(4400), "what lay in the gap is lost, and said to be");
    assert!(held(4500) && held(4999));
}

#[tokio::test(start_paused = true)]
async fn g2_a_running_sink_whose_unread_records_were_deleted_is_halted_with_the_remedy() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    let down = left_behind(&rig, &running).await;
    down.store(false, Ordering::Relaxed);
    rig.pass(30_000).await;
    let end = running.status.borrow().end.clone();
    let Some(TaskEnd::Halted(why)) = end else {
        panic!("{end:?}")
    };
    for part in [
        "partition 0",
        "holds 4500 to 5000",
        "sinks.crm.on_full: detach",
    ] {
        assert!(why.contains(part), "{why}");
    }
}
