//! Whole plans.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{Due, Plan};
use crate::run::scenario::{Load, Rate, Scenario};
use crate::throughput::event::Event;

const STEADY: Rate = Rate::Steady { per_second: 1000.0 };

/// A scenario of 20 seconds.
fn scenario(rate: Rate, load: Load, webhooks: f64) -> Scenario {
    let steady = Scenario::find("steady").unwrap();
    Scenario {
        seconds: 20,
        rate,
        load,
        webhooks,
        ..steady
    }
}

fn plan(load: &Load, seed: u64) -> Vec<Due> {
    Plan::new(&scenario(STEADY, load.clone(), 0.2), seed).collect()
}

/// The usual load, one of copies, one of few subjects, one with all that fits, and one subject.
fn loads() -> [Load; 5] {
    let load = |entities, skew, copies, late| Load {
        entities,
        skew,
        copies,
        late,
        ..Load::default()
    };
    [
        Load::default(),
        load(20_000, 0.8, 0.9, 0.0),
        load(1_000, 2.0, 0.05, 0.05),
        load(5_000, 0.0, 0.2, 0.4),
        load(1, 0.8, 0.05, 0.004),
    ]
}

fn part(plan: &[Due], is_meant: impl Fn(&Due) -> bool) -> f64 {
    let count = |count: usize| f64::from(u32::try_from(count).unwrap());
    count(plan.iter().filter(|due| is_meant(due)).count()) / count(plan.len())
}

#[test]
fn a_seed_names_one_plan() {
    let load = Load::default();
    assert_eq!(plan(&load, 1), plan(&load, 1));
    assert_ne!(plan(&load, 1), plan(&load, 2));
}

#[test]
fn every_version_up_to_the_newest_is_sent_once_that_is_no_copy() {
    for (load, seed) in loads().iter().zip(0..) {
        let (mut sent, mut newest) = (HashSet::new(), HashMap::new());
        for due in plan(load, seed).iter().filter(|due| !due.copy) {
            let Event { entity, version } = due.event;
            assert!(sent.insert(due.event), "{due:?} is sent twice");
            let newest = newest.entry(entity).or_insert(0);
            *newest = version.max(*newest);
        }
        for (entity, newest) in newest {
            let missing = (1..=newest).find(|&version| !sent.contains(&Event { entity, version }));
            assert_eq!(
                missing, None,
                "a version of {entity} is missing in {load:?}"
            );
        }
    }
}

#[test]
fn nothing_is_held_back_when_a_plan_ends_early_or_late() {
    for events in 1..300 {
        let load = Load {
            late: 0.45,
            entities: 50,
            ..Load::default()
        };
        let plan = Plan::new(&scenario(Rate::Unlimited { events }, load, 0.0), events);
        let all: Vec<_> = plan.collect();
        assert_eq!(u64::try_from(all.len()).unwrap(), events);
        let sent: HashSet<_> = all.iter().map(|due| due.event).collect();
        for event in &sent {
            let before = Event {
                version: event.version - 1,
                ..*event
            };
            assert!(
                before.version == 0 || sent.contains(&before),
                "{before:?} is missing"
            );
        }
    }
}

#[test]
fn copies_are_of_what_was_sent_before_and_mostly_recent() {
    for (load, seed) in loads().iter().zip(0..) {
        let (mut sent, mut ages) = (HashMap::new(), Vec::new());
        for (number, due) in plan(load, seed).iter().enumerate() {
            if due.copy {
                let first: &(usize, u32) = sent.get(&due.event).expect("a copy of nothing");
                assert_eq!(first.1, due.notes);
                ages.push(number - first.0);
            } else {
                sent.insert(due.event, (number, due.notes));
            }
        }
        ages.sort_unstable();
        let middle = ages[ages.len() / 2];
        assert!(
            (500..8_000).contains(&middle),
            "half are older than {middle}"
        );
    }
}

#[test]
fn late_events_come_at_most_200_messages_after_a_newer_one_and_others_do_not() {
    for (load, seed) in loads().iter().zip(0..) {
        let mut newest = HashMap::new();
        let mut overtook = HashMap::new();
        for (number, due) in plan(load, seed)
            .iter()
            .enumerate()
            .filter(|(_, due)| !due.copy)
        {
            let Event { entity, version } = due.event;
            let newest = newest.entry(entity).or_insert(0);
            assert_eq!(due.late, version < *newest, "{due:?} after {newest}");
            if due.late {
                let since: usize = overtook.remove(&due.event).expect("overtaken by the next");
                assert!((1..=200).contains(&(number - since)));
            } else if version == *newest + 2 {
                let before = Event {
                    entity,
                    version: version - 1,
                };
                assert!(overtook.keys().all(|held: &Event| held.entity != entity));
                overtook.insert(before, number);
            } else {
                assert_eq!(version, *newest + 1);
            }
            *newest = version.max(*newest);
        }
        assert!(overtook.is_empty(), "lost: {overtook:?}");
    }
}

#[test]
fn copies_late_events_and_webhooks_have_their_parts() {
    for (load, seed) in loads().iter().zip(0..) {
        let plan = plan(load, seed);
        let near = |is_meant: fn(&Due) -> bool, wanted: f64| {
            let part = part(&plan, is_meant);
            let off = (part - wanted).abs();
            // Four standard deviations of a count.
            let most = 4.0 * (wanted / 20_000.0).sqrt();
            assert!(off <= most, "{part}, not {wanted}: {load:?}");
        };
        near(|due| due.copy, load.copies);
        near(|due| due.late, load.late);
        near(|due| due.by_webhook, 0.2);
    }
    let ways = |webhooks| {
        let plan = Plan::new(&scenario(STEADY, Load::default(), webhooks), 1);
        part(&plan.collect::<Vec<_>>(), |due| due.by_webhook)
    };
    assert_eq!((ways(0.0), ways(1.0)), (0.0, 1.0));
}

#[test]
fn messages_are_due_as_the_schedule_says() {
    let plan = plan(&Load::default(), 1);
    assert_eq!(plan.len(), 20_000);
    let mut times = (0..).map(Duration::from_millis);
    assert!(plan.iter().all(|due| Some(due.at) == times.next()));
}
