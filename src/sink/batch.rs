//! Batches: many callers' rows in one request, each with an answer of its own.
//!
//! Guarantee (G7): every row handed in is answered by itself, once, and rows with the same key are
//! never in the same request. A caller that goes away does not take its row, or another's, back.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, Semaphore, oneshot};

/// What sends a batch.
#[async_trait]
pub trait SendRows<I, O>: Send + Sync + 'static {
    /// Sends `rows`, and answers each, in the same order.
    async fn send(&self, rows: Vec<I>) -> Vec<O>;
}

/// How batches are made.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// How long the first row waits for company.
    pub linger: Duration,
    /// Rows at most.
    pub largest: usize,
}

struct Waiting<I, O> {
    key: String,
    row: I,
    answer: oneshot::Sender<O>,
}

struct Queue<I, O> {
    rows: VecDeque<Waiting<I, O>>,
    gathering: bool,
}

struct Inner<I, O> {
    queue: Mutex<Queue<I, O>>,
    full: Notify,
    shape: Shape,
    permits: Arc<Semaphore>,
    sends: Box<dyn SendRows<I, O>>,
}

/// Gathers rows. Holds as many as its callers wait for, and starts no task while it has none.
pub struct Batcher<I, O> {
    inner: Arc<Inner<I, O>>,
}

impl<I, O> fmt::Debug for Batcher<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher")
            .field("shape", &self.inner.shape)
            .finish_non_exhaustive()
    }
}

