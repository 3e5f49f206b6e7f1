//! What becomes of events, seen from outside.

use super::*;

fn event(entity: u32, version: u32) -> Event {
    Event { entity, version }
}

/// Three versions of one subject, sent and accepted.
fn ledger(keeps: Keeps) -> Ledger {
    let ledger = Ledger::new(&[("sink".to_owned(), keeps)]);
    for version in 1..=3 {
        ledger.sends(event(7, version), 10);
        ledger.accepted(event(7, version), 20);
    }
    ledger
}

fn fates(ledger: &Ledger) -> Vec<Fate> {
    let state = ledger.lock();
    (1..=3)
        .map(|version| state.sinks[0].fate(event(7, version)))
        .collect()
}

#[test]
fn a_subject_that_was_never_there_may_be_missing_where_its_newest_event_removes_it() {
    let removal = (1..1_000)
        .map(|entity| Event { entity, version: 2 })
        .find(|event| event.is_removal());
    let removal = removal.unwrap();
    let version = |version| Event { version, ..removal };
    for (keeps, gone) in [(Keeps::Living, Fate::Stale), (Keeps::Newest, Fate::Lost)] {
        let ledger = Ledger::new(&[("crm".to_owned(), keeps)]);
        let fate = |event| ledger.lock().sinks[0].fate(event);
        ledger.sends(version(1), 0);
        ledger.accepted(version(1), 1);
        assert_eq!(fate(version(1)), Fate::Lost, "it lives");
        ledger.sends(removal, 2);
        ledger.accepted(removal, 3);
        assert_eq!([fate(version(1)), fate(removal)], [gone; 2]);
        ledger.sends(version(3), 4);
        ledger.accepted(version(3), 5);
        assert_eq!(fate(version(3)), Fate::Lost, "it lives again");
    }
}

#[test]
fn what_a_newer_state_replaced_is_stale_at_a_sink_that_keeps_the_newest_and_lost_at_another() {
    for (keeps, older) in [(Keeps::Newest, Fate::Stale), (Keeps::All, Fate::Lost)] {
        let ledger = ledger(keeps);
        ledger.seen(0, event(7, 2), 30);
        assert_eq!(fates(&ledger), [older, Fate::Delivered, Fate::Lost]);
        ledger.dead_lettered(Some("sink"), event(7, 3));
        assert_eq!(fates(&ledger), [older, Fate::Delivered, Fate::DeadLettered]);
    }
}

#[test]
fn an_older_state_after_a_newer_one_is_a_step_back_only_where_the_newest_is_kept() {
    for (keeps, back) in [(Keeps::Newest, 1), (Keeps::All, 0)] {
        let ledger = ledger(keeps);
        ledger.seen(0, event(7, 3), 30);
        ledger.seen(0, event(7, 2), 31);
        assert_eq!(ledger.lock().sinks[0].regressed, back);
    }
}

#[test]
fn what_was_never_sent_is_invented_and_what_comes_again_is_counted() {
    let ledger = ledger(Keeps::All);
    ledger.seen(0, event(8, 1), 30);
    ledger.seen(0, event(7, 1), 30);
    ledger.seen(0, event(7, 1), 40);
    let state = ledger.lock();
    assert_eq!(state.sinks[0].invented, 1);
    let seen = state.sinks[0].seen[&event(7, 1)];
    assert_eq!((seen.first, seen.times), (30, 2));
}

#[test]
fn nobody_answers_for_what_was_not_accepted() {
    let ledger = Ledger::new(&[("sink".to_owned(), Keeps::All)]);
    ledger.sends(event(1, 1), 0);
    ledger.refused();
    assert_eq!(ledger.open(), 0);
    ledger.accepted(event(1, 1), 5);
    assert_eq!(ledger.open(), 1);
    ledger.seen(0, event(1, 1), 9);
    assert_eq!(ledger.open(), 0);
}
