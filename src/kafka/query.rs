//! A question to the brokers in the background of a consumer's work.
//!
//! Guarantee: whoever asks goes on meanwhile. Brokers answer the requests of one connection in their
//! order, so that a question waits behind a fetch, which waits for records: half a second by default.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;

use rdkafka::consumer::BaseConsumer;

use super::heard::Heard;

/// One question at a time, each on a thread of its own.
#[derive(Debug)]
pub(crate) struct Query<T> {
    answer: Option<Receiver<T>>,
}

impl<T> Default for Query<T> {
    fn default() -> Self {
        Self { answer: None }
    }
}

impl<T: Send + 'static> Query<T> {
    /// Asks, unless there is a question already. Where there is no thread for it, nothing is asked.
    pub(crate) fn ask(
        &mut self,
        consumer: &Arc<BaseConsumer<Heard>>,
        question: impl FnOnce(&BaseConsumer<Heard>) -> T + Send + 'static,
    ) {
        if self.is_asking() {
            return;
        }
        let (reply, answer) = channel();
        let consumer = Arc::clone(consumer);
        let ask = move || {
            let told = question(&consumer);
            // Not later than the answer is there: whoever takes it may be the consumer's last owner.
            drop(consumer);
            // No one waits any more: the answer is of no use.
            reply.send(told).ok();
        };
        let thread = thread::Builder::new().name("kafka-query".to_owned());
        self.answer = thread.spawn(ask).is_ok().then_some(answer);
    }

    /// Whether there is a question whose answer was not taken.
    pub(crate) fn is_asking(&self) -> bool {
        self.answer.is_some()
    }

    /// The answer, once it is there.
    pub(crate) fn answer(&mut self) -> Option<T> {
        match self.answer.as_ref()?.try_recv() {
            Ok(told) => {
                self.answer = None;
                Some(told)
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.answer = None;
                None
            }
        }
    }

    /// Waits until the question needs the consumer no more.
    pub(crate) fn end(&mut self) {
        if let Some(answer) = self.answer.take() {
            answer.recv().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;

    use super::*;

    fn consumer() -> Arc<BaseConsumer<Heard>> {
        let consumer = ClientConfig::new()
            .set("group.id", "group")
            .create_with_context(Heard::default());
        Arc::new(consumer.unwrap())
    }

    #[test]
    fn whoever_asks_goes_on_and_has_the_answer_once_it_is_there() {
        let (consumer, mut query) = (consumer(), Query::default());
        let (let_go, held) = channel::<u32>();
        query.ask(&consumer, move |_| held.recv().unwrap());
        assert_eq!((query.answer(), query.is_asking()), (None, true));
        query.ask(&consumer, |_| panic!("one question at a time"));
        let_go.send(7).unwrap();
        let told = std::iter::repeat_with(|| query.answer()).find_map(|told| told);
        assert_eq!((told, query.is_asking()), (Some(7), false));
    }

    #[test]
    fn after_the_end_of_a_question_the_consumer_is_its_owners_alone() {
        let (consumer, mut query) = (consumer(), Query::default());
        query.ask(&consumer, |_| 7);
        query.end();
        assert_eq!(Arc::strong_count(&consumer), 1);
        assert_eq!((query.answer(), query.is_asking()), (None, false));
    }
}
