//! The thread that speaks with librdkafka for one member of a group.
//!
//! Guarantee (G2): it polls whatever the tasks do, so that the member keeps its place however long a
//! drain or a restore takes; and answers a revocation only when nothing of it can be committed any
//! more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{Consumer as _, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::group::{GroupOf, Joins, Member};
use super::split::Partition;
use crate::kafka::{
    Complaints, NAME_TAKEN, Place, Rejoin, Said, Vacancy, code, is_fenced, is_lost_position,
    is_name_taken,
};
use crate::log::{PartitionReader, ReaderEvent};

const IDLE: Duration = Duration::from_millis(100);
/// While a drain or an assignment is under way.
const BUSY: Duration = Duration::from_millis(5);
/// Between two questions to brokers that did not answer.
const AGAIN: Duration = Duration::from_millis(200);
/// How long the brokers have to say where partitions end.
const ANSWER: Duration = Duration::from_secs(2);
/// How long the group is left at the end.
const LEAVE: Duration = Duration::from_secs(4);

/// Partitions that are given back.
pub(super) struct Leaving {
    pub(super) partitions: Vec<u16>,
    /// Nothing once it was answered, or too late.
    done: Option<oneshot::Receiver<()>>,
    deadline: Instant,
}

/// The thread's own.
pub(super) struct Thread {
    pub(super) member: Arc<Member>,
    pub(super) of: GroupOf,
    bootstrap: String,
    pub(super) joins: Joins,
    told: UnboundedSender<ReaderEvent>,
    /// Assigned, and told.
    pub(super) owned: BTreeSet<u16>,
    /// Assigned, and not told yet.
    pub(super) arriving: BTreeSet<u16>,
    /// What they hold is asked no earlier.
    ask_at: Instant,
    pub(super) leaving: Vec<Leaving>,
    complaints: Complaints,
    pub(super) rejoin: Rejoin,
    pub(super) vacancy: Option<Vacancy>,
    pub(super) halted: bool,
}

impl Thread {
    pub(super) fn new(
        member: Arc<Member>,
        of: GroupOf,
        bootstrap: String,
        joins: Joins,
        told: UnboundedSender<ReaderEvent>,
        vacancy: Option<Vacancy>,
    ) -> Self {
        Self {
            member,
            of,
            bootstrap,
            joins,
            told,
            owned: BTreeSet::new(),
            arriving: BTreeSet::new(),
            ask_at: Instant::now(),
            leaving: Vec::new(),
            complaints: Complaints::default(),
            rejoin: Rejoin::default(),
            vacancy,
            halted: false,
        }
    }

    pub(super) fn sink(&self) -> &str {
        &self.of.sink
    }

    /// Runs until told to stop.
    pub(super) fn run(mut self) {
        loop {
            self.serve();
            self.listen();
            self.doubt();
            self.go_on_joining();
            self.go_on_arriving();
            self.restart_stopped();
            self.go_on_leaving();
            self.fill_vacancies();
            let busy = !self.arriving.is_empty() || !self.leaving.is_empty();
            if !self.joins.bell.wait(if busy { BUSY } else { IDLE }) {
                break;
            }
        }
        self.close();
    }

    /// Polls until librdkafka has nothing more to say.
    fn serve(&mut self) {
        let consumer = self.member.consumer();
        loop {
            match consumer.poll(Duration::ZERO) {
                // Every partition has a queue of its own before it is assigned.
                Some(Ok(_)) => {}
                Some(Err(error)) => self.failed(&error),
                None if consumer.context().anything() => {}
                None => return,
            }
        }
    }

