//! A member of a sink's group: what a client library hears from the coordinator, and tells the
//! product a little later.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use goldwire::changelog::Ownership;
use goldwire::log::{
    Log as _, LogError, LogReader, LogRecord, OffsetRange, PartitionReader, ReadLimit, ReaderEvent,
};
use goldwire::time::Millis;
use rand::RngExt as _;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::group::Told;
use crate::host::{Breath, Host};
use crate::log::SimLog;
use crate::plan::Kind;
use crate::world::millis;

/// Between what the library hears and what the product hears.
const LATE: Millis = 60;
/// A member that is out joins again within this time.
const AGAIN: Millis = 500;
/// A partition that a transaction still has is asked for again after this.
const ENDING: Duration = Duration::from_millis(10);

/// What the client library knows.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) member: u64,
    pub(super) generation: u64,
    /// Each with the epoch that the product gave it.
    pub(super) assigned: BTreeMap<u16, u64>,
}

/// Partitions that are being given back.
#[derive(Debug)]
struct Ending {
    partitions: Vec<u16>,
    done: oneshot::Receiver<()>,
    drained: bool,
}

/// One sink's member in one life.
#[derive(Debug)]
pub(super) struct SimGroup {
    host: Arc<Host>,
    kind: Kind,
    log: Arc<SimLog>,
    ownership: Arc<Ownership>,
    client: Arc<Mutex<Client>>,
    late: VecDeque<(Instant, ReaderEvent)>,
    ending: Option<Ending>,
    rejoins: Option<Instant>,
}

impl SimGroup {
    pub(super) fn join(
        log: &Arc<SimLog>,
        kind: Kind,
        ownership: &Arc<Ownership>,
        client: &Arc<Mutex<Client>>,
    ) -> Self {
        let host = &log.host;
        client.lock().unwrap().member = host.join(kind, host.slot, host.life);
        Self {
            host: Arc::clone(host),
            kind,
            log: Arc::clone(log),
            ownership: Arc::clone(ownership),
            client: Arc::clone(client),
            late: VecDeque::new(),
            ending: None,
            rejoins: None,
        }
    }

    fn later(&self, longest: Millis) -> Instant {
        let wait = self.host.lock().rng.random_range(0..=longest);
        Instant::now() + millis(wait)
    }

    fn tell(&mut self, event: ReaderEvent) {
        let mut at = self.later(LATE);
        if let Some((before, _)) = self.late.back() {
            at = at.max(*before);
        }
        self.late.push_back((at, event));
    }

    /// Takes what the coordinator has told.
    fn hear(&mut self) {
        loop {
            let mail = {
                let member = self.client.lock().unwrap().member;
                let mut state = self.host.lock();
                let group = state.cluster.groups.get_mut(&self.kind).unwrap();
                group.mail(member)
            };
            let Some((generation, told)) = mail else {
                return;
            };
            self.client.lock().unwrap().generation = generation;
            match told {
                Told::Assigned(partitions) => self.assigned(&partitions),
                Told::Revoked(partitions) => {
                    let (done, wait) = oneshot::channel();
                    self.ending = Some(Ending {
                        partitions: partitions.clone(),
                        done: wait,
                        drained: false,
                    });
                    self.tell(ReaderEvent::Revoked { partitions, done });
                }
                Told::Out => self.lost(),
                Told::Nothing => {}
            }
        }
    }

    fn assigned(&mut self, partitions: &[u16]) {
        let mut readers = Vec::new();
        for partition in partitions {
            let epoch = self.ownership.take(*partition);
            let mut client = self.client.lock().unwrap();
            client.assigned.insert(*partition, epoch);
            let reader: Arc<dyn PartitionReader> = Arc::new(SimPartition {
                log: Arc::clone(&self.log),
                partition: *partition,
                epoch,
            });
            readers.push(reader);
        }
        self.tell(ReaderEvent::Assigned(readers));
    }

