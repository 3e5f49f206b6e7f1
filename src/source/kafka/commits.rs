//! Commits on their way to the broker.
//!
//! Guarantee (G1): a commit is acknowledged only by the broker's own answer. It carries the
//! member's generation, so that one that was away too long is refused.
//!
//! rdkafka reports how a commit ended only to a caller that waits for it, and a broker that is away
//! may keep that caller waiting for a minute: hence a thread of its own.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::{io, thread};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::oneshot;

use crate::kafka::{Heard, is_fence};
use crate::source::SourceError;

/// How a commit ended.
pub(super) type Answer = Result<(), SourceError>;

/// Where commits are handed in.
#[derive(Debug)]
pub(super) struct Commits {
    asked: Sender<Asked>,
}

#[derive(Debug)]
struct Asked {
    positions: Vec<(i32, i64)>,
    reply: oneshot::Sender<Answer>,
}

impl Commits {
    /// Starts the thread that waits for the broker; it ends with this.
    pub(super) fn start(consumer: &Arc<BaseConsumer<Heard>>, topic: &str) -> io::Result<Self> {
        let (asked, received) = channel();
        // Weak: a commit that waits does not keep the consumer from leaving its group.
        let (consumer, topic) = (Arc::downgrade(consumer), topic.to_owned());
        let thread = thread::Builder::new().name("kafka-commit".to_owned());
        thread.spawn(move || work(&consumer, &topic, &received))?;
        Ok(Self { asked })
    }

    /// Sends positions to the broker; `reply` hears how it ended.
    pub(super) fn send(&self, positions: Vec<(i32, i64)>, reply: oneshot::Sender<Answer>) {
        if let Err(refused) = self.asked.send(Asked { positions, reply }) {
            let ended = SourceError::Fenced("the reader of the topic has ended".to_owned());
            answer(refused.0.reply, Err(ended));
        }
    }
}

fn work(consumer: &Weak<BaseConsumer<Heard>>, topic: &str, received: &Receiver<Asked>) {
    while let Ok(Asked { positions, reply }) = received.recv() {
        // Whoever asked may have given up, and asked again since.
        if reply.is_closed() {
            continue;
        }
        let Some(consumer) = consumer.upgrade() else {
            return;
        };
        answer(
            reply,
            commit(&consumer, topic, &positions).map_err(|error| refused(&error)),
        );
    }
}

/// Answers whoever waits; one who gave up commits again later.
pub(super) fn answer(reply: oneshot::Sender<Answer>, result: Answer) {
    if reply.send(result).is_err() {
        tracing::debug!("this commit is not waited for any more");
    }
}

fn commit(
    consumer: &BaseConsumer<Heard>,
    topic: &str,
    positions: &[(i32, i64)],
) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for (partition, position) in positions {
        list.add_partition_offset(topic, *partition, Offset::Offset(*position))?;
    }
    consumer.commit(&list, CommitMode::Sync)
}

/// An error of one partition is one of the whole: librdkafka returns the last that it met.
fn refused(error: &KafkaError) -> SourceError {
    let code = error
        .rdkafka_error_code()
        .unwrap_or(RDKafkaErrorCode::Unknown);
    if is_fence(code) {
        SourceError::Fenced(code.to_string())
    } else {
        SourceError::Retryable(code.to_string())
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;

    use super::*;

    #[test]
    fn g1_a_commit_that_one_of_several_partitions_refuses_is_not_acknowledged() {
        let cluster: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 2, 1).unwrap();
        let consumer: BaseConsumer<Heard> = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .set("group.id", "g")
            .create_with_context(Heard::default())
            .unwrap();
        commit(&consumer, "t", &[(0, 4), (1, 4)]).unwrap();
        let error = commit(&consumer, "t", &[(0, 5), (9, 5), (1, 5)]).unwrap_err();
        let code = error.rdkafka_error_code();
        assert_eq!(code, Some(RDKafkaErrorCode::UnknownTopicOrPartition));
    }
}
