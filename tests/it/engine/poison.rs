//! A record whose write kills the connection each time: it delays its own lane, holds no breaker
//! open, and ends in dead letters. `careful` has the one that kills the process.

use goldwire::engine::gate::SinkStatus;
use goldwire::sink::{Mode, SinkError, Write};

use super::delivery::person_at;
use super::rig::{Rig, Running};
use super::scripted::Scripted;

const POISON: &str = "entities/poison";
const OTHERS: usize = 60;
const MODES: [Mode; 2] = [Mode::Latest, Mode::History];

/// The connection breaks in the middle of the write: whether it happened is unknown.
fn broken() -> SinkError {
    SinkError::Retryable {
        code: "connection_lost".to_owned(),
        ambiguous: true,
        outage: true,
    }
}

fn is_poison(delivery: &Write) -> bool {
    delivery.subject.uri() == POISON
}

fn other(number: usize) -> String {
    format!("entities/{number}")
}

/// Two changes of everybody, the poison's first.
fn changes(rig: &Rig) {
    for version in 1..=2 {
        person_at(rig, POISON, version);
        for number in 0..OTHERS {
            person_at(rig, &other(number), version);
        }
    }
}

fn all_others_have_theirs(running: &Running) -> bool {
    (0..OTHERS).all(|number| running.sink.holds(&other(number)).as_deref() == Some("v2"))
}

#[tokio::test(start_paused = true)]
async fn g6_a_record_that_breaks_its_connection_delays_its_own_lane_alone() {
    for mode in MODES {
        let rig = Rig::new();
        let running = rig.sink(Scripted::new("crm", mode, None));
        running
            .sink
            .answers(|delivery| is_poison(delivery).then(|| Err(broken())));
        changes(&rig);
        // Long before the poison's last attempt.
        rig.pass(150).await;
        assert!(rig.letters("crm").is_empty(), "{mode:?}: it is tried again");
        assert!(all_others_have_theirs(&running), "{mode:?}");
        assert_eq!(running.gate.status(), SinkStatus::Running, "{mode:?}");
        rig.caught_up(&running).await;
        let letters = rig.letters("crm");
        assert_eq!(letters.len(), 2, "{mode:?}: {letters:?}");
        for letter in &letters {
            let end = (letter.subject.as_str(), letter.reason.as_str());
            assert_eq!(end, (POISON, "exhausted"), "{mode:?}");
            assert_eq!(letter.attempts, 5, "{mode:?}");
        }
        assert_eq!(running.sink.holds(POISON), None);
    }
}

#[tokio::test(start_paused = true)]
async fn g6_a_poison_record_that_probes_after_an_outage_does_not_hold_the_breaker_open() {
    for mode in MODES {
        let rig = Rig::new();
        let running = rig.sink(Scripted::new("crm", mode, None));
        running.sink.answers(|delivery| {
            let error = SinkError::Retryable {
                code: "connect".to_owned(),
                ambiguous: false,
                outage: true,
            };
            Some(Err(if is_poison(delivery) { broken() } else { error }))
        });
        changes(&rig);
        rig.pass(600_000).await;
        let status = running.gate.status();
        assert!(
            matches!(status, SinkStatus::Unreachable(_)),
            "{mode:?}: {status:?}"
        );
        running
            .sink
            .answers(|delivery| is_poison(delivery).then(|| Err(broken())));
        // The longest wait for a probe, twice: the first may be the poison's.
        rig.pass(31_000).await;
        assert_eq!(running.gate.status(), SinkStatus::Running, "{mode:?}");
        assert!(all_others_have_theirs(&running), "{mode:?}");
        rig.caught_up(&running).await;
        let letters = rig.letters("crm");
        assert_eq!(letters.len(), 2, "{mode:?}: the outage spent nobody else's");
        assert!(letters.iter().all(|letter| letter.subject == POISON));
    }
}
