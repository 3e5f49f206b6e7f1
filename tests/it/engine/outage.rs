//! How a sink that was away or halted comes back: no lane waits for another that will not speak.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use goldwire::sink::{DUPLICATE, SinkError};

use super::delivery::{busy, person_at, rejected, unreachable};
use super::rig::{Rig, Running};

const SUBJECTS: usize = 20;

fn people(rig: &Rig) {
    for subject in 0..SUBJECTS {
        person_at(rig, &format!("entities/{subject}"), 1);
    }
}

fn delivered(running: &Running) -> usize {
    let subjects = 0..SUBJECTS;
    let holds = |subject: &usize| running.sink.holds(&format!("entities/{subject}")).is_some();
    subjects.filter(holds).count()
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_failed_is_followed_by_the_next_when_that_is_due() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    running.sink.answers(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Some(Err(unreachable()))
    });
    people(&rig);
    rig.pass(600_000).await;
    let probes = calls.load(Ordering::Relaxed);
    assert!((30..=60).contains(&probes), "{probes} in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_answered_at_all_closes_the_breaker() {
    let throttled = || SinkError::Throttled {
        code: "429".to_owned(),
        pause: Duration::from_secs(2),
    };
    for answer in [busy as fn() -> SinkError, throttled] {
        let rig = Rig::new();
        let running = rig.latest("crm");
        let mut calls = 0;
        running.sink.answers(move |_| {
            calls += 1;
            match calls {
                1..=3 => Some(Err(unreachable())),
                4 => Some(Err(answer())),
                _ => None,
            }
        });
        people(&rig);
        rig.pass(30_000).await;
        assert_eq!(delivered(&running), SUBJECTS);
    }
}

#[tokio::test(start_paused = true)]
async fn a_mended_sink_is_not_held_halted_by_a_record_that_it_rejects() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    let mut calls = 0;
    running.sink.answers(move |_| {
        calls += 1;
        let systemic = SinkError::Systemic {
            code: "INVALID_FIELD".to_owned(),
            remedy: "create the field".to_owned(),
        };
        Some(Err(if calls == 1 { systemic } else { rejected() }))
    });
    person_at(&rig, "entities/0", 1);
    rig.caught_up(&running).await;
    assert_eq!(rig.letters("crm").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn duplicates_however_many_in_a_row_are_dead_letters_and_halt_nobody() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    running.sink.answers(|_| {
        Some(Err(SinkError::Rejected {
            code: DUPLICATE.to_owned(),
            fields: vec!["003000000000001AAA".to_owned()],
            action: "create",
        }))
    });
    for subject in 0..200 {
        person_at(&rig, &format!("entities/{subject}"), 1);
    }
    rig.caught_up(&running).await;
    assert_eq!(rig.letters("crm").len(), 200);
}
