//! A look-up takes time: lanes that end meanwhile know registers that were not looked up.

use std::sync::atomic::Ordering;
use std::time::Duration;

use goldwire::sink::Mode;
use serde_json::json;

use super::delivery::person_at;
use super::rig::{Rig, at};
use super::scripted::Scripted;
use super::tenant::person;

const A: &str = "entities/a";

#[tokio::test(start_paused = true)]
async fn g4_the_register_of_a_lane_that_went_during_a_lookup_is_not_lost() {
    let mut rig = Rig::new();
    rig.has_api = false;
    let running = rig.sink(Scripted::new("warehouse", Mode::History, None));
    person_at(&rig, A, 5);
    rig.caught_up(&running).await;

    running.sink.takes(Duration::from_millis(500));
    // The write of a row leaves no new register behind, and its lane is gone before the look-up ends.
    person_at(&rig, A, 2);
    rig.pass(200).await;
    rig.slow_lookups.store(2000, Ordering::Relaxed);
    person_at(&rig, A, 1);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.rows().len(), 3);
    assert_eq!(running.sink.holds(A).unwrap(), "v5");
    assert_eq!(running.sink.deliveries(A), 1, "an older state was written");
}

#[tokio::test(start_paused = true)]
async fn g9_a_change_kept_for_its_creation_survives_a_lane_that_went_during_a_lookup() {
    let mut rig = Rig::new();
    rig.has_api = false;
    let running = rig.sink(Scripted::new("warehouse", Mode::History, None));
    let removed = json!({ "type": "ENTITY_REMOVED", "uri": A });
    rig.send("ENTITY_REMOVED", A, at(17, 170_000), &removed);
    person_at(&rig, A, 19);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "removed");

    running.sink.takes(Duration::from_millis(500));
    person_at(&rig, A, 3);
    rig.pass(200).await;
    rig.slow_lookups.store(2000, Ordering::Relaxed);
    let created = json!({ "type": "ENTITY_CREATED", "object": person(A, "v18") });
    rig.send("ENTITY_CREATED", A, at(18, 180_000), &created);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v19");
}
