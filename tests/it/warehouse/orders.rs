//! G5, G9: the tables are a function of what arrived, not of how.

use std::collections::{BTreeMap, BTreeSet};

use goldwire::event::SubjectState;
use goldwire::sink::{Change, Write};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use super::place::{Place, deliver_all};
use super::{absorbed, change, current, delivery, event, late, person, read, snapshot};

/// Which delivery comes when, and whether it ends a batch.
type Arrival = (Vec<usize>, Vec<bool>);
type Case = (Vec<Fact>, Arrival);

/// One thing that became true of a subject.
#[derive(Debug, Clone)]
struct Fact {
    subject: usize,
    state: u8,
    /// How goldwire came to know it: payload, payload too late for the current table, read with
    /// or without a row, row observed and payload.
    way: u8,
}

fn state(fact: &Fact, time: i64, word: &str) -> SubjectState {
    match fact.state {
        0..=3 if fact.subject == 3 => snapshot(&json!({
            "label": format!("{word} {time}"), "startObject": {"objectURI": "entities/0"},
            "endObject": {"objectURI": format!("entities/{}", time % 7)}
        })),
        0..=2 => person(&format!("{word} {time}")),
        3 => person(&time.to_string()),
        4 => absorbed("entities/w"),
        5 => absorbed("entities/v"),
        6 => SubjectState::Removed,
        7 => SubjectState::Gone,
        8 => SubjectState::Erased,
        _ => SubjectState::Absorbed { by: None },
    }
}

fn deliveries(facts: &[Fact]) -> Vec<Write> {
    let mut all = Vec::new();
    for (index, fact) in facts.iter().enumerate() {
        let names = ["entities/0", "entities/1", "entities/2", "relations/3"];
        let name = names[fact.subject];
        let version = i64::try_from(index).unwrap() + 1;
        let time = version * 100;
        let sent = state(fact, time, "sent");
        let mut seen = change(version, time, state(fact, time + 50, "read"));
        seen.observed = true;
        match fact.way {
            0 | 1 => all.push(event(name, version, time, sent)),
            2 => all.push(late(name, version, time, sent)),
            3 => all.push(read(name, time + 50, state(fact, time + 50, "read"))),
            4 => {
                let now = current(Some(version), time + 50, seen.state.clone());
                all.push(delivery(name, Some(now), vec![seen]));
            }
            _ => {
                all.push(delivery(name, None, vec![seen]));
                all.push(event(name, version, time, sent));
            }
        }
    }
    all
}

/// Each delivery once or twice, in some order, in batches or one by one.
fn arrivals(count: usize) -> impl Strategy<Value = Arrival> {
    let twice: Vec<usize> = (0..count).chain(0..count).collect();
    (Just(twice).prop_shuffle(), vec(any::<bool>(), count * 2))
}

fn cases() -> impl Strategy<Value = Case> {
    let fact = (0..4_usize, 0..10_u8, 0..6_u8);
    let fact = fact.prop_map(|(subject, state, way)| Fact {
        subject,
        state,
        way,
    });
    vec(fact, 1..16).prop_flat_map(|facts| {
        let count = deliveries(&facts).len();
        (Just(facts), arrivals(count))
    })
}

async fn tables(place: &Place, all: &[Write], order: &[usize], cuts: &[bool]) -> Vec<Vec<String>> {
    let warehouse = place.open();
    let mut batch = Vec::new();
    for (at, &index) in order.iter().enumerate() {
        batch.push(all[index].clone());
        if cuts[at] || at + 1 == order.len() {
            for answer in deliver_all(&warehouse, &std::mem::take(&mut batch)).await {
                answer.unwrap();
            }
        }
    }
    let tables = place.everything().await;
    exact_intervals(place).await;
    tables
}

/// Intervals of a subject follow each other, and exactly the last one is current.
pub(super) async fn exact_intervals(place: &Place) {
    let sql = "golden_record_history ORDER BY tenant, subject, commit_time, version";
    let columns = [
        "subject",
        "commit_time",
        "version",
        "valid_from",
        "valid_to",
        "is_current",
    ];
    let mut rows = place.rows(&columns, sql).await;
    let number = |row: &[String], at: usize| row[at].parse::<i64>().unwrap();
    rows.sort_by_key(|row| (row[0].clone(), number(row, 1), number(row, 2)));
    for (at, row) in rows.iter().enumerate() {
        let next = rows.get(at + 1).filter(|next| next[0] == row[0]);
        assert_eq!(row[3], row[1]);
        assert_eq!(row[4], next.map_or("~".to_owned(), |next| next[3].clone()));
        assert_eq!(row[5], if next.is_some() { "no" } else { "yes" });
    }
}

