//! Events as signed webhooks, each sent again until it is answered 2xx, as Reltio does it.

use std::sync::Arc;
use std::time::Duration;

use loadtest::signature::Signer;
use loadtest::time::{Clock as _, SystemClock};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{Counter, Message};
use crate::run::ledger::Ledger;
use crate::run::sample::micros;

/// Tries of one webhook, and the pause between two.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);

/// How a sender signs: `standard` or `reltio`, with its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    Standard(String),
    Reltio(String),
}

/// A webhook that events go to.
#[derive(Debug)]
pub(crate) struct Hook {
    pub(crate) url: String,
    pub(crate) secret: Secret,
    pub(crate) http: reqwest::Client,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) start: Instant,
    /// Where requests run.
    pub(crate) runtime: Handle,
    /// Requests that are under way.
    pub(crate) under_way: TaskTracker,
    /// Requests that were sent.
    pub(crate) requests: Counter,
    /// Of those, answered 2xx.
    pub(crate) answered: Counter,
}

impl Hook {
    /// Sends a message, and does not wait for it.
    pub(super) fn send(self: &Arc<Self>, message: Message) {
        let hook = Arc::clone(self);
        let task = self
            .under_way
            .track_future(async move { hook.deliver(message).await });
        self.runtime.spawn(task);
    }

    /// Waits until each message was accepted or given up.
    pub(crate) async fn flush(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }

    async fn deliver(&self, message: Message) {
        let id = uuid::Uuid::new_v4().to_string();
        // Sent again from the same memory.
        let body = bytes::Bytes::from(message.body);
        for _ in 0..TRIES {
            self.requests.add();
            let accepted = self.request(&id, body.clone()).await;
            match accepted {
                Some(200..=299) => {
                    self.answered.add();
                    self.ledger
                        .accepted(message.event, micros(self.start.elapsed()));
                    return;
                }
                // What it does not take now it will not take later.
                Some(status @ 400..=499) if status != 429 => break,
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
        self.ledger.refused();
    }

    async fn request(&self, id: &str, body: bytes::Bytes) -> Option<u16> {
        let signer = match &self.secret {
            Secret::Standard(secret) => Signer::Standard(secret),
            Secret::Reltio(secret) => Signer::Reltio(secret),
        };
        let headers = signer.sign(id, SystemClock.now(), &body).ok()?;
        let mut request = self.http.post(&self.url).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        // Read to its end, or the connection is not used again.
        answer.bytes().await.ok()?;
        Some(status)
    }
}
