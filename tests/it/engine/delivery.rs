//! What happens when a sink fails, and when the program does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use goldwire::event::EventRecord;
use goldwire::log::partition_of;
use goldwire::sink::{Ack, Effect, Mode, SinkError, Write};
use goldwire::store::{Register, keys};
use prost::Message as _;

use super::rig::{Rig, START, at};
use super::scripted::Scripted;
use super::tenant::person;

const A: &str = "entities/a";

pub(super) fn busy() -> SinkError {
    SinkError::Retryable {
        code: "LOCKED".to_owned(),
        ambiguous: false,
        outage: false,
    }
}

pub(super) fn unreachable() -> SinkError {
    SinkError::Retryable {
        code: "connect".to_owned(),
        ambiguous: false,
        outage: true,
    }
}

pub(super) fn rejected() -> SinkError {
    SinkError::Rejected {
        code: "STRING_TOO_LONG".to_owned(),
        fields: vec!["LastName".to_owned()],
        action: "upsert",
    }
}

pub(super) fn person_at(rig: &Rig, uri: &str, version: i64) {
    let object = person(uri, &format!("v{version}"));
    rig.tenant.lives(uri, &object);
    rig.changed(at(version, version * 10_000), &object);
}

#[tokio::test(start_paused = true)]
async fn g3_nothing_is_in_the_store_before_the_sink_said_so() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    let key = keys::register("crm", 0, &goldwire::event::Subject::new("acme", A));
    let (store, looked) = (Arc::clone(&rig.store), Arc::new(AtomicUsize::new(0)));
    let (seen, looked_key) = (Arc::clone(&looked), key.clone());
    running.sink.answers(move |_| {
        assert_eq!(
            store.get(&looked_key).unwrap(),
            None,
            "claimed is not applied"
        );
        (seen.fetch_add(1, Ordering::Relaxed) < 3).then(|| Err(busy()))
    });
    person_at(&rig, A, 1);
    rig.caught_up(&running).await;
    assert_eq!(looked.load(Ordering::Relaxed), 4);
    let register = Register::decode(rig.store.get(&key).unwrap().unwrap().as_slice()).unwrap();
    assert_eq!(register.version, Some(1));
    assert_eq!(running.sink.holds(A).unwrap(), "v1");
}

#[tokio::test(start_paused = true)]
async fn g2_a_rejected_record_is_dead_lettered_and_a_newer_one_closes_its_letter() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    running.sink.answers(|delivery| {
        let version = delivery
            .current
            .as_ref()
            .and_then(|current| current.version);
        (version == Some(1)).then(|| Err(rejected()))
    });
    person_at(&rig, A, 1);
    rig.caught_up(&running).await;
    let letters = rig.letters("crm");
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(
        (letter.reason.as_str(), letter.code.as_str()),
        ("rejected", "STRING_TOO_LONG")
    );
    assert_eq!((letter.subject.as_str(), letter.version), (A, Some(1)));
    assert!(EventRecord::decode(letter.original.clone()).is_ok());

    person_at(&rig, A, 2);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v2");
    assert!(rig.letters("crm").is_empty(), "superseded");
}

#[tokio::test(start_paused = true)]
async fn g2_a_record_whose_retries_are_spent_is_dead_lettered() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    running
        .sink
        .answers(|delivery| (delivery.subject.uri() == A).then(|| Err(busy())));
    person_at(&rig, A, 1);
    person_at(&rig, "entities/b", 1);
    rig.caught_up(&running).await;
    let letters = rig.letters("crm");
    assert_eq!((letters.len(), letters[0].attempts), (1, 5));
    assert_eq!(letters[0].reason, "exhausted");
    assert_eq!(running.sink.holds("entities/b").unwrap(), "v1");
}

#[tokio::test(start_paused = true)]
async fn an_outage_spends_nobodys_retries() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    running
        .sink
        .answers(move |_| is_down.load(Ordering::Relaxed).then(|| Err(unreachable())));
    for subject in 0..50 {
        person_at(&rig, &format!("entities/{subject}"), 1);
    }
    rig.pass(3_600_000).await;
    assert_eq!(running.status.borrow().position, 0, "the position waits");
    down.store(false, Ordering::Relaxed);
    rig.caught_up(&running).await;
    assert!(rig.letters("crm").is_empty());
    for subject in 0..50 {
        assert_eq!(
            running.sink.holds(&format!("entities/{subject}")).unwrap(),
            "v1"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_field_halts_the_sink_instead_of_filling_the_dead_letters() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = Arc::clone(&broken);
    running.sink.answers(move |_| {
        is_broken.load(Ordering::Relaxed).then(|| {
            let remedy = "create the field".to_owned();
            Err(SinkError::Systemic {
                code: "INVALID_FIELD".to_owned(),
                remedy,
            })
        })
    });
    for subject in 0..200 {
        person_at(&rig, &format!("entities/{subject}"), 1);
    }
    rig.pass(3_600_000).await;
    assert!(rig.letters("crm").is_empty());
    assert_eq!(running.status.borrow().position, 0);
    broken.store(false, Ordering::Relaxed);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds("entities/199").unwrap(), "v1");
}

