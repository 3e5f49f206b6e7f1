//! What the sink may hold though it never said so.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use goldwire::event::EventRecord;
use goldwire::sink::{Ack, Effect, Mode, SinkError};
use prost::Message as _;

use super::delivery::{person_at, rejected};
use super::rig::{Rig, SETTLE, at, unversioned};
use super::scripted::Scripted;
use super::tenant::person;

const A: &str = "entities/a";

fn timeout() -> SinkError {
    SinkError::Retryable {
        code: "timeout".to_owned(),
        ambiguous: true,
        outage: false,
    }
}

#[tokio::test(start_paused = true)]
async fn g4_what_a_guarded_target_may_have_taken_gives_way_to_no_older_version() {
    for mode in [Mode::Latest, Mode::History] {
        let rig = Rig::new();
        let running = rig.sink(Scripted::new("crm", mode, None));
        running.sink.answers(|delivery| {
            let version = delivery.current.as_ref()?.version;
            (version == Some(3)).then(|| Err(timeout()))
        });
        rig.tenant.lives(A, &person(A, "v3"));
        rig.changed(at(3, 1000), &person(A, "v3"));
        rig.caught_up(&running).await;
        assert_eq!(rig.letters("crm").len(), 1, "without a known outcome");
        running.sink.lands(A, "v3");
        // Another node's clock is ahead: by the clocks of what was acknowledged it is newer.
        rig.changed(at(2, 1100), &person(A, "v2"));
        rig.caught_up(&running).await;
        assert_eq!(running.sink.holds(A).unwrap(), "v3", "{mode:?}");
        assert_eq!(
            rig.tenant.reads(),
            1,
            "{mode:?}: Reltio knows which is newer"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn g4_what_was_refused_at_its_second_assertion_is_no_duplicate_afterwards() {
    let rig = Rig::new();
    let longest = Duration::from_mins(10);
    let running = rig.sink(Scripted::new("crm", Mode::Latest, Some(longest)));
    let mut calls = 0;
    running.sink.answers(move |_| {
        calls += 1;
        match calls {
            1 => Some(Err(timeout())),
            3 => Some(Err(rejected())),
            _ => None,
        }
    });
    rig.tenant.lives(A, &person(A, "v1"));
    person_at(&rig, A, 1);
    rig.caught_up(&running).await;
    assert_eq!(rig.letters("crm").len(), 1, "refused the second time");
    running.sink.lands(A, "late");
    person_at(&rig, A, 1);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v1");
    assert!(rig.letters("crm").is_empty(), "delivered");
}

/// Nothing but the subject's name is kept of it over a restart: no dead letter could tell what was
/// not asserted.
#[tokio::test(start_paused = true)]
async fn g4_a_second_assertion_that_is_refused_after_a_restart_is_tried_again() {
    for unreadable in [true, false] {
        let rig = Rig::new();
        let longest = Duration::from_mins(10);
        let running = rig.sink(Scripted::new("crm", Mode::Latest, Some(longest)));
        let mut first = true;
        let mut times_out = move || std::mem::take(&mut first).then(|| Err(timeout()));
        running.sink.answers(move |_| times_out());
        person_at(&rig, A, 1);
        rig.pass(5000).await;
        assert_eq!(running.status.borrow().reassertions, 1);
        let running = rig.restart(running, false).await;
        if unreadable {
            rig.tenant.refuses(A);
        }
        let mut second = true;
        running.sink.answers(move |_| {
            let refuses = std::mem::take(&mut second) && !unreadable;
            refuses.then(|| Err(rejected()))
        });
        rig.pass(700_000).await;
        running.sink.lands(A, "late");
        assert_eq!(running.status.borrow().reassertions, 1, "it waits again");
        rig.tenant.refuses("nobody");
        rig.caught_up(&running).await;
        assert_eq!(running.sink.holds(A).unwrap(), "v1");
    }
}

/// Without an API the store has all that is known of the newest state.
#[tokio::test(start_paused = true)]
async fn g4_a_second_assertion_that_a_stop_cut_off_is_made_by_the_next_process() {
    let mut rig = Rig::new();
    rig.has_api = false;
    let longest = Duration::from_mins(10);
    let running = rig.sink(Scripted::new("crm", Mode::Latest, Some(longest)));
    let mut calls = 0;
    running.sink.answers(move |_| {
        calls += 1;
        (calls == 1).then(|| Err(timeout()))
    });
    person_at(&rig, A, 1);
    rig.pass(300_000).await;
    assert_eq!(running.status.borrow().reassertions, 1);
    running.sink.takes(Duration::from_hours(1));
    rig.pass(400_000).await;
    let running = rig.restart(running, true).await;
    running.sink.takes(Duration::ZERO);
    running.sink.lands(A, "late");
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v1");
}

#[tokio::test(start_paused = true)]
async fn g4_g8_what_has_no_room_in_memory_is_asserted_once_more_from_the_store() {
    for restarts in [false, true] {
        let mut rig = Rig::new();
        rig.has_api = false;
        let longest = Duration::from_mins(10);
        let mut running = rig.sink(Scripted::new("crm", Mode::Latest, Some(longest)));
        let subjects = ["entities/a", "entities/b", "entities/c"];
        let mut sent = HashSet::new();
        running.sink.answers(move |write| {
            let first = sent.insert(write.subject.clone());
            first.then(|| Err(timeout()))
        });
        // One fits into the mebibyte.
        let label = |subject: &str| format!("{subject}{}", "x".repeat(700_000));
        for subject in subjects {
            rig.changed(at(1, 1000), &person(subject, &label(subject)));
        }
        rig.pass(60_000).await;
        assert_eq!(running.status.borrow().reassertions, subjects.len());
        if restarts {
            running = rig.restart(running, true).await;
        }
        for subject in subjects {
            running.sink.lands(subject, "late");
        }
        rig.caught_up(&running).await;
        for subject in subjects {
            let holds = running.sink.holds(subject).unwrap();
            assert_eq!(holds.len(), label(subject).len(), "{subject}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g4_what_a_target_may_have_taken_before_a_crash_gives_way_to_no_older_version() {
    for mode in [Mode::Latest, Mode::History] {
        let rig = Rig::new();
        let running = rig.sink(Scripted::new("crm", mode, None));
        rig.pass(10).await;
        rig.slow_commits.store(60_000, Ordering::Relaxed);
        rig.tenant.lives(A, &person(A, "v3"));
        rig.changed(at(3, 1000), &person(A, "v3"));
        rig.pass(2000).await;
        assert_eq!(running.sink.holds(A).unwrap(), "v3");
        let running = rig.restart(running, false).await;
        rig.slow_commits.store(0, Ordering::Relaxed);
        running.sink.answers(|delivery| {
            let version = delivery.current.as_ref()?.version;
            (version == Some(3)).then(|| Err(rejected()))
        });
        rig.caught_up(&running).await;
        assert_eq!(rig.letters("crm").len(), 1, "refused by now");
        rig.changed(at(2, 1100), &person(A, "v2"));
        rig.caught_up(&running).await;
        assert_eq!(running.sink.holds(A).unwrap(), "v3", "{mode:?}");
        assert_eq!(rig.tenant.reads(), 1, "{mode:?}");
    }
}

/// A process that lost the partition asks, and may end before its last write lands.
#[tokio::test(start_paused = true)]
async fn g4_what_another_process_was_sending_is_asserted_again_when_all_late_has_landed() {
    for restarts in [false, true] {
        let rig = Rig::new();
        let longest = Duration::from_mins(10);
        let mut running = rig.sink(Scripted::new("crm", Mode::Latest, Some(longest)));
        rig.tenant.lives(A, &person(A, "read"));
        rig.pass(10_000).await;
        let ask = EventRecord {
            id: "reconcile".to_owned(),
            tenant: "acme".to_owned(),
            subject: A.to_owned(),
            received_time: rig.clock.now(),
            sink: "crm".to_owned(),
            ask: true,
            late: true,
            ..EventRecord::default()
        };
        let bytes = ask.encode_to_vec().into();
        rig.log.append(0, vec![bytes]).await.unwrap();
        rig.pass(20_000).await;
        assert_eq!(running.sink.holds(A).unwrap(), "read");
        let status = running.status.borrow().clone();
        assert_eq!((status.position, status.reassertions), (1, 1));
        if restarts {
            running = rig.restart(running, true).await;
        }
        running.sink.lands(A, "late");
        rig.caught_up(&running).await;
        assert_eq!(running.sink.holds(A).unwrap(), "read");
    }
}

/// The request was on its way when the task was told to end and its time was over.
#[tokio::test(start_paused = true)]
async fn g4_what_a_target_may_have_taken_before_a_stop_gives_way_to_no_older_version() {
    for mode in [Mode::Latest, Mode::History] {
        let rig = Rig::new();
        let running = rig.sink(Scripted::new("crm", mode, None));
        rig.pass(10).await;
        running.sink.takes(Duration::from_hours(1));
        rig.tenant.lives(A, &person(A, "v3"));
        rig.changed(at(3, 1000), &person(A, "v3"));
        rig.pass(2000).await;
        let running = rig.restart(running, true).await;
        running.sink.takes(Duration::ZERO);
        running.sink.lands(A, "v3");
        running.sink.answers(|delivery| {
            let version = delivery.current.as_ref()?.version;
            (version == Some(3)).then(|| Err(rejected()))
        });
        rig.caught_up(&running).await;
        assert_eq!(rig.letters("crm").len(), 1, "refused by now");
        rig.changed(at(2, 1100), &person(A, "v2"));
        rig.caught_up(&running).await;
        assert_eq!(running.sink.holds(A).unwrap(), "v3", "{mode:?}");
        assert_eq!(rig.tenant.reads(), 1, "{mode:?}");
    }
}

/// What the first life read and delivered is not in the store: a second read that is made at once
/// may be answered by a replica that is further behind.
#[tokio::test(start_paused = true)]
async fn g4_after_a_crash_reltio_is_read_no_earlier_than_settle_after_the_start() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    rig.pass(10).await;
    rig.slow_commits.store(60_000, Ordering::Relaxed);
    rig.tenant.lives(A, &person(A, "v1"));
    rig.changed(unversioned(1000), &person(A, "v1"));
    rig.pass(2 * SETTLE).await;
    assert_eq!(running.sink.holds(A).unwrap(), "v1");
    assert_eq!(rig.tenant.reads(), 1);
    let running = rig.restart(running, false).await;
    rig.slow_commits.store(0, Ordering::Relaxed);
    rig.pass(SETTLE - 100).await;
    assert_eq!(rig.tenant.reads(), 1);
    rig.caught_up(&running).await;
    assert_eq!(rig.tenant.reads(), 2);
}

/// Two subjects that take a target's record from each other, each by what it knows, look again
/// each time: one of them waits for its newer record, which is a dead letter.
#[tokio::test(start_paused = true)]
async fn second_looks_that_always_want_another_have_an_end() {
    let rig = Rig::new();
    let longest = Duration::from_mins(10);
    let running = rig.sink(Scripted::new("crm", Mode::Latest, Some(longest)));
    running.sink.answers(|_| {
        Some(Ok(Ack {
            effect: Effect::Delivered,
            second_look: true,
            read: None,
        }))
    });
    person_at(&rig, A, 1);
    rig.pass(1_200_000).await;
    assert_eq!(running.status.borrow().reassertions, 1, "it looks again");
    rig.caught_up(&running).await;
}
