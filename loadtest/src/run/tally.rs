//! What the ledger and the samples add up to.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::ledger::{Fate, Ledger, Micros, Shown, State};
use super::report::{Account, Latency, Second, Stage};
use super::sample::Sample;
use crate::Failed;

/// The longest latency that is told apart, µs: an hour.
const LONGEST: u64 = 3_600_000_000;
/// Percentiles of a curve.
const CURVE: [f64; 16] = [
    0.0, 10.0, 25.0, 50.0, 75.0, 80.0, 90.0, 95.0, 97.5, 99.0, 99.5, 99.8, 99.9, 99.95, 99.99,
    100.0,
];

/// Latencies, µs.
#[derive(Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    /// None yet.
    ///
    /// # Errors
    /// None that could be seen: the bounds are fixed.
    pub(crate) fn new() -> Result<Self, Failed> {
        Ok(Self(Histogram::new_with_bounds(1, LONGEST, 3)?))
    }

    pub(crate) fn add(&mut self, micros: Micros) {
        self.0.saturating_record(micros.max(1));
    }

    /// Milliseconds below which this part, in percent, is.
    pub(crate) fn at(&self, percent: f64) -> f64 {
        millis(self.0.value_at_percentile(percent))
    }

    /// As a report has it.
    pub(crate) fn told(&self) -> Latency {
        if self.0.is_empty() {
            return Latency::default();
        }
        Latency {
            count: self.0.len(),
            mean: self.0.mean() / 1000.0,
            p50: self.at(50.0),
            p90: self.at(90.0),
            p99: self.at(99.0),
            p999: self.at(99.9),
            p9999: self.at(99.99),
            max: millis(self.0.max()),
            curve: CURVE
                .iter()
                .map(|percent| (*percent, self.at(*percent)))
                .collect(),
        }
    }
}

/// µs in ms.
fn millis(micros: Micros) -> f64 {
    u32::try_from(micros).map_or(f64::MAX, f64::from) / 1000.0
}

/// Latency of each stage.
///
/// # Errors
/// As [`Latencies::new`].
pub(crate) fn stages(ledger: &Ledger) -> Result<Vec<Stage>, Failed> {
    let state = ledger.lock();
    let sent = || state.events.values();
    let accepted = sent().filter_map(|sent| Some((sent.due, sent.accepted?)));
    let mut stages = vec![stage("accepted".to_owned(), accepted)?];
    let logged = sent().filter_map(|sent| Some((sent.due, sent.logged?)));
    let logged = stage("logged".to_owned(), logged)?;
    stages.extend((logged.latency.count > 0).then_some(logged));
    for shown in &state.sinks {
        let due = |event| state.events.get(event).map(|sent| sent.due);
        let delivered = shown.seen.iter();
        let delivered = delivered.filter_map(|(event, seen)| Some((due(event)?, seen.first)));
        stages.push(stage(format!("delivered to {}", shown.name), delivered)?);
    }
    Ok(stages)
}

/// A stage, of when events were due and when they had passed it.
fn stage(name: String, ends: impl Iterator<Item = (Micros, Micros)>) -> Result<Stage, Failed> {
    let mut latencies = Latencies::new()?;
    for (due, end) in ends {
        latencies.add(end.saturating_sub(due));
    }
    let latency = latencies.told();
    Ok(Stage { name, latency })
}

/// What became of every accepted event at each sink.
pub(crate) fn accounts(ledger: &Ledger) -> Vec<Account> {
    let mut state = ledger.lock();
    let State { events, sinks, .. } = &mut *state;
    let mut accounts = Vec::new();
    for shown in sinks {
        let mut account = Account {
            sink: shown.name.clone(),
            ..Account::default()
        };
        let mut lost = Vec::new();
        for (event, sent) in events.iter().filter(|(_, sent)| sent.times > 0) {
            account.accepted += u64::from(sent.times);
            account.duplicate += u64::from(sent.times - 1);
            match shown.fate(*event) {
                Fate::Delivered => account.delivered += 1,
                Fate::Stale => account.stale += 1,
                Fate::DeadLettered => account.dead_lettered += 1,
                Fate::Lost => {
                    account.lost += 1;
                    lost.push(*event);
                }
            }
        }
        lost.sort_unstable_by_key(|event| (event.entity, event.version));
        for event in lost {
            shown.example(format!("{} is lost", ledger.told(event)));
        }
        account.repeated = repeated(shown);
        account.regressed = shown.regressed;
        account.invented = shown.invented;
        account.examples.clone_from(&shown.examples);
        accounts.push(account);
    }
    accounts
}

/// Seen again, beyond the first time.
fn repeated(shown: &Shown) -> u64 {
    shown
        .seen
        .values()
        .map(|seen| u64::from(seen.times - 1))
        .sum()
}

