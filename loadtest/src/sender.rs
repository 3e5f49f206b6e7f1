//! Webhooks as fast as they are answered, over connections that stay open.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use loadtest::signature::Signer;
use reqwest::Client;
use serde_json::json;
use tokio::time::Instant;

use super::Failed;

/// What requests are signed with.
pub(crate) const SECRET: &str = "secret-of-the-load-test";
/// Subjects that change in turn.
const SUBJECTS: u64 = 20_000;
/// When the first event happened.
const START: u64 = 1_767_225_600_000;
/// Between two changes of a subject: more than clocks may be skewed.
const STEP: u64 = 10_000;
/// Of one request, as a sender would have it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What was sent, and how it was answered.
#[derive(Debug)]
pub(crate) struct Sender {
    http: Client,
    url: String,
    /// Text that makes an event as large as real ones are.
    filler: String,
    next: AtomicU64,
    /// Latencies in microseconds, by status; 0 where no answer came.
    answers: Mutex<BTreeMap<u16, Vec<u32>>>,
}

impl Sender {
    /// Sends to `address`.
    pub(crate) fn to(address: SocketAddr) -> Result<Self, Failed> {
        Ok(Self {
            http: client()?,
            url: format!("http://{address}/hook"),
            filler: "long street ".repeat(100),
            next: AtomicU64::new(0),
            answers: Mutex::default(),
        })
    }

    /// Sends one after the other until `end`.
    pub(crate) async fn run(self: Arc<Self>, end: Instant) {
        while Instant::now() < end {
            let body = self.event(self.next.fetch_add(1, Ordering::Relaxed));
            let began = Instant::now();
            let code = self.send(body).await.unwrap_or_default();
            let micros = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.entry(code).or_default().push(micros);
        }
    }

    async fn send(&self, body: Vec<u8>) -> Option<u16> {
        let headers = Signer::Reltio(SECRET).sign("", 0, &body).ok()?;
        let request = headers
            .into_iter()
            .fold(self.http.post(&self.url), |request, (name, value)| {
                request.header(name, value)
            });
        let answer = request.body(body).send().await.ok()?;
        let code = answer.status().as_u16();
        // Read to its end, or the connection is not used again.
        answer.bytes().await.ok()?;
        Some(code)
    }

    /// A snapshot of about 1.6 kB.
    fn event(&self, number: u64) -> Vec<u8> {
        let (subject, version) = (number % SUBJECTS, number / SUBJECTS + 1);
        let uri = format!("entities/s{subject}");
        let value = |text: &str| json!([{ "value": text, "ov": true }]);
        let event = json!({
            "type": "ENTITY_CHANGED", "tenantId": "acme", "sourceObjectUri": uri,
            "objectVersion": version, "commitTime": START + version * STEP,
            "object": {
                "uri": uri, "type": "configuration/entityTypes/Individual", "label": "Ada",
                "attributes": { "FirstName": value("Ada"), "Street": value(&self.filler) },
            },
        });
        event.to_string().into_bytes()
    }

    /// How requests were answered: microseconds, by status.
    pub(crate) fn answers(&self) -> BTreeMap<u16, Vec<u32>> {
        std::mem::take(&mut self.answers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A client that goes straight to loopback.
pub(crate) fn client() -> Result<Client, Failed> {
    loadtest::tls::use_ring();
    Ok(Client::builder().timeout(TIMEOUT).no_proxy().build()?)
}
