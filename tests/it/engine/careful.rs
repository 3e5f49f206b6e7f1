//! Which record stops the process, after several unclean stops; and what is not suspected.

use goldwire::engine::gate::SinkStatus;
use goldwire::sink::Mode;
use goldwire::store::keys;

use super::delivery::{person_at, unreachable};
use super::rig::Rig;
use super::scripted::Scripted;

const A: &str = "entities/a";

fn notes(rig: &Rig) -> usize {
    let prefix = keys::attempts_of("crm", 0);
    rig.store.scan(&prefix, None, 100).unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_record_that_stops_the_process_takes_no_other_into_dead_letters() {
    for mode in [Mode::Latest, Mode::History] {
        let rig = Rig::new();
        let mut running = rig.sink(Scripted::new("crm", mode, None));
        running.sink.kills(Some(A));
        for before in 0..3 {
            person_at(&rig, &format!("entities/{before}"), 1);
        }
        person_at(&rig, A, 1);
        person_at(&rig, "entities/after", 1);
        let mut starts = 1;
        while rig.letters("crm").is_empty() {
            // Too short for a commit: the records before it are read again at each start.
            rig.pass(50).await;
            running = rig.restart(running, false).await;
            starts += 1;
            assert!(starts < 32, "{mode:?}: it is not found out");
        }
        // What went before it has gone; what comes after it waits for no further end.
        for before in 0..3 {
            let before = format!("entities/{before}");
            assert_eq!(running.sink.holds(&before).unwrap(), "v1", "{mode:?}");
        }
        rig.caught_up(&running).await;
        let letters = rig.letters("crm");
        let of: Vec<&str> = letters
            .iter()
            .map(|letter| letter.subject.as_str())
            .collect();
        assert_eq!(of, [A], "{mode:?}");
        assert_eq!(running.sink.holds("entities/after").unwrap(), "v1");
        assert_eq!(running.gate.status(), SinkStatus::Running, "{mode:?}");

        // At a sink of the newest state its letter is closed by a newer version like any other's,
        // and no note of it stays.
        running.sink.kills(None);
        person_at(&rig, A, 2);
        rig.caught_up(&running).await;
        let closed = mode == Mode::Latest;
        assert_eq!(rig.letters("crm").is_empty(), closed, "{mode:?}");
        let running = rig.restart(running, true).await;
        rig.caught_up(&running).await;
        rig.pass(100).await;
        assert_eq!(notes(&rig), 0);
    }
}

/// A process that dies before ingest commits has the record once more in its log at each start.
#[tokio::test(start_paused = true)]
async fn copies_of_a_record_that_stops_the_process_stop_it_no_more() {
    for mode in [Mode::Latest, Mode::History] {
        let rig = Rig::new();
        let mut running = rig.sink(Scripted::new("crm", mode, None));
        running.sink.kills(Some(A));
        let mut starts = 1;
        while rig.letters("crm").is_empty() {
            person_at(&rig, A, 1);
            rig.pass(50).await;
            running = rig.restart(running, false).await;
            starts += 1;
            assert!(starts < 32, "{mode:?}: it is not found out");
        }
        person_at(&rig, A, 1);
        rig.caught_up(&running).await;
        assert_eq!(rig.letters("crm").len(), 1, "{mode:?}: all have one name");
    }
}

#[tokio::test(start_paused = true)]
async fn unclean_stops_with_nothing_to_do_make_nothing_suspect() {
    let rig = Rig::new();
    let mut running = rig.latest("crm");
    person_at(&rig, A, 1);
    rig.caught_up(&running).await;
    for _ in 0..6 {
        running = rig.restart(running, false).await;
        rig.pass(1000).await;
    }
    for subject in 0..50 {
        person_at(&rig, &format!("entities/{subject}"), 1);
    }
    rig.caught_up(&running).await;
    assert_eq!(notes(&rig), 0, "records were tried one at a time");
}

#[tokio::test(start_paused = true)]
async fn an_outage_with_restarts_in_it_blames_no_record() {
    for pause in [30, 400, 2500, 9000] {
        let rig = Rig::new();
        let mut running = rig.latest("crm");
        running.sink.answers(|_| Some(Err(unreachable())));
        for subject in 0..300 {
            person_at(&rig, &format!("entities/{subject}"), 1);
        }
        for start in 0..9 {
            rig.pass(pause).await;
            running = rig.restart(running, start % 3 == 2).await;
        }
        running.sink.answers(|_| None);
        rig.caught_up(&running).await;
        assert!(rig.letters("crm").is_empty(), "{pause} ms");
        assert_eq!(running.sink.holds("entities/299").unwrap(), "v1");
        rig.pass(1000).await;
        assert_eq!(notes(&rig), 0);
    }
}

/// What was in flight elsewhere in the process when it died is tried alone there, and cleared.
#[tokio::test(start_paused = true)]
async fn a_record_that_stops_the_process_takes_none_of_another_sink_with_it() {
    let rig = Rig::new();
    let (mut crm, mut lake) = (rig.latest("crm"), rig.latest("lake"));
    crm.sink.kills(Some(A));
    for subject in 0..20 {
        person_at(&rig, &format!("entities/{subject}"), 1);
    }
    person_at(&rig, A, 1);
    let mut starts = 0;
    while rig.letters("crm").is_empty() {
        rig.pass(40).await;
        [crm, lake] = rig.dies([crm, lake]).await;
        starts += 1;
        assert!(starts < 40, "it is not found out");
    }
    rig.caught_up(&crm).await;
    rig.caught_up(&lake).await;
    assert_eq!(rig.letters("crm").len(), 1);
    assert!(rig.letters("lake").is_empty());
    assert_eq!(lake.sink.holds(A).unwrap(), "v1");
}