#[tokio::test(start_paused = true)]
async fn g6_a_sink_that_never_answers_delays_itself_alone() {
    delays_itself_alone(Scripted::hangs).await;
}

#[tokio::test(start_paused = true)]
async fn g6_a_sink_that_cannot_be_reached_delays_itself_alone() {
    delays_itself_alone(|stuck| stuck.answers(|_: &Write| Some(Err(unreachable())))).await;
}

async fn delays_itself_alone(breaks: impl Fn(&Scripted)) {
    let rig = Rig::new();
    let stuck = rig.latest("stuck");
    let good = rig.latest("good");
    breaks(&stuck.sink);
    for subject in 0..2000 {
        person_at(&rig, &format!("entities/{subject}"), 1);
    }
    rig.caught_up(&good).await;
    assert_eq!(good.sink.holds("entities/1999").unwrap(), "v1");
    let status = stuck.status.borrow().clone();
    assert_eq!(status.position, 0);
    assert!(
        status.in_flight <= 700,
        "G8: bounded, {} in flight",
        status.in_flight
    );
}

#[tokio::test(start_paused = true)]
async fn g2_a_crash_at_any_moment_loses_nothing() {
    for after in [0, 1, 7, 19, 60, 111, 250, 700] {
        let rig = Rig::new();
        let mut running = rig.latest("crm");
        for subject in 0..40 {
            person_at(&rig, &format!("entities/{subject}"), 1);
        }
        rig.pass(after).await;
        running = rig.restart(running, false).await;
        for subject in 0..40 {
            person_at(&rig, &format!("entities/{subject}"), 2);
        }
        rig.pass(after).await;
        running = rig.restart(running, false).await;
        rig.caught_up(&running).await;
        for subject in 0..40 {
            assert_eq!(
                running.sink.holds(&format!("entities/{subject}")).unwrap(),
                "v2"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g5_a_clean_restart_delivers_nothing_again() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    person_at(&rig, A, 1);
    rig.caught_up(&running).await;
    let running = rig.restart(running, true).await;
    person_at(&rig, A, 1);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.deliveries(A), 1);
}

#[tokio::test(start_paused = true)]
async fn g4_after_an_ambiguous_answer_the_newest_state_is_asserted_once_more() {
    let rig = Rig::new();
    let longest = Duration::from_mins(10);
    let running = rig.sink(Scripted::new("crm", Mode::Latest, Some(longest)));
    let mut first = true;
    running.sink.answers(move |_| {
        std::mem::take(&mut first).then(|| {
            Err(SinkError::Retryable {
                code: "timeout".to_owned(),
                ambiguous: true,
                outage: true,
            })
        })
    });
    person_at(&rig, A, 1);
    rig.pass(5000).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v1");
    person_at(&rig, A, 2);
    rig.pass(5000).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v2");
    // The write that timed out lands now, over the newer one.
    running.sink.lands(A, "v1");
    let status = running.status.borrow().clone();
    assert_eq!(
        (status.position, status.reassertions),
        (2, 1),
        "committed, and to be asserted once more"
    );
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v2");
    assert!(rig.clock.now() >= START + 600_000);
}

#[tokio::test(start_paused = true)]
async fn g4_a_host_s_clock_that_is_set_forward_shortens_no_wait_after_an_ambiguous_answer() {
    let rig = Rig::new();
    let longest = Duration::from_mins(10);
    let running = rig.sink(Scripted::new("crm", Mode::Latest, Some(longest)));
    let mut first = true;
    running.sink.answers(move |_| {
        std::mem::take(&mut first).then(|| {
            Err(SinkError::Retryable {
                code: "timeout".to_owned(),
                ambiguous: true,
                outage: true,
            })
        })
    });
    person_at(&rig, A, 1);
    rig.pass(5000).await;
    rig.host_clock.set_by.store(3_600_000, Ordering::Relaxed);
    person_at(&rig, A, 2);
    rig.pass(300_000).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v2");
    running.sink.lands(A, "v1");
    assert_eq!(running.status.borrow().reassertions, 1, "it may still land");
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v2");
}

#[tokio::test(start_paused = true)]
async fn g4_a_crash_leaves_what_was_in_flight_unsettled() {
    let rig = Rig::new();
    let longest = Duration::from_mins(10);
    let running = rig.sink(Scripted::new("crm", Mode::Latest, Some(longest)));
    running.sink.answers(|_| Some(Err(busy())));
    person_at(&rig, A, 1);
    rig.pass(200).await;
    running.sink.answers(|_| None);
    let running = rig.restart(running, false).await;
    rig.pass(5000).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v1");
    running.sink.lands(A, "what the dead process had sent");
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v1");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_always_stops_the_process_ends_in_dead_letters() {
    let rig = Rig::new();
    let mut running = rig.latest("crm");
    running.sink.kills(Some(A));
    person_at(&rig, A, 1);
    person_at(&rig, "entities/b", 1);
    for _ in 0..12 {
        rig.pass(1000).await;
        running = rig.restart(running, false).await;
    }
    rig.caught_up(&running).await;
    let letters = rig.letters("crm");
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].subject.as_str(), letters[0].reason.as_str()),
        (A, "kills_the_process")
    );
    assert_eq!(running.sink.holds("entities/b").unwrap(), "v1");
}

