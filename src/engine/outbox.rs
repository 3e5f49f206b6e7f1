//! Writes that wait to be sent, and how they become batches.
//!
//! Guarantee (G8): a batch holds no more than the sink says, save for one write. A write whose
//! batch failed as a whole goes in ever smaller company, so that one record cannot fail others for
//! long.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::work::Work;
use crate::sink::Capabilities;

/// Writes that wait to be sent.
#[derive(Debug)]
pub(crate) struct Outbox {
    waiting: VecDeque<Work>,
    bytes: usize,
    /// When the first of them came.
    since: Option<Instant>,
    rows: usize,
    most_bytes: usize,
    batches: usize,
    linger: Duration,
    /// Batches under way.
    pub(super) under_way: usize,
}

impl Outbox {
    pub(crate) fn new(capabilities: Capabilities) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            since: None,
            rows: capabilities.rows.max(1),
            most_bytes: capabilities.bytes,
            batches: capabilities.batches.max(1),
            linger: capabilities.linger,
            under_way: 0,
        }
    }

    /// A write waits to be sent.
    pub(crate) fn push(&mut self, work: Work) {
        self.bytes += work.bytes();
        self.since.get_or_insert_with(Instant::now);
        self.waiting.push_back(work);
    }

    /// Those that are tried again go before what came later.
    pub(crate) fn push_again(&mut self, again: Vec<Work>) {
        self.since.get_or_insert_with(Instant::now);
        for work in again.into_iter().rev() {
            self.bytes += work.bytes();
            self.waiting.push_front(work);
        }
    }

    /// When the next batch is due, if one may be sent; it may be full before.
    pub(crate) fn due(&self) -> Option<Instant> {
        let since = self.since.filter(|_| self.under_way < self.batches)?;
        let full = self.waiting.len() >= self.rows || self.bytes >= self.most_bytes;
        Some(if full { since } else { since + self.linger })
    }

    /// The next batch, if one is due. `hurry`: what there is need not wait for company.
    pub(crate) fn take(&mut self, now: Instant, hurry: bool) -> Option<Vec<Work>> {
        let due = self.due()?;
        if due > now && !hurry {
            return None;
        }
        let most = self.rows.min(self.waiting.len());
        let (mut batch, mut bytes, mut rows) = (Vec::with_capacity(most), 0_usize, self.rows);
        let blame = self.waiting.front().map(Work::blame).unwrap_or_default();
        while let Some(next) = self.waiting.front() {
            let size = next.bytes();
            rows = rows.min(company(self.rows, next.tries.splits));
            let of_blame = rows.min(next.blame().company());
            let fits = batch.len() < of_blame && bytes.saturating_add(size) <= self.most_bytes;
            if !batch.is_empty() && (!fits || next.blame() != blame) {
                break;
            }
            bytes = bytes.saturating_add(size);
            self.bytes = self.bytes.saturating_sub(size);
            batch.extend(self.waiting.pop_front());
        }
        self.since = (!self.waiting.is_empty()).then_some(now);
        self.under_way += usize::from(!batch.is_empty());
        (!batch.is_empty()).then_some(batch)
    }
}

/// How many writes a batch may have with one that failed so often in a batch.
fn company(rows: usize, splits: u32) -> usize {
    let halvings = splits.saturating_mul(2).min(usize::BITS - 1);
    (rows >> halvings).max(1)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::isolation::Blame;
    use super::super::lane::Pending;
    use super::super::work::Purpose;
    use super::*;
    use crate::event::{Record, Subject};
    use crate::sink::Mode;

    fn outbox(rows: usize, linger: u64) -> Outbox {
        Outbox::new(Capabilities {
            rows,
            batches: 2,
            linger: Duration::from_millis(linger),
            ..Capabilities::new(Mode::Latest)
        })
    }

    fn work(splits: u32) -> Work {
        let mut work = Work::new(&Subject::new("t", "entities/a"), Purpose::Apply);
        work.tries.splits = splits;
        work
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_sent_when_it_is_full_or_when_its_first_write_waited_long_enough() {
        let mut outbox = outbox(2, 10);
        outbox.push(work(0));
        assert!(outbox.take(Instant::now(), false).is_none());
        outbox.push(work(0));
        outbox.push(work(0));
        assert_eq!(outbox.take(Instant::now(), false).unwrap().len(), 2);
        assert!(outbox.take(Instant::now(), false).is_none());
        tokio::time::advance(Duration::from_millis(10)).await;
        assert_eq!(outbox.take(Instant::now(), false).unwrap().len(), 1);
        outbox.push(work(0));
        assert!(outbox.due().is_none(), "two are under way");
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_whose_batch_failed_goes_in_smaller_company_each_time() {
        for (splits, expected) in [(0, 100), (1, 25), (2, 6), (3, 1), (40, 1)] {
            let mut outbox = outbox(100, 0);
            for _ in 0..200 {
                outbox.push(work(splits));
            }
            let batch = outbox.take(Instant::now(), false).unwrap();
            assert_eq!(batch.len(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn suspects_go_in_small_groups_and_alone_after_a_second_death() {
        let suspect = |deaths| {
            let mut work = work(0);
            let mut pending = Pending::of(1, Record::decode(Bytes::new()).unwrap());
            pending.blame = Blame {
                suspect: true,
                deaths,
            };
            work.records.push_back(pending);
            work
        };
        let mut outbox = Outbox {
            batches: 9,
            ..outbox(1000, 0)
        };
        (0..2).for_each(|_| outbox.push(work(0)));
        (0..40).for_each(|_| outbox.push(suspect(0)));
        (0..2).for_each(|_| outbox.push(suspect(1)));
        outbox.push(work(0));
        let taken = std::iter::from_fn(|| outbox.take(Instant::now(), true));
        let sizes: Vec<usize> = taken.map(|batch| batch.len()).collect();
        assert_eq!(sizes, [2, 32, 8, 1, 1, 1]);
    }
}
