//! Sends the script as it happens: every message at its time, over the carrier that it takes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::outside::{Outside, door};
use crate::signature::Signer;
use crate::tenant::{Carrier, Emission, Meaning};
use crate::time::{Clock as _, Millis, SystemClock, until};

/// Messages under way at the same time, at most.
const AT_ONCE: usize = 256;
/// A sender of webhooks tries this often, as INT-004's does and a little more.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// What was sent so far.
#[derive(Debug, Default)]
pub struct Sent {
    /// Messages over Kafka.
    pub kafka: AtomicU64,
    /// Webhooks that were answered 2xx.
    pub webhook: AtomicU64,
    /// Webhooks that were answered 429 or 5xx, or not at all, and sent again.
    pub refused: AtomicU64,
    /// Exact copies among the messages.
    pub duplicates: AtomicU64,
    /// By what they are called: over Kafka, and over webhooks.
    pub kinds: Mutex<BTreeMap<&'static str, [u64; 2]>>,
}

impl Sent {
    fn took(&self, emission: &Emission) {
        let by_webhook = emission.carrier != Carrier::Kafka;
        let all = if by_webhook {
            &self.webhook
        } else {
            &self.kafka
        };
        all.fetch_add(1, Ordering::Relaxed);
        let name = match emission.meaning {
            Meaning::Change(event) => event.name(),
            Meaning::Noise => "of no consequence",
            Meaning::Malformed { .. } => "undecodable",
        };
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = kinds.entry(name).or_default();
        let [kafka, webhook] = counts;
        *(if by_webhook { webhook } else { kafka }) += 1;
    }

    /// All messages.
    pub fn all(&self) -> u64 {
        self.kafka.load(Ordering::Relaxed) + self.webhook.load(Ordering::Relaxed)
    }
}

/// Where messages go.
#[derive(Debug, Clone)]
pub struct Doors {
    /// The broker is there.
    pub outside: Arc<Outside>,
    /// Where goldwire takes webhooks.
    pub webhooks: SocketAddr,
    /// See [`client`].
    pub http: reqwest::Client,
    /// What was sent so far.
    pub sent: Arc<Sent>,
}

/// A client that trusts this certificate alone.
///
/// # Errors
/// One sentence, if it is none.
pub fn client(certificate: &str) -> Result<reqwest::Client, String> {
    crate::tls::use_ring();
    let certificate = reqwest::Certificate::from_pem(certificate.as_bytes());
    let certificate = certificate.map_err(|error| format!("certificate: {error}"))?;
    reqwest::Client::builder()
        .tls_certs_only([certificate])
        .timeout(Duration::from_secs(10))
        .build()
        .map_err(|error| format!("webhook client: {error}"))
}

/// Plays `emissions`, whose times count from `start`.
///
/// # Errors
/// One sentence, if a message cannot be sent.
pub async fn play(emissions: &[Emission], start: Millis, doors: &Doors) -> Result<(), String> {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way: JoinSet<Result<(), String>> = JoinSet::new();
    for emission in emissions {
        let wait = until(SystemClock.now(), start.saturating_add(emission.at));
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let permit = Arc::clone(&room)
            .acquire_owned()
            .await
            .map_err(|e| e.to_string())?;
        let (doors, emission) = (doors.clone(), emission.clone());
        under_way.spawn(async move {
            let result = doors.send(&emission).await;
            drop(permit);
            result
        });
        while let Some(ended) = under_way.try_join_next() {
            ended.map_err(|error| error.to_string())??;
        }
    }
    while let Some(ended) = under_way.join_next().await {
        ended.map_err(|error| error.to_string())??;
    }
    Ok(())
}

impl Doors {
    async fn send(&self, emission: &Emission) -> Result<(), String> {
        if emission.duplicate {
            self.sent.duplicates.fetch_add(1, Ordering::Relaxed);
        }
        match door(emission.carrier) {
            None => self.produce(emission).await,
            Some((path, signer)) => self.post(emission, path, signer).await,
        }
    }

    async fn produce(&self, emission: &Emission) -> Result<(), String> {
        let key = emission
            .subjects
            .first()
            .map(String::as_str)
            .unwrap_or_default();
        self.outside
            .broker
            .send(key, &emission.headers, &emission.body)
            .await?;
        self.sent.took(emission);
        Ok(())
    }

    async fn post(
        &self,
        emission: &Emission,
        path: &str,
        signer: Signer<'_>,
    ) -> Result<(), String> {
        let url = format!("https://localhost:{}{path}", self.webhooks.port());
        let id = uuid::Uuid::new_v4().to_string();
        for _ in 0..TRIES {
            let mut request = self.http.post(&url).body(emission.body.clone());
            for (name, value) in &emission.headers {
                request = request.header(*name, value);
            }
            let now = SystemClock.now();
            for (name, value) in signer.sign(&id, now, &emission.body)? {
                request = request.header(name, value);
            }
            match request.send().await {
                Ok(answer) if answer.status().is_success() => {
                    self.sent.took(emission);
                    return Ok(());
                }
                Ok(answer) if answer.status().is_client_error() && answer.status() != 429 => {
                    return Err(format!(
                        "{path}: the webhook listener answered {}",
                        answer.status()
                    ));
                }
                Ok(_) | Err(_) => self.sent.refused.fetch_add(1, Ordering::Relaxed),
            };
            tokio::time::sleep(PAUSE).await;
        }
        Err("a webhook was refused again and again".to_owned())
    }
}
