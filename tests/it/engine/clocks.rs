//! A host whose clock is not Reltio's: it costs time, and no truth.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::rig::{Rig, at, unversioned};
use super::tenant::person;
use goldwire::time::Millis;

const A: &str = "entities/a";
/// How far the host's clock is off.
const OFF: Millis = 600_000;

#[tokio::test(start_paused = true)]
async fn g4_a_host_ahead_of_reltio_takes_no_answer_from_before_the_change() {
    for ahead in [2500, OFF] {
        let rig = Rig::new();
        rig.tenant.is_ahead(-ahead);
        let running = rig.latest("crm");
        rig.tenant.lives(A, &person(A, "Old"));
        rig.pass(20_000).await;
        let newest = person(A, "New");
        rig.tenant.lives(A, &newest);
        // Hydrated, and a copy of the same change that the fence calls a duplicate.
        let body = json!({ "type": "ENTITY_CHANGED" });
        rig.send("ENTITY_CHANGED", A, at(2, 20_000 - ahead), &body);
        rig.caught_up(&running).await;
        rig.changed(at(2, 20_000 - ahead), &newest);
        rig.caught_up(&running).await;
        assert_eq!(running.sink.holds(A).unwrap(), "New", "hydrated");

        rig.pass(60_000).await;
        let asked = person(A, "Newer");
        rig.tenant.lives(A, &asked);
        let now = rig.clock.now() - super::rig::START;
        rig.changed(unversioned(now - ahead), &asked);
        rig.caught_up(&running).await;
        assert_eq!(running.sink.holds(A).unwrap(), "Newer", "asked");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_ahead_of_reltio_does_not_wait_until_reltio_s_clock_has_come_so_far() {
    let rig = Rig::new();
    rig.tenant.is_ahead(-OFF);
    let running = rig.latest("crm");
    rig.tenant.lives(A, &person(A, "Ann"));
    // No commit time: what is known is the arrival, by the host's clock. Then one from 2099.
    let body = json!({ "type": "ENTITY_CHANGED" });
    for clocks in [super::rig::Clock::default(), at(9, 2_000_000_000_000)] {
        let started = rig.clock.now();
        rig.send("ENTITY_CHANGED", A, clocks, &body);
        rig.caught_up(&running).await;
        let waited = rig.clock.now() - started;
        assert!(waited < 20_000, "{waited} ms");
    }
    assert_eq!(running.sink.holds(A).unwrap(), "Ann");
}

#[tokio::test(start_paused = true)]
async fn g4_a_host_behind_reltio_never_lowers_the_guard() {
    let rig = Rig::new();
    rig.tenant.is_ahead(OFF);
    let running = rig.latest("crm");
    let (guard, refused) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
    let (seen, counted) = (Arc::clone(&guard), Arc::clone(&refused));
    running.sink.answers(move |delivery| {
        let value = delivery.current.as_ref()?.content_time;
        let mut guard = seen.lock().unwrap();
        *counted.lock().unwrap() += u32::from(value < *guard);
        *guard = value.max(*guard);
        None
    });
    rig.tenant.lives(A, &person(A, "Read"));
    rig.pass(10_000).await;
    let started = rig.clock.now();
    rig.changed(unversioned(OFF), &person(A, "Read"));
    rig.caught_up(&running).await;
    for version in 1..4 {
        rig.pass(20_000).await;
        let now = rig.clock.now() - super::rig::START;
        let name = format!("v{version}");
        rig.changed(at(version, now + OFF), &person(A, &name));
        rig.caught_up(&running).await;
        assert_eq!(running.sink.holds(A).unwrap(), name);
    }
    assert_eq!(*refused.lock().unwrap(), 0, "a refusal is taken for stale");
    assert_eq!(rig.tenant.reads(), 1);
    assert!(
        rig.clock.now() - started < 120_000,
        "nothing waits for the host"
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_behind_reltio_reads_again_without_waiting_for_its_own_clock() {
    let rig = Rig::new();
    rig.tenant.is_ahead(OFF);
    let running = rig.latest("crm");
    rig.tenant.lives(A, &person(A, "Ann"));
    for _ in 0..3 {
        let started = rig.clock.now();
        rig.changed(unversioned(OFF), &person(A, "Ann"));
        rig.caught_up(&running).await;
        let waited = rig.clock.now() - started;
        assert!(waited < 20_000, "{waited} ms");
    }
    assert_eq!(rig.tenant.reads(), 3);
}
