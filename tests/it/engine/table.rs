//! What stalled, was blamed or came out wrong in the first engine, and must not again.

use std::time::Duration;

use goldwire::event::proto::Register;
use goldwire::event::{EventRecord, Subject};
use goldwire::sink::{Mode, SinkError};
use goldwire::store::keys;
use prost::Message as _;

use super::delivery::{person_at, rejected};
use super::rig::{Rig, START, at};
use super::scripted::Scripted;
use super::tenant::person;

const A: &str = "entities/a";

/// A golden record that changes every two seconds, and an answer that is lost every ten minutes:
/// the position follows, and what is in flight stays within its bound.
#[tokio::test(start_paused = true)]
async fn g8_a_subject_that_is_hot_for_two_hours_does_not_hold_the_position() {
    let rig = Rig::new();
    let longest = Duration::from_mins(11);
    let running = rig.sink(Scripted::new("crm", Mode::Latest, Some(longest)));
    let mut writes = 0_u32;
    running.sink.answers(move |_| {
        writes += 1;
        writes.is_multiple_of(300).then(|| {
            Err(SinkError::Retryable {
                code: "timeout".to_owned(),
                ambiguous: true,
                outage: false,
            })
        })
    });
    for version in 1..=3600 {
        let object = person(A, &format!("v{version}"));
        rig.tenant.lives(A, &object);
        rig.changed(at(version, version * 2000), &object);
        rig.pass(2000).await;
        let status = running.status.borrow().clone();
        assert!(status.in_flight <= 100, "{status:?}");
        let behind = u64::try_from(version).unwrap() - status.position;
        assert!(behind < 50, "change {version}: {status:?}");
    }
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v3600");
}

/// What was in flight at each death is tried alone, and nothing else waits for that longer than
/// its own writes take.
#[tokio::test(start_paused = true)]
async fn four_kills_under_load_cost_no_more_than_what_was_in_flight() {
    const RECORDS: u32 = 10_000;
    let rig = Rig::new();
    let mut running = rig.latest("crm");
    running.sink.takes(Duration::from_millis(5));
    for subject in 0..RECORDS {
        person_at(&rig, &format!("entities/{subject}"), 1);
    }
    for _ in 0..4 {
        rig.pass(150).await;
        running = rig.restart(running, false).await;
    }
    let began = rig.clock.now();
    rig.caught_up(&running).await;
    // A hundred at once take half a second for all; a hundred alone as long for each death.
    let took = rig.clock.now() - began;
    assert!(took < 3000, "{took} ms");
    assert!(rig.letters("crm").is_empty());
    assert_eq!(running.sink.holds("entities/9999").unwrap(), "v1");
}

/// The log's order is not the order of arrival: a redriven record stands behind what came after it.
#[tokio::test(start_paused = true)]
async fn without_reltios_api_an_old_record_without_clocks_is_stale_when_it_is_redriven() {
    let mut rig = Rig::new();
    rig.has_api = false;
    let running = rig.latest("crm");
    running.sink.answers(|write| {
        let old = write.record.as_ref()?.received_time() == START + 1000;
        old.then(|| Err(rejected()))
    });
    let record = |name: &str, received_time: i64, round: u32| {
        let object = person(A, name);
        let mut record = EventRecord {
            id: format!("{received_time}"),
            tenant: "acme".to_owned(),
            subject: A.to_owned(),
            received_time,
            round,
            payload: object.to_string().into_bytes().into(),
            ..EventRecord::default()
        };
        record.set_kind(goldwire::event::Kind::Changed);
        record.set_state(goldwire::event::State::Alive);
        record.set_content(goldwire::event::Content::Object);
        vec![record.encode_to_vec().into()]
    };
    rig.log
        .append(0, record("old", START + 1000, 0))
        .await
        .unwrap();
    rig.caught_up(&running).await;
    rig.log
        .append(0, record("new", START + 2000, 0))
        .await
        .unwrap();
    rig.caught_up(&running).await;
    running.sink.answers(|_| None);
    rig.log
        .append(0, record("old", START + 1000, 1))
        .await
        .unwrap();
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "new");
}

