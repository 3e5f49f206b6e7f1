//! The thread that speaks with librdkafka.
//!
//! Guarantee (G8): it reads only while the task has room, and polls for events whether or not it
//! has, so that a full task neither grows memory nor loses its place in the group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::commits::{Answer, Commits, answer};
use super::group::{Arriving, Leaving};
use super::marks::Marks;
use super::positions::left_behind;
use super::record::{self, Form, Of};
use super::settings::KafkaSettings;
use super::shared::Shared;
use crate::kafka::{
    Complaints, Heard, Query, Rejoin, Said, Vacancy, is_absence, is_fenced, is_lost_position,
    is_name_taken,
};
use crate::source::{Room, SourceError, SourceEvent};
use crate::time::SharedClock;

/// What is taken from one partition, as one batch, before the next has its turn.
const TURN: Room = Room {
    records: 1000,
    bytes: 2 << 20,
};
const IDLE: Duration = Duration::from_millis(100);
/// While a drain or an assignment is under way.
const BUSY: Duration = Duration::from_millis(10);
/// While nothing is read, librdkafka does not learn where the partitions end.
const ASK_ENDS: Duration = Duration::from_secs(5);
const ENDS_ANSWER: Duration = Duration::from_secs(1);

/// What the task asks of the thread.
#[derive(Debug)]
pub(super) enum Command {
    /// Make positions durable at the broker.
    Commit {
        positions: Vec<(i32, i64)>,
        reply: oneshot::Sender<Answer>,
    },
    /// Leave the group and end.
    Stop,
}

/// The thread's own.
pub(super) struct Reader {
    pub(super) name: Arc<str>,
    pub(super) topic: Arc<str>,
    pub(super) settings: KafkaSettings,
    pub(super) form: Form,
    pub(super) drain: Duration,
    pub(super) clock: SharedClock,
    pub(super) consumer: Arc<BaseConsumer<Heard>>,
    pub(super) shared: Arc<Shared>,
    pub(super) commands: Receiver<Command>,
    pub(super) queues: BTreeMap<i32, PartitionQueue<Heard>>,
    pub(super) arriving: Option<Arriving>,
    pub(super) leaving: Option<Leaving>,
    pub(super) commits: Commits,
    pub(super) marks: Marks,
    pub(super) complaints: Complaints,
    pub(super) rejoin: Rejoin,
    pub(super) vacancy: Option<Vacancy>,
    pub(super) halted: bool,
    pub(super) ends: Query<Vec<(i32, u64)>>,
    pub(super) ends_asked: Instant,
}

impl Reader {
    /// Runs until told to stop.
    pub(super) fn run(mut self) {
        while self.obey() {
            self.serve();
            self.listen();
            self.go_on_joining();
            self.go_on_arriving();
            self.go_on_leaving();
            self.fill_vacancies();
            if !self.read() {
                self.ask_ends();
                let busy = self.arriving.is_some() || self.leaving.is_some();
                self.shared.wait(if busy { BUSY } else { IDLE });
            }
        }
        self.close();
    }

