//! A sender of webhooks, as Reltio would be.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use goldwire::config::Secret;
use goldwire::webhook::SignatureScheme;
use goldwire::webhook::signature::{Key, sign};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// What requests are signed with.
pub(crate) const SECRET: &str = "canary-webhook-secret";
/// When the first event happened.
const START: i64 = 1_767_225_600_000;

/// A client that goes straight to loopback.
pub(crate) fn client() -> Client {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let patient = Client::builder().timeout(Duration::from_secs(30));
    patient.no_proxy().build().unwrap()
}

/// Where to send.
#[derive(Clone)]
pub(crate) struct Sender {
    http: Client,
    url: String,
}

impl Sender {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self {
            http: client(),
            url: format!("http://{address}/hook"),
        }
    }

    /// A request without a signature.
    pub(crate) fn unsigned(&self, body: impl Into<Vec<u8>>) -> RequestBuilder {
        self.http.post(&self.url).body(body.into())
    }

    /// A request signed with `secret`.
    pub(crate) fn signed_with(&self, secret: &str, body: impl Into<Vec<u8>>) -> RequestBuilder {
        let body = body.into();
        let scheme = SignatureScheme::Reltio;
        let key = Key::new(scheme, &Secret::new(secret)).unwrap();
        let headers = sign(scheme, &key, "", 0, &body);
        let request = self.unsigned(body);
        headers.into_iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        })
    }

    /// Sends a signed request; the status, or nothing if there was no answer.
    pub(crate) async fn send(&self, body: impl Into<Vec<u8>>) -> Option<u16> {
        let answer = self.signed_with(SECRET, body).send().await.ok()?;
        Some(answer.status().as_u16())
    }

    /// Sends a good event, which must be taken.
    pub(crate) async fn good(&self, uri: &str) -> BTreeSet<(String, i64)> {
        let body = event(uri, 1, "Ada").to_string();
        assert_eq!(self.send(body).await, Some(200));
        BTreeSet::from([(uri.to_owned(), 1)])
    }
}

/// A snapshot. Versions of one subject are farther apart than clocks may be skewed.
pub(crate) fn event(uri: &str, version: i64, name: &str) -> Value {
    json!({
        "type": "ENTITY_CHANGED", "tenantId": "acme", "sourceObjectUri": uri,
        "objectVersion": version, "commitTime": START + version * 10_000,
        "object": {
            "uri": uri, "type": "configuration/entityTypes/Individual", "label": name,
            "attributes": { "FirstName": [{ "value": name, "ov": true }] },
        },
    })
}

/// A stream of events, three of each subject, by several senders at once; an event that was not
/// answered is sent again, to whoever listens then.
#[derive(Default)]
pub(crate) struct Stream {
    next: AtomicI64,
    pub(crate) taken: AtomicUsize,
}

impl Stream {
    /// Sends until a request is not answered; what was answered 200, and what was not.
    pub(crate) async fn run(
        self: &Arc<Self>,
        sender: &Sender,
        senders: usize,
        again: BTreeSet<(String, i64)>,
    ) -> (BTreeSet<(String, i64)>, BTreeSet<(String, i64)>) {
        let mut tasks = JoinSet::new();
        let mut again: Vec<_> = again.into_iter().collect();
        for _ in 0..senders {
            let (stream, sender) = (Arc::clone(self), sender.clone());
            let mut first = again.pop();
            tasks.spawn(async move {
                let mut taken = BTreeSet::new();
                loop {
                    let (uri, version) = first.take().unwrap_or_else(|| stream.draw());
                    let body = event(&uri, version, "Ada").to_string();
                    match sender.send(body).await {
                        Some(200) => {
                            taken.insert((uri, version));
                            stream.taken.fetch_add(1, Ordering::SeqCst);
                        }
                        // On its way out it may say so.
                        None | Some(503) => return (taken, (uri, version)),
                        Some(other) => panic!("answered {other}"),
                    }
                }
            });
        }
        let (mut taken, mut not) = (BTreeSet::new(), BTreeSet::new());
        for (some, one) in tasks.join_all().await {
            taken.extend(some);
            not.insert(one);
        }
        (taken, not)
    }

    fn draw(&self) -> (String, i64) {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        (format!("entities/s{}", number / 3), number % 3 + 1)
    }
}