/// Reltio tells changes of entities that lost a merge.
#[tokio::test(start_paused = true)]
async fn g9_a_loser_that_is_told_as_changed_stays_a_loser() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    person_at(&rig, A, 1);
    rig.caught_up(&running).await;
    let survivor = person("entities/w", "Survivor");
    rig.tenant.absorbed(A, &survivor);
    let lost = serde_json::json!({ "type": "ENTITY_LOST_MERGE", "uri": A });
    rig.send("ENTITY_LOST_MERGE", A, at(2, 20_000), &lost);
    rig.caught_up(&running).await;
    rig.changed(at(3, 40_000), &person(A, "an echo"));
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "absorbed by entities/w");
}

/// Ways that are not ordered among each other bring a change before the creation that it follows.
#[tokio::test(start_paused = true)]
async fn g9_without_an_api_a_life_after_a_removal_ends_in_one_state_in_whatever_order_it_comes() {
    let names = [
        "ENTITY_CREATED",
        "ENTITY_REMOVED",
        "ENTITY_CREATED",
        "ENTITY_CHANGED",
    ];
    for order in orders(vec![1, 2, 3, 4]) {
        for mode in [Mode::Latest, Mode::History] {
            let mut rig = Rig::new();
            rig.has_api = false;
            let mut running = rig.sink(Scripted::new("crm", mode, None));
            for version in &order {
                let name = names[*version - 1];
                let object = match name {
                    "ENTITY_REMOVED" => serde_json::json!({ "uri": A }),
                    _ => person(A, &format!("v{version}")),
                };
                let body = serde_json::json!({ "type": name, "object": object });
                let version = i64::try_from(*version).unwrap();
                rig.send(name, A, at(version, version * 60_000), &body);
                rig.caught_up(&running).await;
                running = rig.restart(running, true).await;
            }
            rig.caught_up(&running).await;
            assert_eq!(running.sink.holds(A).unwrap(), "v4", "{order:?} {mode:?}");
            assert!(rig.letters("crm").is_empty(), "{order:?} {mode:?}");
        }
    }
}

/// GDPR: also where the erasure is older than the death that is known.
#[tokio::test(start_paused = true)]
async fn without_an_api_nothing_is_kept_of_what_is_erased() {
    for erased in [2, 5] {
        let mut rig = Rig::new();
        rig.has_api = false;
        let running = rig.latest("crm");
        let uri = serde_json::json!({ "object": { "uri": A } });
        rig.send("ENTITY_REMOVED", A, at(3, 180_000), &uri);
        rig.changed(at(4, 240_000), &person(A, "an echo"));
        rig.caught_up(&running).await;
        let kept = || {
            let key = keys::register("crm", 0, &Subject::new("acme", A));
            let bytes = rig.store.get(&key).unwrap().unwrap();
            Register::decode(bytes.as_slice()).unwrap().early
        };
        assert!(!kept().is_empty(), "until its creation comes");
        rig.send("ENTITY_REMOVED_GDPR", A, at(erased, erased * 60_000), &uri);
        rig.caught_up(&running).await;
        assert!(kept().is_empty(), "{erased}");
        rig.changed(at(6, 360_000), &person(A, "another echo"));
        rig.caught_up(&running).await;
        let known = if erased == 5 { "erased" } else { "removed" };
        assert_eq!(running.sink.holds(A).unwrap(), known);
        // Where the later death is known, nothing tells any more that it was erased before.
        assert_eq!(kept().is_empty(), erased == 5, "{erased}");
    }
}

fn orders(of: Vec<usize>) -> Vec<Vec<usize>> {
    if of.len() < 2 {
        return vec![of];
    }
    let mut all = Vec::new();
    for (place, first) in of.iter().enumerate() {
        let mut rest = of.clone();
        rest.remove(place);
        for mut order in orders(rest) {
            order.insert(0, *first);
            all.push(order);
        }
    }
    all
}