impl<I: Send + 'static, O: Send + 'static> Batcher<I, O> {
    /// A batcher over `sends`. Batches under way at the same time are bounded by `permits`, which
    /// several batchers may share; while none is free, rows go on gathering.
    pub fn new(shape: Shape, permits: Arc<Semaphore>, sends: impl SendRows<I, O>) -> Self {
        let queue = Mutex::new(Queue {
            rows: VecDeque::new(),
            gathering: false,
        });
        let sends = Box::new(sends);
        let inner = Inner {
            queue,
            full: Notify::new(),
            shape,
            permits,
            sends,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Hands in a row and waits for its answer. `None` if the send ended without one: the row may
    /// have been sent.
    pub async fn submit(&self, key: String, row: I) -> Option<O> {
        let (answer, answered) = oneshot::channel();
        let starts = {
            let mut queue = self.inner.queue();
            queue.rows.push_back(Waiting { key, row, answer });
            if queue.rows.len() >= self.inner.shape.largest {
                self.inner.full.notify_one();
            }
            !std::mem::replace(&mut queue.gathering, true)
        };
        if starts {
            tokio::spawn(gather(Arc::clone(&self.inner)));
        }
        answered.await.ok()
    }
}

impl<I, O> Inner<I, O> {
    fn queue(&self) -> MutexGuard<'_, Queue<I, O>> {
        // A panic under this lock cannot leave the queue half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next batch: the oldest rows, one of each key; later ones of a key stay, in order.
    fn take(&self) -> Vec<Waiting<I, O>> {
        let mut queue = self.queue();
        let mut keys = HashSet::new();
        let mut taken = Vec::new();
        let mut left = VecDeque::new();
        for row in queue.rows.drain(..) {
            if taken.len() < self.shape.largest && keys.insert(row.key.clone()) {
                taken.push(row);
            } else {
                left.push_back(row);
            }
        }
        queue.rows = left;
        taken
    }

    /// Whether the gathering goes on; if not, the next row starts a new one.
    fn goes_on(&self) -> bool {
        let mut queue = self.queue();
        queue.gathering = !queue.rows.is_empty();
        queue.gathering
    }

    fn is_full(&self) -> bool {
        self.queue().rows.len() >= self.shape.largest
    }
}

async fn gather<I: Send + 'static, O: Send + 'static>(inner: Arc<Inner<I, O>>) {
    loop {
        let linger = tokio::time::sleep(inner.shape.linger);
        tokio::pin!(linger);
        while !inner.is_full() {
            tokio::select! {
                biased;
                () = &mut linger => break,
                () = inner.full.notified() => {}
            }
        }
        let Ok(permit) = Arc::clone(&inner.permits).acquire_owned().await else {
            return;
        };
        let rows = inner.take();
        let sender = Arc::clone(&inner);
        tokio::spawn(async move {
            let (rows, answers): (Vec<I>, Vec<_>) = rows
                .into_iter()
                .map(|waiting| (waiting.row, waiting.answer))
                .unzip();
            let results = sender.sends.send(rows).await;
            drop(permit);
            for (answer, result) in answers.into_iter().zip(results) {
                // A caller that went away does not want its answer.
                drop(answer.send(result));
            }
        });
        if !inner.goes_on() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = Arc<Mutex<Vec<Vec<u32>>>>;

    struct Doubles(Seen);

    #[async_trait]
    impl SendRows<u32, u32> for Doubles {
        async fn send(&self, rows: Vec<u32>) -> Vec<u32> {
            self.0.lock().unwrap().push(rows.clone());
            tokio::time::sleep(Duration::from_millis(50)).await;
            rows.into_iter().map(|row| row * 2).collect()
        }
    }

    fn batcher(largest: usize, at_once: usize) -> (Arc<Batcher<u32, u32>>, Seen) {
        let seen = Seen::default();
        let shape = Shape {
            linger: Duration::from_millis(20),
            largest,
        };
        let permits = Arc::new(Semaphore::new(at_once));
        (
            Arc::new(Batcher::new(shape, permits, Doubles(Arc::clone(&seen)))),
            seen,
        )
    }

    async fn submit_all(batcher: &Arc<Batcher<u32, u32>>, rows: &[(&str, u32)]) -> Vec<u32> {
        let calls = rows
            .iter()
            .map(|(key, row)| batcher.submit((*key).to_owned(), *row));
        futures::future::join_all(calls)
            .await
            .into_iter()
            .flatten()
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn g7_each_row_gets_its_own_answer() {
        let (batcher, seen) = batcher(200, 1);
        let answers = submit_all(&batcher, &[("a", 1), ("b", 2), ("c", 3)]).await;
        assert_eq!(answers, [2, 4, 6]);
        assert_eq!(*seen.lock().unwrap(), [[1, 2, 3]]);
    }

    #[tokio::test(start_paused = true)]
    async fn rows_with_the_same_key_go_in_different_requests() {
        let (batcher, seen) = batcher(200, 4);
        let answers = submit_all(&batcher, &[("a", 1), ("a", 2), ("b", 3), ("a", 4)]).await;
        assert_eq!(answers, [2, 4, 6, 8]);
        assert_eq!(*seen.lock().unwrap(), [vec![1, 3], vec![2], vec![4]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_batch_does_not_linger_and_none_is_larger() {
        let (batcher, seen) = batcher(2, 4);
        let keys: Vec<String> = (0..5).map(|key| key.to_string()).collect();
        let rows: Vec<(&str, u32)> = keys.iter().map(String::as_str).zip(0..).collect();
        assert_eq!(submit_all(&batcher, &rows).await, [0, 2, 4, 6, 8]);
        let sizes: Vec<usize> = seen.lock().unwrap().iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 2, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn rows_gather_while_no_permit_is_free() {
        let (batcher, seen) = batcher(200, 1);
        let first = submit_all(&batcher, &[("a", 1)]);
        let later = async {
            tokio::time::sleep(Duration::from_millis(25)).await;
            let second = submit_all(&batcher, &[("b", 2)]);
            let third = async {
                tokio::time::sleep(Duration::from_millis(35)).await;
                submit_all(&batcher, &[("c", 3)]).await
            };
            futures::future::join(second, third).await
        };
        futures::future::join(first, later).await;
        assert_eq!(*seen.lock().unwrap(), [vec![1], vec![2, 3]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_goes_away_does_not_take_its_row_back() {
        let (batcher, seen) = batcher(200, 1);
        let gone = tokio::time::timeout(Duration::from_millis(1), batcher.submit("a".into(), 1));
        assert!(gone.await.is_err());
        assert_eq!(submit_all(&batcher, &[("b", 2)]).await, [4]);
        assert_eq!(*seen.lock().unwrap(), [[1, 2]]);
    }
}
