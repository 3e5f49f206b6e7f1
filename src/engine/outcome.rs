//! What becomes of a record at a sink: one word for each way that there is.
//!
//! Guarantee (G2): a record's offset completes with exactly one of these, after what it says is
//! durable: acknowledged by the sink, known to the store, or in a dead letter.

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The sink has the state that it brings, or a newer one that was written in its place.
    Delivered,
    /// The sink keeps a row of it; the current state is newer.
    Row,
    /// Reltio was read, and the sink has the answer.
    Answered,
    /// The newest state was asserted once more.
    Reasserted,
    /// In doubt, and decided by time, since there is no Reltio API.
    ByArrival,
    /// The sink has this very change.
    Duplicate,
    /// The sink has something newer.
    Stale,
    /// It is not for this sink.
    Filtered,
    /// The sink only appends, and the record makes no row.
    NoRow,
    /// A dead letter holds it.
    DeadLettered,
}

impl Outcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Delivered,
        Self::Row,
        Self::Answered,
        Self::Reasserted,
        Self::ByArrival,
        Self::Duplicate,
        Self::Stale,
        Self::Filtered,
        Self::NoRow,
        Self::DeadLettered,
    ];

    /// Whether the state that the record brings was written, or what Reltio answered for it.
    pub(crate) fn is_written(self) -> bool {
        match self {
            Self::Delivered | Self::ByArrival | Self::Answered | Self::Reasserted => true,
            Self::Row
            | Self::Duplicate
            | Self::Stale
            | Self::Filtered
            | Self::NoRow
            | Self::DeadLettered => false,
        }
    }

    /// As metrics and `docs/metrics.md` call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Row => "row",
            Self::Answered => "answered",
            Self::Reasserted => "reasserted",
            Self::ByArrival => "by_arrival",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::Filtered => "filtered",
            Self::NoRow => "no_row",
            Self::DeadLettered => "dead_lettered",
        }
    }
}

/// How many records had which outcome since they were last told.
#[derive(Debug, Default)]
pub(crate) struct Counts([u64; Outcome::ALL.len()]);

impl Counts {
    pub(crate) fn add(&mut self, outcome: Outcome) {
        let place = Outcome::ALL.iter().position(|one| *one == outcome);
        if let Some(count) = place.and_then(|place| self.0.get_mut(place)) {
            *count += 1;
        }
    }

    /// What was counted since the last call.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = (Outcome, u64)> {
        let counts = std::mem::take(&mut self.0);
        let counted = Outcome::ALL.into_iter().zip(counts);
        counted.filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_in_the_list_of_metrics() {
        let docs = include_str!("../../docs/metrics.md");
        for outcome in Outcome::ALL {
            let name = format!("`{}`", outcome.name());
            assert!(docs.contains(&name), "{name} is not in docs/metrics.md");
        }
    }

    #[test]
    fn counts_are_told_once() {
        let mut counts = Counts::default();
        counts.add(Outcome::Stale);
        counts.add(Outcome::Stale);
        counts.add(Outcome::DeadLettered);
        let told: Vec<_> = counts.take().collect();
        assert_eq!(told, [(Outcome::Stale, 2), (Outcome::DeadLettered, 1)]);
        assert_eq!(counts.take().count(), 0);
    }
}
