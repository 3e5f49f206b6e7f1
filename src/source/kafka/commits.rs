//! Commits on their way to the broker.
//!
//! Guarantee (G1): a commit is acknowledged only by the broker's own answer. It carries the
//! member's generation, so that one that was away too long is refused.

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::oneshot;

use super::complaint::is_fence;
use super::context::Heard;
use crate::source::SourceError;

/// How a commit ended.
pub(super) type Answer = Result<(), SourceError>;

/// Commits without an answer yet.
#[derive(Debug, Default)]
pub(super) struct Commits {
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    positions: Vec<(i32, i64)>,
    reply: oneshot::Sender<Answer>,
}

impl Commits {
    /// Sends positions to the broker; `reply` hears how it ended.
    pub(super) fn send(
        &mut self,
        consumer: &BaseConsumer<Heard>,
        topic: &str,
        positions: Vec<(i32, i64)>,
        reply: oneshot::Sender<Answer>,
    ) {
        // Whoever asked has given up on these.
        self.waiting.retain(|waiting| !waiting.reply.is_closed());
        match commit(consumer, topic, &positions) {
            Ok(()) => self.waiting.push(Waiting { positions, reply }),
            Err(code) => answer(reply, Err(refused(code))),
        }
    }

    /// The broker answered a commit of `positions`.
    pub(super) fn answered(&mut self, mut positions: Vec<(i32, i64)>, result: Result<(), RDKafkaErrorCode>) {
        positions.sort_unstable();
        let same = |waiting: &Waiting| {
            let mut sent = waiting.positions.clone();
            sent.sort_unstable();
            sent == positions
        };
        if let Some(at) = self.waiting.iter().position(same) {
            answer(self.waiting.swap_remove(at).reply, result.map_err(refused));
        }
    }
}

/// Answers whoever waits; one who gave up commits again later.
pub(super) fn answer(reply: oneshot::Sender<Answer>, result: Answer) {
    if reply.send(result).is_err() {
        tracing::debug!("nobody waits for this commit any more");
    }
}

fn commit(
    consumer: &BaseConsumer<Heard>,
    topic: &str,
    positions: &[(i32, i64)],
) -> Result<(), RDKafkaErrorCode> {
    let unknown = RDKafkaErrorCode::Unknown;
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for (partition, position) in positions {
        list.add_partition_offset(topic, *partition, Offset::Offset(*position))
            .map_err(|error| error.rdkafka_error_code().unwrap_or(unknown))?;
    }
    consumer
        .commit(&list, CommitMode::Async)
        .map_err(|error| error.rdkafka_error_code().unwrap_or(unknown))
}

fn refused(code: RDKafkaErrorCode) -> SourceError {
    if is_fence(code) { SourceError::Fenced(code.to_string()) } else { SourceError::Retryable(code.to_string()) }
}
