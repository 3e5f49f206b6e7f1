//! When a dead letter is closed, and when it must not be.

use std::sync::atomic::Ordering;
use std::time::Duration;

use goldwire::event::EventRecord;
use goldwire::sink::{Mode, SinkError, Write};
use goldwire::time::Millis;
use prost::Message as _;
use serde_json::json;

use super::delivery::{person_at, rejected};
use super::rig::{Rig, START, at, untimed, unversioned};
use super::scripted::Scripted;
use super::tenant::person;

const A: &str = "entities/a";

fn version(delivery: &Write) -> Option<i64> {
    delivery.current.as_ref()?.version
}

fn versions(rig: &Rig) -> Vec<Option<i64>> {
    let letters = rig.letters("crm");
    letters.iter().map(|letter| letter.version).collect()
}

#[tokio::test(start_paused = true)]
async fn g2_a_late_older_version_closes_no_newer_letter() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    running
        .sink
        .answers(|delivery| (version(delivery) == Some(3)).then(|| Err(rejected())));
    for version in [1, 3, 2] {
        person_at(&rig, A, version);
        rig.caught_up(&running).await;
    }
    assert_eq!(running.sink.holds(A).unwrap(), "v2");
    assert_eq!(versions(&rig), [Some(3)], "v2 says nothing of v3");

    person_at(&rig, A, 4);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v4");
    assert!(rig.letters("crm").is_empty(), "superseded");
}

/// Ingest read v1 when Reltio had v3 already. It waits together with v2, which is newer by its
/// clocks: v2 is written, and what was read for v1 is not.
#[tokio::test(start_paused = true)]
async fn g2_a_stale_record_of_a_write_closes_no_letter() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    running
        .sink
        .answers(|delivery| (version(delivery) == Some(3)).then(|| Err(rejected())));
    running.sink.takes(Duration::from_secs(10));
    rig.tenant.lives(A, &person(A, "v3"));
    rig.changed(at(3, 3000), &person(A, "v3"));
    rig.changed(at(2, 2000), &person(A, "v2"));
    rig.pass(7000).await;
    let bare = json!({ "type": "ENTITY_CHANGED", "uri": A });
    rig.send("ENTITY_CHANGED", A, at(1, 1000), &bare);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v2");
    assert_eq!(rig.tenant.reads(), 1, "by ingest, for v1");
    assert_eq!(versions(&rig), [Some(3)], "v3 is nowhere else");
}

#[tokio::test(start_paused = true)]
async fn g2_a_letter_that_is_written_again_while_a_commit_closes_it_stays() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    let mut calls = 0;
    running.sink.answers(move |_| {
        calls += 1;
        (calls != 2).then(|| Err(rejected()))
    });
    let look = |received: Millis| EventRecord {
        id: "reconcile".to_owned(),
        tenant: "acme".to_owned(),
        subject: A.to_owned(),
        received_time: received,
        ask: true,
        ..EventRecord::default()
    };
    let append = async |record: EventRecord| {
        let bytes = record.encode_to_vec().into();
        rig.log.append(0, vec![bytes]).await.unwrap();
    };
    rig.tenant.lives(A, &person(A, "read"));
    append(look(START)).await;
    rig.caught_up(&running).await;
    assert_eq!(rig.letters("crm").len(), 1);
    // The commit that closes the letter lasts until the letter's copy is refused as well.
    rig.slow_commits.store(60_000, Ordering::Relaxed);
    person_at(&rig, A, 2);
    rig.pass(1000).await;
    append(look(START)).await;
    rig.pass(30_000).await;
    assert_eq!(running.status.borrow().position, 1, "under way");
    rig.caught_up(&running).await;
    assert_eq!(rig.letters("crm").len(), 1, "the copy has no other outcome");
}

#[tokio::test(start_paused = true)]
async fn g2_what_is_asserted_once_more_closes_no_newer_letter() {
    let rig = Rig::new();
    let running = rig.sink(Scripted::new(
        "crm",
        Mode::Latest,
        Some(Duration::from_mins(10)),
    ));
    let mut first = true;
    running.sink.answers(move |delivery| {
        let timeout = SinkError::Retryable {
            code: "timeout".to_owned(),
            ambiguous: true,
            outage: true,
        };
        if std::mem::take(&mut first) {
            return Some(Err(timeout));
        }
        (version(delivery) == Some(2)).then(|| Err(rejected()))
    });
    person_at(&rig, A, 1);
    rig.pass(5000).await;
    person_at(&rig, A, 2);
    rig.pass(5000).await;
    assert_eq!(versions(&rig), [Some(2)]);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v1");
    assert_eq!(versions(&rig), [Some(2)], "v2 has no other outcome");
}

#[tokio::test(start_paused = true)]
async fn g4_what_was_sent_without_an_answer_may_land_after_its_letter() {
    let rig = Rig::new();
    let longest = Duration::from_mins(10);
    let running = rig.sink(Scripted::new("crm", Mode::Latest, Some(longest)));
    running.sink.answers(|_| {
        Some(Err(SinkError::Retryable {
            code: "timeout".to_owned(),
            ambiguous: true,
            outage: false,
        }))
    });
    person_at(&rig, A, 1);
    rig.pass(120_000).await;
    assert_eq!(versions(&rig), [Some(1)]);
    assert_eq!(running.status.borrow().reassertions, 1, "it may still land");
    rig.caught_up(&running).await;
}

