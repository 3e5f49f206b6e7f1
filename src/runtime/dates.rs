//! Start and end dates that pass: no one sends an event when they do.
//!
//! Guarantee (G9): a subject whose date has passed is read and asserted once more at every sink for
//! which dates count. A date is forgotten when that is durable in the event log, and not before.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::MissedTickBehavior;

use super::SinkView;
use super::parts::Files;
use super::tell::LogTell;
use crate::engine::checkpoint::Checkpoint;
use crate::event::Subject;
use crate::log::{Log, LogAppender};
use crate::sink::Tell as _;
use crate::store::{Store, StoreError, keys, store_blocking};
use crate::time::{Millis, SharedClock};

const RHYTHM: Duration = Duration::from_secs(5);
/// Dates read in one go.
const PAGE: usize = 500;
/// Bytes of a time in a key.
const TIME: usize = 8;

/// Looks after the dates of one instance's sinks.
#[derive(Debug)]
pub(super) struct Dates {
    pub(super) files: Files,
    pub(super) sinks: Vec<SinkView>,
    pub(super) clock: SharedClock,
}

/// A date that has passed.
struct Passed {
    key: Vec<u8>,
    subject: Subject,
}

impl Dates {
    /// Tells what has passed, every few seconds.
    pub(super) async fn run(self) {
        let dated: Vec<_> = self.sinks.iter().filter(|sink| sink.dated).collect();
        if dated.is_empty() {
            return;
        }
        let mut rhythm = tokio::time::interval(RHYTHM);
        rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rhythm.tick().await;
            for sink in &dated {
                for (partition, kept) in sink.tasks.checkpoints() {
                    self.tell_passed(&sink.name, partition, kept.as_ref()).await;
                }
            }
        }
    }

    /// Tells all that has passed in one partition.
    async fn tell_passed(&self, sink: &str, partition: u16, kept: &dyn Checkpoint) {
        loop {
            let passed = match self.passed(sink, partition).await {
                Ok(passed) => passed,
                Err(error) => return tracing::warn!(sink, "dates could not be read: {error}"),
            };
            let whole = passed.len() == PAGE;
            let told = self.tell(sink, &passed).await;
            let forgotten = passed.into_iter().take(told).map(|date| date.key);
            let forgotten: Vec<_> = forgotten.collect();
            if forgotten.is_empty() {
                return;
            }
            if let Err(error) = kept.discard(forgotten).await {
                return tracing::warn!(sink, "passed dates could not be forgotten: {error}");
            }
            if !whole || told < PAGE {
                return;
            }
        }
    }

    /// The earliest of those that have passed.
    async fn passed(&self, sink: &str, partition: u16) -> Result<Vec<Passed>, StoreError> {
        let prefix = keys::dates_of(sink, partition);
        let begin = prefix.len();
        let scan = move |store: &dyn Store| store.scan(&prefix, None, PAGE);
        let pairs = store_blocking(&self.files.store, scan).await?;
        let now = self.clock.now();
        let read = |(key, _): (Vec<u8>, Vec<u8>)| {
            let (time, subject) = key.get(begin..)?.split_first_chunk::<TIME>()?;
            let subject = Subject::of_bytes(subject);
            let time = Millis::from_be_bytes(*time);
            (time <= now).then_some(Passed { key, subject })
        };
        Ok(pairs.into_iter().map_while(read).collect())
    }

    /// Appends a record for each that has it read; how many could be appended.
    async fn tell(&self, sink: &str, passed: &[Passed]) -> usize {
        let log: Arc<dyn LogAppender> = Arc::<dyn Log>::clone(&self.files.log);
        let tell = LogTell {
            log,
            sink: sink.to_owned(),
            clock: Arc::clone(&self.clock),
        };
        // All at once, so that they share the journal's syncs.
        let tells = passed.iter().map(|date| tell.tell(&date.subject, 0, &[]));
        let told = join_all(tells).await;
        told.iter().take_while(|told| told.is_ok()).count()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::engine::TaskStatus;
    use crate::engine::checkpoint::StoreCheckpoint;
    use crate::engine::gate::Gate;
    use crate::event::Record;
    use crate::log::{MemoryLog, ReadLimit};
    use crate::runtime::Tasks;
    use crate::sink::OnFull;
    use crate::store::{Batch, MemoryStore};
    use crate::time::TokioClock;

    const NOW: Millis = 1_800_000_000_000;

    fn dates() -> Dates {
        let tasks = Tasks::default();
        tasks.insert(0, watch::Sender::new(TaskStatus::default()).subscribe());
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let kept = StoreCheckpoint {
            store: Arc::clone(&store),
            sink: "crm".to_owned(),
            group: "app.crm".to_owned(),
            partition: 0,
        };
        tasks.runs(0, Arc::new(kept));
        let sink = SinkView {
            name: "crm".to_owned(),
            group: "app.crm".to_owned(),
            gate: Arc::new(Gate::new("crm")),
            tasks,
            on_full: OnFull::Stall,
            dedupe: None,
            dated: true,
        };
        Dates {
            files: Files {
                store,
                log: Arc::new(MemoryLog::new(1)),
                inbox: Arc::new(MemoryLog::new(1)),
            },
            sinks: vec![sink],
            clock: Arc::new(TokioClock::starting_at(NOW)),
        }
    }

    fn put(dates: &Dates, at: Millis, id: usize) {
        let subject = Subject::new("acme", &format!("entities/{id}"));
        let mut batch = Batch::default();
        batch.put(keys::date("crm", 0, at, &subject), Vec::new());
        dates.files.store.commit(batch).unwrap();
    }

    async fn asked(log: &dyn Log) -> usize {
        let (records, bytes) = (10_000, 1 << 30);
        let read = log.read(0, 0, ReadLimit { records, bytes }).await.unwrap();
        let records = read.into_iter().map(|it| Record::decode(it.bytes).unwrap());
        records.filter(|it| it.asks() && it.sink() == "crm").count()
    }

    #[tokio::test(start_paused = true)]
    async fn g9_what_has_passed_is_asked_once_and_what_lies_ahead_waits() {
        let dates = dates();
        let (log, store) = (Arc::clone(&dates.files.log), Arc::clone(&dates.files.store));
        for id in 0..PAGE + 10 {
            put(&dates, NOW - 10, id);
        }
        put(&dates, NOW + 60_000, PAGE + 10);
        let left = || {
            store
                .scan(&keys::dates_of("crm", 0), None, 10)
                .unwrap()
                .len()
        };
        let running = tokio::spawn(dates.run());
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!((asked(log.as_ref()).await, left()), (PAGE + 10, 1));
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!((asked(log.as_ref()).await, left()), (PAGE + 11, 0));
        running.abort();
    }
}
