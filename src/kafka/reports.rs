//! Delivery reports, counted back to the batch and the row that they are about.
//!
//! Guarantee (G7): a batch ends when each of its records was reported, and each row has the worst
//! outcome of its own records. A record that was queued is reported exactly once, whatever becomes of
//! the producer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::{ClientContext, Message as _};
use tokio::sync::{Notify, oneshot};

use super::codes::is_fatal;

/// Bits of a tag that say which row; the rest says which batch.
const ROW_BITS: u32 = 20;
/// Rows of a batch at most.
pub(crate) const MOST_ROWS: usize = 1 << ROW_BITS;

/// A record that is not at the brokers, or not known to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) topic: String,
    /// Whether librdkafka took it at all.
    pub(crate) queued: bool,
}

/// Where the records of a row are: the lowest and the highest of their offsets. Negative for a row
/// without records, and where the broker does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

/// What a row came to: the first of its records that failed, if any did.
pub(crate) type RowResult = Result<Placed, Failure>;

const NOWHERE: Placed = Placed {
    first: -1,
    last: -1,
};

/// The context of a producer.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    batches: Mutex<Batches>,
    room: Notify,
    fatal: AtomicBool,
    troubled: AtomicBool,
    /// What the client complained of since a record was acknowledged.
    trouble: Mutex<Option<Code>>,
}

#[derive(Debug, Default)]
struct Batches {
    open: Vec<Option<Batch>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Batch {
    rows: Vec<RowResult>,
    /// Records that were not reported yet, those of rows that were not begun yet included.
    left: usize,
    done: Option<oneshot::Sender<Vec<RowResult>>>,
}

/// What became of a record: its offset, or why it has none, its topic, and whether it was queued.
enum End<'a> {
    At(i64),
    Failed(Code, &'a str, bool),
}

impl End<'_> {
    fn note(self, row: &mut RowResult) {
        match (self, row) {
            (Self::At(offset), Ok(placed)) => {
                if placed.first < 0 || offset < placed.first {
                    placed.first = offset;
                }
                placed.last = placed.last.max(offset);
            }
            (Self::Failed(code, topic, queued), row @ Ok(_)) => {
                let topic = topic.to_owned();
                *row = Err(Failure {
                    code,
                    topic,
                    queued,
                });
            }
            (_, Err(_)) => {}
        }
    }
}

/// A batch under way. Dropped, the rest of its reports are taken and forgotten.
#[derive(Debug)]
pub(crate) struct Open<'a> {
    reports: &'a Reports,
    slot: usize,
    /// Rows that were not begun.
    unbegun: usize,
    done: Option<oneshot::Receiver<Vec<RowResult>>>,
}

impl Open<'_> {
    /// Begins the next row, which is `records` records.
    pub(crate) fn begin(&mut self, records: usize) {
        self.unbegun = self.unbegun.saturating_sub(1);
        if records != 1 {
            self.reports.expect(self.slot, records);
        }
    }

    /// What a record of this row carries to its report.
    pub(crate) fn tag(&self, row: usize) -> usize {
        self.slot << ROW_BITS | row
    }

    /// A record of the row was not queued.
    pub(crate) fn not_queued(&self, row: usize, code: Code, topic: &str) {
        let end = End::Failed(code, topic, false);
        self.reports.end(self.slot, 1, Some((row, end)));
    }

    /// The outcome of every row, when all are reported. Nothing if the reports ended first.
    pub(crate) async fn finish(mut self) -> Option<Vec<RowResult>> {
        self.done.take()?.await.ok()
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if self.unbegun > 0 {
            self.reports.end(self.slot, self.unbegun, None);
        }
    }
}

impl Reports {
    /// Begins a batch of `rows` rows, of which none has failed yet. One record of each is awaited,
    /// unless [`Open::begin`] says otherwise.
    pub(crate) fn open(&self, rows: usize) -> Open<'_> {
        let (sender, done) = oneshot::channel();
        let batch = Batch {
            rows: vec![Ok(NOWHERE); rows],
            left: rows,
            done: Some(sender),
        };
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = batches.free.pop().unwrap_or(batches.open.len());
        match batches.open.get_mut(slot) {
            Some(place) => *place = Some(batch),
            None => batches.open.push(Some(batch)),
        }
        Open {
            reports: self,
            slot,
            unbegun: rows,
            done: Some(done),
        }
    }

    /// Woken by reports: there is room in the queue again.
    pub(crate) fn room(&self) -> &Notify {
        &self.room
    }

    /// Whether the producer is of no use any more.
    pub(crate) fn is_fatal(&self) -> bool {
        self.fatal.load(Ordering::Acquire)
    }

    /// What the client complained of since a record was acknowledged.
    pub(crate) fn trouble(&self) -> Option<Code> {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A row is `records` records, and not one.
    fn expect(&self, slot: usize, records: usize) {
        if records == 0 {
            self.end(slot, 1, None);
            return;
        }
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(batch) = batches.open.get_mut(slot).and_then(Option::as_mut) {
            batch.left += records - 1;
        }
    }

    /// `records` records less are awaited; with the last one the batch ends.
    fn end(&self, slot: usize, records: usize, ended: Option<(usize, End<'_>)>) {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let place = batches.open.get_mut(slot);
        let Some(batch) = place.and_then(Option::as_mut) else {
            return;
        };
        if let Some((row, end)) = ended
            && let Some(of) = batch.rows.get_mut(row)
        {
            end.note(of);
        }
        batch.left = batch.left.saturating_sub(records);
        if batch.left > 0 {
            return;
        }
        let ended = batches.open.get_mut(slot).and_then(Option::take);
        batches.free.push(slot);
        drop(batches);
        if let Some(Batch {
            rows,
            done: Some(done),
            ..
        }) = ended
        {
            // Whoever asked may be gone.
            done.send(rows).ok();
        }
    }

    /// A record was acknowledged: what was wrong is over.
    fn recovered(&self) {
        if self.troubled.load(Ordering::Acquire) {
            let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            *trouble = None;
            self.troubled.store(false, Ordering::Release);
        }
    }

    /// Whether the producer can go on after `code`.
    pub(crate) fn note(&self, code: Code) {
        if is_fatal(code) {
            self.fatal.store(true, Ordering::Release);
        }
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, _: &str) {
        // The text may quote the broker's answer (G10); the code follows as an error.
        tracing::debug!(target: "librdkafka", ?level, facility);
    }

    fn error(&self, error: KafkaError, _: &str) {
        let Some(code) = error.rdkafka_error_code() else {
            return;
        };
        self.note(code);
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        // Follows every other trouble with a connection, and says less.
        if code != Code::AllBrokersDown || trouble.is_none() {
            *trouble = Some(code);
            self.troubled.store(true, Ordering::Release);
        }
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: usize) {
        let (slot, row) = (tag >> ROW_BITS, tag & (MOST_ROWS - 1));
        let end = match result {
            Ok(message) => {
                self.recovered();
                End::At(message.offset())
            }
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
                self.note(code);
                End::Failed(code, message.topic(), true)
            }
        };
        self.end(slot, 1, Some((row, end)));
        self.room.notify_one();
    }
}
