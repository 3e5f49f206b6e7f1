//! What the events of one step have reached.

use crate::Failed;
use crate::run::ledger::{Fate, Ledger, Micros};
use crate::run::tally::Latencies;

/// What the events that were due within one step have reached. An event that has not arrived yet
/// counts with its age: it takes that long at least.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// Events, without copies.
    pub(super) events: u64,
    /// From the scheduled time to the slowest sink, ms: p99 and p99.9.
    pub(super) delivered: (f64, f64),
    /// From the scheduled time to the acknowledgement, ms, p99.
    pub(super) accepted_p99: f64,
    /// From the scheduled time to the sending, ms, p99.
    pub(super) behind_p99: f64,
    /// Events that were not accepted, or that some sink does not account for.
    pub(super) open: u64,
    /// Of those, older than was asked for.
    pub(super) overdue: u64,
}

impl Reached {
    /// What the events that were due from the one time to before the other have reached by `now`.
    ///
    /// # Errors
    /// As [`Latencies::new`].
    pub(super) fn of(
        ledger: &Ledger,
        within: (Micros, Micros),
        now: Micros,
        patience: Micros,
    ) -> Result<Self, Failed> {
        let mut reached = Self::default();
        let (mut accepted, mut behind) = (Latencies::new()?, Latencies::new()?);
        let sinks = ledger.lock().sinks.len();
        let delivered = (0..sinks).map(|_| Latencies::new());
        let mut delivered = delivered.collect::<Result<Vec<_>, _>>()?;
        ledger.due_within(within, |event, sent, sinks| {
            let age = now.saturating_sub(sent.due);
            let since = |end: Micros| end.saturating_sub(sent.due);
            reached.events += 1;
            behind.add(sent.behind);
            accepted.add(sent.accepted.map_or(age, since));
            let mut open = sent.accepted.is_none();
            for (shown, latencies) in sinks.iter().zip(&mut delivered) {
                match (shown.seen.get(&event), shown.fate(event)) {
                    (Some(seen), _) => latencies.add(since(seen.first)),
                    (None, Fate::Lost) => {
                        latencies.add(age);
                        open = true;
                    }
                    (None, Fate::Delivered | Fate::Stale | Fate::DeadLettered) => {}
                }
            }
            reached.open += u64::from(open);
            reached.overdue += u64::from(open && age >= patience);
        });
        let slowest = |percent: f64| {
            let all = delivered.iter().map(|sink| sink.at(percent));
            all.fold(0.0, f64::max)
        };
        reached.delivered = (slowest(99.0), slowest(99.9));
        reached.accepted_p99 = accepted.at(99.0);
        reached.behind_p99 = behind.at(99.0);
        Ok(reached)
    }
}