#[tokio::test(start_paused = true)]
async fn a_record_addressed_to_one_sink_is_skipped_by_the_others() {
    let rig = Rig::new();
    let (crm, other) = (rig.latest("crm"), rig.latest("other"));
    rig.tenant.lives(A, &person(A, "read"));
    rig.pass(10_000).await;
    let record = EventRecord {
        id: "reconcile".to_owned(),
        tenant: "acme".to_owned(),
        subject: A.to_owned(),
        received_time: rig.clock.now(),
        sink: "crm".to_owned(),
        ask: true,
        ..EventRecord::default()
    };
    let partition = partition_of(&record.subject_key(), 1);
    rig.log
        .append(partition, vec![record.encode_to_vec().into()])
        .await
        .unwrap();
    rig.caught_up(&crm).await;
    rig.caught_up(&other).await;
    assert_eq!(crm.sink.holds(A).unwrap(), "read");
    assert_eq!(other.sink.holds(A), None);
}

#[tokio::test(start_paused = true)]
async fn g4_a_refusal_by_the_guard_is_stale_and_no_error() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    running.sink.answers(|_| {
        Some(Ok(Ack {
            effect: Effect::Stale,
            second_look: false,
            read: None,
        }))
    });
    person_at(&rig, A, 1);
    rig.caught_up(&running).await;
    assert!(rig.letters("crm").is_empty());
}

#[tokio::test(start_paused = true)]
async fn g4_a_change_from_before_a_read_that_the_sink_made_itself_is_asked_and_not_refused_as_stale()
 {
    let rig = Rig::new();
    let running = rig.latest("crm");
    // The guard at the target: what the sink read is dated later than what comes next.
    let mut guard = 0;
    running.sink.answers(move |delivery| {
        let (first, current) = (guard == 0, delivery.current.as_ref()?);
        let read = first.then_some(START + 60_000);
        let stale = current.content_time < guard;
        guard = guard.max(read.unwrap_or(current.content_time));
        let effect = if stale {
            Effect::Stale
        } else {
            Effect::Delivered
        };
        Some(Ok(Ack {
            effect,
            second_look: false,
            read,
        }))
    });
    person_at(&rig, A, 1);
    rig.caught_up(&running).await;
    rig.pass(60_000).await;
    assert_eq!(rig.tenant.reads(), 0);
    person_at(&rig, A, 2);
    rig.caught_up(&running).await;
    assert_eq!(rig.tenant.reads(), 1, "asked");
    let key = keys::register("crm", 0, &goldwire::event::Subject::new("acme", A));
    let register = Register::decode(rig.store.get(&key).unwrap().unwrap().as_slice()).unwrap();
    assert!(register.content_time >= START + 60_000, "{register:?}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_decoded_is_kept_with_its_bytes() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    rig.send_record(std::collections::HashMap::default(), b"{\"type\":".to_vec());
    let other = [
        ("tenantid", "somebody"),
        ("eventtype", "ENTITY_CHANGED"),
        ("sourceobjecturi", A),
    ];
    let other = other.map(|(name, value)| (name.to_owned(), value.to_owned()));
    rig.send_record(other.into(), b"{\"type\":\"ENTITY_CHANGED\"}".to_vec());
    rig.caught_up(&running).await;
    let mut letters = rig.letters("");
    letters.sort_by(|a, b| a.reason.cmp(&b.reason));
    let reasons: Vec<&str> = letters
        .iter()
        .map(|letter| letter.reason.as_str())
        .collect();
    assert_eq!(reasons, ["undecodable", "unknown_tenant"]);
    assert_eq!(letters[0].original.as_ref(), b"{\"type\":");
}
