//! Partitions that come and go.
//!
//! Guarantee (G2): what is given back is first drained and committed, within a deadline that is
//! shorter than the group's patience; what is lost is dropped without a commit; what is taken is
//! read from an explicit offset.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::consumer::{Consumer as _, RebalanceProtocol};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::commits::Answer;
use super::positions::{self, Begin, Trouble};
use super::reader::Reader;
use crate::backoff::Backoff;
use crate::source::SourceEvent;
use crate::store::StoreError;

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A commit of chosen positions without an answer by then is sent again.
const COMMIT: Duration = Duration::from_secs(10);

/// An assignment whose positions are not decided yet.
#[derive(Debug)]
pub(super) struct Arriving {
    partitions: Vec<i32>,
    backoff: Backoff,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// Ask the broker, not before this.
    Ask(Instant),
    /// Positions were chosen here, and are being committed.
    Commit {
        begins: Vec<Begin>,
        done: oneshot::Receiver<Answer>,
        deadline: Instant,
    },
}

/// Partitions that the task drains before they are given back.
#[derive(Debug)]
pub(super) struct Leaving {
    partitions: Vec<i32>,
    done: oneshot::Receiver<()>,
    deadline: Instant,
}

impl Reader {
    pub(super) fn assign(&mut self, partitions: Vec<i32>) {
        self.rejoin.joined();
        let step = Step::Ask(Instant::now());
        self.arriving = Some(Arriving {
            partitions,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT, &self.name),
            step,
        });
    }

    /// Decides where to begin, and begins.
    pub(super) fn go_on_arriving(&mut self) {
        let Some(arriving) = self.arriving.take() else {
            return;
        };
        if self.halted {
            let nowhere = arriving
                .partitions
                .iter()
                .map(|partition| (*partition, Offset::End));
            let taken = self.take(&nowhere.collect::<Vec<_>>());
            self.log_failure("assign", taken);
            return;
        }
        self.arriving = match arriving.step {
            Step::Ask(at) if Instant::now() < at => Some(arriving),
            Step::Ask(_) => self.ask(arriving),
            Step::Commit { .. } => self.await_commit(arriving),
        };
    }

    fn ask(&mut self, arriving: Arriving) -> Option<Arriving> {
        if arriving.partitions.is_empty() {
            return self.begin(arriving, &[]);
        }
        let known = match self.marks.known() {
            Ok(known) => known,
            Err(error) => return Some(self.without_marks(arriving, &error)),
        };
        match positions::begin(&self.consumer, &self.settings, &known, &arriving.partitions) {
            Ok(begins) => self.chosen(arriving, begins),
            Err(Trouble::Retry(code)) => {
                self.complain(code);
                Some(arriving.again())
            }
            Err(Trouble::Halt(sentence)) => {
                self.halt(sentence);
                Some(arriving)
            }
        }
    }

    /// What was chosen is committed before it is read, so that a crash does not choose again.
    fn chosen(&mut self, arriving: Arriving, begins: Vec<Begin>) -> Option<Arriving> {
        let chosen = begins.iter().filter(|begin| begin.chosen);
        let positions: Vec<(i32, i64)> = chosen
            .map(|begin| (begin.partition, begin.offset))
            .collect();
        if positions.is_empty() {
            return self.begin(arriving, &begins);
        }
        let (reply, done) = oneshot::channel();
        self.commits.send(positions, reply);
        let deadline = Instant::now() + COMMIT;
        Some(Arriving {
            step: Step::Commit {
                begins,
                done,
                deadline,
            },
            ..arriving
        })
    }

    fn await_commit(&mut self, arriving: Arriving) -> Option<Arriving> {
        let Step::Commit {
            begins,
            mut done,
            deadline,
        } = arriving.step
        else {
            return None;
        };
        let again = Arriving {
            step: Step::Ask(Instant::now()),
            ..arriving
        }
        .again();
        match done.try_recv() {
            Ok(Ok(())) => self.begin(again, &begins),
            Ok(Err(error)) => {
                tracing::warn!(
                    source = &*self.name,
                    "where to begin could not be committed: {error}"
                );
                Some(again)
            }
            Err(oneshot::error::TryRecvError::Empty) if Instant::now() < deadline => {
                Some(Arriving {
                    step: Step::Commit {
                        begins,
                        done,
                        deadline,
                    },
                    ..again
                })
            }
            Err(_) => Some(again),
        }
    }

    /// Reads from `begins`, once it is noted that the group has an offset in each (G2).
    fn begin(&mut self, arriving: Arriving, begins: &[Begin]) -> Option<Arriving> {
        if let Err(error) = self.marks.note(begins) {
            return Some(self.without_marks(arriving, &error));
        }
        let partitions: Vec<i32> = begins.iter().map(|begin| begin.partition).collect();
        for begin in begins {
            let queue = self
                .consumer
                .split_partition_queue(&self.settings.topic, begin.partition);
            let Some(mut queue) = queue else { continue };
            let shared = std::sync::Arc::clone(&self.shared);
            queue.set_nonempty_callback(move || shared.wake());
            self.queues.insert(begin.partition, queue);
            let unsigned = |offset: i64| u64::try_from(offset).unwrap_or_default();
            self.shared
                .stands(begin.partition, unsigned(begin.offset), unsigned(begin.end));
        }
        self.complaints.clear();
        self.shared.lacks(false);
        if !partitions.is_empty() {
            self.shared.tell(SourceEvent::Assigned { partitions });
        }
        let offsets = begins
            .iter()
            .map(|begin| (begin.partition, Offset::Offset(begin.offset)));
        let taken = self.take(&offsets.collect::<Vec<_>>());
        self.log_failure("assign", taken);
        None
    }

    fn without_marks(&self, arriving: Arriving, error: &StoreError) -> Arriving {
        tracing::error!(source = &*self.name, "{error}; will be tried again");
        arriving.again()
    }

    fn take(&self, offsets: &[(i32, Offset)]) -> KafkaResult<()> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (partition, offset) in offsets {
            list.add_partition_offset(&self.settings.topic, *partition, *offset)?;
        }
        if self.is_cooperative() {
            self.consumer.incremental_assign(&list)
        } else {
            self.consumer.assign(&list)
        }
    }

    pub(super) fn revoke(&mut self, partitions: Vec<i32>, lost: bool) {
        self.arriving = None;
        let owned: Vec<i32> = partitions
            .iter()
            .copied()
            .filter(|of| self.queues.contains_key(of))
            .collect();
        self.shared
            .forget(&owned.iter().copied().collect::<BTreeSet<_>>());
        let (answer, done) = oneshot::channel();
        if lost {
            self.shared.tell(SourceEvent::Lost { partitions: owned });
        } else if !owned.is_empty() {
            self.shared.tell(SourceEvent::Revoked {
                partitions: owned,
                done: answer,
            });
        }
        // Without a question to the task the sender is gone already, which counts as answered.
        let deadline = Instant::now() + self.drain;
        self.leaving = Some(Leaving {
            partitions,
            done,
            deadline,
        });
    }

    /// Gives partitions back once they are drained, or the deadline has passed.
    pub(super) fn go_on_leaving(&mut self) {
        let Some(mut leaving) = self.leaving.take() else {
            return;
        };
        let waits = matches!(
            leaving.done.try_recv(),
            Err(oneshot::error::TryRecvError::Empty)
        );
        let late = Instant::now() >= leaving.deadline;
        if waits && !late {
            self.leaving = Some(leaving);
            return;
        }
        if waits {
            tracing::warn!(
                source = &*self.name,
                "partitions were given back before they were drained"
            );
            self.shared.tell(SourceEvent::Lost {
                partitions: leaving.partitions.clone(),
            });
        }
        self.give_back(&leaving.partitions);
    }

    fn give_back(&mut self, partitions: &[i32]) {
        self.queues
            .retain(|partition, _| !partitions.contains(partition));
        let given = if self.is_cooperative() {
            // librdkafka refuses a list with partitions that never came to be assigned.
            self.consumer.assignment().and_then(|assigned| {
                let mut list = TopicPartitionList::with_capacity(partitions.len());
                for element in assigned.elements() {
                    if partitions.contains(&element.partition()) {
                        list.add_partition(&self.settings.topic, element.partition());
                    }
                }
                self.consumer.incremental_unassign(&list)
            })
        } else {
            self.consumer.unassign()
        };
        self.log_failure("give back", given);
    }

    /// librdkafka waits for these answers before it closes.
    pub(super) fn answer_at_the_end(&mut self) {
        self.halted = true;
        self.go_on_arriving();
        if let Some(leaving) = self.leaving.take() {
            self.give_back(&leaving.partitions);
        }
    }

    fn is_cooperative(&self) -> bool {
        matches!(
            self.consumer.rebalance_protocol(),
            RebalanceProtocol::Cooperative
        )
    }

    fn log_failure(&self, what: &str, result: KafkaResult<()>) {
        if let Err(error) = result {
            let code = error.rdkafka_error_code();
            tracing::error!(source = &*self.name, ?code, "could not {what} partitions");
        }
    }
}

impl Arriving {
    fn again(mut self) -> Self {
        self.step = Step::Ask(Instant::now() + self.backoff.next());
        self
    }
}