/// What the merges must be, computed from the facts themselves.
fn wanted_merges(all: &[Write]) -> Vec<Vec<String>> {
    let mut wanted = Vec::new();
    for loser in ["entities/0", "entities/1", "entities/2"] {
        let mine = all
            .iter()
            .filter(|delivery| delivery.subject.uri() == loser);
        let mut seen: Vec<(i64, SubjectState)> = mine
            .flat_map(|delivery| {
                let now = delivery
                    .current
                    .iter()
                    .map(|row| (row.content_time, row.state.clone()));
                let rows = delivery
                    .changes
                    .iter()
                    .map(|row| (row.commit_time, row.state.clone()));
                now.chain(rows).collect::<Vec<_>>()
            })
            .collect();
        seen.sort_by_key(|(time, _)| *time);
        let decides = seen.iter().rev().find(|(_, state)| {
            state.is_alive() || matches!(state, SubjectState::Absorbed { by: Some(_) })
        });
        for winner in ["entities/v", "entities/w"] {
            if seen.iter().any(|(_, state)| *state == absorbed(winner)) {
                let active = decides.is_some_and(|(_, state)| *state == absorbed(winner));
                let active = if active { "yes" } else { "no" };
                wanted.push(vec![loser.to_owned(), winner.to_owned(), active.to_owned()]);
            }
        }
    }
    wanted
}

/// The changes that must have a row, computed from the facts themselves: none up to an erasure, except
/// erasures.
fn wanted_changes(all: &[Write]) -> Vec<Vec<String>> {
    let mut erased: BTreeMap<&str, i64> = BTreeMap::new();
    for write in all {
        let now = write.current.iter();
        let now = now.map(|row| (row.content_time, &row.state));
        let rows = write.changes.iter();
        let rows = rows.map(|row| (row.commit_time, &row.state));
        for (time, _) in now
            .chain(rows)
            .filter(|(_, it)| **it == SubjectState::Erased)
        {
            let until = erased.entry(write.subject.uri()).or_default();
            *until = time.max(*until);
        }
    }
    let stays = |write: &Write, change: &Change| {
        let until = erased.get(write.subject.uri()).copied().unwrap_or(0);
        change.commit_time > until || change.state == SubjectState::Erased
    };
    let rows = all.iter().flat_map(|write| {
        let changes = write.changes.iter();
        let left = changes.filter(|change| stays(write, change));
        left.map(|change| vec![write.subject.uri().to_owned(), change.version.to_string()])
    });
    let rows: BTreeSet<Vec<String>> = rows.collect();
    rows.into_iter().collect()
}

/// In their order one by one at the first place; shuffled, twice some, and in batches at the second.
async fn same(mut first: Place, mut second: Place, case: Case) {
    for place in [&mut first, &mut second] {
        place.columns = serde_json::from_value(json!({
            "first_name": "FirstName",
            "digits": { "attribute": "FirstName", "type": "integer" },
        }))
        .unwrap();
    }
    let (facts, (order, cuts)) = case;
    let all = deliveries(&facts);
    let wanted = wanted_merges(&all);
    let in_order: Vec<usize> = (0..all.len()).collect();
    let ordered = tables(&first, &all, &in_order, &vec![true; all.len()]).await;
    let shuffled = tables(&second, &all, &order, &cuts).await;
    assert_eq!(ordered, shuffled);
    let merges = second.rows(&["loser", "winner", "active"], "merges").await;
    assert_eq!(merges, wanted);
    let mut changes = second
        .rows(&["subject", "version"], "golden_record_changes")
        .await;
    changes.sort();
    assert_eq!(changes, wanted_changes(&all));
}

/// Runs `cases` cases, each with two places of its own.
pub(super) fn check(cases_wanted: u32, postgres: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        cases: cases_wanted,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    runner
        .run(&cases(), |case| {
            runtime.block_on(async {
                if postgres {
                    same(Place::postgres().await, Place::postgres().await, case).await;
                } else {
                    same(Place::sqlite(), Place::sqlite(), case).await;
                }
            });
            Ok(())
        })
        .unwrap();
}

#[test]
fn g5_any_order_of_arrival_with_duplicates_gives_the_tables_of_the_ordered_one() {
    check(64, false);
}