/// Second by second.
///
/// # Errors
/// As [`Latencies::new`].
pub(crate) fn timeline(ledger: &Ledger, samples: &[Sample]) -> Result<Vec<Second>, Failed> {
    let state = ledger.lock();
    let mut seconds: BTreeMap<u64, Second> = BTreeMap::new();
    for sent in state.events.values() {
        at(&mut seconds, sent.due).scheduled += 1;
        if let Some(accepted) = sent.accepted {
            at(&mut seconds, accepted).accepted += 1;
        }
    }
    for shown in &state.sinks {
        let mut latencies: BTreeMap<u64, Latencies> = BTreeMap::new();
        for (event, seen) in &shown.seen {
            let of_second = at(&mut seconds, seen.first);
            *of_second.delivered.entry(shown.name.clone()).or_default() += 1;
            let Some(sent) = state.events.get(event) else {
                continue;
            };
            let second = sent.due / 1_000_000;
            let all = match latencies.entry(second) {
                std::collections::btree_map::Entry::Occupied(all) => all.into_mut(),
                std::collections::btree_map::Entry::Vacant(none) => none.insert(Latencies::new()?),
            };
            all.add(seen.first.saturating_sub(sent.due));
        }
        for (second, all) in latencies {
            let told = [all.at(50.0), all.at(99.0), all.at(100.0)];
            let second = at(&mut seconds, second * 1_000_000);
            second.latency.insert(shown.name.clone(), told);
        }
    }
    for sample in samples {
        let second = at(&mut seconds, sample.at);
        second.lag.clone_from(&sample.lag);
        second.memory_mib.clone_from(&sample.memory_mib);
        second.cpu.clone_from(&sample.cpu);
    }
    Ok(seconds.into_values().collect())
}

/// The second that a moment is in.
fn at(seconds: &mut BTreeMap<u64, Second>, moment: Micros) -> &mut Second {
    let at = moment / 1_000_000;
    seconds.entry(at).or_insert_with(|| Second {
        at,
        ..Second::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::ledger::Keeps;
    use crate::throughput::event::Event;

    fn event(entity: u32, version: u32) -> Event {
        Event { entity, version }
    }

    #[test]
    fn what_became_of_the_accepted_events_adds_up_to_them() {
        let ledger = Ledger::new(&[
            ("crm".to_owned(), Keeps::Newest),
            ("lake".to_owned(), Keeps::All),
        ]);
        for version in 1..=4 {
            ledger.sends(event(1, version), 0);
            ledger.accepted(event(1, version), 1);
        }
        ledger.sends(event(1, 2), 5);
        ledger.accepted(event(1, 2), 6);
        ledger.sends(event(2, 1), 7);
        ledger.refused();
        ledger.seen(0, event(1, 3), 9);
        ledger.seen(0, event(1, 3), 9);
        ledger.dead_lettered(Some("crm"), event(1, 4));
        ledger.seen(1, event(1, 1), 9);
        let accounts = accounts(&ledger);
        for account in &accounts {
            let all = account.delivered + account.stale + account.duplicate + account.dead_lettered;
            assert_eq!(
                (all + account.lost, account.accepted),
                (5, 5),
                "{account:?}"
            );
        }
        let [crm, lake] = accounts.as_slice() else {
            panic!()
        };
        assert_eq!(
            (crm.delivered, crm.stale, crm.dead_lettered, crm.lost),
            (1, 2, 1, 0)
        );
        assert_eq!((crm.duplicate, crm.repeated), (1, 1));
        assert_eq!((lake.delivered, lake.lost, lake.repeated), (1, 3, 0));
        assert_eq!(lake.examples[0], "entities/0000001 version 2 is lost");
    }

    #[test]
    fn latency_counts_from_when_an_event_was_due_and_not_from_when_its_copy_was() {
        let ledger = Ledger::new(&[("lake".to_owned(), Keeps::All)]);
        ledger.sends(event(1, 1), 1_000_000);
        ledger.accepted(event(1, 1), 1_002_000);
        ledger.sends(event(1, 1), 3_000_000);
        ledger.accepted(event(1, 1), 3_001_000);
        ledger.seen(0, event(1, 1), 3_500_000);
        let stages = stages(&ledger).unwrap();
        let p50 = |number: usize| stages[number].latency.p50;
        assert!((p50(0) - 2.0).abs() < 0.01, "{}", p50(0));
        assert!((p50(1) - 2500.0).abs() < 3.0, "{}", p50(1));
        let timeline = timeline(&ledger, &[]).unwrap();
        assert_eq!(timeline.len(), 2);
        assert_eq!((timeline[0].at, timeline[0].scheduled), (1, 1));
        assert_eq!(timeline[1].delivered["lake"], 1);
    }
}