    /// Does what the task asks; false once it asks to stop.
    fn obey(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Commit { positions, reply }) => self.commit(positions, reply),
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => return true,
            }
        }
    }

    fn commit(&mut self, positions: Vec<(i32, i64)>, reply: oneshot::Sender<Answer>) {
        let foreign = positions
            .iter()
            .find(|(of, _)| !self.queues.contains_key(of));
        if let Some((partition, _)) = foreign {
            let why = format!("partition {partition} is not assigned");
            answer(reply, Err(SourceError::Fenced(why)));
            return;
        }
        self.commits.send(positions, reply);
    }

    /// Polls until librdkafka has nothing more to say.
    fn serve(&mut self) {
        let consumer = Arc::clone(&self.consumer);
        loop {
            match consumer.poll(Duration::ZERO) {
                // Read before its partition had a queue of its own.
                Some(Ok(message)) => {
                    let of = self.records_of(message.partition());
                    let (batch, unreadable) = record::batch(&of, &[message]);
                    self.shared.push(batch);
                    if let Some(offset) = unreadable {
                        return self.cannot_read(of.partition, offset);
                    }
                }
                Some(Err(error)) => self.failed(None, &error),
                None if consumer.context().anything() => {}
                None => return,
            }
        }
    }

    fn listen(&mut self) {
        let consumer = Arc::clone(&self.consumer);
        for said in consumer.context().take() {
            match said {
                Said::Assign(partitions) => self.assign(partitions),
                Said::Revoke { partitions, lost } => self.revoke(partitions, lost),
                Said::Stands { ends, reached } => {
                    self.shared.ends(&ends);
                    self.shared.reaches(reached);
                }
            }
        }
    }

    /// Reads what there is room for, a batch from each partition; false if there was nothing to do.
    fn read(&mut self) -> bool {
        if self.halted || self.leaving.is_some() {
            return false;
        }
        let (mut any, mut failed, mut unreadable) = (false, Vec::new(), None);
        for (partition, queue) in &self.queues {
            let room = self.shared.room().min(TURN);
            if room.is_none() {
                break;
            }
            let (messages, error) = poll(queue, room);
            if !messages.is_empty() {
                any = true;
                let of = self.records_of(*partition);
                let (batch, at) = record::batch(&of, &messages);
                self.shared.push(batch);
                unreadable = at.map(|offset| (*partition, offset));
                if unreadable.is_some() {
                    break;
                }
            }
            failed.extend(error.map(|error| (*partition, error)));
        }
        // What follows it is not passed either (G2).
        if let Some((partition, offset)) = unreadable {
            self.cannot_read(partition, offset);
            return any;
        }
        let ended = failed.extract_if(.., |(_, error)| {
            matches!(error, KafkaError::PartitionEOF(_))
        });
        let ended: BTreeSet<i32> = ended.map(|(partition, _)| partition).collect();
        if !ended.is_empty() {
            self.passed(&ended);
        }
        for (partition, error) in failed {
            self.failed(Some(partition), &error);
        }
        any
    }

    fn cannot_read(&mut self, partition: i32, offset: u64) {
        let topic = &self.topic;
        let sentence = format!(
            "topic `{topic}` holds in partition {partition} at offset {offset} a record that this \
             version cannot read; run the version that wrote it"
        );
        self.halt(sentence);
    }

    /// Partitions were read to their ends. What stands there behind the last record (markers of
    /// transactions, and what was aborted) is none, but librdkafka takes it in its order: its
    /// position is behind it. That of other partitions may still be from an earlier assignment; an
    /// end is told only of the one that is read (G2).
    fn passed(&self, ended: &BTreeSet<i32>) {
        let Ok(positions) = self.consumer.position() else {
            return;
        };
        for element in positions.elements() {
            if let Offset::Offset(position) = element.offset()
                && ended.contains(&element.partition())
            {
                let position = u64::try_from(position).unwrap_or_default();
                self.shared.reached(element.partition(), position);
            }
        }
    }

    fn records_of(&self, partition: i32) -> Of {
        Of {
            form: self.form,
            source: Arc::clone(&self.name),
            topic: Arc::clone(&self.topic),
            partition,
            now: self.clock.now(),
        }
    }

    fn failed(&mut self, partition: Option<i32>, error: &KafkaError) {
        let code = error
            .rdkafka_error_code()
            .unwrap_or(RDKafkaErrorCode::Unknown);
        if matches!(error, KafkaError::PartitionEOF(_)) {
            // Of a partition that has no queue of its own yet; it is told again there.
        } else if is_name_taken(error) && self.has_nothing() {
            self.join_later();
        } else if is_fenced(error) && !self.halted {
            self.fenced(code);
        } else if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            self.halt_of(code);
        } else if is_lost_position(code) {
            let sentence = left_behind(&self.settings, partition.unwrap_or(-1));
            self.halt(sentence);
        } else if !self.halted {
            self.complain(code);
            if self.queues.is_empty() && is_absence(code) {
                self.shared.lacks(true);
            }
        }
    }

    /// The client is of no use any more.
    pub(super) fn halt_of(&mut self, code: RDKafkaErrorCode) {
        self.halt(format!(
            "the client of group `{}` cannot go on ({code}); remove what is in its way, such as \
             another process with the same `instance`, and start goldwire again",
            self.settings.group
        ));
    }

    /// Logs what the code means, unless that was done lately.
    pub(super) fn complain(&mut self, code: RDKafkaErrorCode) {
        let told = self.complaints.tell(&self.settings.place(), code);
        if let Some((meaning, suppressed)) = told {
            let source = &*self.name;
            tracing::error!(source, code = ?code, suppressed, "{meaning}; will be tried again");
        }
    }

    /// Stops reading until a person acts, and leaves the group, so that its offsets can be set.
    pub(super) fn halt(&mut self, sentence: String) {
        if !self.halted {
            self.halted = true;
            self.shared.tell(SourceEvent::Halted(sentence));
            self.consumer.unsubscribe();
        }
    }

    /// Asks where the partitions end, which librdkafka learns by itself only while it reads.
    fn ask_ends(&mut self) {
        if let Some(ends) = self.ends.answer() {
            self.shared.ends(&ends);
        }
        if self.ends_asked.elapsed() < ASK_ENDS || self.queues.is_empty() {
            return;
        }
        self.ends_asked = Instant::now();
        let (topic, partitions) = (Arc::clone(&self.topic), self.queues.keys().copied());
        let partitions: Vec<i32> = partitions.collect();
        let ask = move |consumer: &BaseConsumer<Heard>| ends(consumer, &topic, &partitions);
        self.ends.ask(&self.consumer, ask);
    }

    /// Leaves the group. The consumer's own drop polls until that is done.
    fn close(mut self) {
        self.answer_at_the_end();
        // Or the group would be left when these have their answers.
        self.ends.end();
        if let Some(vacancy) = &mut self.vacancy {
            vacancy.end();
        }
        self.consumer.context().close();
        self.queues.clear();
        drop(self.consumer);
    }
}

/// Where partitions end; those that are not told are left out.
fn ends(consumer: &BaseConsumer<Heard>, topic: &str, partitions: &[i32]) -> Vec<(i32, u64)> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        let added = asked.add_partition_offset(topic, *partition, Offset::End);
        // What librdkafka does not take has no end.
        added.ok();
    }
    let told = consumer.offsets_for_times(asked, ENDS_ANSWER);
    let told = told.map(|told| told.elements().iter().filter_map(end).collect());
    told.unwrap_or_default()
}

fn end(told: &TopicPartitionListElem<'_>) -> Option<(i32, u64)> {
    let end = told.offset().to_raw().filter(|_| told.error().is_ok())?;
    Some((told.partition(), u64::try_from(end).ok()?))
}

/// What a partition has ready, and the error that came after it.
fn poll(
    queue: &PartitionQueue<Heard>,
    room: Room,
) -> (Vec<BorrowedMessage<'_>>, Option<KafkaError>) {
    let (mut messages, mut bytes) = (Vec::new(), 0_usize);
    while messages.len() < room.records && bytes < room.bytes {
        match queue.poll(Duration::ZERO) {
            Some(Ok(message)) => {
                bytes = bytes.saturating_add(message.payload_len());
                messages.push(message);
            }
            Some(Err(error)) => return (messages, Some(error)),
            None => break,
        }
    }
    (messages, None)
}
