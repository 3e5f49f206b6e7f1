//! Calls of librdkafka that end a transaction, or may block.
//!
//! Guarantee (G3): what is told as committed is, and what is told as aborted never will be; what is not
//! known is told so. A call that does not return holds no one up.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::Producer as _;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::kafka::{Producer, code};

/// One call may take this long; one that could be tried again then is.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// A call that lasts longer does not return any more: librdkafka 2.12 loses answers of a coordinator
/// that moves, and waits for them whatever its own limit says.
const HANGS: Duration = Duration::from_secs(30);
/// Between two tries of a call.
pub(super) const AGAIN: Duration = Duration::from_millis(100);

/// How a transaction ended badly.
#[derive(Debug)]
pub(super) enum Ended {
    /// It is aborted, and the producer goes on.
    Aborted(String),
    /// It is not committed, and the producer is of no use.
    Broken(String),
    /// It may be committed, and the producer is of no use.
    InDoubt(String),
}

/// How a call of librdkafka failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) why: String,
    /// It may be made again.
    pub(super) again: bool,
    /// The transaction has to be aborted.
    pub(super) aborts: bool,
    /// The producer is of no use.
    pub(super) fatal: bool,
}

impl From<KafkaError> for Failed {
    fn from(error: KafkaError) -> Self {
        let (again, aborts, fatal) = if let KafkaError::Transaction(of) = &error {
            (of.is_retriable(), of.txn_requires_abort(), of.is_fatal())
        } else {
            // A flush that did not end in time.
            (code(&error) == Code::OperationTimedOut, false, false)
        };
        Self {
            why: format!("{:?}", code(&error)),
            again,
            aborts,
            fatal,
        }
    }
}

impl Failed {
    /// What became of it is not known, and the producer is of no use.
    fn unknown(why: impl fmt::Display) -> Self {
        Self {
            why: why.to_string(),
            again: false,
            aborts: false,
            fatal: true,
        }
    }
}

/// Calls librdkafka where it may block, on a thread that no one waits for at the end: it may never
/// return.
pub(super) async fn call(
    producer: &Arc<Producer>,
    call: impl FnOnce(&Producer) -> Result<(), KafkaError> + Send + 'static,
) -> Result<(), Failed> {
    let producer = Arc::clone(producer);
    let (reply, answer) = oneshot::channel();
    let calls = thread::Builder::new().name("transaction".to_owned());
    let called = calls.spawn(move || reply.send(call(&producer)).ok());
    called.map_err(Failed::unknown)?;
    match tokio::time::timeout(HANGS, answer).await {
        Ok(Ok(called)) => called.map_err(Failed::from),
        Ok(Err(_)) => Err(Failed::unknown("librdkafka panicked")),
        Err(_) => Err(Failed::unknown("librdkafka did not return")),
    }
}

/// Commits, however long it takes to know.
pub(super) async fn commit(producer: &Arc<Producer>) -> Result<(), Ended> {
    loop {
        let Err(failed) = call(producer, |producer| producer.commit_transaction(ANSWER)).await
        else {
            return Ok(());
        };
        if failed.aborts {
            return Err(abort(producer, failed.why).await);
        }
        if !failed.again {
            return Err(Ended::InDoubt(failed.why));
        }
        tracing::warn!("a commit has no answer yet: {}; asked again", failed.why);
        tokio::time::sleep(AGAIN).await;
    }
}

/// Aborts; if that fails too, the next producer does.
pub(super) async fn abort(producer: &Arc<Producer>, why: String) -> Ended {
    let deadline = Instant::now() + ANSWER;
    loop {
        let Err(failed) = call(producer, |producer| producer.abort_transaction(ANSWER)).await
        else {
            return Ended::Aborted(why);
        };
        if !failed.again || Instant::now() >= deadline {
            return Ended::Broken(format!("{why}; not aborted: {}", failed.why));
        }
        tokio::time::sleep(AGAIN).await;
    }
}