    fn failed(&mut self, error: &KafkaError) {
        let code = code(error);
        let has_nothing = self.owned.is_empty() && self.arriving.is_empty();
        if is_name_taken(error) && has_nothing {
            if self.rejoin.refused() {
                let (sink, group) = (&self.of.sink, &self.of.group);
                tracing::warn!(sink, group, "{NAME_TAKEN}");
            }
        } else if is_fenced(error) && !self.halted {
            self.fenced(code);
        } else if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            self.halt(code);
        } else if !self.halted && !is_lost_position(code) {
            let place = Place {
                bootstrap: &self.bootstrap,
                topic: &self.member.topic,
                group: &self.of.group,
            };
            if let Some((meaning, suppressed)) = self.complaints.tell(&place, code) {
                let sink = &self.of.sink;
                tracing::error!(sink, ?code, suppressed, "{meaning}; will be tried again");
            }
        }
    }

    /// The member is of no use any more.
    pub(super) fn halt(&mut self, code: RDKafkaErrorCode) {
        if std::mem::replace(&mut self.halted, true) {
            return;
        }
        let all: Vec<u16> = std::mem::take(&mut self.owned).into_iter().collect();
        self.lose(&all);
        self.tell(ReaderEvent::Halted(format!(
            "the member of group {} cannot go on ({code}); remove what is in its way, such as \
             another process with the same log.kafka.instance, and start goldwire again",
            self.of.group
        )));
        self.member.consumer().unsubscribe();
    }

    fn listen(&mut self) {
        let consumer = self.member.consumer();
        for said in consumer.context().take() {
            match said {
                Said::Assign(partitions) => self.assign(&numbers(&partitions)),
                Said::Revoke { partitions, lost } => self.revoke(numbers(&partitions), lost),
                Said::Stands { .. } => {}
            }
        }
    }

    fn assign(&mut self, partitions: &[u16]) {
        self.complaints.clear();
        self.rejoin.joined();
        self.arriving.extend(partitions);
        if partitions.is_empty() {
            self.take(&[]);
        }
    }

    /// Answers an assignment. The offsets are in the log: librdkafka would ask where a logical one such
    /// as the end is, and the answer may come after a seek and undo it.
    pub(super) fn take(&self, offsets: &[(u16, Offset)]) {
        let member = &self.member;
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (partition, offset) in offsets {
            member
                .splits
                .split(&member.consumer(), &member.topic, *partition);
            let added = list.add_partition_offset(&member.topic, i32::from(*partition), *offset);
            self.log_failure("list", added);
        }
        let taken = if self.is_cooperative() {
            member.consumer().incremental_assign(&list)
        } else {
            member.consumer().assign(&list)
        };
        self.log_failure("assign", taken);
    }

    /// Answers an assignment and tells it, once it is known what those partitions hold.
    fn go_on_arriving(&mut self) {
        if self.arriving.is_empty() || Instant::now() < self.ask_at {
            return;
        }
        if self.halted {
            return self.arrive_nowhere();
        }
        let member = Arc::clone(&self.member);
        let arriving: Vec<u16> = self.arriving.iter().copied().collect();
        let held = member.ranges(&member.topic, &arriving, ANSWER);
        match held {
            Ok(held) => {
                for (partition, start, end) in &held {
                    member.ranges.told(*partition, *start, *end);
                }
                let end = |end: u64| Offset::Offset(i64::try_from(end).unwrap_or(i64::MAX));
                let ends = held.iter().map(|(partition, _, at)| (*partition, end(*at)));
                self.take(&ends.collect::<Vec<_>>());
            }
            Err(error) => {
                self.ask_at = Instant::now() + AGAIN;
                return self.failed(&error);
            }
        }
        self.arriving.clear();
        self.owned.extend(&arriving);
        tracing::info!(sink = self.of.sink, partitions = ?arriving, "assigned");
        let mut readers: Vec<Arc<dyn PartitionReader>> = Vec::new();
        for partition in arriving {
            let epoch = self.of.owners.take(partition);
            if let Some(reader) = Partition::of(&member, partition, epoch) {
                readers.push(Arc::new(reader));
            }
        }
        self.tell(ReaderEvent::Assigned(readers));
    }

    /// librdkafka waits for an answer before it ends.
    fn arrive_nowhere(&mut self) {
        let arriving = std::mem::take(&mut self.arriving).into_iter();
        let nowhere: Vec<_> = arriving.map(|of| (of, Offset::End)).collect();
        self.take(&nowhere);
    }

    fn revoke(&mut self, partitions: Vec<u16>, lost: bool) {
        self.arriving.retain(|of| !partitions.contains(of));
        let owned: Vec<u16> = partitions
            .iter()
            .copied()
            .filter(|of| self.owned.remove(of))
            .collect();
        if lost {
            self.lose(&owned);
        }
        let (answer, done) = oneshot::channel();
        let done = (!lost && !owned.is_empty()).then_some(done);
        if done.is_some() {
            self.tell(ReaderEvent::Revoked {
                partitions: owned,
                done: answer,
            });
        }
        self.leaving.push(Leaving {
            partitions,
            done,
            deadline: Instant::now() + self.of.drain,
        });
    }

    /// Gives partitions back once they are drained and out of every transaction; what takes too long
    /// is told as lost, so that nothing more of it is committed.
    fn go_on_leaving(&mut self) {
        for mut leaving in std::mem::take(&mut self.leaving) {
            if let Some(done) = &mut leaving.done {
                let waits = matches!(done.try_recv(), Err(oneshot::error::TryRecvError::Empty));
                let late = Instant::now() >= leaving.deadline;
                let gone = self.member.consumer().assignment_lost();
                if waits && !late && !gone {
                    self.leaving.push(leaving);
                    continue;
                }
                if waits {
                    let sink = &self.of.sink;
                    tracing::warn!(sink, "partitions went before they were drained");
                    self.lose(&leaving.partitions);
                }
                leaving.done = None;
            }
            if self.of.owners.give_back(&leaving.partitions) {
                self.unassign(&leaving.partitions);
            } else {
                self.leaving.push(leaving);
            }
        }
    }

    pub(super) fn lose(&self, partitions: &[u16]) {
        if partitions.is_empty() {
            return;
        }
        self.of.owners.lose(partitions);
        self.tell(ReaderEvent::Lost {
            partitions: partitions.to_vec(),
        });
    }

    pub(super) fn unassign(&self, partitions: &[u16]) {
        let member = &self.member;
        let given = if self.is_cooperative() {
            // librdkafka refuses a list with partitions that never came to be assigned.
            member.consumer().assignment().and_then(|assigned| {
                let mut list = TopicPartitionList::with_capacity(partitions.len());
                for element in assigned.elements() {
                    if u16::try_from(element.partition()).is_ok_and(|of| partitions.contains(&of)) {
                        list.add_partition(&member.topic, element.partition());
                    }
                }
                member.consumer().incremental_unassign(&list)
            })
        } else {
            member.consumer().unassign()
        };
        self.log_failure("give back", given);
    }

    /// Leaves the group, after the last transaction.
    fn close(mut self) {
        let deadline = Instant::now() + LEAVE;
        let all: Vec<u16> = (0..self.member.partitions).collect();
        while !self.of.owners.give_back(&all) && Instant::now() < deadline {
            self.serve();
            self.joins.bell.wait(BUSY);
            thread::sleep(BUSY);
        }
        self.of.owners.lose(&all);
        let consumer = self.member.consumer();
        consumer.context().close();
        if !self.arriving.is_empty() {
            self.arrive_nowhere();
        }
        for leaving in std::mem::take(&mut self.leaving) {
            self.unassign(&leaving.partitions);
        }
        let closing = consumer.close_queue();
        self.log_failure("leave with", closing);
        while !consumer.closed() && Instant::now() < deadline {
            drop(consumer.poll(BUSY));
        }
    }

    fn is_cooperative(&self) -> bool {
        matches!(
            self.member.consumer().rebalance_protocol(),
            RebalanceProtocol::Cooperative
        )
    }

    fn tell(&self, event: ReaderEvent) {
        // No one hears it at the end.
        self.told.send(event).ok();
    }

    fn log_failure(&self, what: &str, result: KafkaResult<()>) {
        if let Err(error) = result {
            let code = code(&error);
            tracing::error!(sink = self.of.sink, ?code, "could not {what} partitions");
        }
    }
}

fn numbers(partitions: &[i32]) -> Vec<u16> {
    let numbers = partitions.iter();
    numbers.filter_map(|of| u16::try_from(*of).ok()).collect()
}
