//! Entities that have ended: an end date that has passed, in Reltio's words a soft delete.

use serde_json::{Value, json};

use super::rig::{Rig, START, at};
use super::scripted::Scripted;
use super::tenant::person;
use goldwire::event::{Activity, Subject, SubjectState};
use goldwire::sink::Mode;
use goldwire::store::keys;

const A: &str = "entities/a";

fn ended(name: &str) -> Value {
    let mut object = person(A, name);
    object["endDate"] = json!(START - 1000);
    object
}

/// What the sink was given last.
fn activity(running: &super::rig::Running) -> Activity {
    let state = running.sink.last(A).current.unwrap().state;
    let SubjectState::Alive(object) = state else {
        panic!("{state:?}");
    };
    object.activity()
}

/// A source that tells some fields alone does not tell the end date.
#[tokio::test(start_paused = true)]
async fn g9_what_has_ended_does_not_come_back_by_a_snapshot_without_its_end_date() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    rig.changed(at(1, 0), &person(A, "Ana"));
    rig.caught_up(&running).await;
    rig.tenant.lives(A, &ended("Ana"));
    rig.changed(at(2, 10_000), &ended("Ana"));
    rig.caught_up(&running).await;
    assert!(activity(&running).is_ended(START));
    rig.pass(60_000).await;

    rig.tenant.lives(A, &ended("Anna"));
    rig.told("first", at(3, 70_000), &person(A, "Anna"));
    rig.caught_up(&running).await;
    assert!(rig.tenant.reads() > 0);
    assert_eq!(running.sink.holds(A).unwrap(), "Anna");
    assert!(activity(&running).is_ended(START));
}

#[tokio::test(start_paused = true)]
async fn g9_what_has_ended_is_active_again_when_reltio_says_so() {
    for has_api in [true, false] {
        let mut rig = Rig::new();
        rig.has_api = has_api;
        let running = rig.latest("crm");
        rig.changed(at(1, 0), &ended("Ana"));
        rig.caught_up(&running).await;
        rig.pass(60_000).await;

        rig.tenant.lives(A, &person(A, "Ana"));
        rig.changed(at(2, 70_000), &person(A, "Ana"));
        rig.caught_up(&running).await;
        assert!(activity(&running).is_active(START), "{has_api}");
        assert_eq!(rig.tenant.reads() > 0, has_api);
    }
}

/// No one sends an event when a date passes.
#[tokio::test(start_paused = true)]
async fn g9_a_date_that_lies_ahead_is_kept_with_the_register() {
    let rig = Rig::new();
    let mut sink = Scripted::new("crm", Mode::Latest, None);
    sink.capabilities.dated = true;
    let running = rig.sink(sink);
    let mut object = person(A, "Ana");
    object["startDate"] = json!(START - 1000);
    object["endDate"] = json!(START + 60_000);
    rig.changed(at(1, 0), &object);
    rig.caught_up(&running).await;
    let dates = || rig.store.scan(&keys::dates_of("crm", 0), None, 10).unwrap();
    let subject = Subject::new("acme", A);
    let due = keys::date("crm", 0, START + 60_001, &subject);
    assert_eq!(dates(), [(due, Vec::new())]);
    // Written again after it has passed, nothing lies ahead.
    rig.pass(120_000).await;
    rig.changed(at(2, 120_000), &object);
    rig.caught_up(&running).await;
    assert_eq!(dates().len(), 1);
}

/// The change that follows it may be one that did not hold the end date.
#[tokio::test(start_paused = true)]
async fn g9_an_end_that_comes_late_is_asked() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    rig.tenant.lives(A, &ended("Anna"));
    rig.told("first", at(2, 20_000), &person(A, "Anna"));
    rig.caught_up(&running).await;
    rig.changed(at(1, 10_000), &ended("Ana"));
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "Anna");
    assert!(activity(&running).is_ended(START));
}