    fn lost(&mut self) {
        let had = std::mem::take(&mut self.client.lock().unwrap().assigned);
        let partitions: Vec<u16> = had.into_keys().collect();
        self.host.crashes(self.host.life);
        self.host.note(|| {
            format!(
                "{} #{} lost {partitions:?}",
                self.kind.name(),
                self.host.slot
            )
        });
        self.ownership.lose(&partitions);
        self.ending = None;
        self.tell(ReaderEvent::Lost { partitions });
        // Not before the product has heard of it.
        let heard = self.late.back().map(|(at, _)| *at + millis(1));
        self.rejoins = heard.max(Some(self.later(AGAIN)));
    }

    /// Gives back what is drained, if no transaction has it any more.
    fn give_back(&mut self) {
        let Some(ending) = self.ending.take_if(|it| it.drained) else {
            return;
        };
        if !self.ownership.give_back(&ending.partitions) {
            self.ending = Some(ending);
            return;
        }
        let member = {
            let mut client = self.client.lock().unwrap();
            let given = &ending.partitions;
            client
                .assigned
                .retain(|partition, _| !given.contains(partition));
            client.member
        };
        self.host.given_back(self.kind, member, &ending.partitions);
    }

    /// When there is something to be done without being told.
    fn wakes(&self) -> Option<Instant> {
        let late = self.late.front().map(|(at, _)| *at);
        let ending = self.ending.as_ref().filter(|it| it.drained);
        let ending = ending.map(|_| Instant::now() + ENDING);
        [late, ending, self.rejoins].into_iter().flatten().min()
    }
}

#[async_trait]
impl LogReader for SimGroup {
    async fn next(&mut self) -> ReaderEvent {
        loop {
            self.host.awake().await;
            let told = Arc::clone(&self.host.lock().cluster.told);
            let heard = told.notified();
            self.hear();
            self.give_back();
            let now = Instant::now();
            if self.rejoins.is_some_and(|at| at <= now) {
                self.rejoins = None;
                let (slot, life) = (self.host.slot, self.host.life);
                let member = self.host.join(self.kind, slot, life);
                self.client.lock().unwrap().member = member;
                continue;
            }
            if let Some((_, event)) = self.late.pop_front_if(|(at, _)| *at <= now) {
                return event;
            }
            let wakes = self.wakes();
            tokio::select! {
                biased;
                () = drained(&mut self.ending) => {}
                () = at(wakes) => {}
                () = heard => {}
            }
        }
    }
}

impl Drop for SimGroup {
    fn drop(&mut self) {
        let fixed = self.host.plan.cluster.as_ref().is_some_and(|it| it.fixed);
        if !fixed && self.host.breath() == Breath::Runs {
            let member = self.client.lock().unwrap().member;
            self.host.leave(self.kind, member);
        }
    }
}

/// The task of what is given back has ended.
async fn drained(ending: &mut Option<Ending>) {
    match ending {
        Some(ending) if !ending.drained => {
            // No one answers for partitions without a task.
            drop((&mut ending.done).await);
            ending.drained = true;
        }
        Some(_) | None => std::future::pending().await,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// A partition of the event log in one assignment.
#[derive(Debug)]
struct SimPartition {
    log: Arc<SimLog>,
    partition: u16,
    epoch: u64,
}

#[async_trait]
impl PartitionReader for SimPartition {
    fn partition(&self) -> u16 {
        self.partition
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn range(&self) -> OffsetRange {
        self.log.range(self.partition)
    }

    async fn read(&self, from: u64, limit: ReadLimit) -> Result<Vec<LogRecord>, LogError> {
        self.log.wait(self.partition, from).await;
        self.log.read(self.partition, from, limit).await
    }

    async fn checksum(&self, offset: u64) -> Result<Option<u32>, LogError> {
        let limit = ReadLimit {
            records: 1,
            bytes: 1,
        };
        let read = self.log.read(self.partition, offset, limit).await?;
        let found = read.first().filter(|it| it.offset == offset);
        Ok(found.map(|it| crc32c::crc32c(&it.bytes)))
    }
}