#[tokio::test(start_paused = true)]
async fn g2_a_letter_from_before_a_crash_is_closed_when_its_record_is_delivered() {
    for mode in [Mode::Latest, Mode::History] {
        let rig = Rig::new();
        let running = rig.sink(Scripted::new("crm", mode, None));
        running.sink.answers(|_| Some(Err(rejected())));
        rig.pass(1).await;
        person_at(&rig, A, 1);
        while rig.letters("crm").is_empty() {
            rig.pass(1).await;
        }
        assert_eq!(running.status.borrow().position, 0, "not committed yet");
        running.sink.answers(|_| None);
        let running = rig.restart(running, false).await;
        rig.caught_up(&running).await;
        assert_eq!(running.sink.holds(A).unwrap(), "v1");
        assert!(rig.letters("crm").is_empty(), "{mode:?}: it was delivered");
    }
}

#[tokio::test(start_paused = true)]
async fn g1_a_redrive_that_ended_between_its_steps_leaves_no_letter_once_delivered() {
    let rig = Rig::new();
    let running = rig.sink(Scripted::new("crm", Mode::History, None));
    running.sink.answers(|_| Some(Err(rejected())));
    person_at(&rig, A, 1);
    rig.caught_up(&running).await;
    let letter = rig.letters("crm").remove(0);
    running.sink.answers(|_| None);
    let mut record = EventRecord::decode(letter.original).unwrap();
    record.round = 1;
    record.sink = "crm".to_owned();
    let again = vec![record.encode_to_vec().into()];
    rig.log.append(0, again).await.unwrap();
    rig.caught_up(&running).await;
    assert_eq!(running.sink.rows().len(), 1);
    assert!(rig.letters("crm").is_empty());
}

#[tokio::test(start_paused = true)]
async fn g2_a_redriven_record_is_delivered_though_its_kind_is_filtered_by_now() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    running.sink.answers(|_| Some(Err(rejected())));
    person_at(&rig, A, 1);
    rig.caught_up(&running).await;
    let letter = rig.letters("crm").remove(0);
    running.sink.answers(|_| None);
    running.sink.wants_only(|_| false);
    let mut record = EventRecord::decode(letter.original).unwrap();
    record.round = 1;
    record.sink = "crm".to_owned();
    let again = vec![record.encode_to_vec().into()];
    rig.log.append(0, again).await.unwrap();
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v1");
}

#[tokio::test(start_paused = true)]
async fn an_erasure_that_is_answered_by_a_read_is_still_an_erasure() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    person_at(&rig, A, 1);
    rig.caught_up(&running).await;
    rig.pass(60_000).await;
    rig.tenant.removed(A);
    let body = json!({ "type": "ENTITY_REMOVED_GDPR", "object": { "uri": A } });
    rig.send("ENTITY_REMOVED_GDPR", A, unversioned(60_000), &body);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "erased");

    // A late copy is asked: nothing is there, and why is known.
    rig.changed(unversioned(20_000), &person(A, "Late"));
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "erased");

    let born_again = person(A, "Born again");
    rig.tenant.lives(A, &born_again);
    rig.changed(at(1, 120_000), &born_again);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "Born again");
}

/// A register has to fit into a record of the changelog, however often its subject is refused.
#[tokio::test(start_paused = true)]
async fn g8_a_register_names_the_newest_letters_only_and_the_others_stay_open() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    running.sink.answers(|delivery| {
        let is_refused = delivery.subject.uri() == A && version(delivery) < Some(301);
        is_refused.then(|| Err(rejected()))
    });
    for version in 1..=300 {
        person_at(&rig, A, version);
        rig.caught_up(&running).await;
        // A sink that rejects everything halts.
        if version % 40 == 0 {
            person_at(&rig, "entities/b", version);
            rig.caught_up(&running).await;
        }
    }
    assert_eq!(versions(&rig).len(), 300);
    person_at(&rig, A, 301);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v301");
    let mut open = versions(&rig);
    open.sort_unstable();
    let oldest: Vec<_> = (1..=44).map(Some).collect();
    assert_eq!(open, oldest, "the newest 256 are closed");
}

#[tokio::test(start_paused = true)]
async fn g2_no_arrival_says_that_a_letter_is_older() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    rig.tenant.refuses(A);
    rig.changed(untimed(3), &person(A, "v3"));
    rig.caught_up(&running).await;
    assert_eq!(versions(&rig), [Some(3)], "unreadable");
    // This host is behind: v2 was committed before v3 arrived, and after it by the clocks.
    rig.changed(at(2, 60_000), &person(A, "v2"));
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v2");
    assert_eq!(versions(&rig), [Some(3)], "v2 says nothing of v3");
}

/// Only the record that was told which of the target's records to look at looks at them.
#[tokio::test(start_paused = true)]
async fn g2_a_letter_that_names_records_of_the_target_is_closed_by_no_other_record() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    running
        .sink
        .answers(|delivery| (!delivery.targets.is_empty()).then(|| Err(rejected())));
    rig.tenant.lives(A, &person(A, "read"));
    let told = EventRecord {
        id: "reconcile".to_owned(),
        tenant: "acme".to_owned(),
        subject: A.to_owned(),
        received_time: START,
        ask: true,
        targets: vec!["003000000000001AAA".to_owned()],
        ..EventRecord::default()
    };
    let bytes = told.encode_to_vec().into();
    rig.log.append(0, vec![bytes]).await.unwrap();
    rig.caught_up(&running).await;
    assert_eq!(rig.letters("crm").len(), 1);
    person_at(&rig, A, 1);
    rig.tenant.lives(A, &person(A, "read again"));
    rig.changed(unversioned(5000), &person(A, "v2"));
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "read again");
    assert_eq!(rig.letters("crm").len(), 1);
}
